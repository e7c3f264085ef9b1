// How often intervals hold the truth, over 1,000 simulated logs each.
#include <iostream>
#include <map>

#include "core/eval/off_policy_evaluation.h"
#include "tests/support/reference/bandit_world.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

constexpr int kLogs = 1000;

OffPolicyEvaluation MakeEvaluation(const std::vector<std::string>& names, Propensity propensity) {
  OffPolicyEvaluation::Options options;
  options.propensity = propensity;
  options.has_reward_model = true;
  for (const std::string& name : names) options.estimators.push_back(*ParseEstimator(name));
  return *OffPolicyEvaluation::Create(std::move(options));
}

// The share of logs whose interval holds the truth, by estimator.
class Coverage {
 public:
  Coverage(const char* what, double truth) : what_(what), truth_(truth) {}

  void Count(const OffPolicyEvaluation& evaluation, IntervalKind kind) {
    const EvaluationReport report = *evaluation.Report(kind, {.replicates = 400, .seed = static_cast<uint64_t>(++logs_)});
    for (const Estimate& estimate : report.estimates) {
      EXPECT_GT(estimate.effective_samples, 500) << estimate.estimator;
      held_[estimate.estimator] += estimate.interval->lo <= truth_ && truth_ <= estimate.interval->hi ? 1 : 0;
    }
  }

  void ExpectBetween(double least, double most) const {
    for (const auto& [estimator, held] : held_) {
      const double share = static_cast<double>(held) / static_cast<double>(logs_);
      std::cout << "coverage " << what_ << " " << estimator << " " << share << "\n";
      EXPECT_GE(share, least) << what_ << " " << estimator;
      EXPECT_LE(share, most) << what_ << " " << estimator;
    }
  }

 private:
  const char* what_;
  double truth_;
  int logs_ = 0;
  std::map<std::string, int> held_;
};

OffPolicyEvaluation EvaluateRows(const BanditWorld& world, uint64_t seed) {
  OffPolicyEvaluation evaluation = MakeEvaluation({"ips", "snips", "dr", "sndr"}, Propensity::kMarginal);
  Rng rng(MixHash(1, seed));
  for (int i = 0; i < 2000; ++i) EXPECT_OK(evaluation.AddDecision({world.Draw(rng)}, std::nullopt));
  return evaluation;
}

TEST(RowCoverageSlow, NormalCovers92To98PercentAndBernsteinAtLeast95) {
  const BanditWorld world(5, 0.5, 4, 1);
  Coverage normal("normal", world.TrueValue()), bernstein("bernstein", world.TrueValue());
  for (int log = 0; log < kLogs; ++log) {
    const OffPolicyEvaluation evaluation = EvaluateRows(world, log);
    normal.Count(evaluation, IntervalKind::kNormal);
    bernstein.Count(evaluation, IntervalKind::kBernstein);
  }
  normal.ExpectBetween(0.92, 0.98);
  bernstein.ExpectBetween(0.95, 1);
}

TEST(RowCoverageSlow, BootstrapCovers92To98Percent) {
  const BanditWorld world(5, 0.5, 4, 2);
  Coverage bootstrap("bootstrap", world.TrueValue());
  for (int log = 0; log < kLogs; ++log) bootstrap.Count(EvaluateRows(world, log), IntervalKind::kBootstrap);
  bootstrap.ExpectBetween(0.92, 0.98);
}

// 300 customers come 1 to 13 times, always in the same context and with the same taste; half of the times all is as the
// first time.
OffPolicyEvaluation EvaluateCustomers(const BanditWorld& world, uint64_t seed, bool is_clustered) {
  OffPolicyEvaluation evaluation = MakeEvaluation({"ips", "snips", "dr", "sndr"}, Propensity::kMarginal);
  Rng rng(MixHash(2, seed));
  for (uint64_t customer = 0; customer < 300; ++customer) {
    const int context = static_cast<int>(3 * rng.NextUniform());
    const double taste = 0.2 * rng.NextUniform() - 0.1;
    const int visits = 1 + static_cast<int>(13 * rng.NextUniform());
    const LoggedAction first = world.Draw(rng, context, taste);
    for (int i = 0; i < visits; ++i) {
      const bool is_repeat = i == 0 || rng.NextUniform() < 0.5;
      const std::optional<uint64_t> cluster = is_clustered ? std::optional<uint64_t>(customer) : std::nullopt;
      EXPECT_OK(evaluation.AddDecision({is_repeat ? first : world.Draw(rng, context, taste)}, cluster));
    }
  }
  return evaluation;
}

TEST(CustomerCoverageSlow, IntervalsOverCustomersCoverAndIntervalsOverRowsWouldNot) {
  const BanditWorld world(5, 0.2, 3, 3);
  Coverage normal("normal, customers", world.TrueValue()), bernstein("bernstein, customers", world.TrueValue());
  Coverage bootstrap("bootstrap, customers", world.TrueValue()), rows("normal, customers ignored", world.TrueValue());
  for (int log = 0; log < kLogs; ++log) {
    const OffPolicyEvaluation evaluation = EvaluateCustomers(world, log, true);
    normal.Count(evaluation, IntervalKind::kNormal);
    bernstein.Count(evaluation, IntervalKind::kBernstein);
    bootstrap.Count(evaluation, IntervalKind::kBootstrap);
    rows.Count(EvaluateCustomers(world, log, false), IntervalKind::kNormal);
  }
  normal.ExpectBetween(0.92, 0.98);
  bootstrap.ExpectBetween(0.92, 0.98);
  bernstein.ExpectBetween(0.95, 1);
  rows.ExpectBetween(0, 0.92);
}

void ExpectAllIntervalsOfSlatesCover(Propensity propensity, const std::vector<std::string>& names) {
  const BanditWorld world(4, 0.3, 3, 4);
  Coverage normal("normal", world.TrueListValue()), bernstein("bernstein", world.TrueListValue());
  Coverage bootstrap("bootstrap", world.TrueListValue());
  for (int log = 0; log < kLogs; ++log) {
    OffPolicyEvaluation evaluation = MakeEvaluation(names, propensity);
    Rng rng(MixHash(3, log));
    for (int i = 0; i < 1000; ++i) {
      EXPECT_OK(evaluation.AddDecision(world.DrawList(rng, propensity == Propensity::kMarginal), std::nullopt));
    }
    normal.Count(evaluation, IntervalKind::kNormal);
    bernstein.Count(evaluation, IntervalKind::kBernstein);
    bootstrap.Count(evaluation, IntervalKind::kBootstrap);
  }
  normal.ExpectBetween(0.92, 0.98);
  bootstrap.ExpectBetween(0.92, 0.98);
  bernstein.ExpectBetween(0.95, 1);
}

TEST(SlateCoverageSlow, AllIntervalsCoverWithMarginalPropensities) {
  ExpectAllIntervalsOfSlatesCover(Propensity::kMarginal, {"slate_independent", "self_normalized_slate_independent"});
}

TEST(SlateCoverageSlow, AllIntervalsCoverWithConditionalPropensities) {
  ExpectAllIntervalsOfSlatesCover(Propensity::kConditional,
                                  {"slate_standard", "slate_reward_interaction", "cascade_dr",
                                   "self_normalized_slate_standard", "self_normalized_slate_reward_interaction"});
}

TEST(WarningsSlow, UniformLogsOf10000RowsHaveNone) {
  for (const double target_strength : {0.0, 5.0, 100.0}) {  // as the log, better, all but deterministic
    const BanditWorld world(34, 0, target_strength, 5);
    for (int log = 0; log < 100; ++log) {
      OffPolicyEvaluation evaluation = MakeEvaluation({"dm", "ips", "snips", "dr", "sndr", "replay"}, Propensity::kMarginal);
      Rng rng(MixHash(4, log));
      for (int i = 0; i < 10000; ++i) ASSERT_OK(evaluation.AddDecision({world.Draw(rng)}, std::nullopt));
      const EvaluationReport report = *evaluation.Report(IntervalKind::kNormal);
      for (const Estimate& estimate : report.estimates) {
        if (estimate.estimator == "dm") continue;  // the model is wrong on purpose, and may be told so
        EXPECT_THAT(estimate.warnings, ::testing::IsEmpty()) << estimate.estimator << " " << target_strength << " " << log;
      }
    }
  }
}

TEST(WarningsSlow, FewerThan100EffectiveSamplesAreAlwaysSaid) {
  const BanditWorld world(10, 1.5, 20, 6);
  int few = 0;
  for (int log = 0; log < kLogs; ++log) {
    OffPolicyEvaluation evaluation = MakeEvaluation({"dm", "ips", "snips", "dr_os:lambda=5"}, Propensity::kMarginal);
    Rng rng(MixHash(5, log));
    for (int i = 0; i < 20 + log; ++i) ASSERT_OK(evaluation.AddDecision({world.Draw(rng)}, std::nullopt));
    const EvaluationReport report = *evaluation.Report(IntervalKind::kNormal);
    for (const Estimate& estimate : report.estimates) {
      const bool is_said = !estimate.warnings.empty() && estimate.warnings[0].find("effective samples") != std::string::npos;
      EXPECT_EQ(is_said, estimate.effective_samples < 100) << estimate.estimator << " " << estimate.effective_samples;
      few += is_said ? 1 : 0;
    }
  }
  EXPECT_GT(few, kLogs);
  EXPECT_LT(few, 4 * kLogs);
}

}  // namespace
}  // namespace offerd
