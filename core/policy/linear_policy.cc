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
                         QuadraticForm(statistics.gram(), theta);
  const double variance = (p.forgetting_to_T * squares + p.prior_deviation * p.prior_deviation) /
                          (p.forgetting_to_T * statistics.total_weight() + 1);
  return std::sqrt(std::max(variance, 0.0));
}

// What is zero adds nothing to a sum, so that it may be left out or not.
bool IsDense(const float* x, int d) {
  int filled = 0;
  for (int k = 0; k < d; ++k) filled += x[k] != 0 ? 1 : 0;
  return 2 * filled > d;
}

// The columns of one row that are not zero; one-hot features leave few.
struct SparseRow {
  void Find(const float* x, int d) {
    size = 0;
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

// The same sums of two rows that are mostly not zero, in turns, so that neither waits for its last addition.
template <size_t... kGroup>
void ScoreTwoRows(const float* x, const float* y, int d, const float* coefficients, Eigen::Index stride, float* of_x, float* of_y,
                  std::index_sequence<kGroup...>) {
  Lanes x_sums[sizeof...(kGroup)] = {};
  Lanes y_sums[sizeof...(kGroup)] = {};
  for (int k = 0; k < d; ++k) {
    const float* from = coefficients + k * stride;
    (AddScaled(x[k], from + kGroup * kLanes, x_sums[kGroup]), ...);
    (AddScaled(y[k], from + kGroup * kLanes, y_sums[kGroup]), ...);
  }
  std::memcpy(of_x, x_sums, sizeof(x_sums));
  std::memcpy(of_y, y_sums, sizeof(y_sums));
}

// One or two rows against all coefficients: `out` and `out_y` have room for `stride` numbers. y null: one row.
void ScoreRows(const float* x, const float* y, int d, const SparseRow& row, const FloatRowMatrix& coefficients, float* out, float* out_y) {
  const Eigen::Index stride = coefficients.cols();
  const auto score = [&](Eigen::Index begin, auto groups) {
    const float* from = coefficients.data() + begin;
    if (y != nullptr) {
      ScoreTwoRows(x, y, d, from, stride, out + begin, out_y + begin, groups);
    } else {
      ScoreGroups(x, row, from, stride, out + begin, groups);
    }
  };
  Eigen::Index begin = 0;
  for (; begin + kGroups * kLanes <= stride; begin += kGroups * kLanes) score(begin, std::make_index_sequence<kGroups>());
  for (; begin < stride; begin += kLanes) score(begin, std::make_index_sequence<1>());
}

}  // namespace

uint64_t BagSeed(absl::string_view policy, uint64_t version) { return MixHash(StableHash(policy), version); }

// theta, sigma and L from the sums; the noise z becomes L'^-1 z.
absl::Status LinearPolicy::Solve(const LinearStatistics& statistics, const PublicationParameters& parameters, RowMatrix& noise) {
  lower_ = parameters.forgetting_to_T * statistics.gram();
  lower_.diagonal().array() += parameters.lambda;
  if (!FactorizeCholesky(lower_)) {
    return absl::FailedPreconditionError(absl::StrCat("policy '", parameters.policy, "' version ", parameters.version,
                                                      ": the gram matrix is not positive definite"));
  }
  Eigen::VectorXd y = parameters.forgetting_to_T * statistics.reward_x();
  SolveLower(lower_, y);
  RowMatrix theta = y;
  SolveLowerTransposed(lower_, theta);
  theta_ = theta.col(0);
  sigma_ = ResidualDeviation(statistics, theta_, parameters);
  SolveLowerTransposed(lower_, noise);
  return absl::OkStatus();
}

void LinearPolicy::SolveDiagonal(const LinearStatistics& statistics, const PublicationParameters& parameters, RowMatrix& noise) {
  const LinearStatistics::Centred centred = statistics.Centre();
  const double f = parameters.forgetting_to_T;
  const Eigen::Index d = statistics.dim();
  lower_.resize(d, 1);
  theta_.resize(d);
  double explained_mean = 0;  // of the mean reward, by the other columns' means
  for (Eigen::Index k = 0; k < d; ++k) {
    const double precision = parameters.lambda + f * centred.squares[k];
    lower_(k, 0) = std::sqrt(precision);
    theta_[k] = f * centred.reward_x[k] / precision;
    if (k == centred.constant) theta_[k] = 0;
    explained_mean += theta_[k] * centred.mean[k];
    noise.row(k) /= lower_(k, 0);
  }
  if (centred.constant >= 0) {
    const Eigen::Index k = centred.constant;
    theta_[k] = (centred.mean_reward - explained_mean) / centred.mean[k];
    noise.row(k) *= lower_(k, 0);
    lower_(k, 0) = std::sqrt(parameters.lambda + f * statistics.gram()(k, 0));
    noise.row(k) /= lower_(k, 0);
  }
  sigma_ = std::sqrt((f * centred.reward_squared + parameters.prior_deviation * parameters.prior_deviation) /
                     (f * statistics.total_weight() + 1));
}

absl::StatusOr<LinearPolicy> LinearPolicy::Publish(const LinearStatistics& statistics,
                                                   const PublicationParameters& parameters) {
  RETURN_IF_ERROR(CheckParameters(parameters));
  const Eigen::Index d = statistics.dim();
  LinearPolicy policy;
  policy.version_ = parameters.version;
  policy.lambda_ = parameters.lambda;
  policy.weight_ = parameters.forgetting_to_T * statistics.total_weight();

  RowMatrix noise(d, parameters.bag_size);
  for (int m = 0; m < parameters.bag_size; ++m) {
    Rng rng(MixHash(parameters.bag_seed, static_cast<uint64_t>(m)));
    for (Eigen::Index k = 0; k < d; ++k) noise(k, m) = rng.NextNormal();
  }
  if (statistics.is_diagonal()) {
    policy.SolveDiagonal(statistics, parameters, noise);
  } else {
    RETURN_IF_ERROR(policy.Solve(statistics, parameters, noise));
  }

  policy.coefficients_.resize(d, 1 + parameters.bag_size);
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
      parts.lower.rows() != d || parts.lower.cols() != (d > LinearStatistics::kMaxFullDim ? 1 : d)) {
    return absl::InvalidArgumentError(
        "stored policy: expected theta (d), coefficients (d x (1 + M)) and factor (d x d, or d x 1 of a diagonal one)");
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
  scores.resize(x.rows(), columns);
  float out[2][(kMaxBagSize + 1 + kLanes) / kLanes * kLanes];
  SparseRow sparse;
  const auto row = [&x](Eigen::Index i) { return x.data() + i * x.outerStride(); };
  for (Eigen::Index i = 0; i < x.rows(); ++i) {
    const bool is_pair = i + 1 < x.rows() && IsDense(row(i), dim()) && IsDense(row(i + 1), dim());
    if (!is_pair) sparse.Find(row(i), dim());
    ScoreRows(row(i), is_pair ? row(i + 1) : nullptr, dim(), sparse, padded_, out[0], out[1]);
    std::copy_n(out[0], columns, scores.data() + i * columns);
    if (is_pair) std::copy_n(out[1], columns, scores.data() + ++i * columns);
  }
}

double LinearPolicy::Deviation(const Eigen::Ref<const Eigen::VectorXf>& x) const {
  CHECK(x.size() == dim());
  Eigen::VectorXd y = x.cast<double>();
  if (is_diagonal()) {
    y.array() /= lower_.col(0).array();
  } else {
    SolveLower(lower_, y);
  }
  return sigma_ * std::sqrt(Dot(y, y));
}

void LinearPolicy::Deviations(const Eigen::Ref<const FloatRowMatrix>& x, RowMatrix& scratch,
                              std::vector<double>& deviations) const {
  CHECK(x.cols() == dim());
  scratch = x.transpose().cast<double>();
  if (is_diagonal()) {
    for (Eigen::Index k = 0; k < scratch.rows(); ++k) scratch.row(k) /= lower_(k, 0);
  } else {
    SolveLower(lower_, scratch);
  }
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
