#include "core/eval/weight_summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/rng.h"
#include "gtest/gtest.h"

namespace offerd {
namespace {

WeightSummary Summary(const std::vector<double>& weights) {
  WeightSummary summary;
  for (const double weight : weights) summary.Add(weight);
  return summary;
}

TEST(WeightSummaryTest, EqualWeightsCountEachOnceAndZerosNotAtAll) {
  EXPECT_DOUBLE_EQ(Summary({3, 3, 0, 3, 0}).effective_samples(), 3);
  EXPECT_DOUBLE_EQ(Summary({3, 3, 0, 3, 0}).LargestShare(1), 1.0 / 3);
  EXPECT_DOUBLE_EQ(Summary({1, 2}).effective_samples(), 9.0 / 5);
}

TEST(WeightSummaryTest, NothingAndNoWeightHaveNoShare) {
  EXPECT_EQ(Summary({}).effective_samples(), 0);
  EXPECT_EQ(Summary({}).LargestShare(5), 0);
  EXPECT_EQ(Summary({0, 0}).effective_samples(), 0);
  EXPECT_EQ(Summary({0, 0}).LargestShare(1), 0);
}

TEST(WeightSummaryTest, LargestShareIsThatOfSortedWeights) {
  Rng rng(3);
  std::vector<double> weights;
  for (int i = 0; i < 20000; ++i) weights.push_back(std::exp(2 * rng.NextNormal()));
  const WeightSummary summary = Summary(weights);
  std::sort(weights.rbegin(), weights.rend());
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (const int largest : {1, 10, 200, 5000, 20000}) {
    const double share = std::accumulate(weights.begin(), weights.begin() + largest, 0.0) / sum;
    EXPECT_NEAR(summary.LargestShare(largest), share, 1e-5) << largest;
  }
  EXPECT_EQ(summary.largest(), weights[0]);
  EXPECT_EQ(summary.count(), 20000);
}

TEST(WeightSummaryTest, WeightsBeyondTheBinsAreCountedInTheLastOnes) {
  const WeightSummary summary = Summary({1e-30, 1e-30, 1e30, 1e40});
  EXPECT_NEAR(summary.LargestShare(2), 1, 1e-12);
  EXPECT_EQ(summary.largest(), 1e40);
}

}  // namespace
}  // namespace offerd
