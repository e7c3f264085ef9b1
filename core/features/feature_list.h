#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace offerd {

// Who knows a fact: the request (kContext), the customer's profile, the candidate as given inline in the request, the
// offer's attributes in the catalogue, or the server, which computes it.
enum class FactScope : uint8_t { kContext, kCustomer, kCandidate, kOffer, kComputed };

// Names one fact; written "context.evening", "computed.own_offer_rate".
struct FactName {
  FactScope scope = FactScope::kContext;
  std::string name;

  friend bool operator==(const FactName& a, const FactName& b) { return a.scope == b.scope && a.name == b.name; }
};

absl::string_view FactScopeText(FactScope scope);
std::string FactNameText(const FactName& name);

// The reverse of FactNameText. The scope ends at the first dot; the rest is 1 to 128 ASCII letters, digits and "_-.:",
// beginning with a letter or a digit. InvalidArgument says what was expected.
absl::StatusOr<FactName> ParseFactName(absl::string_view text);

// The value of a fact for one candidate. The text belongs to the caller. A number that is not a number is missing.
struct Fact {
  enum class Kind : uint8_t { kMissing, kNumber, kText };
  Kind kind = Kind::kMissing;
  double number = 0;
  absl::string_view text;

  static Fact Missing() { return {}; }
  static Fact Number(double number) { return {Kind::kNumber, number, {}}; }
  static Fact Text(absl::string_view text) { return {Kind::kText, 0, text}; }
};

enum class Transform : uint8_t {
  kIdentity,
  kLog1p,     // log(1 + x); unless `min` is above -1, a negative x counts as 0
  kSqrt,      // a negative x counts as 0
  kExpDecay,  // exp(-x / scale)
};

// One declared feature: one or more columns. Fields that its kind does not mention are ignored.
struct Feature {
  enum class Kind : uint8_t {
    kConstant,  // one column, always 1
    kNumeric,   // one column: clamp to [min, max], transform, times `multiplier`; missing or a text: `missing_value` as
                // it is
    kOneHot,    // one column per value, in this order; anything else, or missing: all zero
    kBucket,  // boundaries.size() + 1 columns, column i is 1 when boundaries[i - 1] <= x < boundaries[i]; missing: all
              // zero
    kCross,   // products of the columns of two earlier features, left-major
  };
  Kind kind = Kind::kConstant;
  std::string name;  // unique within the list; same letters as a fact's name
  FactName fact;     // numeric, one-hot, bucket
  Transform transform = Transform::kIdentity;
  double scale = 1;
  double multiplier = 1;
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  double missing_value = 0;
  // One-hot. A number matches its shortest decimal text: 1 matches "1", never "1.0" or "1e0".
  std::vector<std::string> values;
  std::vector<double> boundaries;  // bucket: strictly ascending
  std::string left, right;         // cross
  bool only_in_crosses = false;    // numeric, one-hot: no column of its own
};

struct FeatureList {
  std::vector<Feature> features;
};

}  // namespace offerd
