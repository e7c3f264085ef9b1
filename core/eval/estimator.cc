#include "core/eval/estimator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace offerd {
namespace {

struct Name {
  const char* name;
  EstimatorKind kind;
  const char* parameter;  // nullptr: has none
  double largest_parameter;
};

constexpr double kNoLimit = 1e300;
constexpr Name kNames[] = {
    {"dm", EstimatorKind::kDm, nullptr, 0},
    {"ips", EstimatorKind::kIps, nullptr, 0},
    {"snips", EstimatorKind::kSnips, nullptr, 0},
    {"ips_clipped", EstimatorKind::kIpsClipped, "max", kNoLimit},
    {"ips_subgaussian", EstimatorKind::kIpsSubgaussian, "lambda", 1},
    {"dr", EstimatorKind::kDr, nullptr, 0},
    {"sndr", EstimatorKind::kSndr, nullptr, 0},
    {"dr_clipped", EstimatorKind::kDrClipped, "max", kNoLimit},
    {"switch_dr", EstimatorKind::kSwitchDr, "max", kNoLimit},
    {"dr_os", EstimatorKind::kDrOs, "lambda", kNoLimit},
    {"replay", EstimatorKind::kReplay, nullptr, 0},
    {"slate_standard", EstimatorKind::kSlateStandard, nullptr, 0},
    {"slate_independent", EstimatorKind::kSlateIndependent, nullptr, 0},
    {"slate_reward_interaction", EstimatorKind::kSlateRewardInteraction, nullptr, 0},
    {"cascade_dr", EstimatorKind::kCascadeDr, nullptr, 0},
    {"self_normalized_slate_standard", EstimatorKind::kSelfNormalizedSlateStandard, nullptr, 0},
    {"self_normalized_slate_independent", EstimatorKind::kSelfNormalizedSlateIndependent, nullptr, 0},
    {"self_normalized_slate_reward_interaction", EstimatorKind::kSelfNormalizedSlateRewardInteraction, nullptr, 0},
};

absl::Status Wrong(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("estimator ", text, ": ", what));
}

absl::StatusOr<double> ParseParameter(absl::string_view text, const Name& name, absl::string_view declaration) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(declaration, absl::MaxSplits('=', 1));
  if (parts.first != name.parameter) {
    return Wrong(text, absl::StrCat("expected ", name.name, ":", name.parameter, "=NUMBER, got ", declaration));
  }
  double value = 0;
  if (!absl::SimpleAtod(parts.second, &value) || !std::isfinite(value) || value < 0 || value > name.largest_parameter ||
      (value == 0 && parts.first == "max")) {
    const absl::string_view expected = parts.first == "max"          ? "a number above 0"
                                       : name.largest_parameter == 1 ? "a number from 0 to 1"
                                                                     : "a number that is at least 0";
    return Wrong(text, absl::StrCat(parts.first, ": expected ", expected, ", got \"", parts.second, "\""));
  }
  return value;
}

}  // namespace

bool Estimator::needs_q_target() const { return kind == EstimatorKind::kDm || needs_q_logged(); }

bool Estimator::needs_q_logged() const {
  switch (kind) {
    case EstimatorKind::kDr:
    case EstimatorKind::kSndr:
    case EstimatorKind::kDrClipped:
    case EstimatorKind::kSwitchDr:
    case EstimatorKind::kDrOs:
    case EstimatorKind::kCascadeDr:
      return true;
    default:
      return false;
  }
}

bool Estimator::leans_on_reward_model() const {
  return kind == EstimatorKind::kDm || kind == EstimatorKind::kDrClipped || kind == EstimatorKind::kSwitchDr ||
         kind == EstimatorKind::kDrOs;
}

Propensity Estimator::propensity() const {
  const bool is_marginal =
      !is_slate() || kind == EstimatorKind::kSlateIndependent || kind == EstimatorKind::kSelfNormalizedSlateIndependent;
  return is_marginal ? Propensity::kMarginal : Propensity::kConditional;
}

double Estimator::ShrinkWeight(double w) const {
  switch (kind) {
    case EstimatorKind::kDm:
      return 0;
    case EstimatorKind::kIpsClipped:
    case EstimatorKind::kDrClipped:
      return std::min(w, parameter);
    case EstimatorKind::kIpsSubgaussian:
      return w == 0 ? 0 : w / (1 - parameter + parameter * w);
    case EstimatorKind::kSwitchDr:
      return w <= parameter ? w : 0;
    case EstimatorKind::kDrOs:
      return w == 0 ? 0 : parameter * w / (w * w + parameter);
    default:
      return w;
  }
}

double Estimator::LargestShrunkWeight(double largest) const {
  switch (kind) {
    case EstimatorKind::kSwitchDr:
      return std::min(largest, parameter);
    case EstimatorKind::kDrOs:  // greatest at w = sqrt(lambda)
      return ShrinkWeight(std::min(largest, std::sqrt(parameter)));
    default:  // grows with w
      return ShrinkWeight(largest);
  }
}

absl::StatusOr<Estimator> ParseEstimator(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  const bool has_parameter = parts.first.size() < text.size();
  for (const Name& name : kNames) {
    if (parts.first != name.name) continue;
    Estimator estimator = {std::string(text), name.kind, 0};
    if (name.parameter == nullptr) {
      if (has_parameter) return Wrong(text, absl::StrCat(name.name, " has no parameter"));
      return estimator;
    }
    if (!has_parameter) return Wrong(text, absl::StrCat("expected ", name.name, ":", name.parameter, "=NUMBER"));
    const absl::StatusOr<double> value = ParseParameter(text, name, parts.second);
    if (!value.ok()) return value.status();
    estimator.parameter = *value;
    return estimator;
  }
  std::string known;
  for (const Name& name : kNames) {
    absl::StrAppend(&known, known.empty() ? "" : ", ", name.name);
    if (name.parameter != nullptr) absl::StrAppend(&known, ":", name.parameter, "=");
  }
  return Wrong(text, absl::StrCat("there is no such estimator; known: ", known));
}

const char* PropensityName(Propensity propensity) {
  return propensity == Propensity::kMarginal ? "marginal" : "conditional";
}

}  // namespace offerd
