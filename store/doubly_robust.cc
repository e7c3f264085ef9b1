#include "store/doubly_robust.h"

#include <array>
#include <cmath>
#include <utility>

#include "core/hash.h"
#include "core/policy/linear_policy.h"

namespace offerd {
namespace {

constexpr double kRidge = 1;
constexpr uint64_t kHalves = 0x68616c66;  // a stream of its own

size_t HalfOf(const DoublyRobust::Decision& decision) { return MixHash(decision.cluster, kHalves) & 1; }

std::optional<Eigen::VectorXd> Fit(const LinearStatistics& statistics) {
  PublicationParameters parameters;
  parameters.lambda = kRidge;
  parameters.bag_size = 1;
  const auto policy = LinearPolicy::Publish(statistics, parameters);
  if (!policy.ok()) return std::nullopt;
  return policy->theta();
}

}  // namespace

bool DoublyRobust::Add(Decision decision) {
  if (decisions_.size() == kMostDecisions) return false;
  if (!decisions_.empty() && decision.x.size() != decisions_.front().x.size()) return false;
  decisions_.push_back(std::move(decision));
  return true;
}

std::optional<std::vector<DoublyRobust::Value>> DoublyRobust::Values() const {
  if (decisions_.empty()) return std::nullopt;
  const int d = static_cast<int>(decisions_.front().x.size());
  std::array<LinearStatistics, 2> sums = {LinearStatistics(d), LinearStatistics(d)};
  for (const Decision& decision : decisions_) {
    if (!sums[HalfOf(decision)].AddShown(decision.x, {}, decision.reward).ok()) return std::nullopt;
  }
  std::array<Eigen::VectorXd, 2> models;  // of the other half
  for (size_t half = 0; half < 2; ++half) {
    if (sums[1 - half].num_shown() < 2) return std::nullopt;
    const auto model = Fit(sums[1 - half]);
    if (!model.has_value()) return std::nullopt;
    models[half] = *model;
  }
  std::vector<Value> values;
  for (size_t t = 0; t < decisions_.front().weights.size(); ++t) {
    ClusterSums clusters(3);  // decisions, value, gain
    for (const Decision& decision : decisions_) {
      const Eigen::VectorXd& model = models[HalfOf(decision)];
      const double expected = decision.mean_x.row(static_cast<Eigen::Index>(t)).cast<double>().dot(model);
      const double value = expected + decision.weights[t] * (decision.reward - decision.x.cast<double>().dot(model));
      double* to = clusters.Of(decision.cluster);
      to[0] += 1;
      to[1] += value;
      to[2] += value - decision.reward;
    }
    if (clusters.size() < 2) return std::nullopt;
    const std::vector<double> totals = clusters.Totals();
    const ColumnRatio reward{1, 0}, gain{2, 0};
    values.push_back({totals[1] / totals[0], std::sqrt(InfluenceVariance(clusters, totals, {&reward, 1})), totals[2] / totals[0],
                      std::sqrt(InfluenceVariance(clusters, totals, {&gain, 1}))});
  }
  return values;
}

}  // namespace offerd
