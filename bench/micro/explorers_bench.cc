// What scores and the draw of a slate of ten cost for every explorer, 50 and 500 offers, d = 64; BM_BareProduct of decide_bench.cc is the yardstick.
#include <numeric>
#include <vector>

#include "benchmark/benchmark.h"
#include "core/check.h"
#include "core/policy_slate.h"

namespace offerd {
namespace {

constexpr int kDim = 64;

// A policy that has seen 10,000 slots of noise.
LinearPolicy MakePolicy(int bag_size) {
  LinearStatistics statistics(kDim);
  Rng rng(1);
  for (int i = 0; i < 10'000; ++i) {
    Eigen::VectorXf x(kDim);
    for (float& value : x) value = static_cast<float>(rng.NextUniform());
    CHECK(statistics.AddShown(x, {}, rng.NextUniform() < 0.05 ? 1 : 0).ok());
  }
  PublicationParameters parameters;
  parameters.bag_size = bag_size;
  parameters.scale = 0.3;
  return *LinearPolicy::Publish(statistics, parameters);
}

void BM_ScoreAndDraw(benchmark::State& state) {
  const LinearPolicy policy = MakePolicy(32);
  Placement placement;
  placement.explorer.kind = static_cast<ExplorerKind>(state.range(0));
  placement.explorer.strength = placement.explorer.kind == ExplorerKind::kInverseGap ? kDefaultGap
                                : placement.explorer.kind == ExplorerKind::kUpperBound ? kDefaultBonus : kDefaultTemperature;
  const int n = static_cast<int>(state.range(1));
  const FloatRowMatrix x = FloatRowMatrix::Random(n, kDim);
  std::vector<int32_t> ranks(static_cast<size_t>(n));
  std::iota(ranks.begin(), ranks.end(), 0);
  PolicyOnCandidates on;
  on.placement = &placement;
  on.model = &policy;
  on.features = &x;
  on.tie_rank = ranks;
  on.fixed_rank = ranks;
  PolicyScratch scores;
  SlateScratch scratch;
  std::vector<SlateSlot> slate;
  Rng rng(2);
  for (auto _ : state) {
    DrawSlate(MakePolicySlate(on, 10, scores), rng, scratch, slate);
    benchmark::DoNotOptimize(slate.data());
  }
  constexpr const char* kNames[] = {"greedy", "epsilon_greedy", "thompson", "softmax", "inverse_gap", "ucb", "bounded_shuffle"};
  state.SetLabel(kNames[state.range(0)]);
}
BENCHMARK(BM_ScoreAndDraw)->ArgsProduct({{0, 1, 2, 3, 4, 5, 6}, {50, 500}});

}  // namespace
}  // namespace offerd
