#include "core/learn/linear_statistics.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/rng.h"
#include "tests/support/reference/bandit_golden.h"
#include "tests/support/reference/linear_reference.h"
#include "tests/support/shared_data.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

using ::testing::DoubleNear;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Eigen::VectorXf RandomX(int d, Rng& rng) {
  Eigen::VectorXf x(d);
  for (int k = 0; k < d; ++k) x[k] = rng.NextUniform() < 0.3 ? 0.0f : static_cast<float>(rng.NextNormal());
  return x;
}

SlotWeight RandomWeight(Rng& rng) { return {0.25 + rng.NextUniform(), 0.1 + 0.9 * rng.NextUniform()}; }

void ExpectNear(const LinearStatistics& a, const LinearStatistics& b, double relative) {
  EXPECT_LE((a.gram() - b.gram()).norm(), relative * (1 + b.gram().norm()));
  EXPECT_LE((a.reward_x() - b.reward_x()).norm(), relative * (1 + b.reward_x().norm()));
  EXPECT_NEAR(a.reward_squared(), b.reward_squared(), relative * (1 + std::abs(b.reward_squared())));
  EXPECT_NEAR(a.total_weight(), b.total_weight(), relative * (1 + b.total_weight()));
  EXPECT_EQ(a.num_shown(), b.num_shown());
}

bool SameBits(const LinearStatistics& a, const LinearStatistics& b) {
  return a.dim() == b.dim() && a.num_shown() == b.num_shown() &&
         std::memcmp(a.gram().data(), b.gram().data(), sizeof(double) * a.dim() * a.dim()) == 0 &&
         std::memcmp(a.reward_x().data(), b.reward_x().data(), sizeof(double) * a.dim()) == 0 &&
         a.reward_squared() == b.reward_squared() && a.total_weight() == b.total_weight();
}

LinearStatistics RandomStatistics(int d, int slots, uint64_t seed) {
  Rng rng(seed);
  LinearStatistics statistics(d);
  for (int i = 0; i < slots; ++i) {
    const Eigen::VectorXf x = RandomX(d, rng);
    const SlotWeight weight = RandomWeight(rng);
    EXPECT_OK(statistics.AddShown(x, weight, rng.NextNormal()));
  }
  return statistics;
}

TEST(LinearStatisticsTest, StartsEmpty) {
  const LinearStatistics statistics(3);
  EXPECT_EQ(statistics.dim(), 3);
  EXPECT_EQ(statistics.num_shown(), 0);
  EXPECT_EQ(statistics.total_weight(), 0);
  EXPECT_TRUE(statistics.gram().isZero(0));
}

TEST(LinearStatisticsTest, FollowsTheFormulasOfTheDesignInOneDimension) {
  LinearStatistics statistics(1);
  const Eigen::VectorXf x = Eigen::VectorXf::Constant(1, 3);
  ASSERT_OK(statistics.AddShown(x, {0.5, 0.25}, 2));
  EXPECT_EQ(statistics.gram()(0, 0), 0.5 * 0.25 * 9);
  EXPECT_EQ(statistics.reward_x()[0], 0.5 * 2 * 3);
  EXPECT_EQ(statistics.reward_squared(), 0.5 * 4 / 0.25);
  EXPECT_EQ(statistics.total_weight(), 0.5);
  ASSERT_OK(statistics.ApplyReward(x, {0.5, 0.25}, 2, 6));
  EXPECT_EQ(statistics.reward_x()[0], 0.5 * 6 * 3);
  EXPECT_EQ(statistics.reward_squared(), 0.5 * 36 / 0.25);
  EXPECT_EQ(statistics.total_weight(), 0.5);
  EXPECT_EQ(statistics.num_shown(), 1);
}

TEST(LinearStatisticsTest, SlotsTogetherAreTheSameBitsAsOneByOne) {
  for (const int d : {1, 3, 7, 64, 65, 130, 600}) {
    Rng rng(static_cast<uint64_t>(d));
    LinearStatistics together(d), one_by_one(d);
    for (int round = 0; round < 20; ++round) {
      std::vector<Eigen::VectorXf> rows;
      std::vector<ShownSlot> slots;
      for (uint64_t i = rng.NextBits() % 12; i > 0; --i) rows.push_back(RandomX(d, rng));
      for (const Eigen::VectorXf& x : rows) {
        const double reward = rng.NextUniform() < 0.5 ? 0 : rng.NextNormal();
        slots.push_back({{x.data(), static_cast<size_t>(d)}, RandomWeight(rng), reward});
        ASSERT_OK(one_by_one.AddShown({&slots.back(), 1}));
      }
      ASSERT_OK(together.AddShown(slots));
    }
    EXPECT_EQ(together.Checksum(), one_by_one.Checksum()) << d;
    EXPECT_EQ(together.num_shown(), one_by_one.num_shown()) << d;
  }
}

TEST(LinearStatisticsTest, OfSlotsTogetherAllAreAddedOrNone) {
  for (const int d : {3, 600}) {
    LinearStatistics statistics = RandomStatistics(d, 5, 2);
    const LinearStatistics before = statistics;
    const Eigen::VectorXf good = Eigen::VectorXf::Ones(d);
    Eigen::VectorXf bad = good;
    bad[1] = kNan;
    const ShownSlot first{{good.data(), static_cast<size_t>(d)}, {}, 1};
    for (const ShownSlot& second : {ShownSlot{{bad.data(), static_cast<size_t>(d)}, {}, 1}, ShownSlot{first.x, {0, 1}, 1},
                                    ShownSlot{first.x, {1, 2}, 1}, ShownSlot{first.x, {}, 1e200}, ShownSlot{first.x.subspan(1), {}, 1}}) {
      EXPECT_FALSE(statistics.AddShown({first, second}).ok());
      EXPECT_EQ(statistics.Checksum(), before.Checksum());
      EXPECT_EQ(statistics.num_shown(), before.num_shown());
    }
  }
}

TEST(LinearStatisticsTest, KeepsOnlyTheLowerHalf) {
  const LinearStatistics statistics = RandomStatistics(7, 20, 1);
  for (int j = 0; j < 7; ++j) {
    for (int i = 0; i < j; ++i) EXPECT_EQ(statistics.gram()(i, j), 0);
  }
}

TEST(LinearStatisticsTest, AgreesWithSumsOverAllSlots) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int d = 1 + static_cast<int>(rng.NextBits() % 40);
    LinearStatistics statistics(d);
    LinearReference reference;
    for (int step = 0; step < 300; ++step) {
      if (reference.slots.empty() || rng.NextUniform() < 0.5) {
        reference.slots.push_back(
            {RandomX(d, rng), RandomWeight(rng), rng.NextUniform() < 0.5 ? 0.0 : rng.NextNormal()});
        const LinearReference::Slot& slot = reference.slots.back();
        ASSERT_OK(statistics.AddShown(slot.x, slot.weight, slot.reward));
      } else {
        LinearReference::Slot& slot = reference.slots[rng.NextBits() % reference.slots.size()];
        const double reward = 10 * rng.NextNormal();
        ASSERT_OK(statistics.ApplyReward(slot.x, slot.weight, slot.reward, reward));
        slot.reward = reward;
      }
    }
    const Eigen::MatrixXd gram = reference.Gram(d).cast<double>().triangularView<Eigen::Lower>();
    EXPECT_LE((statistics.gram() - gram).norm(), 1e-12 * (1 + gram.norm()));
    const Eigen::VectorXd b = reference.RewardX(d).cast<double>();
    EXPECT_LE((statistics.reward_x() - b).norm(), 1e-10 * (1 + b.norm()));
    EXPECT_NEAR(statistics.reward_squared(), reference.RewardSquared(), 1e-9 * (1 + reference.RewardSquared()));
    EXPECT_NEAR(statistics.total_weight(), reference.TotalWeight(), 1e-12 * reference.TotalWeight());
    EXPECT_EQ(statistics.num_shown(), static_cast<int64_t>(reference.slots.size()));
  }
}

TEST(LinearStatisticsTest, LateRewardEqualsRewardKnownAtOnce) {
  Rng rng(3);
  LinearStatistics late(9), at_once(9);
  for (int i = 0; i < 200; ++i) {
    const Eigen::VectorXf x = RandomX(9, rng);
    const SlotWeight weight = RandomWeight(rng);
    const double reward = rng.NextNormal();
    ASSERT_OK(at_once.AddShown(x, weight, reward));
    ASSERT_OK(late.AddShown(x, weight, -0.1));
    ASSERT_OK(late.ApplyReward(x, weight, -0.1, 5));             // a click,
    ASSERT_OK(late.ApplyReward(x, weight, 5, reward + 7));       // a purchase,
    ASSERT_OK(late.ApplyReward(x, weight, reward + 7, reward));  // a part of it given back
  }
  ExpectNear(late, at_once, 1e-12);
  EXPECT_EQ(late.gram(), at_once.gram());
}

TEST(LinearStatisticsTest, MergedShardsEqualOneLog) {
  Rng rng(4);
  LinearStatistics whole(12), left(12), right(12);
  for (int i = 0; i < 500; ++i) {
    const Eigen::VectorXf x = RandomX(12, rng);
    const SlotWeight weight = RandomWeight(rng);
    const double reward = rng.NextNormal();
    ASSERT_OK(whole.AddShown(x, weight, reward));
    ASSERT_OK((i % 3 == 0 ? left : right).AddShown(x, weight, reward));
  }
  LinearStatistics other_order = right;
  ASSERT_OK(other_order.Merge(left));
  ASSERT_OK(left.Merge(right));
  ExpectNear(left, whole, 1e-9);
  ExpectNear(other_order, whole, 1e-9);
  EXPECT_THAT(left.Merge(LinearStatistics(11)),
              StatusIs(absl::StatusCode::kInvalidArgument, "expected 12 dimensions, found 11"));
}

TEST(LinearStatisticsTest, SameLogGivesTheSameBits) {
  EXPECT_TRUE(SameBits(RandomStatistics(33, 400, 5), RandomStatistics(33, 400, 5)));
}

// The value must not depend on compiler, optimisation or instruction set.
TEST(LinearStatisticsTest, ChecksumIsTheSameInEveryBuild) {
  LinearStatistics statistics(16);
  Rng rng(6);
  for (int i = 0; i < 200; ++i) {
    Eigen::VectorXf x(16);
    for (int k = 0; k < 16; ++k) x[k] = static_cast<float>(rng.NextUniform());
    const double forgetting = 0.1 + rng.NextUniform();  // named: the order of arguments is the compiler's
    const double reward = rng.NextUniform();
    ASSERT_OK(statistics.AddShown(x, {forgetting, 0.7}, reward));
  }
  EXPECT_EQ(statistics.Checksum(), 16882511270303919377u);
}

TEST(LinearStatisticsTest, ScalingByPowersOfTwoIsExact) {
  const LinearStatistics before = RandomStatistics(10, 50, 7);
  LinearStatistics scaled = before;
  scaled.ScaleByPowerOfTwo(-3);
  EXPECT_EQ(scaled.gram(), before.gram() / 8);
  EXPECT_EQ(scaled.total_weight(), before.total_weight() / 8);
  EXPECT_EQ(scaled.num_shown(), before.num_shown());
  EXPECT_NE(scaled.Checksum(), before.Checksum());
  scaled.ScaleByPowerOfTwo(3);
  EXPECT_TRUE(SameBits(scaled, before));
  scaled.ScaleByPowerOfTwo(0);
  EXPECT_TRUE(SameBits(scaled, before));
}

TEST(LinearStatisticsTest, MovingTheOriginCommutesWithLearning) {
  Rng rng(8);
  LinearStatistics moved(6), fixed(6);
  for (int i = 0; i < 300; ++i) {
    const Eigen::VectorXf x = RandomX(6, rng);
    const double age = std::exp2(i / 40.0);
    const double reward = rng.NextNormal();
    ASSERT_OK(fixed.AddShown(x, {age, 1}, reward));
    if (i > 0 && i % 100 == 0) moved.ScaleByPowerOfTwo(-5);
    ASSERT_OK(moved.AddShown(x, {std::ldexp(age, -5 * (i / 100)), 1}, reward));
  }
  moved.ScaleByPowerOfTwo(10);
  EXPECT_TRUE(SameBits(moved, fixed));
}

TEST(LinearStatisticsTest, EverythingIsForgottenInTheEnd) {
  LinearStatistics statistics = RandomStatistics(4, 10, 9);
  statistics.ScaleByPowerOfTwo(std::numeric_limits<int>::min());
  EXPECT_TRUE(statistics.gram().isZero(0));
  EXPECT_EQ(statistics.total_weight(), 0);
}

TEST(LinearStatisticsTest, RefusesWhatIsNotFiniteAndChangesNothing) {
  LinearStatistics statistics = RandomStatistics(2, 10, 10);
  const LinearStatistics before = statistics;
  const Eigen::VectorXf x = Eigen::VectorXf::Ones(2);
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  for (float bad : {kInf, -kInf, kNan}) {
    const Eigen::Vector2f bad_x(1, bad);
    EXPECT_THAT(statistics.AddShown(bad_x, {}, 0), StatusIs(kInvalid, "x: a number is not finite"));
    EXPECT_THAT(statistics.ApplyReward(bad_x, {}, 0, 1), StatusIs(kInvalid, "x: a number is not finite"));
    EXPECT_THAT(statistics.AddShown(x, {bad, 1}, 0), StatusIs(kInvalid, "forgetting"));
    EXPECT_THAT(statistics.AddShown(x, {1, bad}, 0), StatusIs(kInvalid, "examination"));
    EXPECT_THAT(statistics.AddShown(x, {}, bad), StatusIs(kInvalid, "reward"));
    EXPECT_THAT(statistics.ApplyReward(x, {}, bad, 0), StatusIs(kInvalid, "reward"));
    EXPECT_THAT(statistics.ApplyReward(x, {}, 0, bad), StatusIs(kInvalid, "reward"));
  }
  EXPECT_THAT(statistics.AddShown(x, {0, 1}, 0), StatusIs(kInvalid, "forgetting"));
  EXPECT_THAT(statistics.AddShown(x, {1, 0}, 0), StatusIs(kInvalid, "examination"));
  EXPECT_THAT(statistics.AddShown(x, {1, 1.5}, 0), StatusIs(kInvalid, "examination"));
  EXPECT_THAT(statistics.AddShown(Eigen::VectorXf::Ones(3), {}, 0), StatusIs(kInvalid, "expected 2 numbers, found 3"));
  EXPECT_TRUE(SameBits(statistics, before));
}

TEST(LinearStatisticsTest, RefusesAnUpdateWhoseSumsWouldNotStayFinite) {
  LinearStatistics statistics = RandomStatistics(2, 10, 11);
  const LinearStatistics before = statistics;
  const Eigen::VectorXf x = Eigen::VectorXf::Ones(2);
  constexpr auto kRange = absl::StatusCode::kOutOfRange;
  EXPECT_THAT(statistics.AddShown(Eigen::Vector2f(1, 3e38f), {1e250, 1}, 0), StatusIs(kRange, ""));
  EXPECT_THAT(statistics.AddShown(x, {}, 1e200), StatusIs(kRange, ""));
  EXPECT_THAT(statistics.ApplyReward(x, {}, -1e308, 1e308), StatusIs(kRange, ""));
  EXPECT_THAT(statistics.AddShown(x, {1e307, 1}, 0), StatusIs(kRange, ""));
  EXPECT_TRUE(SameBits(statistics, before));

  LinearStatistics large(1);
  ASSERT_OK(large.AddShown(Eigen::VectorXf::Ones(1), {9e299, 1}, 0));
  LinearStatistics sum = large;
  EXPECT_THAT(sum.Merge(large), StatusIs(kRange, ""));
  EXPECT_TRUE(SameBits(sum, large));
}

TEST(LinearStatisticsTest, ComesBackFromItsPartsToTheBit) {
  const LinearStatistics before = RandomStatistics(17, 60, 12);
  auto after = LinearStatistics::FromParts(before.gram(), before.reward_x(), before.reward_squared(),
                                           before.total_weight(), before.num_shown());
  ASSERT_OK(after);
  EXPECT_TRUE(SameBits(*after, before));
  EXPECT_EQ(after->Checksum(), before.Checksum());
}

TEST(LinearStatisticsTest, RefusesPartsThatCannotBeSums) {
  const Eigen::Matrix2d gram = Eigen::Matrix2d::Identity();
  const Eigen::Vector2d b = Eigen::Vector2d::Ones();
  EXPECT_OK(LinearStatistics::FromParts(gram, b, 1, 1, 1));
  EXPECT_FALSE(LinearStatistics::FromParts(Eigen::Matrix3d::Identity(), b, 1, 1, 1).ok());
  EXPECT_FALSE(LinearStatistics::FromParts(Eigen::MatrixXd(0, 0), Eigen::VectorXd(0), 1, 1, 1).ok());
  EXPECT_FALSE(LinearStatistics::FromParts(Eigen::MatrixXd::Zero(513, 513), Eigen::VectorXd::Zero(513), 1, 1, 1).ok());
  EXPECT_FALSE(LinearStatistics::FromParts(-gram, b, 1, 1, 1).ok());
  EXPECT_FALSE(LinearStatistics::FromParts(gram, b * std::nan(""), 1, 1, 1).ok());
  EXPECT_FALSE(LinearStatistics::FromParts(gram, b, kInf, 1, 1).ok());
  EXPECT_FALSE(LinearStatistics::FromParts(gram, b, 1, -1, 1).ok());
  EXPECT_FALSE(LinearStatistics::FromParts(gram, b, 1, 1, -1).ok());
  Eigen::Matrix2d dirty = gram;
  dirty(0, 1) = std::nan("");  // above the diagonal: not looked at
  auto clean = LinearStatistics::FromParts(dirty, b, 1, 1, 1);
  ASSERT_OK(clean);
  EXPECT_EQ(clean->gram()(0, 1), 0);
}

TEST(LinearStatisticsTest, ChecksumSeesEveryPartButNotTheSignOfZero) {
  Eigen::Matrix2d gram;
  gram << 1, 0, -0.5, 2;
  const Eigen::Vector2d b(0.0, 3);
  const auto checksum = [](const Eigen::MatrixXd& g, const Eigen::VectorXd& r, double yy, double weight, int64_t n) {
    return LinearStatistics::FromParts(g, r, yy, weight, n)->Checksum();
  };
  const uint64_t same = checksum(gram, b, 4, 5, 6);
  EXPECT_EQ(checksum(gram, Eigen::Vector2d(-0.0, 3), 4, 5, 6), same);
  for (const auto& [i, j] : {std::pair(0, 0), std::pair(1, 0), std::pair(1, 1)}) {
    Eigen::Matrix2d other = gram;
    other(i, j) = std::nextafter(gram(i, j), 10);
    EXPECT_NE(checksum(other, b, 4, 5, 6), same);
  }
  EXPECT_NE(checksum(gram, Eigen::Vector2d(3, 0), 4, 5, 6), same);
  EXPECT_NE(checksum(gram, b, 4.5, 5, 6), same);
  EXPECT_NE(checksum(gram, b, 4, 5.5, 6), same);
  EXPECT_NE(checksum(gram, b, 5, 4, 6), same);
  EXPECT_NE(checksum(gram, b, 4, 5, 7), same);
}

// ---- goldens: NumPy, see shared/data/goldens/bandit.py ----

Eigen::MatrixXd Matrix(const nlohmann::json& rows) {
  Eigen::MatrixXd out(rows.size(), rows.at(0).size());
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t j = 0; j < rows[i].size(); ++j) out(i, j) = rows[i][j].get<double>();
  }
  return out;
}

Eigen::VectorXd Vector(const nlohmann::json& numbers) {
  Eigen::VectorXd out(numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) out[i] = numbers[i].get<double>();
  return out;
}

// lambda I + G in the golden's units, to 1e-12 of the scale of each entry (its row's and column's diagonal).
void ExpectGoldenA(const LinearStatistics& statistics, const nlohmann::json& golden, double g = 1) {
  const Eigen::MatrixXd a = Matrix(golden);
  for (int i = 0; i < a.rows(); ++i) {
    for (int j = 0; j <= i; ++j) {
      const double found = (i == j ? 1.0 : 0.0) + g * statistics.gram()(i, j) * 1e-12;
      EXPECT_THAT(found, DoubleNear(a(i, j), 1e-12 * std::sqrt(a(i, i) * a(j, j)))) << i << "," << j;
    }
  }
}

void ExpectGoldenB(const LinearStatistics& statistics, const nlohmann::json& golden, double g = 1) {
  const Eigen::VectorXd b = Vector(golden);
  for (int i = 0; i < b.size(); ++i)
    EXPECT_THAT(g * statistics.reward_x()[i] * 1e-6, DoubleNear(b[i], 1e-12 * b.norm()));
}

class LinearStatisticsGoldenTest : public testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_SHARED_DATA("goldens/bandit/linear.json");
    SKIP_WITHOUT_SHARED_DATA("goldens/bandit/sequence.csv.zst");
    golden_ = nlohmann::json::parse(ReadWholeFile(*SharedData("goldens/bandit/linear.json")));
    steps_ = ReadGoldenSteps(*SharedData("goldens/bandit/sequence.csv.zst"));
    ASSERT_EQ(steps_.size(), 300u);
    ASSERT_EQ(steps_[0].x_millionths.size(), 8);
  }
  nlohmann::json golden_;
  std::vector<GoldenStep> steps_;
};

TEST_F(LinearStatisticsGoldenTest, SumsAtEveryCheckpoint) {
  ASSERT_EQ(golden_["checkpoints"].size(), 12u);
  for (const auto& checkpoint : golden_["checkpoints"]) {
    const bool weighted = checkpoint["weighted"];
    LinearStatistics statistics(8);
    for (int t = 0; t < checkpoint["after_steps"].get<int>(); ++t) {
      ASSERT_OK(statistics.AddShown(steps_[t].x_millionths, {weighted ? steps_[t].weight : 1.0, 1}, steps_[t].reward));
    }
    ExpectGoldenA(statistics, checkpoint["A"]);
    ExpectGoldenB(statistics, checkpoint["b"]);
  }
}

TEST_F(LinearStatisticsGoldenTest, ForgettingWithAMovingOrigin) {
  LinearStatistics statistics(8);
  int moved = 0;  // half-lives by which t0 moved
  for (int t = 0; t < 300; ++t) {
    if (t / 80 * 2 > moved) {
      statistics.ScaleByPowerOfTwo(moved - t / 80 * 2);
      moved = t / 80 * 2;
    }
    ASSERT_OK(statistics.AddShown(steps_[t].x_millionths, {std::exp2(t / 40.0 - moved), 1}, steps_[t].reward));
  }
  const double to_newest = std::exp2(-(299 / 40.0 - moved));
  ExpectGoldenA(statistics, golden_["forgetting_half_life_40_steps"]["A"], to_newest);
  ExpectGoldenB(statistics, golden_["forgetting_half_life_40_steps"]["b"], to_newest);
}

TEST_F(LinearStatisticsGoldenTest, DefaultRewardsAndLateRewards) {
  const double default_reward = golden_["default_reward"]["default"];
  LinearStatistics statistics(8);
  for (int t = 0; t < 300 + 7; ++t) {
    if (t < 300) {
      ASSERT_OK(statistics.AddShown(steps_[t].x_millionths, {}, default_reward));
    }
    const int known = t - 7;  // rewards come seven steps later
    if (known >= 0 && known % 3 != 0) {
      ASSERT_OK(statistics.ApplyReward(steps_[known].x_millionths, {}, default_reward, steps_[known].reward));
    }
  }
  ExpectGoldenB(statistics, golden_["default_reward"]["b"]);
}

}  // namespace
}  // namespace offerd
