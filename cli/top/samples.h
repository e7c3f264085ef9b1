#pragma once
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace offerd::cli::top {

using Labels = std::map<std::string, std::string>;
using Family = std::map<Labels, double>;  // the series of one name

// What a Prometheus text endpoint said at one moment.
//
// Source   The text format 0.0.4 of Prometheus. Differs: comments, and with them types, are passed over; so are the times of samples.
// Errors   A line that is no sample, a series that comes twice or a bucket whose `le` is no number ends Parse; the message names the line.
class Samples {
 public:
  static absl::StatusOr<Samples> Parse(absl::string_view text);

  const Family& Of(const std::string& name) const;  // empty where there is none
  std::optional<double> Value(const std::string& name) const;  // of the series without labels
  const std::map<std::string, Family>& families() const { return families_; }

 private:
  std::map<std::string, Family> families_;
};

// Has the process behind `after` started later than that behind `before`? Told by its start time and, where it has none or the clock was set,
// by a counter that went down or is gone.
bool HasRestarted(const Samples& before, const Samples& after);

// What every series of a counter rose by. A new series counts from 0. After a restart let `before` be empty: all that is counted is new.
Family Rises(const Samples& before, const Samples& after, const std::string& name);

// The series with these labels (and others), summed by the values of one more. Series without that label are left out.
std::map<std::string, double> SumBy(const Family& family, const std::string& label, const Labels& with = {});

// Cumulative counts by upper bound; the last bound is infinite.
using Buckets = std::map<double, double>;
Buckets BucketsOf(const Family& rises, const Labels& with = {});

struct Quantile {
  double value = 0;
  bool is_above = false;  // above the last finite bound, which is `value`
  bool operator==(const Quantile&) const = default;
};

// Linear within its bucket, as histogram_quantile of Prometheus has it; nothing where nothing was counted. 0 <= q <= 1.
std::optional<Quantile> QuantileOf(const Buckets& buckets, double q);

}  // namespace offerd::cli::top
