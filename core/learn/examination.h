#pragma once
#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace offerd {

// How likely each slot of a placement's slate is looked at, from what slots earned that the randomised share may have filled.
//
// A slot earns e_k theta'x in expectation (position-based model). Of a slot whose offer was drawn with probability p, of which the
// share's part is w p, the sums take w r and w s, s = theta'x as the model in force estimates it: so weighted, slots hold what the share
// would have put there, whatever the explorer prefers, and where candidates of slots differ the estimate says by how much.
// e_k = (R_k / S_k) / (R_0 / S_0), drawn towards its starting value by kPriorRewards rewards of the declared largest size.
//
// Source   Joachims, Swaminathan, Schnabel, WSDM 2017, "Unbiased Learning-to-Rank with Biased Feedback", sections 3 and 5.3: the model,
//          and its estimation by randomisation. Differs: no swaps; the share's part of each draw is weighted, and the candidates' own
//          estimates stand for what the slots held.
// Shapes   Slots count from 0. The first one is the yardstick: its value is what was declared.
// Units    Rewards in the placement's unit; results in [kLeast, 1].
// Threads  A value.
class ExaminationEstimate {
 public:
  struct Slot {
    double rewarded = 0;  // sum w r
    double expected = 0;  // sum w s
  };
  static constexpr double kPriorRewards = 20;
  static constexpr double kLeast = 0.01;

  void AddReward(size_t slot, double weighted) { At(slot).rewarded += weighted; }
  void AddExpected(size_t slot, double weighted) { At(slot).expected += weighted; }

  // What a placement declares for a slot: the last one goes for those beyond, none: 1.
  static double Declared(const std::vector<double>& declared, size_t slot) {
    return declared.empty() ? 1 : declared[std::min(slot, declared.size() - 1)];
  }

  // The weight of a slot; `largest_reward` above 0.
  double Of(size_t slot, const std::vector<double>& declared, double largest_reward) const {
    const double start = Declared(declared, slot);
    if (slot == 0 || slot >= slots_.size()) return start;
    const Slot &first = slots_[0], &here = slots_[slot];
    if (!(first.rewarded > 0) || !(first.expected > 0)) return start;
    const double prior = kPriorRewards * largest_reward;
    const double as_first = here.expected * (first.rewarded / first.expected) / Declared(declared, 0);  // at examination 1
    if (!(as_first + prior > 0)) return start;
    return std::clamp((here.rewarded + prior * start) / (as_first + prior), kLeast, 1.0);
  }

  const std::vector<Slot>& slots() const { return slots_; }  // for storage
  static ExaminationEstimate FromSlots(std::vector<Slot> slots) {
    ExaminationEstimate estimate;
    estimate.slots_ = std::move(slots);
    return estimate;
  }

 private:
  Slot& At(size_t slot) {
    if (slots_.size() <= slot) slots_.resize(slot + 1);
    return slots_[slot];
  }
  std::vector<Slot> slots_;
};

}  // namespace offerd
