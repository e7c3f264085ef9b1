#include "cli/simulate/simulate.h"

#include <algorithm>

#include "tests/support/status_matchers.h"

namespace offerd::simulate {
namespace {

TEST(ShopTest, RatesAreThoseItIsMadeFor) {
  Shop shop(ShopOptions{});
  Visit visit;
  double rate = 0, hits = 0, candidates = 0, best = 0;
  constexpr int kVisits = 4000;
  for (int i = 0; i < kVisits; ++i) {
    shop.Next(&visit);
    ASSERT_EQ(visit.decision.candidates.size(), 50u);
    for (size_t k = 0; k < visit.probability.size(); ++k) {
      rate += visit.probability[k];
      hits += *visit.decision.candidates[k].reward;
      ++candidates;
    }
    best += *std::max_element(visit.probability.begin(), visit.probability.end());
  }
  EXPECT_NEAR(rate / candidates, 0.017, 0.002);
  EXPECT_NEAR(hits / candidates, rate / candidates / 0.98, 0.001);  // refunds come later
  EXPECT_GT(best / kVisits, 0.12);
}

TEST(ShopTest, TheSameSeedIsTheSameShop) {
  Shop a(ShopOptions{}), b(ShopOptions{});
  Visit x, y;
  for (int i = 0; i < 50; ++i) {
    a.Next(&x);
    b.Next(&y);
    ASSERT_EQ(x.probability, y.probability);
    ASSERT_EQ(x.decision.customer, y.decision.customer);
  }
}

SimulateOptions Small(std::vector<std::string> explorers) {
  SimulateOptions options;
  options.decisions = 20'000;
  options.explorers = std::move(explorers);
  return options;
}

TEST(SimulateTestSlow, TheDefaultExplorerComesNearTheOracle) {
  const auto runs = Simulate(Small({"", "random"}), nullptr);
  ASSERT_OK(runs);
  ASSERT_EQ(runs->size(), 2u);
  const ExplorerRun& learned = (*runs)[0];
  const ExplorerRun& random = (*runs)[1];
  EXPECT_EQ(learned.explorer, "thompson");
  EXPECT_LT(learned.last_tenth, 0.05);
  EXPECT_GT(random.last_tenth, 0.8);
  EXPECT_LT(learned.regret, 0.2 * random.regret);
  EXPECT_EQ(learned.curve.size(), 50u);
  EXPECT_TRUE(std::is_sorted(learned.curve.begin(), learned.curve.end())) << "regret is never negative";
}

TEST(SimulateTestSlow, DelaysAndDuplicatesDoLittleHarm) {
  SimulateOptions options = Small({""});
  options.delay_days = 1;
  options.duplicate_share = 0.1;
  const auto runs = Simulate(options, nullptr);
  ASSERT_OK(runs);
  EXPECT_LT((*runs)[0].last_tenth, 0.07);
}

}  // namespace
}  // namespace offerd::simulate
