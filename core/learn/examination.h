#pragma once
#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "core/types.h"

namespace offerd {

// What a placement declares of a slot (from 0): those beyond the list have the last one's weight; none declared: 1.
double DeclaredExamination(absl::Span<const double> declared, size_t slot);

// How likely each slot of one placement is looked at, from what its randomised share showed.
//
// In the model E[r] = e theta'x the mean reward of a slot k mixes where it stands (e) with what stands there (theta'x): explorers put the
// best first. The share does not look at the reward to come, so with w the probability that the share and not the explorer drew a slot
//   R_k = sum w r, S_k = sum w theta'x,   E[R_k] = e_k / c E[S_k]
// with theta the estimate in force when the slot was counted, and c the same for all k: what theta is wrong by as a whole. So
//   e_k = e_1 (R_k + p d_k / e_1) / (S_k R_1 / S_1 + p), p = tau Q / R_1, within [0.01, 1]
// where e_1 and d_k are declared, Q = sum w^2 r^2 of slot 1, so that Q / R_1 is what a reward there adds to R_1 and R_1^2 / Q how many there
// were; tau = kPriorRewards: the declared weight counts as much as so many expected rewards. Fewer of slot 1, or R_1, S_1 or S_k not
// above 0: as declared.
// theta'x is not cut off at 0: where theta is right its sum is right, also where single estimates are negative.
//
// Source   Joachims, Swaminathan, Schnabel, WSDM 2017, "Unbiased Learning-to-Rank with Biased Feedback" (position-based model); Agarwal,
//          Zaitsev, Wang, Li, Najork, Joachims, WSDM 2019, "Estimating Position Bias without Intrusive Interventions". Differs: the random
//          draws are the placement's own share, and the relevance of what it drew is the learner's estimate.
// Units    Rewards in the placement's unit. Slots count from 0.
// Threads  Not safe. A value: copies are independent.
// Cost     O(1) for each slot.
class ExaminationSums {
 public:
  ExaminationSums() = default;
  explicit ExaminationSums(Sequence begun) : begun_(begun) {}

  // A slot counts with what it has earned. weight w in (0, 1]; a slot whose estimate is not finite may not come here.
  void AddShown(size_t slot, double weight, double estimate, double reward);
  // The reward of a slot that was added changes: the sums are as if the last value had been known at once.
  void ApplyReward(size_t slot, double weight, double old_reward, double new_reward);

  // e of the first `slots` slots.
  std::vector<double> Weights(absl::Span<const double> declared, size_t slots) const;
  // How many rewards of equal weight and size are worth what slot 1 has earned by the share: R_1^2 / Q.
  double NumRewards() const;

  // The placement's version that the sums begin with: decisions of earlier ones are not in them.
  Sequence begun() const { return begun_; }

  struct Slot {
    double reward = 0;    // R
    double estimate = 0;  // S
  };
  // For storage.
  const std::vector<Slot>& slots() const { return slots_; }
  double first_squared() const { return first_squared_; }
  static ExaminationSums FromParts(Sequence begun, std::vector<Slot> slots, double first_squared);

  static constexpr double kPriorRewards = 20;
  static constexpr double kLeastWeight = 0.01;

 private:
  Sequence begun_ = 0;
  std::vector<Slot> slots_;
  double first_squared_ = 0;  // Q
};

}  // namespace offerd
