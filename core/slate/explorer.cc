#include "core/slate/explorer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/check.h"

namespace offerd {
namespace {

int32_t BestByMean(absl::Span<const double> mean, absl::Span<const int32_t> open_by_tie) {
  double best = -std::numeric_limits<double>::infinity();
  int32_t winner = open_by_tie.front();
  for (int32_t candidate : open_by_tie) {
    if (mean[candidate] > best) {
      best = mean[candidate];
      winner = candidate;
    }
  }
  return winner;
}

constexpr double kDoubt = 100;    // of a softmax: slots a column that halve what widens it, roughly
constexpr double kHottest = 0.3;  // strength of a softmax that doubt alone may give
constexpr double kLargestGamma = 1e300;  // a sigma of 0 knows everything: as good as greedy

void Softmax(double temperature, absl::Span<const double> score, absl::Span<const int32_t> open, double best,
             absl::Span<double> probability) {
  double sum = 0;
  for (int32_t candidate : open) {
    probability[candidate] = std::exp((score[candidate] - best) / temperature);
    sum += probability[candidate];
  }
  for (int32_t candidate : open) probability[candidate] /= sum;
}

void InverseGap(double gamma, absl::Span<const double> score, absl::Span<const int32_t> open, int32_t best,
                absl::Span<double> probability) {
  const double size = static_cast<double>(open.size());
  double others = 0;
  for (int32_t candidate : open) {
    if (candidate == best || !std::isfinite(score[candidate])) continue;
    probability[candidate] = 1 / (size + gamma * (score[best] - score[candidate]));
    others += probability[candidate];
  }
  probability[best] = 1 - others;
}

}  // namespace

absl::Status CheckExplorer(const ExplorerSpec& spec) {
  if (!(spec.epsilon >= 0 && spec.epsilon <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("epsilon: expected 0 to 1, found ", spec.epsilon));
  }
  if (!(spec.strength >= 0) || !std::isfinite(spec.strength)) {
    return absl::InvalidArgumentError(absl::StrCat("strength: expected a finite number of at least 0, found ", spec.strength));
  }
  if (spec.reach < 0) return absl::InvalidArgumentError(absl::StrCat("reach: expected at least 0, found ", spec.reach));
  return absl::OkStatus();
}

ExplorerSpec ResolveExplorer(ExplorerSpec spec, const ExplorerScale& scale) {
  if (spec.kind == ExplorerKind::kSoftmax) {
    const double widened = spec.strength * std::sqrt(1 + kDoubt * scale.columns / (scale.weight + 1));
    spec.strength = scale.sigma * (spec.strength >= kHottest ? spec.strength : std::min(kHottest, widened));
  }
  if (spec.kind == ExplorerKind::kInverseGap) {
    const double slots = static_cast<double>(scale.candidates) * std::max(scale.weight, 1.0);
    const double gamma = spec.strength == 0 ? 0 : spec.strength * std::sqrt(slots) / scale.sigma;
    spec.strength = gamma <= kLargestGamma ? gamma : kLargestGamma;
  }
  return spec;
}

void MixEpsilon(double epsilon, absl::Span<const int32_t> open_by_tie, absl::Span<double> probability) {
  if (epsilon == 0) return;
  const double spread = epsilon / static_cast<double>(open_by_tie.size());
  for (int32_t candidate : open_by_tie) probability[candidate] = (1 - epsilon) * probability[candidate] + spread;
}

void ExplorerDistribution(const ExplorerSpec& spec, absl::Span<const double> score, absl::Span<const int32_t> winners,
                          absl::Span<const int32_t> open_by_tie, absl::Span<double> probability) {
  DCHECK(CheckExplorer(spec).ok());
  std::fill(probability.begin(), probability.end(), 0.0);
  if (open_by_tie.empty()) return;
  if (spec.kind == ExplorerKind::kThompson && !winners.empty()) {
    // Counts first: whole numbers are exact, so that the share is count / M without summed rounding. What is below 1 is a share already,
    // and one that is 1 has all.
    for (int32_t winner : winners) probability[winner] += 1;
    const double members = static_cast<double>(winners.size());
    if (probability[winners.front()] == members) {
      probability[winners.front()] = 1;
    } else {
      for (int32_t winner : winners) {
        if (probability[winner] >= 1) probability[winner] /= members;
      }
    }
  } else {
    const int32_t best = BestByMean(score, open_by_tie);
    if (spec.kind == ExplorerKind::kSoftmax && spec.strength > 0 && std::isfinite(score[best])) {
      Softmax(spec.strength, score, open_by_tie, score[best], probability);
    } else if (spec.kind == ExplorerKind::kInverseGap && std::isfinite(score[best])) {
      InverseGap(spec.strength, score, open_by_tie, best, probability);
    } else {
      probability[best] = 1;
    }
  }
  if (spec.kind != ExplorerKind::kGreedy) MixEpsilon(spec.epsilon, open_by_tie, probability);
}

}  // namespace offerd
