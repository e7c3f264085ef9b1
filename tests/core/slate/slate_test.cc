#include "core/slate/slate.h"

#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "core/rng.h"
#include "tests/support/reference/slate_reference.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

using ::testing::ElementsAre;

// Owns what a SlateInput points to.
struct Case {
  std::vector<double> mean;
  FloatRowMatrix bag_scores;
  std::vector<int32_t> tie_rank, base_rank;
  std::vector<uint8_t> allowed;
  std::vector<double> upper_bound;
  bool has_bag = false;
  int slots = 0;
  ExplorerSpec explorer;
  RandomShare random;
  bool forced_shuffle = false;

  int n() const { return static_cast<int>(mean.size()); }
  SlateInput Input() const {
    SlateInput input;
    input.num_candidates = n();
    input.mean = mean;
    input.upper_bound = upper_bound;
    input.bag_scores = has_bag ? &bag_scores : nullptr;
    input.tie_rank = tie_rank;
    input.base_rank = base_rank;
    input.allowed = allowed;
    input.slots = slots;
    input.explorer = explorer;
    input.random = random;
    input.forced_shuffle = forced_shuffle;
    return input;
  }
};

std::vector<int32_t> Permutation(int n, Rng& rng) {
  std::vector<int32_t> out(n);
  std::iota(out.begin(), out.end(), 0);
  for (int i = n - 1; i > 0; --i) std::swap(out[i], out[rng.NextBits() % (i + 1)]);
  return out;
}

Case Plain(std::vector<double> mean, int slots, ExplorerKind kind = ExplorerKind::kGreedy) {
  Case c;
  c.mean = std::move(mean);
  c.slots = slots;
  c.explorer.kind = kind;
  c.tie_rank.resize(c.mean.size());
  std::iota(c.tie_rank.begin(), c.tie_rank.end(), 0);
  return c;
}

Case RandomCase(uint64_t seed) {
  Rng rng(seed);
  const int n = static_cast<int>(rng.NextBits() % 14);
  Case c;
  for (int i = 0; i < n; ++i) {
    c.mean.push_back(rng.NextUniform() < 0.05 ? std::nan("") : static_cast<double>(rng.NextBits() % 6));
  }
  c.tie_rank = Permutation(n, rng);
  if (rng.NextUniform() < 0.5) c.base_rank = Permutation(n, rng);
  if (rng.NextUniform() < 0.5) {
    for (int i = 0; i < n; ++i) c.allowed.push_back(rng.NextUniform() < 0.7);
  }
  c.has_bag = rng.NextUniform() < 0.8;
  c.bag_scores.resize(n, 1 + rng.NextBits() % 40);
  for (float& score : c.bag_scores.reshaped()) score = static_cast<float>(rng.NextBits() % 7);
  c.slots = static_cast<int>(rng.NextBits() % 9);
  c.explorer = {static_cast<ExplorerKind>(rng.NextBits() % 7), rng.NextUniform() < 0.5 ? 0 : rng.NextUniform(),
                rng.NextUniform() < 0.2 ? 0 : 3 * rng.NextUniform(), static_cast<int>(rng.NextBits() % 5)};
  if (rng.NextUniform() < 0.5) {
    for (int i = 0; i < n; ++i) c.upper_bound.push_back(static_cast<double>(rng.NextBits() % 6));
  }
  c.random = {rng.NextUniform() < 0.3 ? 0 : rng.NextUniform(), static_cast<RandomKind>(rng.NextBits() % 2),
              static_cast<int>(rng.NextBits() % 5)};
  c.forced_shuffle = rng.NextUniform() < 0.3;
  return c;
}

std::vector<double> SlotProbabilities(const Case& c, int slot, const std::vector<uint8_t>& placed = {}) {
  SlateScratch scratch;
  std::vector<double> probability(c.n(), 99), explorer(c.n(), 99);
  SlotDistribution(c.Input(), slot, placed, scratch, absl::MakeSpan(probability), absl::MakeSpan(explorer));
  return probability;
}

std::vector<SlateSlot> Draw(const Case& c, uint64_t seed) {
  Rng rng(seed);
  SlateScratch scratch;
  std::vector<SlateSlot> slate;
  DrawSlate(c.Input(), rng, scratch, slate);
  return slate;
}

std::vector<int32_t> Candidates(const std::vector<SlateSlot>& slate) {
  std::vector<int32_t> out;
  for (const SlateSlot& slot : slate) out.push_back(slot.candidate);
  return out;
}

TEST(SlateTest, GreedyListsByScoreThenTieRank) {
  Case c = Plain({1, 5, 5, 2}, 4);
  EXPECT_THAT(Candidates(Draw(c, 1)), ElementsAre(1, 2, 3, 0));
  c.tie_rank = {0, 3, 1, 2};
  EXPECT_THAT(Candidates(Draw(c, 1)), ElementsAre(2, 1, 3, 0));
  for (const SlateSlot& slot : Draw(c, 1)) {
    EXPECT_EQ(slot.probability, 1);
    EXPECT_EQ(slot.explorer_probability, 1);
  }
}

TEST(SlateTest, IsShorterWhenNobodyIsLeft) {
  Case c = Plain({1, 2, 3}, 5);
  c.allowed = {1, 0, 1};
  EXPECT_THAT(Candidates(Draw(c, 1)), ElementsAre(2, 0));
  c.allowed = {0, 0, 0};
  EXPECT_TRUE(Draw(c, 1).empty());
  EXPECT_THAT(SlotProbabilities(c, 0), ElementsAre(0, 0, 0));
  EXPECT_TRUE(Draw(Plain({}, 5), 1).empty());
  EXPECT_TRUE(Draw(Plain({1, 2}, 0), 1).empty());
}

TEST(SlateTest, UniformShareIsOverOpenCandidates) {
  Case c = Plain({1, 2, 3, 4}, 4);
  c.allowed = {1, 1, 1, 0};
  c.random = {0.3, RandomKind::kUniform, 0};
  const std::vector<double> p = SlotProbabilities(c, 1, {1, 0, 0, 0});
  EXPECT_THAT(p, ElementsAre(0, 0.15, 0.7 + 0.15, 0));
}

TEST(SlateTest, BoundedShareIsWithinReachOfTheSlot) {
  Case c = Plain({5, 4, 3, 2, 1, 0}, 6);  // base order: index
  c.random = {0.3, RandomKind::kBounded, 1};
  EXPECT_THAT(SlotProbabilities(c, 0), ElementsAre(0.7 + 0.15, 0.15, 0, 0, 0, 0));
  const std::vector<double> p = SlotProbabilities(c, 2, {1, 0, 1, 0, 0, 0});
  EXPECT_THAT(p, ElementsAre(0, 0.7 + 0.15, 0, 0.15, 0, 0));
  c.base_rank = {5, 4, 3, 2, 1, 0};
  EXPECT_THAT(SlotProbabilities(c, 0), ElementsAre(0.7, 0, 0, 0, 0.15, 0.15));
}

TEST(SlateTest, BoundedShareWithNobodyWithinReachGoesToTheNearest) {
  Case c = Plain({6, 5, 4, 3, 2, 1, 0}, 7);
  c.random = {1, RandomKind::kBounded, 1};
  c.allowed = {1, 0, 0, 0, 0, 0, 1};
  EXPECT_THAT(SlotProbabilities(c, 3), ElementsAre(0.5, 0, 0, 0, 0, 0, 0.5));
  EXPECT_THAT(SlotProbabilities(c, 2), ElementsAre(1, 0, 0, 0, 0, 0, 0));
}

TEST(SlateTest, ForcedShuffleMovesNobodyFurtherThanReach) {
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    Rng rng(seed);
    Case c = Plain(std::vector<double>(12, 0.0), 12);
    c.base_rank = Permutation(12, rng);
    c.random = {1, RandomKind::kBounded, static_cast<int>(seed % 5)};
    c.forced_shuffle = true;
    const std::vector<SlateSlot> slate = Draw(c, seed);
    ASSERT_EQ(slate.size(), 12u);
    for (int slot = 0; slot < 12; ++slot) {
      ASSERT_LE(std::abs(c.base_rank[slate[slot].candidate] - slot), c.random.reach)
          << "seed " << seed << " slot " << slot;
    }
  }
}

TEST(SlateTest, ForcedSlotHasProbabilityOne) {
  Case c = Plain({5, 4, 3, 2}, 4);
  c.random = {0.5, RandomKind::kBounded, 1};
  c.forced_shuffle = true;
  EXPECT_THAT(SlotProbabilities(c, 1, {0, 1, 0, 0}), ElementsAre(1, 0, 0, 0));
  c.allowed = {0, 1, 1, 1};  // rules win: the smallest rank that is open decides
  EXPECT_THAT(SlotProbabilities(c, 3, {0, 0, 0, 1}), ElementsAre(0, 1, 0, 0));
  c.random.kind = RandomKind::kUniform;
  EXPECT_THAT(SlotProbabilities(c, 3, {0, 0, 0, 1}), ElementsAre(0, 0.75, 0.25, 0));
}

TEST(SlateTest, AgreesWithTheSlowDistribution) {
  for (uint64_t seed = 1; seed <= 5000; ++seed) {
    SCOPED_TRACE(seed);
    const Case c = RandomCase(seed);
    Rng rng(seed + 1000000);
    std::vector<uint8_t> placed(c.n());
    for (uint8_t& p : placed) p = rng.NextUniform() < 0.3;
    const int slot = static_cast<int>(rng.NextBits() % 8);
    const auto [expected, expected_explorer] = ReferenceSlotDistribution(c.Input(), slot, placed);
    SlateScratch scratch;
    std::vector<double> probability(c.n(), 99), explorer(c.n(), 99);
    SlotDistribution(c.Input(), slot, placed, scratch, absl::MakeSpan(probability), absl::MakeSpan(explorer));
    double sum = 0, explorer_sum = 0;
    for (int i = 0; i < c.n(); ++i) {
      ASSERT_NEAR(probability[i], expected[i], 1e-12) << i;
      ASSERT_NEAR(explorer[i], expected_explorer[i], 1e-12) << i;
      ASSERT_GE(probability[i], 0);
      if (placed[i] || (!c.allowed.empty() && !c.allowed[i])) {
        ASSERT_EQ(probability[i], 0);
      }
      sum += probability[i];
      explorer_sum += explorer[i];
    }
    const bool any = std::any_of(expected.begin(), expected.end(), [](double p) { return p > 0; });
    ASSERT_NEAR(sum, any ? 1 : 0, 1e-12);
    ASSERT_NEAR(explorer_sum, any ? 1 : 0, 1e-12);
  }
}

TEST(SlateTest, LogsTheConditionalProbabilityOfEachSlot) {
  SlateScratch scratch;  // shared by all cases: what one leaves behind must not reach the next
  std::vector<SlateSlot> slate;
  for (uint64_t seed = 1; seed <= 5000; ++seed) {
    SCOPED_TRACE(seed);
    const Case c = RandomCase(seed);
    Rng rng(seed);
    DrawSlate(c.Input(), rng, scratch, slate);
    const int num_allowed =
        c.allowed.empty() ? c.n() : static_cast<int>(std::accumulate(c.allowed.begin(), c.allowed.end(), 0));
    ASSERT_EQ(static_cast<int>(slate.size()), std::min(c.slots, num_allowed));
    std::vector<uint8_t> placed(c.n(), 0);
    for (size_t slot = 0; slot < slate.size(); ++slot) {
      const auto [expected, expected_explorer] = ReferenceSlotDistribution(c.Input(), static_cast<int>(slot), placed);
      const int32_t candidate = slate[slot].candidate;
      ASSERT_EQ(placed[candidate], 0);
      ASSERT_GT(slate[slot].probability, 0);
      ASSERT_NEAR(slate[slot].probability, expected[candidate], 1e-12);
      ASSERT_NEAR(slate[slot].explorer_probability, expected_explorer[candidate], 1e-12);
      placed[candidate] = 1;
    }
  }
}

TEST(SlateTest, SlotProbabilitiesAreThoseOfSlotDistributionToTheBit) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    const Case c = RandomCase(seed);
    std::vector<uint8_t> placed(c.n(), 0);
    int slot = 0;
    for (const SlateSlot& drawn : Draw(c, seed)) {
      ASSERT_EQ(drawn.probability, SlotProbabilities(c, slot++, placed)[drawn.candidate]) << seed;
      placed[drawn.candidate] = 1;
    }
  }
}

TEST(SlateTest, SameSeedSameSlate) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const Case c = RandomCase(seed);
    const auto a = Draw(c, seed), b = Draw(c, seed);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].candidate, b[i].candidate);
      ASSERT_EQ(a[i].probability, b[i].probability);
    }
  }
}

TEST(SlateTest, TakesOneUniformNumberPerSlotInIndexOrder) {
  Case c = Plain({0, 0, 0, 0}, 3);
  c.random = {1, RandomKind::kUniform, 0};
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Rng rng(seed), twin(seed);
    SlateScratch scratch;
    std::vector<SlateSlot> slate;
    DrawSlate(c.Input(), rng, scratch, slate);
    std::vector<int32_t> left = {0, 1, 2, 3};
    for (const SlateSlot& slot : slate) {
      const size_t index = static_cast<size_t>(twin.NextUniform() * static_cast<double>(left.size()));
      ASSERT_EQ(slot.candidate, left[index]);
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(index));
    }
    ASSERT_EQ(rng.NextBits(), twin.NextBits());
  }
}

TEST(SlateTest, RulesBetweenSlotsCloseAndOpenCandidates) {
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    SCOPED_TRACE(seed);
    Case c = RandomCase(seed);
    Rng rng(seed), rules(seed + 7);
    SlateScratch scratch;
    std::vector<SlateSlot> slate;
    std::vector<std::vector<uint8_t>> masks;
    const auto mask = [&](absl::Span<const SlateSlot> so_far, absl::Span<uint8_t> allowed) {
      ASSERT_EQ(so_far.size(), masks.size());
      for (uint8_t& value : allowed) {
        if (rules.NextUniform() < 0.2) value = !value;
      }
      masks.emplace_back(allowed.begin(), allowed.end());
    };
    DrawSlate(c.Input(), mask, rng, scratch, slate);
    std::vector<uint8_t> placed(c.n(), 0);
    for (size_t slot = 0; slot < slate.size(); ++slot) {
      c.allowed = masks[slot];
      const auto [expected, explorer] = ReferenceSlotDistribution(c.Input(), static_cast<int>(slot), placed);
      ASSERT_NEAR(slate[slot].probability, expected[slate[slot].candidate], 1e-12);
      ASSERT_NEAR(slate[slot].explorer_probability, explorer[slate[slot].candidate], 1e-12);
      placed[slate[slot].candidate] = 1;
    }
  }
}

TEST(SlateTest, RefusesSharesOutOfRange) {
  EXPECT_OK(CheckRandomShare({1, RandomKind::kBounded, 0}));
  EXPECT_FALSE(CheckRandomShare({-0.1, RandomKind::kBounded, 0}).ok());
  EXPECT_FALSE(CheckRandomShare({1.1, RandomKind::kBounded, 0}).ok());
  EXPECT_FALSE(CheckRandomShare({std::nan(""), RandomKind::kBounded, 0}).ok());
  EXPECT_FALSE(CheckRandomShare({0, RandomKind::kBounded, -1}).ok());
}

// ---- statistics: whole slates drawn at a fixed bag appear as often as the logged probabilities say ----

Case BagCase(ExplorerKind kind, double epsilon, RandomShare random) {
  Rng rng(17);
  Case c = Plain({0.3, 0.1, 0.2, 0.25, 0.05, 0.4}, 3, kind);
  c.tie_rank = {3, 1, 5, 0, 2, 4};
  c.allowed = {1, 1, 0, 1, 1, 1};
  c.has_bag = true;
  c.bag_scores.resize(6, 33);
  for (int i = 0; i < 6; ++i) {
    for (int m = 0; m < 33; ++m) c.bag_scores(i, m) = static_cast<float>(c.mean[i] + 0.2 * rng.NextNormal());
  }
  c.explorer.epsilon = epsilon;
  c.random = random;
  return c;
}

void AddSlates(const Case& c, std::vector<int32_t>& prefix, double probability,
               std::map<std::vector<int32_t>, double>& out) {
  if (static_cast<int>(prefix.size()) == c.slots) {
    out[prefix] = probability;
    return;
  }
  std::vector<uint8_t> placed(c.n(), 0);
  for (int32_t candidate : prefix) placed[candidate] = 1;
  const std::vector<double> p = SlotProbabilities(c, static_cast<int>(prefix.size()), placed);
  for (int i = 0; i < c.n(); ++i) {
    if (placed[i]) continue;
    prefix.push_back(i);
    AddSlates(c, prefix, probability * p[i], out);
    prefix.pop_back();
  }
}

void ExpectFrequencies(const Case& c, int draws, uint64_t seed) {
  std::map<std::vector<int32_t>, double> expected;
  std::vector<int32_t> prefix;
  AddSlates(c, prefix, 1, expected);
  std::map<std::vector<int32_t>, int64_t> counts;
  SlateScratch scratch;
  std::vector<SlateSlot> slate;
  double inverse = 0;  // the mean of 1 / probability is the number of slates that can be drawn
  for (int i = 0; i < draws; ++i) {
    Rng rng(MixHash(seed, i));
    DrawSlate(c.Input(), rng, scratch, slate);
    ++counts[Candidates(slate)];
    double logged = 1;
    for (const SlateSlot& slot : slate) logged *= slot.probability;
    inverse += 1 / logged / draws;
  }
  std::vector<double> probabilities;
  std::vector<int64_t> observed;
  double sum = 0, possible = 0, second = 0;
  for (const auto& [candidates, p] : expected) {
    probabilities.push_back(p);
    observed.push_back(counts[candidates]);
    sum += p;
    possible += p > 0;
    second += p > 0 ? 1 / p : 0;
  }
  EXPECT_EQ(counts.size(), expected.size());  // every drawn slate is one of the expected
  EXPECT_NEAR(sum, 1, 1e-12);
  EXPECT_LT(ChiSquareDeviate(observed, probabilities), kChiSquareLimit);
  EXPECT_NEAR(inverse, possible, 6 * std::sqrt((second - possible * possible) / draws) + 1e-9);
}

constexpr int kSlowDraws = 10'000'000;

TEST(SlateFrequencyTest, ThompsonWithEpsilonAndShare) {
  ExpectFrequencies(BagCase(ExplorerKind::kThompson, 0.1, {0.3, RandomKind::kBounded, 2}), 50000, 1);
}
TEST(SlateFrequencySlow, ThompsonBag) { ExpectFrequencies(BagCase(ExplorerKind::kThompson, 0, {}), kSlowDraws, 2); }
TEST(SlateFrequencySlow, ThompsonWithEpsilon) {
  ExpectFrequencies(BagCase(ExplorerKind::kThompson, 0.05, {}), kSlowDraws, 3);
}
TEST(SlateFrequencySlow, ThompsonWithUniformShare) {
  ExpectFrequencies(BagCase(ExplorerKind::kThompson, 0, {0.2, RandomKind::kUniform, 0}), kSlowDraws, 4);
}
TEST(SlateFrequencySlow, ThompsonWithBoundedShare) {
  ExpectFrequencies(BagCase(ExplorerKind::kThompson, 0, {0.2, RandomKind::kBounded, 2}), kSlowDraws, 5);
}
TEST(SlateFrequencySlow, EpsilonGreedyWithBoundedShare) {
  ExpectFrequencies(BagCase(ExplorerKind::kEpsilonGreedy, 0.2, {0.1, RandomKind::kBounded, 1}), kSlowDraws, 6);
}
TEST(SlateFrequencySlow, EpsilonGreedyMasked) { ExpectFrequencies(BagCase(ExplorerKind::kEpsilonGreedy, 0.3, {}), kSlowDraws, 8); }
TEST(SlateFrequencySlow, Greedy) { ExpectFrequencies(BagCase(ExplorerKind::kGreedy, 0, {0.3, RandomKind::kUniform, 0}), kSlowDraws, 9); }
TEST(SlateFrequencySlow, Softmax) {
  Case c = BagCase(ExplorerKind::kSoftmax, 0.02, {0.1, RandomKind::kBounded, 1});
  c.explorer.strength = 0.1;
  ExpectFrequencies(c, kSlowDraws, 10);
}
TEST(SlateFrequencySlow, InverseGap) {
  Case c = BagCase(ExplorerKind::kInverseGap, 0, {0.1, RandomKind::kUniform, 0});
  c.explorer.strength = 20;
  ExpectFrequencies(c, kSlowDraws, 11);
}
TEST(SlateFrequencySlow, UpperBound) {
  Case c = BagCase(ExplorerKind::kUpperBound, 0.1, {0.1, RandomKind::kBounded, 2});
  c.upper_bound = {0.1, 0.5, 0.9, 0.4, 0.3, 0.2};
  ExpectFrequencies(c, kSlowDraws, 12);
}
TEST(SlateFrequencySlow, BoundedShuffle) {
  Case c = BagCase(ExplorerKind::kBoundedShuffle, 0.05, {0.1, RandomKind::kUniform, 0});
  c.explorer.reach = 1;
  ExpectFrequencies(c, kSlowDraws, 13);
}
TEST(SlateFrequencySlow, ForcedShuffle) {
  Case c = BagCase(ExplorerKind::kGreedy, 0, {1, RandomKind::kBounded, 2});
  c.forced_shuffle = true;
  c.slots = 5;
  ExpectFrequencies(c, kSlowDraws, 7);
}

// The test above can fail: a probability that is off by half a per cent is seen.
TEST(SlateFrequencyTest, ChiSquareSeesAWrongProbability) {
  std::vector<int64_t> counts = {500000, 500000};
  EXPECT_LT(ChiSquareDeviate(counts, {0.5, 0.5}), 0);
  EXPECT_GT(ChiSquareDeviate(counts, {0.505, 0.495}), kChiSquareLimit);
  EXPECT_GT(ChiSquareDeviate(counts, {1, 0}), kChiSquareLimit);
}

}  // namespace
}  // namespace offerd
