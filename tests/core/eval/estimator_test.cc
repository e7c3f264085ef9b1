#include "core/eval/estimator.h"

#include <algorithm>
#include <cmath>

#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

using ::testing::HasSubstr;

constexpr const char* kRowEstimators[] = {"dm",   "ips",  "snips",           "ips_clipped:max=10", "ips_subgaussian:lambda=0.1",
                                          "dr",   "sndr", "dr_clipped:max=2", "switch_dr:max=2",    "dr_os:lambda=10",
                                          "replay"};

TEST(EstimatorTest, EveryNameIsKnownAndKeepsItsText) {
  for (const char* text : kRowEstimators) {
    const auto estimator = ParseEstimator(text);
    ASSERT_OK(estimator);
    EXPECT_EQ(estimator->text, text);
    EXPECT_FALSE(estimator->is_slate());
  }
  EXPECT_EQ(ParseEstimator("ips_clipped:max=10")->parameter, 10);
  for (const char* text : {"slate_standard", "slate_independent", "slate_reward_interaction", "cascade_dr"}) {
    ASSERT_OK(ParseEstimator(text));
    EXPECT_TRUE(ParseEstimator(text)->is_slate());
  }
}

TEST(EstimatorTest, OneActionAtATimeNeedsMarginalsListsDownToASlotNeedConditionals) {
  for (const char* text : kRowEstimators) EXPECT_EQ(ParseEstimator(text)->propensity(), Propensity::kMarginal) << text;
  EXPECT_EQ(ParseEstimator("slate_independent")->propensity(), Propensity::kMarginal);
  for (const char* text : {"slate_standard", "slate_reward_interaction", "cascade_dr"}) {
    EXPECT_EQ(ParseEstimator(text)->propensity(), Propensity::kConditional) << text;
  }
}

TEST(EstimatorTest, WhatIsWrongIsSaid) {
  const std::pair<const char*, const char*> kCases[] = {
      {"ipw", "estimator ipw: there is no such estimator; known: dm, ips,"},
      {"", "there is no such estimator"},
      {"ips:max=1", "ips has no parameter"},
      {"ips:", "ips has no parameter"},
      {"ips_clipped", "expected ips_clipped:max=NUMBER"},
      {"ips_clipped:lambda=3", "expected ips_clipped:max=NUMBER, got lambda=3"},
      {"ips_clipped:max", "max: expected a number above 0, got \"\""},
      {"ips_clipped:max=0", "max: expected a number above 0, got \"0\""},
      {"ips_clipped:max=-1", "max: expected a number above 0"},
      {"ips_clipped:max=nan", "max: expected a number above 0"},
      {"switch_dr:max=inf", "max: expected a number above 0"},
      {"ips_subgaussian:lambda=1.1", "lambda: expected a number from 0 to 1"},
      {"dr_os:lambda=-0.1", "lambda: expected a number that is at least 0"},
      {"dr_os:lambda=1x", "got \"1x\""},
  };
  for (const auto& [text, message] : kCases) {
    EXPECT_THAT(ParseEstimator(text), StatusIs(absl::StatusCode::kInvalidArgument, message)) << text;
  }
}

TEST(EstimatorTest, LargestShrunkWeightIsTheLargestOfAllBelow) {
  for (const char* text : {"ips", "ips_clipped:max=3", "ips_subgaussian:lambda=0.3", "switch_dr:max=2", "switch_dr:max=9",
                           "dr_os:lambda=4", "dr_os:lambda=100", "dr_os:lambda=0"}) {
    const Estimator estimator = *ParseEstimator(text);
    double largest = 0;
    for (int i = 0; i <= 6000; ++i) largest = std::max(largest, estimator.ShrinkWeight(i / 1000.0));
    EXPECT_NEAR(estimator.LargestShrunkWeight(6), largest, 1e-9) << text;
    EXPECT_EQ(estimator.ShrinkWeight(0), 0) << text;
  }
}

}  // namespace
}  // namespace offerd
