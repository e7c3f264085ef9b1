#include "core/policy/marginal_likelihood.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/policy/cholesky.h"
#include "core/status_macros.h"

namespace offerd {
namespace {

constexpr double kStep = 3.1622776601683795;  // sqrt(10)
constexpr double kLeastGain = 1e-6;           // more than rounding

double OfColumnsAlone(const LinearStatistics& statistics, const RidgeSearch& search, double lambda) {
  const LinearStatistics::Centred centred = statistics.Centre();
  const double f = search.forgetting_to_T;
  const double prior = std::max(search.prior_deviation * search.prior_deviation, std::numeric_limits<double>::min());
  const double variance = (f * centred.reward_squared + prior) / (f * statistics.total_weight() + 1);
  double sum = 0;
  for (Eigen::Index k = 0; k < statistics.dim(); ++k) {
    if (k == centred.constant) continue;
    const double square = f * centred.squares[k];
    const double reward_x = f * centred.reward_x[k];
    sum += reward_x * reward_x / ((lambda + square) * variance) - std::log1p(square / lambda);
  }
  return sum / 2;
}

}  // namespace

absl::StatusOr<double> LogMarginalLikelihood(const LinearStatistics& statistics, const RidgeSearch& search, double lambda) {
  if (statistics.is_diagonal()) return OfColumnsAlone(statistics, search, lambda);
  const Eigen::Index d = statistics.dim();
  Eigen::MatrixXd lower = search.forgetting_to_T * statistics.gram();
  lower.diagonal().array() += lambda;
  if (!FactorizeCholesky(lower)) {
    return absl::FailedPreconditionError(absl::StrCat("the gram matrix with a ridge of ", lambda, " is not positive definite"));
  }
  Eigen::VectorXd y = search.forgetting_to_T * statistics.reward_x();
  SolveLower(lower, y);
  double explained = 0;  // b'theta = y'y
  double half_log_det = 0;
  for (Eigen::Index k = 0; k < d; ++k) {
    explained += y[k] * y[k];
    half_log_det += std::log(lower(k, k));
  }
  const double squares = search.forgetting_to_T * statistics.reward_squared() - explained;
  const double unexplained =
      std::max(squares, 0.0) + std::max(search.prior_deviation * search.prior_deviation, std::numeric_limits<double>::min());
  const double n = search.forgetting_to_T * statistics.total_weight();
  return -0.5 * (n + 1) * std::log(unexplained) + 0.5 * static_cast<double>(d) * std::log(lambda) - half_log_det;
}

absl::StatusOr<double> BestRidge(const LinearStatistics& statistics, const RidgeSearch& search) {
  double best = std::clamp(search.start, kSmallestRidge, kLargestRidge);
  ASSIGN_OR_RETURN(double likelihood, LogMarginalLikelihood(statistics, search, best));
  for (const double step : {kStep, 1 / kStep}) {
    bool moved = false;
    while (true) {
      const double next = std::clamp(best * step, kSmallestRidge, kLargestRidge);
      if (next == best) break;
      ASSIGN_OR_RETURN(const double found, LogMarginalLikelihood(statistics, search, next));
      if (!(found > likelihood + kLeastGain)) break;
      best = next;
      likelihood = found;
      moved = true;
    }
    if (moved) break;
  }
  return best;
}

}  // namespace offerd
