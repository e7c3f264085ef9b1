#include "cli/learn/explorer_spec.h"

#include "tests/support/status_matchers.h"

namespace offerd::learn {
namespace {

TEST(ExplorerSpecTest, WithoutANameItIsTheDefaultOfAPlacementWithoutAShare) {
  const auto choice = ParseExplorer("");
  ASSERT_OK(choice);
  EXPECT_EQ(choice->spec.kind, ExplorerKind::kThompson);
  EXPECT_EQ(choice->spec.epsilon, 0.005);
  EXPECT_EQ(choice->scale, Policy().scale);
  EXPECT_EQ(choice->bag_size, Policy().bag_size);
  EXPECT_EQ(choice->text, "thompson");
}

TEST(ExplorerSpecTest, ReadsEveryName) {
  EXPECT_EQ(ParseExplorer("greedy")->spec.kind, ExplorerKind::kGreedy);
  EXPECT_EQ(ParseExplorer("epsilon_greedy:epsilon=0.2")->spec.epsilon, 0.2);
  EXPECT_EQ(ParseExplorer("softmax:strength=0.4")->spec.strength, 0.4);
  EXPECT_EQ(ParseExplorer("inverse_gap:strength=3,epsilon=0.01")->spec.strength, 3);
  EXPECT_EQ(ParseExplorer("ucb")->spec.strength, kDefaultBonus);
  EXPECT_EQ(ParseExplorer("thompson:scale=0.7,bag=8")->scale, 0.7);
  EXPECT_EQ(ParseExplorer("thompson:scale=0.7,bag=8")->bag_size, 8);
  EXPECT_EQ(ParseExplorer("bounded_shuffle:reach=2")->spec.reach, 2);
}

TEST(ExplorerSpecTest, RefusesWhatItDoesNotKnow) {
  for (const char* bad : {"nobody", "greedy:epsilon=0.1", "softmax:scale=1", "ucb:strength", "ucb:strength=much", "thompson:bag=0", "thompson:scale=-1",
                          "epsilon_greedy:epsilon=2", "softmax:strength=-1", "bounded_shuffle:reach=-1", "ucb:strength=inf"}) {
    EXPECT_THAT(ParseExplorer(bad).status(), StatusIs(absl::StatusCode::kInvalidArgument, "--explorer: ")) << bad;
  }
}

}  // namespace
}  // namespace offerd::learn
