#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/input_file.h"
#include "core/records.h"

namespace offerd::learn {

// One line of a recorded stream.
struct StreamDecision {
  struct Candidate {
    std::string id;
    std::vector<NamedValue> features;
    std::optional<double> reward;  // what it earns, or would have earned
  };
  struct Logged {
    std::string id;
    double probability = 0;  // (0, 1]
    double reward = 0;
  };
  TimeMicros time = 0;
  std::string customer;  // empty: nobody known
  std::vector<NamedValue> context;
  std::vector<Candidate> candidates;
  std::optional<Logged> logged;
  int64_t delay = -1;  // decisions until the reward is known; below 0: as the trainer is told. Not read from a file.

  // With a reward for every candidate, whatever is chosen can be rewarded; else only the logged choice.
  bool is_full_information() const { return candidates.front().reward.has_value(); }
};

// Reads such lines:
//   {"time":SECONDS,"customer":ID,"context":{NAME:NUMBER|"TEXT",..},"candidates":[{"id":ID,"features":{..},"reward":R},..],
//    "logged":{"id":ID,"probability":P,"reward":R}}
// time, customer, context, features and logged may be absent; unknown fields are passed over. A null value of a feature is a
// missing one; true and false are 1 and 0; a number beyond +-1e15 counts as that. Names of features become names of facts: see
// FactNameFor.
//
// Errors  InvalidArgument names the line, the field, what was expected and what was found: no JSON, no candidate or more than
//         1,000, an id twice, ids that are no text of 1 to 256 bytes, rewards for some candidates only or beyond +-9e12, neither
//         rewards nor logged, a logged id that is no candidate, a probability out of range, more than 512 features.
class StreamReader {
 public:
  static absl::StatusOr<StreamReader> Open(const std::string& path);
  ~StreamReader();
  StreamReader(StreamReader&&) noexcept;
  StreamReader& operator=(StreamReader&&) noexcept;

  // False = the end. Empty lines are passed over. A decision without a time has that of the one before.
  absl::StatusOr<bool> Next(StreamDecision* decision);

  int64_t line_number() const;

 private:
  struct State;
  explicit StreamReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The name as the name of a fact: letters, digits and "_-.:" as they are, any other byte as ':' and two hexadecimal digits;
// a leading "x" where it would not begin with a letter or digit, cut at 128 bytes.
std::string FactNameFor(absl::string_view name);

}  // namespace offerd::learn
