#include "core/slate/explorer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tests/support/shared_data.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

using ::testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

std::vector<double> Distribution(ExplorerSpec spec, const std::vector<double>& mean,
                                 const std::vector<int32_t>& winners, const std::vector<int32_t>& open_by_tie) {
  std::vector<double> probability(mean.size(), 99);
  ExplorerDistribution(spec, mean, winners, open_by_tie, absl::MakeSpan(probability));
  return probability;
}

TEST(ExplorerTest, GreedyTakesTheBestOpenCandidateAndIgnoresEpsilon) {
  const ExplorerSpec greedy{ExplorerKind::kGreedy, 0.5};
  EXPECT_THAT(Distribution(greedy, {1, 3, 2}, {}, {0, 1, 2}), ElementsAre(0, 1, 0));
  EXPECT_THAT(Distribution(greedy, {1, 3, 2}, {}, {0, 2}), ElementsAre(0, 0, 1));
  EXPECT_THAT(Distribution(greedy, {1, 3, 2}, {}, {}), ElementsAre(0, 0, 0));
}

TEST(ExplorerTest, TiesGoToTheEarlierInTieOrder) {
  EXPECT_THAT(Distribution({ExplorerKind::kGreedy, 0}, {3, 3, 3}, {}, {2, 0, 1}), ElementsAre(0, 0, 1));
  EXPECT_THAT(Distribution({ExplorerKind::kGreedy, 0}, {-kInf, -kInf}, {}, {1, 0}), ElementsAre(0, 1));
}

TEST(ExplorerTest, EpsilonIsSpreadOverOpenCandidatesOnly) {
  EXPECT_THAT(Distribution({ExplorerKind::kEpsilonGreedy, 0.5}, {1, 3, 2, 0}, {}, {0, 1}),
              ElementsAre(0.25, 0.75, 0, 0));
  EXPECT_THAT(Distribution({ExplorerKind::kEpsilonGreedy, 1}, {1, 3, 2, 0}, {}, {0, 1, 2, 3}),
              ElementsAre(0.25, 0.25, 0.25, 0.25));
}

TEST(ExplorerTest, ThompsonCountsWinners) {
  EXPECT_THAT(Distribution({ExplorerKind::kThompson, 0}, {9, 0, 0}, {1, 1, 2, 1}, {0, 1, 2}),
              ElementsAre(0, 0.75, 0.25));
  EXPECT_THAT(Distribution({ExplorerKind::kThompson, 0.3}, {9, 0, 0}, {1, 1, 2, 1}, {0, 1, 2}),
              ElementsAre(0.3 / 3, 0.7 * 0.75 + 0.3 / 3, 0.7 * 0.25 + 0.3 / 3));
  EXPECT_THAT(Distribution({ExplorerKind::kThompson, 0.5}, {9, 0}, {}, {0, 1}), ElementsAre(0.75, 0.25));  // no bag
}

TEST(ExplorerTest, ACertainCandidateHasProbabilityOneExactly) {
  for (int members = 1; members < 100; ++members) {
    EXPECT_EQ(Distribution({ExplorerKind::kThompson, 0}, {0, 0}, std::vector<int32_t>(members, 1), {0, 1})[1], 1.0);
  }
}

TEST(ExplorerTest, RefusesEpsilonOutOfRange) {
  EXPECT_OK(CheckExplorer({ExplorerKind::kThompson, 0}));
  EXPECT_OK(CheckExplorer({ExplorerKind::kThompson, 1}));
  for (double bad : {-0.1, 1.1, kNan}) {
    EXPECT_THAT(CheckExplorer({ExplorerKind::kThompson, bad}),
                StatusIs(absl::StatusCode::kInvalidArgument, "epsilon: expected 0 to 1"));
  }
}

TEST(ExplorerGoldenTest, EpsilonGreedy) {
  SKIP_WITHOUT_SHARED_DATA("goldens/bandit/explorers.json");
  const auto golden = nlohmann::json::parse(ReadWholeFile(*SharedData("goldens/bandit/explorers.json")));
  ASSERT_EQ(golden["sets"].size(), 5u);
  for (const auto& set : golden["sets"]) {
    const std::vector<double> scores = set["scores"];
    const std::vector<double> found = Distribution({ExplorerKind::kEpsilonGreedy, 0.1}, scores, {}, {0, 1, 2, 3, 4});
    for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(found[i], set["epsilon_greedy_0_1"][i].get<double>(), 1e-12);
  }
}

nlohmann::json ExplorerGoldens() { return nlohmann::json::parse(ReadWholeFile(*SharedData("goldens/bandit/explorers.json"))); }

TEST(ExplorerGoldenTest, InverseGapAndSoftmax) {
  SKIP_WITHOUT_SHARED_DATA("goldens/bandit/explorers.json");
  const nlohmann::json golden = ExplorerGoldens();
  int checked = 0;
  for (const auto& set : golden["sets"]) {
    const std::vector<double> scores = set["scores"];
    const auto expect = [&](ExplorerKind kind, double strength, const nlohmann::json& expected) {
      const std::vector<double> found = Distribution({kind, 0, strength}, scores, {}, {0, 1, 2, 3, 4});
      for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(found[i], expected[i].get<double>(), 1e-12);
      ++checked;
    };
    for (const double gamma : {1.0, 10.0, 1000.0}) {
      expect(ExplorerKind::kInverseGap, gamma, set["inverse_gap"][absl::StrCat("gamma_", gamma)]);
    }
    for (const double t : {1.0, 0.1}) expect(ExplorerKind::kSoftmax, t, set["softmax"][absl::StrCat("temperature_", t)]);
  }
  EXPECT_EQ(checked, 25);
}

TEST(ExplorerGoldenTest, PlackettLuce) {
  SKIP_WITHOUT_SHARED_DATA("goldens/bandit/explorers.json");
  const nlohmann::json golden = ExplorerGoldens();
  int checked = 0;
  for (const auto& set : golden["sets"]) {
    const std::vector<double> scores = set["scores"];
    for (const double t : {1.0, 0.1}) {
      for (const auto& [slate, expected] : set["plackett_luce"][absl::StrCat("temperature_", t)].items()) {
        std::vector<int32_t> open = {0, 1, 2, 3, 4};
        double whole = 1;
        for (size_t slot = 0; slot < 3; ++slot) {
          const int32_t shown = slate[2 * slot] - '0';
          const double p = Distribution({ExplorerKind::kSoftmax, 0, t}, scores, {}, open)[static_cast<size_t>(shown)];
          ASSERT_NEAR(p, expected[slot + 1].get<double>(), 1e-12) << slate;
          whole *= p;
          open.erase(std::find(open.begin(), open.end(), shown));
        }
        ASSERT_NEAR(whole, expected[0].get<double>(), 1e-12) << slate;
        ++checked;
      }
    }
  }
  EXPECT_EQ(checked, 5 * 2 * 60);
}

TEST(ExplorerTest, StrengthIsInUnitsOfTheResidualDeviation) {
  const ExplorerScale scale{2, 99, 0, 4};
  EXPECT_EQ(ResolveExplorer({ExplorerKind::kSoftmax, 0, 0.1}, scale).strength, 0.2);
  EXPECT_EQ(ResolveExplorer({ExplorerKind::kInverseGap, 0, 3}, {2, 100, 5, 4}).strength, 30);
  EXPECT_EQ(ResolveExplorer({ExplorerKind::kInverseGap, 0, 3}, {2, 0, 5, 1}).strength, 1.5);  // before anything was seen
  EXPECT_EQ(ResolveExplorer({ExplorerKind::kUpperBound, 0, 3}, scale).strength, 3);
}

TEST(ExplorerTest, ASoftmaxIsWiderWhileFewSlotsWereShown) {
  const auto strength = [](double declared, double weight) {
    return ResolveExplorer({ExplorerKind::kSoftmax, 0, declared}, {2, weight, 3, 4}).strength;
  };
  EXPECT_EQ(strength(0.1, 0), 0.6);      // 0.3 standard deviations and no more
  EXPECT_EQ(strength(0.1, 99), 0.4);     // sqrt(1 + 300 / 100) = 2
  EXPECT_NEAR(strength(0.1, 1e9), 0.2, 1e-6);
  EXPECT_EQ(strength(0.5, 0), 1);        // declared wider
}

TEST(ExplorerTest, ADeviationOfZeroIsGreedy) {
  for (const ExplorerKind kind : {ExplorerKind::kSoftmax, ExplorerKind::kInverseGap}) {
    const std::vector<double> p = Distribution(ResolveExplorer({kind, 0, 1}, {0, 10, 1, 3}), {1, 3, 2}, {}, {0, 1, 2});
    EXPECT_EQ(p[1], 1);
    EXPECT_LT(p[0] + p[2], 1e-290);
  }
}

TEST(ExplorerTest, AnInverseGapOfStrengthZeroIsEven) {
  const ExplorerSpec spec = ResolveExplorer({ExplorerKind::kInverseGap, 0, 0}, {0, 10, 1, 4});
  EXPECT_THAT(Distribution(spec, {1, 3}, {}, {0, 1}), ElementsAre(0.5, 0.5));
  EXPECT_THAT(Distribution(spec, {1, -kInf, 3, 3}, {}, {0, 1, 2, 3}), ElementsAre(0.25, 0, 0.5, 0.25));
}

TEST(ExplorerTest, AScoreOfMinusInfinityIsDrawnByEpsilonOnly) {
  for (const ExplorerKind kind : {ExplorerKind::kSoftmax, ExplorerKind::kInverseGap}) {
    const std::vector<double> p = Distribution({kind, 0.2, 0.5}, {1, -kInf, 1}, {}, {0, 1, 2});
    EXPECT_NEAR(p[1], 0.2 / 3, 1e-15);
    EXPECT_NEAR(p[0] + p[1] + p[2], 1, 1e-15);
    EXPECT_THAT(Distribution({kind, 0, 0.5}, {-kInf, -kInf}, {}, {1, 0}), ElementsAre(0, 1));
  }
}

TEST(ExplorerTest, RefusesStrengthAndReachOutOfRange) {
  EXPECT_THAT(CheckExplorer({ExplorerKind::kSoftmax, 0, -1}), StatusIs(absl::StatusCode::kInvalidArgument, "strength: expected"));
  EXPECT_THAT(CheckExplorer({ExplorerKind::kSoftmax, 0, kInf}), StatusIs(absl::StatusCode::kInvalidArgument, "strength: expected"));
  EXPECT_THAT(CheckExplorer({ExplorerKind::kBoundedShuffle, 0, 0, -1}), StatusIs(absl::StatusCode::kInvalidArgument, "reach: expected"));
}

}  // namespace
}  // namespace offerd
