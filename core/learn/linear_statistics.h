#pragma once
#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/types.h"

namespace offerd {

struct SlotWeight {
  double forgetting = 1;   // f
  double examination = 1;  // e
};

// A slot that was shown: x (d) as the decision record holds it, its weights, and the reward it counts with until told otherwise.
struct ShownSlot {
  absl::Span<const float> x;
  SlotWeight weight;
  double default_reward = 0;
};

// What a linear policy has learned, as sums over shown slots in log order; design.md section 4 has the derivation:
// E[r] = e theta'x and Var r = sigma^2 e.
//
// Up to kMaxFullDim columns all products of two columns are summed (the full form). Above it, the diagonal form: the squares
// alone, and the sums that centre them. It takes 16 bytes a column instead of 8 d, and knows nothing of how columns go together.
//
// Source   Chu, Li, Reyzin, Schapire, AISTATS 2011, "Contextual Bandits with Linear Payoff Functions". Differs: lambda is not part
//          of the state but added at publication, and several rewards of one slot arrive as differences.
// Shapes   d = dim(), fixed for life. gram(): full d x d, symmetric; only its lower half is kept, the rest is zero. Diagonal
//          (d + 1) x 2: of column k sum f e x_k^2 and sum f e x_k; in the last row sum f e and sum f r.
// Units    Rewards in the placement's unit (money in major units). forgetting f in (0, inf), examination e in (0, 1].
// Threads  Not safe; the learner owns it. Requests see a LinearPolicy made from it.
// Errors   A value that is not finite, a weight out of range or a wrong size is InvalidArgument; a sum that would leave
//          +-kLargestSum is OutOfRange. In both cases nothing has changed.
// Cost     AddShown O(slots d^2), diagonal O(slots d); ApplyReward O(d); neither allocates once it has seen as many slots.
// Bits     Elementwise arithmetic in a fixed order, never fused: the same on every machine and in every build, and however slots
//          are put together in calls.
class LinearStatistics {
 public:
  static constexpr int kMaxFullDim = 512;
  static constexpr int kMaxDim = 2048;
  static constexpr double kLargestSum = 1e300;

  explicit LinearStatistics(int dim);  // 1 <= dim <= kMaxDim

  // From stored sums, to the bit. Entries above the diagonal of the full form are ignored. InvalidArgument if they cannot be such
  // sums.
  static absl::StatusOr<LinearStatistics> FromParts(const Eigen::Ref<const Eigen::MatrixXd>& gram,
                                                    const Eigen::Ref<const Eigen::VectorXd>& reward_x,
                                                    double reward_squared, double total_weight, int64_t num_shown);

  // Slots were shown. All of them are added, or none.
  absl::Status AddShown(absl::Span<const ShownSlot> slots);
  absl::Status AddShown(const Eigen::Ref<const Eigen::VectorXf>& x, SlotWeight weight, double default_reward) {
    const ShownSlot slot{{x.data(), static_cast<size_t>(x.size())}, weight, default_reward};
    return AddShown({&slot, 1});
  }

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
  bool is_diagonal() const { return dim() > kMaxFullDim; }
  int64_t num_shown() const { return num_shown_; }
  const Eigen::MatrixXd& gram() const { return gram_; }
  const Eigen::VectorXd& reward_x() const { return reward_x_; }
  double reward_squared() const { return reward_squared_; }
  double total_weight() const { return total_weight_; }

  // The diagonal form, centred on the weighted means where the columns have a constant among them: the columns one by one.
  struct Centred {
    Eigen::VectorXd squares;   // d: sum f e (x_k - mean_k)^2
    Eigen::VectorXd reward_x;  // d: sum f (r - e mean r) (x_k - mean_k)
    Eigen::VectorXd mean;      // d: of x_k, weighted f e
    double mean_reward = 0;    // sum f r / sum f e
    double reward_squared = 0;  // sum f r^2 / e less what the mean explains
    int constant = -1;  // the first column that never varied, and is not 0: it takes the intercept. -1: none, nothing is centred
  };
  Centred Centre() const;

  // A hash of all sums and counts, in a fixed order; 0.0 and -0.0 count as the same.
  uint64_t Checksum() const;

 private:
  absl::Status CheckSlot(absl::Span<const float> x, SlotWeight weight) const;
  void AddProducts(size_t slots);
  void AddMoments(absl::Span<const ShownSlot> slots);

  Eigen::MatrixXd gram_;
  Eigen::VectorXd reward_x_;   // sum f r x
  double reward_squared_ = 0;  // sum f r^2 / e, for the residual deviation
  double total_weight_ = 0;    // sum f
  int64_t num_shown_ = 0;
  // Scratch: of the slots being added, as double.
  RowMatrix x_;                  // slots x d
  std::vector<double> weights_;  // f e
  std::vector<const double*> rows_;  // those that a column of the gram matrix takes in, and how often
  std::vector<double> factors_;
  Eigen::VectorXd next_reward_x_, next_squares_;  // what the sums would become
};

}  // namespace offerd
