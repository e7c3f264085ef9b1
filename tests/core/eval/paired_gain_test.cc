#include "core/eval/paired_gain.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/eval/off_policy_evaluation.h"
#include "core/rng.h"
#include "gtest/gtest.h"

namespace offerd {
namespace {

struct Logged {
  std::vector<double> weights;  // w_l
  std::vector<double> rewards;
  uint64_t customer = 0;
};

std::vector<Logged> MakeLog(int decisions, int slots, uint64_t seed) {
  Rng rng(seed);
  std::vector<Logged> log;
  for (int i = 0; i < decisions; ++i) {
    Logged logged;
    const int length = slots == 1 ? 1 : 1 + static_cast<int>(rng.NextUniform() * slots);
    for (int l = 0; l < length; ++l) {
      logged.weights.push_back(rng.NextUniform() < 0.8 ? 1 : 2 * rng.NextUniform());
      logged.rewards.push_back(rng.NextUniform() < 0.2 ? 1 + rng.NextUniform() : 0);
    }
    logged.customer = static_cast<uint64_t>(rng.NextUniform() * 300);
    log.push_back(std::move(logged));
  }
  return log;
}

std::vector<double> Prefixes(const std::vector<double>& weights) {
  std::vector<double> prefixes;
  double product = 1;
  for (const double weight : weights) prefixes.push_back(product *= weight);
  return prefixes;
}

PairedGain::Estimate EstimateOf(const std::vector<Logged>& log, int slots, bool snips) {
  PairedGain gain(slots, snips);
  for (const Logged& logged : log) gain.Add(Prefixes(logged.weights), logged.rewards, logged.customer);
  return *gain.Get();
}

// The value is that of the slate estimator of `offerctl policy evaluate`, which has other people's goldens.
TEST(PairedGainTest, ValueIsThatOfTheSlateEstimator) {
  const std::vector<Logged> log = MakeLog(2000, 4, 1);
  OffPolicyEvaluation::Options options;
  options.estimators = {*ParseEstimator("slate_reward_interaction")};
  options.propensity = Propensity::kConditional;
  auto evaluation = *OffPolicyEvaluation::Create(options);
  for (const Logged& logged : log) {
    std::vector<LoggedAction> actions;
    for (size_t l = 0; l < logged.weights.size(); ++l) {
      LoggedAction action;
      action.position = static_cast<int>(l) + 1;
      action.propensity = 0.5;
      action.target_probability = logged.weights[l] / 2;
      action.reward = logged.rewards[l];
      actions.push_back(action);
    }
    ASSERT_TRUE(evaluation.AddDecision(actions, logged.customer).ok());
  }
  const EvaluationReport report = *evaluation.Report(IntervalKind::kNormal);
  const PairedGain::Estimate estimate = EstimateOf(log, 4, false);
  EXPECT_NEAR(estimate.candidate_reward, report.estimates[0].value, 1e-12);
  EXPECT_NEAR(estimate.candidate_error, *report.estimates[0].standard_error, 1e-9);
  EXPECT_NEAR(estimate.gain, estimate.candidate_reward - estimate.live_reward, 1e-12);
}

TEST(PairedGainTest, OneSlotIsThePlainFormula) {
  const std::vector<Logged> log = MakeLog(5000, 1, 2);
  double gain = 0, weights = 0, weighted = 0, live = 0;
  for (const Logged& logged : log) {
    gain += (logged.weights[0] - 1) * logged.rewards[0];
    weights += logged.weights[0];
    weighted += logged.weights[0] * logged.rewards[0];
    live += logged.rewards[0];
  }
  EXPECT_NEAR(EstimateOf(log, 1, false).gain, gain / 5000, 1e-12);
  EXPECT_NEAR(EstimateOf(log, 1, true).gain, weighted / weights - live / 5000, 1e-12);
  EXPECT_NEAR(EstimateOf(log, 1, true).candidate_reward, weighted / weights, 1e-12);
}

TEST(PairedGainTest, StandardErrorIsThatOfClusterMeans) {
  const std::vector<Logged> log = MakeLog(4000, 1, 3);
  const PairedGain::Estimate estimate = EstimateOf(log, 1, false);
  std::vector<double> by_customer(300, 0), counts(300, 0);
  for (const Logged& logged : log) {
    by_customer[logged.customer] += (logged.weights[0] - 1) * logged.rewards[0];
    counts[logged.customer] += 1;
  }
  double squares = 0;
  const double clusters = static_cast<double>(std::count_if(counts.begin(), counts.end(), [](double n) { return n > 0; }));
  for (size_t c = 0; c < counts.size(); ++c) squares += std::pow((by_customer[c] - estimate.gain * counts[c]) / 4000, 2);
  EXPECT_EQ(estimate.clusters, clusters);
  EXPECT_NEAR(estimate.standard_error, std::sqrt(squares * clusters / (clusters - 1)), 1e-12);
}

TEST(PairedGainTest, WhatWouldDoTheSameGainsNothingForCertain) {
  std::vector<Logged> log = MakeLog(1000, 3, 4);
  for (Logged& logged : log) logged.weights.assign(logged.weights.size(), 1);
  for (const bool snips : {false, true}) {
    const PairedGain::Estimate estimate = EstimateOf(log, 3, snips);
    EXPECT_NEAR(estimate.gain, 0, 1e-12);
    EXPECT_NEAR(estimate.standard_error, 0, 1e-12);
    EXPECT_NEAR(estimate.effective_samples, 1000, 1e-6);
  }
}

// A target that is not in the log half of the time has a mean weight of one half.
TEST(PairedGainTest, SaysWhatTheLogCouldNotHaveShown) {
  Rng rng(5);
  PairedGain gain(1, false);
  for (int i = 0; i < 10'000; ++i) {
    const double weight = rng.NextUniform() < 0.5 ? 1 : 0, reward = i % 10 == 0 ? -2 : 1;
    gain.Add({&weight, 1}, {&reward, 1}, std::nullopt);
  }
  const PairedGain::Estimate estimate = *gain.Get();
  EXPECT_NEAR(estimate.mean_weight, 0.5, 0.02);
  EXPECT_NEAR(estimate.mean_weight_error, 0.005, 1e-4);
  EXPECT_NEAR(estimate.unsupported(), 0.5, 0.02);
  EXPECT_EQ(estimate.lowest_reward, -2);
  EXPECT_EQ(EstimateOf(MakeLog(2000, 1, 6), 1, false).lowest_reward, 0);
}

TEST(PairedGainTest, NothingToGoBy) {
  PairedGain gain(1, false);
  EXPECT_FALSE(gain.Get().has_value());
  gain.Add({1}, {1}, 7);
  gain.Add({1}, {0}, 7);
  EXPECT_FALSE(gain.Get().has_value());  // one customer
  PairedGain never(1, true);
  never.Add({0}, {1}, std::nullopt);
  never.Add({0}, {1}, std::nullopt);
  EXPECT_FALSE(never.Get().has_value());  // snips would divide by 0
}

TEST(PairedGainTest, AttemptsShareOneError) {
  EXPECT_NEAR(AlphaOfAttempt(1), 0.0303963550927013, 1e-15);
  EXPECT_NEAR(AlphaOfAttempt(3), AlphaOfAttempt(1) / 9, 1e-15);
  double sum = 0;
  for (int k = 1; k <= 100'000; ++k) sum += AlphaOfAttempt(k);
  EXPECT_LT(sum, 0.05);
  EXPECT_GT(sum, 0.04999);
  EXPECT_NEAR(UpperNormalQuantile(0.025), 1.959963984540054, 1e-12);
  EXPECT_NEAR(UpperNormalQuantile(0.5), 0, 1e-12);
}

TEST(PairedGainTest, QuartersAreThoseOfTheCalendar) {
  constexpr int64_t kDay = 86'400'000'000;
  EXPECT_EQ(QuarterOf(0), 1970 * 4);
  EXPECT_EQ(QuarterOf(89 * kDay), 1970 * 4);        // 31 March
  EXPECT_EQ(QuarterOf(90 * kDay), 1970 * 4 + 1);    // 1 April
  EXPECT_EQ(QuarterOf(364 * kDay), 1970 * 4 + 3);
  EXPECT_EQ(QuarterOf(365 * kDay), 1971 * 4);
}

// --- The gate as a whole, on a shop with known truth ---

// Ten offers, one slot, a uniform share of 30 % in the log and in what is valued; people of five kinds with tastes of their own. Live
// shows each kind its favourite; a candidate shows one kind (a fifth of the decisions) another offer.
class GateShop {
 public:
  static constexpr int kOffers = 10, kKinds = 5;
  static constexpr double kShare = 0.3, kLiveRate = 0.1;

  // `change`: the candidate earns by so much more, as a share of all that live earns.
  GateShop(double change, uint64_t seed) : rng_(seed) {
    const double live_mean = (1 - kShare) * kLiveRate + kShare * (kLiveRate + (kOffers - 1) * kOther) / kOffers;
    other_rate_ = kLiveRate + change * live_mean * kKinds / (1 - kShare);
  }

  // Does a promotion pass at attempt k, after so many decisions of the log?
  void Serve(int decisions) {
    for (int i = 0; i < decisions; ++i) {
      const int kind = static_cast<int>(rng_.NextUniform() * kKinds);
      const double favourite = 1 - kShare + kShare / kOffers, other = kShare / kOffers;
      const double draw = rng_.NextUniform();
      double rate = kOther, weight = 1;
      if (draw < favourite) {
        rate = kLiveRate;
        if (kind == 0) weight = other / favourite;
      } else if (draw < favourite + other) {
        if (kind == 0) {
          rate = other_rate_;
          weight = favourite / other;
        }
      }
      const double reward = rng_.NextUniform() < rate ? 1 : 0;
      gain_.Add({&weight, 1}, {&reward, 1}, std::nullopt);
    }
  }
  bool Passes(int attempt) const {
    const PairedGain::Estimate estimate = *gain_.Get();
    return estimate.effective_samples >= 500 &&
           estimate.gain - UpperNormalQuantile(AlphaOfAttempt(attempt)) * estimate.standard_error > 0;
  }

 private:
  static constexpr double kOther = 0.04;
  Rng rng_;
  double other_rate_ = 0;
  PairedGain gain_{1, false};
};

// Of 200 policies that are worse by 1 % at most 5 % pass, ten attempts included as the log grows.
TEST(ReleaseGateSlow, WorsePoliciesSeldomPass) {
  int passed = 0;
  for (uint64_t policy = 0; policy < 200; ++policy) {
    GateShop shop(-0.01, 5000 + policy);
    bool passes = false;
    for (int attempt = 1; attempt <= 10 && !passes; ++attempt) {
      shop.Serve(5000);
      passes = shop.Passes(attempt);
    }
    passed += passes ? 1 : 0;
  }
  RecordProperty("passed", passed);
  EXPECT_LE(passed, 10);
}

// Of 200 that are better by 10 % at least 75 % pass a first attempt after 50,000 decisions, a fifth of which would change.
TEST(ReleaseGateSlow, BetterPoliciesMostlyPass) {
  int passed = 0;
  for (uint64_t policy = 0; policy < 200; ++policy) {
    GateShop shop(0.10, 9000 + policy);
    shop.Serve(50'000);
    passed += shop.Passes(1) ? 1 : 0;
  }
  RecordProperty("passed", passed);
  EXPECT_GE(passed, 150);
}

}  // namespace
}  // namespace offerd
