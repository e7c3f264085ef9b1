#include "core/policy/linear_policy.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/hash.h"
#include "core/policy/cholesky.h"
#include "core/rng.h"
#include "core/status_macros.h"

namespace offerd {
namespace {

// Eight floats that are multiplied and added at once. Compilers turn it into what the build's instruction set has.
constexpr int kLanes = 8;
constexpr int kGroups = 5;  // groups of lanes at once: the mean and M = 32
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));

absl::Status CheckParameters(const PublicationParameters& p) {
  const auto invalid = [&p](absl::string_view field, absl::string_view expected, double found) {
    return absl::InvalidArgumentError(
        absl::StrCat("policy '", p.policy, "': ", field, ": expected ", expected, ", found ", found));
  };
  if (!(p.forgetting_to_T > 0) || !std::isfinite(p.forgetting_to_T))
    return invalid("forgetting_to_T", "(0, inf)", p.forgetting_to_T);
  if (!(p.lambda > 0) || !std::isfinite(p.lambda)) return invalid("lambda", "(0, inf)", p.lambda);
  if (p.bag_size < 0 || p.bag_size > LinearPolicy::kMaxBagSize) return invalid("bag_size", "0 to 4096", p.bag_size);
  if (!(p.scale >= 0) || !std::isfinite(p.scale)) return invalid("scale", "[0, inf)", p.scale);
  if (!(p.prior_deviation >= 0) || !std::isfinite(p.prior_deviation))
    return invalid("prior_deviation", "[0, inf)", p.prior_deviation);
  return absl::OkStatus();
}

double Dot(const Eigen::VectorXd& a, const Eigen::VectorXd& b) {
  double sum = 0;  // in index order: the same bits in every build
  for (Eigen::Index i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// theta' G theta from the lower half of G.
double QuadraticForm(const Eigen::MatrixXd& gram, const Eigen::VectorXd& theta) {
  const Eigen::Index d = theta.size();
  Eigen::VectorXd below = Eigen::VectorXd::Zero(d);
  double diagonal = 0;
  for (Eigen::Index j = 0; j < d; ++j) {
    below.tail(d - j - 1) += theta[j] * gram.col(j).tail(d - j - 1);
    diagonal += gram(j, j) * (theta[j] * theta[j]);
  }
  return diagonal + 2 * Dot(theta, below);
}

double ResidualDeviation(const LinearStatistics& statistics, const Eigen::VectorXd& theta,
                         const PublicationParameters& p) {
  const double squares = statistics.reward_squared() - 2 * Dot(theta, statistics.reward_x()) +
                         QuadraticForm(statistics.gram_lower(), theta);
  const double variance = (p.forgetting_to_T * squares + p.prior_deviation * p.prior_deviation) /
                          (p.forgetting_to_T * statistics.total_weight() + 1);
  return std::sqrt(std::max(variance, 0.0));
}

// The columns of one row that are not zero; one-hot features leave few.
struct SparseRow {
  explicit SparseRow(const float* x, int d) {
    for (int k = 0; k < d; ++k) {
      columns[size] = static_cast<int16_t>(k);
      size += x[k] != 0;
    }
  }
  int size = 0;
  int16_t columns[LinearStatistics::kMaxDim + 1];
};

inline void AddScaled(float x, const float* column, Lanes& sum) {
  Lanes coefficients;
  std::memcpy(&coefficients, column, sizeof(coefficients));
  sum += x * coefficients;
}

// The scores of one row for as many groups of kLanes coefficients as there are indices.
template <size_t... kGroup>
void ScoreGroups(const float* x, const SparseRow& row, const float* coefficients, Eigen::Index stride, float* out,
                 std::index_sequence<kGroup...>) {
  Lanes sums[sizeof...(kGroup)] = {};
  for (int i = 0; i < row.size; ++i) {
    const int k = row.columns[i];
    const float* from = coefficients + k * stride;
    (AddScaled(x[k], from + kGroup * kLanes, sums[kGroup]), ...);
  }
  std::memcpy(out, sums, sizeof(sums));
}

}  // namespace

uint64_t BagSeed(absl::string_view policy, uint64_t version) { return MixHash(StableHash(policy), version); }

absl::StatusOr<LinearPolicy> LinearPolicy::Publish(const LinearStatistics& statistics,
                                                   const PublicationParameters& parameters) {
  RETURN_IF_ERROR(CheckParameters(parameters));
  const Eigen::Index d = statistics.dim();
  const Eigen::Index columns = 1 + parameters.bag_size;
  LinearPolicy policy;
  policy.version_ = parameters.version;
  policy.lambda_ = parameters.lambda;
  policy.weight_ = parameters.forgetting_to_T * statistics.total_weight();
  policy.lower_ = parameters.forgetting_to_T * statistics.gram_lower();
  policy.lower_.diagonal().array() += parameters.lambda;
  if (!FactorizeCholesky(policy.lower_)) {
    return absl::FailedPreconditionError(absl::StrCat("policy '", parameters.policy, "' version ", parameters.version,
                                                      ": the gram matrix is not positive definite"));
  }

  // One triangular solve for all: L' theta_m = y + scale sigma z_m, where L y = b. Sigma needs theta first.
  Eigen::VectorXd y = parameters.forgetting_to_T * statistics.reward_x();
  SolveLower(policy.lower_, y);
  RowMatrix theta = y;
  SolveLowerTransposed(policy.lower_, theta);
  policy.theta_ = theta.col(0);
  policy.sigma_ = ResidualDeviation(statistics, policy.theta_, parameters);

  RowMatrix noise(d, parameters.bag_size);
  for (int m = 0; m < parameters.bag_size; ++m) {
    Rng rng(MixHash(parameters.bag_seed, static_cast<uint64_t>(m)));
    for (Eigen::Index k = 0; k < d; ++k) noise(k, m) = rng.NextNormal();
  }
  SolveLowerTransposed(policy.lower_, noise);

  policy.coefficients_.resize(d, columns);
  policy.coefficients_.col(0) = policy.theta_.cast<float>();
  const double deviation = parameters.scale * policy.sigma_;
  for (Eigen::Index m = 0; m < parameters.bag_size; ++m) {
    policy.coefficients_.col(m + 1) = (policy.theta_ + deviation * noise.col(m)).cast<float>();
  }
  if (!std::isfinite(policy.sigma_) || !policy.theta_.allFinite() || !policy.coefficients_.allFinite()) {
    return absl::FailedPreconditionError(
        absl::StrCat("policy '", parameters.policy, "' version ", parameters.version, ": a coefficient is not finite"));
  }
  policy.PadCoefficients();
  return policy;
}

absl::StatusOr<LinearPolicy> LinearPolicy::FromParts(Parts parts) {
  const Eigen::Index d = parts.theta.size();
  if (d < 1 || d > LinearStatistics::kMaxDim || parts.coefficients.rows() != d || parts.coefficients.cols() < 1 ||
      parts.lower.rows() != d || parts.lower.cols() != d) {
    return absl::InvalidArgumentError("stored policy: expected theta (d), coefficients (d x (1 + M)) and factor (d x d)");
  }
  if (!std::isfinite(parts.sigma) || !std::isfinite(parts.lambda) || !std::isfinite(parts.weight) || !parts.theta.allFinite() ||
      !parts.coefficients.allFinite() || !parts.lower.allFinite()) {
    return absl::InvalidArgumentError("stored policy: expected finite numbers");
  }
  LinearPolicy policy;
  policy.version_ = parts.version;
  policy.sigma_ = parts.sigma;
  policy.lambda_ = parts.lambda;
  policy.weight_ = parts.weight;
  policy.theta_ = std::move(parts.theta);
  policy.coefficients_ = std::move(parts.coefficients);
  policy.lower_ = std::move(parts.lower);
  policy.PadCoefficients();
  return policy;
}

void LinearPolicy::PadCoefficients() {
  const Eigen::Index columns = coefficients_.cols();
  padded_ = FloatRowMatrix::Zero(dim(), (columns + kLanes - 1) / kLanes * kLanes);
  padded_.leftCols(columns) = coefficients_;
}

void LinearPolicy::Score(const Eigen::Ref<const FloatRowMatrix>& x, FloatRowMatrix& scores) const {
  CHECK(x.cols() == dim());
  const Eigen::Index columns = coefficients_.cols();
  const Eigen::Index stride = padded_.cols();
  scores.resize(x.rows(), columns);
  for (Eigen::Index i = 0; i < x.rows(); ++i) {
    const float* row = x.data() + i * x.outerStride();
    const SparseRow sparse(row, dim());
    float* to = scores.data() + i * columns;
    for (Eigen::Index begin = 0; begin < columns;) {
      float out[kGroups * kLanes];
      const float* coefficients = padded_.data() + begin;
      const bool is_wide = begin + kGroups * kLanes <= stride;
      if (is_wide) {
        ScoreGroups(row, sparse, coefficients, stride, out, std::make_index_sequence<kGroups>());
      } else {
        ScoreGroups(row, sparse, coefficients, stride, out, std::make_index_sequence<1>());
      }
      const Eigen::Index size = std::min<Eigen::Index>((is_wide ? kGroups : 1) * kLanes, columns - begin);
      std::memcpy(to + begin, out, size * sizeof(float));
      begin += size;
    }
  }
}

double LinearPolicy::Deviation(const Eigen::Ref<const Eigen::VectorXf>& x) const {
  CHECK(x.size() == dim());
  Eigen::VectorXd y = x.cast<double>();
  SolveLower(lower_, y);
  return sigma_ * std::sqrt(Dot(y, y));
}

void LinearPolicy::Deviations(const Eigen::Ref<const FloatRowMatrix>& x, RowMatrix& scratch,
                              std::vector<double>& deviations) const {
  CHECK(x.cols() == dim());
  scratch = x.transpose().cast<double>();
  SolveLower(lower_, scratch);
  deviations.assign(static_cast<size_t>(x.rows()), 0.0);
  for (Eigen::Index k = 0; k < scratch.rows(); ++k) {
    for (size_t i = 0; i < deviations.size(); ++i) {
      const double y = scratch(k, static_cast<Eigen::Index>(i));
      deviations[i] += y * y;
    }
  }
  for (double& deviation : deviations) deviation = sigma_ * std::sqrt(deviation);
}

}  // namespace offerd
