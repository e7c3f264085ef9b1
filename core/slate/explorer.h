#pragma once
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/types.h"

namespace offerd {

enum class ExplorerKind : uint8_t {
  kGreedy,
  kEpsilonGreedy,
  kThompson,        // by finite bag
  kSoftmax,         // probability proportional to exp(score / temperature); a slate of it is Plackett-Luce
  kInverseGap,      // probability falls with the distance to the best score
  kUpperBound,      // the best of mean + strength x deviation
  kBoundedShuffle,  // even over the candidates whose place by score is within `reach` of the slot
};

struct ExplorerSpec {
  ExplorerKind kind = ExplorerKind::kThompson;
  double epsilon = 0;   // all but greedy: the part that is even over the open candidates
  double strength = 0;  // softmax, inverse gap, upper bound: ResolveExplorer says in which units
  int reach = 3;        // bounded shuffle: m; no candidate moves more than m places back (rank s - m is forced at slot s)
};

inline constexpr double kDefaultTemperature = 0.05;  // in residual standard deviations
inline constexpr double kDefaultGap = 2;             // see ResolveExplorer
inline constexpr double kDefaultBonus = 0.5;         // in standard deviations of the estimate

// epsilon in [0, 1], strength finite and not negative, reach not negative; InvalidArgument.
absl::Status CheckExplorer(const ExplorerSpec& spec);

// A placement declares the strength in units of the rewards' residual standard deviation sigma, so that it means the same for
// clicks and for money; a draw needs it in the units of the scores. With `weight` the effective number of slots learned from and
// `columns` those of the model: softmax: temperature = strength x sigma x sqrt(1 + 100 columns / (weight + 1)), the last factor at
// most what makes the strength 0.3, so that it does not follow the first luck. Inverse gap: gamma = strength x sqrt(candidates x
// weight) / sigma. Others: unchanged, since the deviations that an upper bound adds carry sigma.
//
// Source   Foster, Rakhlin, ICML 2020, "Beyond UCB: Optimal and Efficient Contextual Bandits with Regression Oracles", section 3:
//          gamma grows with the square root of the number of actions and of decisions.
struct ExplorerScale {
  double sigma = 0;
  double weight = 0;
  int columns = 0;
  int candidates = 0;
};
ExplorerSpec ResolveExplorer(ExplorerSpec spec, const ExplorerScale& scale);

// The distribution of a resolved explorer over the open candidates:
//   greedy          everything on the best score (ties: earlier in open_by_tie)
//   epsilon-greedy  the same, before epsilon
//   Thompson        each candidate's share of the bag's winners; without a bag (winners empty) as greedy
//   softmax         exp(score / strength) over their sum; as greedy where the strength is 0
//   inverse gap     1 / (K + strength (best - score)) with K open ones; the best takes the rest
//   upper bound     as greedy: the score is mean + strength x deviation
// and of all but greedy epsilon is taken and spread evenly over the open ones. probability (n) is written everywhere; 0 for
// candidates that are not open. A score of minus infinity has no part but epsilon's, unless all are. Not for bounded shuffles.
void ExplorerDistribution(const ExplorerSpec& spec, absl::Span<const double> score, absl::Span<const int32_t> winners,
                          absl::Span<const int32_t> open_by_tie, absl::Span<double> probability);

// Takes epsilon of a distribution over the open candidates and spreads it evenly.
void MixEpsilon(double epsilon, absl::Span<const int32_t> open_by_tie, absl::Span<double> probability);

}  // namespace offerd
