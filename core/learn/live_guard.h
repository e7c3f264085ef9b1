#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>

#include "absl/types/span.h"

namespace offerd {

// Is what runs still worth more than the fixed order? Takes every decision as it closes, and knows at every moment what is certain.
//
// With W_l the probability of the slots down to l by the fixed order over that of the draw, and r_l what slot l earned, a decision's gain
// is sum over l of (1 - W_l) (r_l - c): its mean is what live earns more than the fixed order would. c is the mean reward of a slot so far,
// which changes no mean, for W_l has mean 1 where the randomised share covers the fixed order, and takes out noise.
//
// The bounds are confidence sequences: valid at all moments at once, however often one looks. One begins with the guard and may err
// with probability .02; further ones begin at every block of kBlockSize decisions, so that a turn for the worse is seen though all went well
// before: the j-th block's (from 1) may err with .03 / (j (j + 1)). Together .05, one-sided.
//
// Source   Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, Annals of Statistics 2024, "Time-uniform central limit theory and asymptotic
//          confidence sequences", theorem 2.2 (Robbins' normal mixture, with the variance seen), tightest around kTightest decisions;
//          one-sided: with 2 alpha. Control variate: Owen, "Monte Carlo theory, methods and examples", 8.9.
// Threads  Not safe. A value: copies are independent.
// Errors   Judge says nothing before kLeast decisions. A gain that is not finite is left out.
class LiveGuard {
 public:
  struct Block {
    int64_t count = 0;
    double sum = 0;      // of gains
    double squares = 0;  // of them
  };
  struct Verdict {
    int64_t decisions = 0;
    double gain = 0;  // mean over all, as are the bounds (95 %, two-sided); 0 while nothing is known
    double lower_bound = 0;
    double upper_bound = 0;
    bool is_known = false;  // kLeast decisions and more
    bool is_below = false;  // some sequence is below the floor as a whole
  };
  // Mean reward of a slot so far.
  struct Baseline {
    int64_t slots = 0;
    double sum = 0;
    double mean() const { return slots == 0 ? 0 : sum / static_cast<double>(slots); }
  };

  // One closed decision: W_l and r_l by slot, as many of each.
  void Add(absl::Span<const double> weights, absl::Span<const double> rewards);
  Verdict Judge(double floor) const;

  // For storage: the newest blocks, oldest first; those before kMaxBlocks are joined in the first.
  const std::deque<Block>& blocks() const { return blocks_; }
  int64_t begun() const { return begun_; }
  const Baseline& baseline() const { return baseline_; }
  static LiveGuard FromParts(std::deque<Block> blocks, int64_t begun, Baseline baseline);

  static constexpr int64_t kBlockSize = 20'000;
  static constexpr size_t kMaxBlocks = 40;
  static constexpr int64_t kLeast = 1000;
  static constexpr double kTightest = 50'000;

 private:
  std::deque<Block> blocks_;
  int64_t begun_ = 0;  // blocks since the start, those that were joined included
  Baseline baseline_;
};

}  // namespace offerd
