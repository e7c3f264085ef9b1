#pragma once
#include "absl/status/statusor.h"
#include "core/learn/linear_statistics.h"

namespace offerd {

// How the ridge of a linear policy is chosen from what it has learned.
struct RidgeSearch {
  double forgetting_to_T = 1;  // as in PublicationParameters
  double prior_deviation = 0;  // s0
  double start = 10;           // the ridge in use
};

inline constexpr double kDefaultRidge = 10;
inline constexpr double kSmallestRidge = 0.01;
inline constexpr double kLargestRidge = 10'000;

// The logarithm of the probability of the rewards seen, given lambda, but for a constant: rewards are normal around x'theta with
// deviation sigma, theta is normal around 0 with variance sigma^2 / lambda, sigma is as LinearPolicy estimates it.
//
// Source   MacKay, Neural Computation 4, 1992, "Bayesian Interpolation", section 4. Differs: sigma is profiled, with s0 as one
//          observation more, so that it is not 0 before anything was seen.
//          -(n + 1) / 2 log(yy - b'theta + s0^2) + d / 2 log lambda - 1 / 2 log det(lambda I + G), all sums at T.
// Of the diagonal form: the sum of what each column alone has to say, sigma being that of the publication,
//          1 / 2 sum (c_k^2 / ((lambda + g_k) sigma^2) - log(1 + g_k / lambda)), c and g centred as there.
// Errors   FailedPrecondition where lambda I + G cannot be factorised.
// Cost     O(d^3 / 3), diagonal O(d).
absl::StatusOr<double> LogMarginalLikelihood(const LinearStatistics& statistics, const RidgeSearch& search, double lambda);

// The ridge with the largest marginal likelihood, reached from `start` in steps of sqrt(10) within kSmallestRidge and
// kLargestRidge; the start itself where nothing near is better. Deterministic.
//
// Cost     At least two likelihoods, usually three.
absl::StatusOr<double> BestRidge(const LinearStatistics& statistics, const RidgeSearch& search);

}  // namespace offerd
