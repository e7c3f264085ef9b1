#include "store/doubly_robust.h"

#include <cmath>

#include "core/rng.h"
#include "gtest/gtest.h"

namespace offerd {
namespace {

// Five candidates of three features, one shown at random; a hit with probability theta'x. The target shows the one with the largest
// first feature.
struct Shop {
  explicit Shop(uint64_t seed) : rng(seed) {}
  Rng rng;
  const Eigen::Vector3f theta{0.05f, 0.5f, 0.1f};
  double truth = 0, ips = 0, ips_squared = 0;
  DoublyRobust doubly_robust;

  void Serve(int decisions, double noise) {
    for (int i = 0; i < decisions; ++i) {
      Eigen::Matrix<float, 5, 3> x;
      int best = 0;
      for (int a = 0; a < 5; ++a) {
        x.row(a) << 1, static_cast<float>(rng.NextUniform()), static_cast<float>(rng.NextUniform());
        if (x(a, 1) > x(best, 1)) best = a;
      }
      const int shown = static_cast<int>(rng.NextUniform() * 5);
      DoublyRobust::Decision decision;
      decision.cluster = static_cast<uint64_t>(rng.NextUniform() * 400);
      decision.x = x.row(shown).transpose();
      decision.mean_x.resize(2, 3);
      decision.mean_x.row(0) = x.row(best);
      decision.mean_x.row(1) = x.colwise().mean();  // the logging policy itself
      decision.weights = {shown == best ? 5.0 : 0.0, 1.0};
      decision.reward = static_cast<double>(x.row(shown) * theta) + noise * (rng.NextUniform() - 0.5);
      truth += static_cast<double>(x.row(best) * theta) / decisions;
      const double term = decision.weights[0] * decision.reward;
      ips += term / decisions;
      ips_squared += term * term / decisions;
      ASSERT_TRUE(doubly_robust.Add(std::move(decision)));
    }
  }
};

TEST(DoublyRobustTest, FindsTheTruthWithLessNoiseThanWeightsAlone) {
  Shop shop(3);
  shop.Serve(4000, 0.2);
  const auto values = shop.doubly_robust.Values();
  ASSERT_TRUE(values.has_value());
  const DoublyRobust::Value& greedy = (*values)[0];
  const double ips_error = std::sqrt((shop.ips_squared - shop.ips * shop.ips) / 4000);
  EXPECT_NEAR(greedy.reward, shop.truth, 4 * greedy.reward_error);
  EXPECT_LT(greedy.reward_error, ips_error / 2);
  EXPECT_GT(greedy.gain, 4 * greedy.gain_error);
  EXPECT_NEAR((*values)[1].gain, 0, 4 * (*values)[1].gain_error);
}

// Without noise the model knows everything, and the weights' term is 0 (but for the ridge).
TEST(DoublyRobustTest, APerfectModelNeedsNoWeights) {
  Shop shop(4);
  shop.Serve(4000, 0);
  const auto values = shop.doubly_robust.Values();
  EXPECT_NEAR((*values)[0].reward, shop.truth, 1e-3);
}

TEST(DoublyRobustTest, NothingToGoBy) {
  DoublyRobust empty;
  EXPECT_FALSE(empty.Values().has_value());
  DoublyRobust one;
  DoublyRobust::Decision decision{7, Eigen::VectorXf::Ones(2), Eigen::MatrixXf::Ones(1, 2), {1.0}, 1.0};
  EXPECT_TRUE(one.Add(decision));
  EXPECT_TRUE(one.Add(decision));
  EXPECT_FALSE(one.Values().has_value());  // one customer is in one half
  decision.x = Eigen::VectorXf::Ones(3);
  EXPECT_FALSE(one.Add(decision));  // of other features
}

}  // namespace
}  // namespace offerd
