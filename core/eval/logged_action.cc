#include "core/eval/logged_action.h"

#include <charconv>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace offerd {
namespace {

bool IsUsable(double value) { return std::abs(value) <= kLargestMagnitude; }  // false for NaN

// As few digits as tell the number from its neighbours, so that 1.0000001 does not read as 1.
std::string Digits(double value) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof(text), value).ptr);
}

absl::Status Unexpected(absl::string_view field, absl::string_view expected, double got) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": expected ", expected, ", got ", Digits(got)));
}

}  // namespace

absl::Status CheckLoggedAction(const LoggedAction& action, const RewardRange& rewards) {
  if (action.position < 1 || action.position > kMaxPosition) {
    return Unexpected("position", "a whole number from 1 to 1000", action.position);
  }
  // Written so that NaN fails too.
  if (!(action.propensity > 0 && action.propensity <= 1)) {
    return Unexpected("propensity", "above 0 and at most 1", action.propensity);
  }
  if (!IsUsable(action.reward)) return Unexpected("reward", "a finite number, at most 1e50 in size", action.reward);
  if (action.reward < rewards.lowest || action.reward > rewards.highest) {
    const std::string expected =
        absl::StrCat("in the declared range from ", Digits(rewards.lowest), " to ", Digits(rewards.highest));
    return Unexpected("reward", expected, action.reward);
  }
  if (!(action.target_probability >= 0 && action.target_probability <= 1 + kProbabilityTolerance)) {
    return Unexpected("target_probability", "from 0 to 1", action.target_probability);
  }
  if (!IsUsable(action.weight())) {
    return Unexpected("propensity", "large enough for a weight of at most 1e50", action.propensity);
  }
  if (!IsUsable(action.q_logged))
    return Unexpected("q_logged", "a finite number, at most 1e50 in size", action.q_logged);
  if (!IsUsable(action.q_target))
    return Unexpected("q_target", "a finite number, at most 1e50 in size", action.q_target);
  return absl::OkStatus();
}

}  // namespace offerd
