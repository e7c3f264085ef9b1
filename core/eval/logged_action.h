#pragma once
#include <limits>

#include "absl/status/status.h"

namespace offerd {

// One shown action of a logged decision, with what a target policy would have done in its place.
//
// Units   Probabilities of the action at its position. Marginal: over all that could stand before it. Conditional:
//         given the actions that did stand before it; their product over the positions is the probability of the list.
struct LoggedAction {
  int position = 1;       // from 1
  double propensity = 1;  // of the policy that made the log; (0, 1]
  double reward = 0;
  double target_probability = 0;  // of the policy to be valued; [0, 1]
  double q_logged = 0;            // modelled reward of this action
  double q_target = 0;            // modelled reward, expected over the target policy's actions at this position

  double weight() const { return target_probability / propensity; }
};

constexpr int kMaxPosition = 1000;
constexpr double kProbabilityTolerance = 1e-6;  // sums of probabilities may exceed 1 by so much

struct RewardRange {
  double lowest = std::numeric_limits<double>::lowest();
  double highest = std::numeric_limits<double>::max();
};

constexpr double kLargestMagnitude =
    1e50;  // of weights, rewards and modelled rewards, so that no sum of squares overflows

// InvalidArgument "FIELD: expected ..., got ..." for the first field out of its range.
absl::Status CheckLoggedAction(const LoggedAction& action, const RewardRange& rewards);

}  // namespace offerd
