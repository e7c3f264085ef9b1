#pragma once
#include <Eigen/Core>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/learn/linear_statistics.h"
#include "core/types.h"

namespace offerd {

// What a publication record says; with the statistics it determines the policy to the bit.
struct PublicationParameters {
  std::string policy;
  uint64_t version = 0;
  double forgetting_to_T = 1;  // multiplies all sums: brings them to T, so that the newest impression counts 1
  double lambda = 1;           // ridge, added to the gram matrix brought to T; above 0
  int bag_size = 32;           // M
  double scale = 0.5;          // of the bag's deviation, in residual standard deviations
  double prior_deviation = 0;  // s0: what sigma is when nothing was seen
  uint64_t bag_seed = 0;       // BagSeed(policy, version)
};

// The seed of a publication's bag. The stream of a slate's draws comes from elsewhere.
uint64_t BagSeed(absl::string_view policy, uint64_t version);

// A published linear policy: the ridge estimate theta and a bag of M draws around it.
//
// Source   Agrawal, Goyal, ICML 2013, "Thompson Sampling for Contextual Bandits with Linear Payoffs". Differs: M draws
// per
//          publication instead of one per request, and a deviation estimated from the residuals.
//          theta = V^-1 b, V = lambda I + G; theta_m = theta + scale sigma L'^-1 z_m with V = L L', z_m standard
//          normal; sigma^2 = (yy - 2 theta'b + theta'G theta + s0^2) / (n + 1), at least 0, n the total weight; all
//          sums at T.
// Above LinearStatistics::kMaxFullDim columns, from the diagonal form: each column's weight from its own centred sums, as if columns
// varied independently, theta_k = c_k / (lambda + g_k) with deviation sigma / sqrt(lambda + g_k); a constant column takes the
// intercept; sigma is the rewards' own deviation, none of it taken for explained. Columns that say the same thing each claim the
// whole of it, so that estimates of such are too far from the mean; their order is what ranks.
// Shapes   d = dim(), M = bag_size().
// Threads  Immutable; safe to share.
// Errors   Publish: InvalidArgument for parameters out of range; FailedPrecondition if V cannot be factorised or a
//          coefficient is not finite. Never a half model.
// Cost     Publish O(d^3 / 3 + M d^2); Score O(n d M), allocates only when `scores` grows; Deviation O(d^2 / 2). Diagonal: Publish
//          O(M d), Deviation O(d).
// Bits     Sums in a fixed order and never fused: the same in every build. A row's scores do not depend on other rows.
class LinearPolicy {
 public:
  static constexpr int kMaxBagSize = 4096;

  static absl::StatusOr<LinearPolicy> Publish(const LinearStatistics& statistics,
                                              const PublicationParameters& parameters);

  // All of it, for storage; FromParts gives the same policy to the bit. InvalidArgument for sizes that do not fit or numbers
  // that are not finite.
  struct Parts {
    uint64_t version = 0;
    double sigma = 0;
    double lambda = 0;
    double weight = 0;
    Eigen::VectorXd theta;
    Eigen::MatrixXf coefficients;
    Eigen::MatrixXd lower;  // L; diagonal: d x 1, the root of each column's precision
  };
  Parts ToParts() const { return {version_, sigma_, lambda_, weight_, theta_, coefficients_, lower_}; }
  static absl::StatusOr<LinearPolicy> FromParts(Parts parts);

  int dim() const { return static_cast<int>(theta_.size()); }
  uint64_t version() const { return version_; }
  double sigma() const { return sigma_; }
  double lambda() const { return lambda_; }
  double weight() const { return weight_; }  // total weight n of what it learned from
  int bag_size() const { return static_cast<int>(coefficients_.cols()) - 1; }
  const Eigen::VectorXd& theta() const { return theta_; }

  // d x (1 + M): column 0 is the mean, then the bag. Member m depends on the seed and m, not on M.
  const Eigen::MatrixXf& coefficients() const { return coefficients_; }

  // x is n x d; scores becomes n x (1 + M): each row of x times coefficients(). n = 0 is fine.
  void Score(const Eigen::Ref<const FloatRowMatrix>& x, FloatRowMatrix& scores) const;

  // The standard deviation of x'theta as far as it is not known yet: sigma sqrt(x' V^-1 x).
  double Deviation(const Eigen::Ref<const Eigen::VectorXf>& x) const;

  // The same for every row of x (n x d): deviations becomes n. O(n d^2 / 2); `scratch` is reused.
  void Deviations(const Eigen::Ref<const FloatRowMatrix>& x, RowMatrix& scratch, std::vector<double>& deviations) const;

 private:
  LinearPolicy() = default;
  bool is_diagonal() const { return lower_.cols() != lower_.rows(); }
  absl::Status Solve(const LinearStatistics& statistics, const PublicationParameters& parameters, RowMatrix& noise);
  void SolveDiagonal(const LinearStatistics& statistics, const PublicationParameters& parameters, RowMatrix& noise);
  void PadCoefficients();

  uint64_t version_ = 0;
  double sigma_ = 0;
  double lambda_ = 0;
  double weight_ = 0;
  Eigen::VectorXd theta_;
  Eigen::MatrixXf coefficients_;
  FloatRowMatrix padded_;  // coefficients_ by rows, columns filled up with zeros to a multiple of kLanes
  Eigen::MatrixXd lower_;  // as in Parts; the upper half of L is zero
};

}  // namespace offerd
