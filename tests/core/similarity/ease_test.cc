#include "core/similarity/ease.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/rng.h"
#include "tests/support/reference/lists_golden.h"
#include "tests/support/reference/lists_reference.h"
#include "tests/support/status_matchers.h"
#include "tests/support/threads_for.h"

namespace offerd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

Baskets MakeBaskets(size_t num_items, const std::vector<std::vector<TableItem>>& baskets) {
  Baskets out;
  out.num_items = num_items;
  for (const auto& basket : baskets) out.Add(basket);
  return out;
}

EaseOptions Lambda(double lambda) {
  EaseOptions options;
  options.lambda = lambda;
  return options;
}

TEST(EaseTest, TwoItemsByHand) {
  // X'X + I = [3 1; 1 3], P = [3 -1; -1 3] / 8, B_01 = 1 / 3.
  auto weights = EaseWeights(MakeBaskets(2, {{0, 1, 0}, {0}, {1}}), Lambda(1), InOrder);
  ASSERT_OK(weights);
  EXPECT_NEAR((*weights)(0, 1), 1.0 / 3, 1e-15);
  EXPECT_NEAR((*weights)(1, 0), 1.0 / 3, 1e-15);
  EXPECT_EQ((*weights)(0, 0), 0);
}

TEST(EaseTest, RowsSayWhatHavingAnItemAdds) {
  // X'X + I = [3 1; 1 2], P = [2 -1; -1 3] / 5.
  auto weights = EaseWeights(MakeBaskets(2, {{0, 1}, {0}}), Lambda(1), InOrder);
  ASSERT_OK(weights);
  EXPECT_NEAR((*weights)(0, 1), 1.0 / 3, 1e-15);
  EXPECT_NEAR((*weights)(1, 0), 1.0 / 2, 1e-15);
}

TEST(EaseTest, ABasketCountsWithItsWeight) {
  Baskets weighted = MakeBaskets(2, {{0, 1}, {0}});
  weighted.weights = {2, 1};
  auto found = EaseWeights(weighted, Lambda(1), InOrder);
  auto twice = EaseWeights(MakeBaskets(2, {{0, 1}, {0, 1}, {0}}), Lambda(1), InOrder);
  ASSERT_OK(found);
  ASSERT_OK(twice);
  EXPECT_EQ(*found, *twice);
}

TEST(EaseTest, AgreesWithADenseInverseAtEverySizeAroundABlock) {
  Rng rng(31);
  for (size_t n : {1, 2, 17, 255, 256, 257, 512, 600}) {
    SCOPED_TRACE(n);
    const Baskets baskets = RandomBaskets(4 * n, n, 12, rng);
    auto weights = EaseWeights(baskets, Lambda(3), InOrder);
    ASSERT_OK(weights);
    EXPECT_LE((*weights - ReferenceEase(baskets, 3)).cwiseAbs().maxCoeff(), 1e-12);
  }
}

TEST(EaseTest, SameBitsForAnyNumberOfThreadsAndOrderOfTasks) {
  Rng rng(32);
  const Baskets baskets = RandomBaskets(3000, 700, 12, rng);
  auto one = EaseWeights(baskets, Lambda(10), InOrder);
  ASSERT_OK(one);
  for (const auto& other :
       {EaseWeights(baskets, Lambda(10), ThreadsFor(4)), EaseWeights(baskets, Lambda(10), InReverse)}) {
    ASSERT_OK(other);
    EXPECT_EQ(std::memcmp(one->data(), other->data(), sizeof(double) * 700 * 700), 0);
  }
}

TEST(EaseTest, RefusesALambdaThatIsNotPositive) {
  for (double bad : {0.0, -1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(EaseWeights(MakeBaskets(2, {{0, 1}}), Lambda(bad), InOrder), StatusIs(kInvalid, "lambda"));
  }
}

TEST(EaseTest, RefusesALambdaTooSmallToMakeTheMatrixInvertible) {
  EXPECT_THAT(EaseWeights(MakeBaskets(2, {{0, 1}, {0, 1}}), Lambda(1e-300), InOrder), StatusIs(kInvalid, "too small"));
}

TEST(EaseTest, RefusesNoItemsAndBasketsThatAreWrong) {
  EXPECT_THAT(EaseWeights(MakeBaskets(0, {}), Lambda(1), InOrder), StatusIs(kInvalid, "no items"));
  EXPECT_THAT(EaseWeights(MakeBaskets(2, {{2}}), Lambda(1), InOrder), StatusIs(kInvalid, "item 2"));
}

TEST(EaseTest, MemoryThatIsTooSmallIsRefusedSayingHowManyItemsWouldFit) {
  EaseOptions options = Lambda(1);
  options.memory_bytes = EaseMemoryBytes(100) - 1;
  const Baskets baskets = MakeBaskets(100, {{0, 1}});
  const auto refused = EaseWeights(baskets, options, InOrder);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted, "99 items would fit"));
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted, std::to_string(EaseMemoryBytes(100))));
  options.memory_bytes = EaseMemoryBytes(100);
  EXPECT_OK(EaseWeights(baskets, options, InOrder));
  options.memory_bytes = 1;
  EXPECT_THAT(EaseWeights(baskets, options, InOrder), StatusIs(absl::StatusCode::kResourceExhausted, ": 0 items"));
}

TEST(EaseTableTest, KeepsTheLargestPositiveWeights) {
  RowMatrix weights(2, 4);
  weights << 0, 0.5, -3, 0.7, 0.1, 0, 0.2, 0.3;
  const auto rows = RowsOf(EaseTable(weights, 2));
  EXPECT_THAT(rows, ElementsAre(ElementsAre(Pair(3, 0.7f), Pair(1, 0.5f)), ElementsAre(Pair(3, 0.3f), Pair(2, 0.2f))));
  EXPECT_THAT(RowsOf(EaseTable(-weights.cwiseAbs(), 2)), ElementsAre(IsEmpty(), IsEmpty()));
}

TEST(EaseTableTest, WeightsEqualInNineDigitsAreInOrderOfNumber) {
  RowMatrix weights(1, 3);
  weights << 0.123456788, 0.1234567891, 0.1234567892;
  EXPECT_THAT(RowsOf(EaseTable(weights, 2))[0], ElementsAre(Pair(1, 0.1234567891f), Pair(2, 0.1234567892f)));
}

// ---- goldens: NumPy, see shared/data/goldens/similarity.py ----

class EaseGoldenTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!SharedData("goldens/similarity/ease_entries.csv")) return;
    data_ = ReadOnlineRetailCustomers(&customers_);
    for (double lambda : {100.0, 500.0}) {
      auto weights = EaseWeights(data_.baskets, Lambda(lambda), InOrder);
      ASSERT_OK(weights);
      weights_[lambda] = *std::move(weights);
    }
  }
  static void TearDownTestSuite() { weights_.clear(); }

  void SetUp() override {
    SKIP_WITHOUT_SHARED_DATA("goldens/similarity/ease_entries.csv");
    ASSERT_EQ(data_.items.size(), 1069u);
    ASSERT_EQ(customers_.size(), 3273u);
    ASSERT_EQ(data_.baskets.items.size(), 126147u);
  }
  static TableItem Number(const std::string& item) { return data_.number.at(item); }

  inline static std::vector<std::string> customers_;
  inline static LabelledBaskets data_;
  inline static std::map<double, RowMatrix> weights_;
};

TEST_F(EaseGoldenTest, Entries) {
  const auto rows = ReadSharedRows("goldens/similarity/ease_entries.csv", ',');
  ASSERT_EQ(rows.size(), 401u);
  for (size_t r = 1; r < rows.size(); ++r) {  // lambda,from_item,to_item,b
    const RowMatrix& weights = weights_.at(GoldenDouble(rows[r][0]));
    EXPECT_NEAR(weights(Number(rows[r][1]), Number(rows[r][2])), GoldenDouble(rows[r][3]), 1e-9) << r;
  }
}

TEST_F(EaseGoldenTest, WholeMatrixByItsNormSumAndLargestEntry) {
  EXPECT_NEAR(weights_[100].norm(), 11.087721288779624, 1e-8);
  EXPECT_NEAR(weights_[500].norm(), 4.820088092869117, 1e-8);
  EXPECT_NEAR(weights_[100].sum(), 982.0493684739412, 1e-7);
  EXPECT_NEAR(weights_[500].sum(), 897.5556858615475, 1e-7);
  EXPECT_NEAR(weights_[100].maxCoeff(), 0.42749504070079064, 1e-10);
  EXPECT_NEAR(weights_[500].maxCoeff(), 0.181039909496524, 1e-10);
}

TEST_F(EaseGoldenTest, Lists) {
  std::map<double, std::vector<ReferenceRow>> tables;
  for (const auto& [lambda, weights] : weights_) tables[lambda] = RowsOf(EaseTable(weights, 20));
  const auto rows = ReadSharedRows("goldens/similarity/ease_top20.csv.zst", ',');
  ASSERT_EQ(rows.size(), 2001u);
  for (size_t r = 1; r < rows.size(); ++r) {  // lambda,from_item,rank,to_item,b
    const auto& list = tables.at(GoldenDouble(rows[r][0]))[Number(rows[r][1])];
    const size_t rank = static_cast<size_t>(GoldenDouble(rows[r][2]));
    ASSERT_GE(list.size(), rank);
    EXPECT_EQ(data_.items[list[rank - 1].first], rows[r][3]) << r;
    EXPECT_NEAR(list[rank - 1].second, GoldenDouble(rows[r][4]), 1e-6) << r;
  }
}

TEST_F(EaseGoldenTest, Recommendations) {
  const auto rows = ReadSharedRows("goldens/similarity/ease_recommendations.csv", ',');
  ASSERT_EQ(rows.size(), 801u);
  std::map<std::pair<double, std::string>, ReferenceRow> lists;
  for (size_t r = 1; r < rows.size(); ++r) {  // lambda,customer,rank,item,score
    const double lambda = GoldenDouble(rows[r][0]);
    ReferenceRow& list = lists[{lambda, rows[r][1]}];
    if (list.empty()) {
      const auto at = std::find_if(customers_.begin(), customers_.end(), [&](const std::string& customer) {
        return GoldenDouble(customer) == GoldenDouble(rows[r][1]);
      });
      ASSERT_NE(at, customers_.end());
      const auto owned = data_.baskets[static_cast<size_t>(at - customers_.begin())];
      Eigen::RowVectorXd sums = Eigen::RowVectorXd::Zero(1069);
      for (TableItem item : owned) sums += weights_.at(lambda).row(item);
      std::map<TableItem, double> scores;
      for (TableItem item = 0; item < 1069; ++item) scores[item] = sums[item];
      for (TableItem item : owned) scores.erase(item);
      list = SortedRow(scores, 20, 9);
    }
    const size_t rank = static_cast<size_t>(GoldenDouble(rows[r][2]));
    EXPECT_EQ(data_.items[list[rank - 1].first], rows[r][3]) << r;
    EXPECT_NEAR(list[rank - 1].second, GoldenDouble(rows[r][4]), 1e-9) << r;
  }
}

}  // namespace
}  // namespace offerd
