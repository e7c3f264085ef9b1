#pragma once
#include <Eigen/Core>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace offerd {

struct SlotWeight {
  double forgetting = 1;   // f
  double examination = 1;  // e
};

// What a linear policy has learned, as sums over shown slots in log order; design.md section 4 has the derivation:
// E[r] = e theta'x and Var r = sigma^2 e.
//
// Source   Chu, Li, Reyzin, Schapire, AISTATS 2011, "Contextual Bandits with Linear Payoff Functions". Differs: lambda
// is
//          not part of the state but added at publication, and several rewards of one slot arrive as differences.
// Shapes   d = dim(), fixed for life. The gram matrix is d x d, symmetric; only its lower half is kept, the rest is
// zero. Units    Rewards in the placement's unit (money in major units). forgetting f in (0, inf), examination e in (0,
// 1]. Threads  Not safe; the learner owns it. Requests see a LinearPolicy made from it. Errors   A value that is not
// finite, a weight out of range or a wrong size is InvalidArgument; a sum that would leave
//          +-kLargestSum is OutOfRange. In both cases nothing has changed.
// Cost     AddShown O(d^2), ApplyReward O(d), both without allocation.
// Bits     Elementwise arithmetic in a fixed order, never fused: the same on every machine and in every build.
class LinearStatistics {
 public:
  static constexpr int kMaxDim = 512;
  static constexpr double kLargestSum = 1e300;

  explicit LinearStatistics(int dim);  // 1 <= dim <= 512

  // From stored sums, to the bit. Entries above the diagonal are ignored. InvalidArgument if they cannot be such sums.
  static absl::StatusOr<LinearStatistics> FromParts(const Eigen::Ref<const Eigen::MatrixXd>& gram_lower,
                                                    const Eigen::Ref<const Eigen::VectorXd>& reward_x,
                                                    double reward_squared, double total_weight, int64_t num_shown);

  // A slot was shown: x (d) as the decision record holds it, its weights, and the reward it counts with until told
  // otherwise.
  absl::Status AddShown(const Eigen::Ref<const Eigen::VectorXf>& x, SlotWeight weight, double default_reward);

  // The reward of a slot that was added changes. Late, repeated and reversed rewards all come through here, so the
  // state is the same (but for rounding) as if the last value had been known at once.
  absl::Status ApplyReward(const Eigen::Ref<const Eigen::VectorXf>& x, SlotWeight weight, double old_reward,
                           double new_reward);

  // Sums of another shard of the same log. Equal dim; the order of merges moves the last bits only.
  absl::Status Merge(const LinearStatistics& other);

  // Multiplies every sum (not num_shown) by 2^exponent: t0 moves by whole half-lives. Exact until a sum is below the
  // smallest normal number. The exponent is at most 0 in use; a sum that leaves +-kLargestSum stops the process.
  void ScaleByPowerOfTwo(int exponent);

  int dim() const { return static_cast<int>(reward_x_.size()); }
  int64_t num_shown() const { return num_shown_; }
  const Eigen::MatrixXd& gram_lower() const { return gram_; }
  const Eigen::VectorXd& reward_x() const { return reward_x_; }
  double reward_squared() const { return reward_squared_; }
  double total_weight() const { return total_weight_; }

  // A hash of all sums and counts, in a fixed order; 0.0 and -0.0 count as the same.
  uint64_t Checksum() const;

 private:
  absl::Status CheckSlot(const Eigen::Ref<const Eigen::VectorXf>& x, SlotWeight weight) const;

  Eigen::MatrixXd gram_;       // sum f e x x'
  Eigen::VectorXd reward_x_;   // sum f r x
  double reward_squared_ = 0;  // sum f r^2 / e, for the residual deviation
  double total_weight_ = 0;    // sum f
  int64_t num_shown_ = 0;
  Eigen::VectorXd x_;  // scratch: x as double
};

}  // namespace offerd
