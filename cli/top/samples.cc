#include "cli/top/samples.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/status_macros.h"

namespace offerd::cli::top {
namespace {

struct Sample {
  std::string name;
  Labels labels;
  double value = 0;
};

// Reads one line from left to right. An error says what was expected and what stands there; the caller adds the line.
class LineParser {
 public:
  explicit LineParser(absl::string_view line) : rest_(line) {}

  absl::StatusOr<Sample> Read() {
    Sample sample;
    ASSIGN_OR_RETURN(sample.name, ReadName("the name of a metric", /*takes_colon=*/true));
    SkipBlanks();
    if (Take('{')) RETURN_IF_ERROR(ReadLabels(&sample.labels));
    SkipBlanks();
    const std::vector<absl::string_view> words = absl::StrSplit(rest_, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (words.empty() || !absl::SimpleAtod(words[0], &sample.value)) return Expected("a number");
    int64_t time = 0;
    if (words.size() > 2 || (words.size() == 2 && !absl::SimpleAtoi(words[1], &time))) {
      return Expected("one number and perhaps a time in milliseconds");
    }
    return sample;
  }

 private:
  absl::Status Expected(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("expected ", what, ", found \"", absl::CHexEscape(rest_.substr(0, 40)), "\""));
  }

  void SkipBlanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t')) rest_.remove_prefix(1);
  }

  bool Take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  absl::StatusOr<std::string> ReadName(absl::string_view what, bool takes_colon) {
    size_t length = 0;
    for (; length < rest_.size(); ++length) {
      const unsigned char c = static_cast<unsigned char>(rest_[length]);
      const bool is_letter = absl::ascii_isalpha(c) || c == '_' || (takes_colon && c == ':');
      if (!is_letter && (length == 0 || !absl::ascii_isdigit(c))) break;
    }
    if (length == 0) return Expected(what);
    std::string name(rest_.substr(0, length));
    rest_.remove_prefix(length);
    return name;
  }

  // Behind the opening brace, up to and with the closing one. A comma may stand behind the last label.
  absl::Status ReadLabels(Labels* labels) {
    for (;;) {
      SkipBlanks();
      if (Take('}')) return absl::OkStatus();
      ASSIGN_OR_RETURN(std::string name, ReadName("the name of a label or }", /*takes_colon=*/false));
      SkipBlanks();
      if (!Take('=')) return Expected("=");
      SkipBlanks();
      ASSIGN_OR_RETURN(std::string value, ReadQuoted());
      if (!labels->emplace(name, std::move(value)).second) return absl::InvalidArgumentError(absl::StrCat("the label ", name, " comes twice"));
      SkipBlanks();
      if (!Take(',') && !absl::StartsWith(rest_, "}")) return Expected(", or }");
    }
  }

  absl::StatusOr<std::string> ReadQuoted() {
    if (!Take('"')) return Expected("a quoted value");
    std::string value;
    while (!rest_.empty()) {
      if (Take('"')) return value;
      if (!Take('\\')) {
        value += rest_[0];
      } else if (absl::StartsWith(rest_, "n")) {
        value += '\n';
      } else if (absl::StartsWith(rest_, "\\") || absl::StartsWith(rest_, "\"")) {
        value += rest_[0];
      } else {
        return Expected("\\, \" or n behind a backslash");
      }
      rest_.remove_prefix(1);
    }
    return Expected("a closing quote");
  }

  absl::string_view rest_;
};

absl::Status CheckBucket(const Sample& sample) {
  if (!absl::EndsWith(sample.name, "_bucket")) return absl::OkStatus();
  const auto bound = sample.labels.find("le");
  double number = 0;
  if (bound != sample.labels.end() && absl::SimpleAtod(bound->second, &number) && !std::isnan(number)) return absl::OkStatus();
  return absl::InvalidArgumentError("expected a bucket with a number as le");
}

bool IsCounter(const std::string& name) {
  return absl::EndsWith(name, "_total") || absl::EndsWith(name, "_count") || absl::EndsWith(name, "_bucket");
}

bool Has(const Labels& labels, const Labels& with) {
  return std::all_of(with.begin(), with.end(), [&labels](const auto& label) {
    const auto found = labels.find(label.first);
    return found != labels.end() && found->second == label.second;
  });
}

double ValueIn(const Family& family, const Labels& labels) {
  const auto found = family.find(labels);
  return found == family.end() ? 0 : found->second;
}

}  // namespace

absl::StatusOr<Samples> Samples::Parse(absl::string_view text) {
  Samples samples;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    absl::StatusOr<Sample> sample = LineParser(line).Read();
    absl::Status status = sample.ok() ? CheckBucket(*sample) : sample.status();
    if (status.ok() && !samples.families_[sample->name].emplace(std::move(sample->labels), sample->value).second) {
      status = absl::InvalidArgumentError(absl::StrCat("this series of ", sample->name, " came before"));
    }
    if (!status.ok()) return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", status.message()));
  }
  return samples;
}

const Family& Samples::Of(const std::string& name) const {
  static const Family* const kNone = new Family();
  const auto found = families_.find(name);
  return found == families_.end() ? *kNone : found->second;
}

std::optional<double> Samples::Value(const std::string& name) const {
  const Family& family = Of(name);
  const auto found = family.find(Labels());
  if (found == family.end()) return std::nullopt;
  return found->second;
}

bool HasRestarted(const Samples& before, const Samples& after) {
  const auto started = before.Value("process_start_time_seconds");
  const auto started_now = after.Value("process_start_time_seconds");
  if (started.has_value() && started_now.has_value() && *started != *started_now) return true;
  for (const auto& [name, family] : before.families()) {
    if (!IsCounter(name)) continue;
    const Family& now = after.Of(name);
    for (const auto& [labels, value] : family) {
      if (ValueIn(now, labels) < value) return true;
    }
  }
  return false;
}

Family Rises(const Samples& before, const Samples& after, const std::string& name) {
  Family rises;
  const Family& earlier = before.Of(name);
  for (const auto& [labels, value] : after.Of(name)) rises[labels] = value - ValueIn(earlier, labels);
  return rises;
}

std::map<std::string, double> SumBy(const Family& family, const std::string& label, const Labels& with) {
  std::map<std::string, double> sums;
  for (const auto& [labels, value] : family) {
    const auto key = labels.find(label);
    if (key != labels.end() && Has(labels, with)) sums[key->second] += value;
  }
  return sums;
}

Buckets BucketsOf(const Family& rises, const Labels& with) {
  Buckets buckets;
  for (const auto& [bound, count] : SumBy(rises, "le", with)) {
    double number = 0;
    if (absl::SimpleAtod(bound, &number)) buckets[number] += count;  // Parse has seen to it
  }
  return buckets;
}

std::optional<Quantile> QuantileOf(const Buckets& buckets, double q) {
  const double total = buckets.empty() ? 0 : buckets.rbegin()->second;
  if (!(total > 0)) return std::nullopt;
  const double rank = q * total;
  double lower = 0, below = 0;
  for (const auto& [upper, count] : buckets) {
    // An empty bucket holds no quantile, also where rank is 0.
    if (count >= rank && count > below) {
      if (std::isinf(upper)) return Quantile{lower, true};
      return Quantile{lower + (upper - lower) * (rank - below) / (count - below), false};
    }
    lower = upper;
    below = std::max(below, count);
  }
  return Quantile{lower, true};
}

}  // namespace offerd::cli::top
