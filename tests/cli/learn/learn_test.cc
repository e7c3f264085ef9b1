#include "cli/learn/learn.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/rng.h"
#include "tests/cli/temp_file.h"
#include "tests/support/status_matchers.h"

namespace offerd::learn {
namespace {

using cli::TempFile;

// Two candidates without features; in context x the first one earns with probability .2 + .6 x, the other .5.
std::string MakeStream(int decisions, bool logged) {
  Rng rng(5);
  std::string text;
  for (int i = 0; i < decisions; ++i) {
    const int x = static_cast<int>(rng.NextBits() % 2);
    const int first = rng.NextUniform() < 0.2 + 0.6 * x ? 1 : 0;
    const int second = rng.NextUniform() < 0.5 ? 1 : 0;
    absl::StrAppend(&text, "{\"time\":", i, ",\"customer\":\"c", i % 50, "\",\"context\":{\"x\":", x, "},\"candidates\":[");
    if (logged) {
      const bool chose_first = rng.NextUniform() < 0.5;
      absl::StrAppend(&text, R"({"id":"a"},{"id":"b"}],"logged":{"id":")", chose_first ? "a" : "b", R"(","probability":0.5,"reward":)",
                      chose_first ? first : second, "}}\n");
    } else {
      absl::StrAppend(&text, R"({"id":"a","reward":)", first, R"(},{"id":"b","reward":)", second, "}]}\n");
    }
  }
  return text;
}

LearnReport RunOn(const std::string& text, const std::string& explorer = "", int64_t delay = 0, uint64_t seed = 1, const std::string& policy = "linear") {
  const TempFile file(text);
  LearnOptions options;
  options.stream = file.path();
  options.trainer.policy = policy;
  options.trainer.explorer = *ParseExplorer(explorer);
  options.trainer.reward_delay = delay;
  options.trainer.seed = seed;
  std::unique_ptr<Trainer> trainer;
  auto report = Learn(options, nullptr, &trainer);
  EXPECT_OK(report);
  return *report;
}

constexpr double kBest = (0.8 + 0.5) / 2;

TEST(LearnTest, FindsTheBetterCandidateOfEachContext) {
  const LearnReport report = RunOn(MakeStream(3000, false));
  EXPECT_EQ(report.decisions, 3000);
  EXPECT_EQ(report.matched, 3000);
  EXPECT_EQ(report.columns, 5);
  EXPECT_NEAR(report.reward_mean_last_half, kBest, 0.04);
  EXPECT_LT(report.interval_lo, report.reward_mean);
  EXPECT_GT(report.interval_hi, report.reward_mean);
  EXPECT_LT(std::abs(report.exploration_cost), 0.03);
  const LearnReport random = RunOn(MakeStream(3000, false), "", 0, 1, "random");
  EXPECT_NEAR(random.reward_mean, 0.5, 0.03);
  EXPECT_EQ(random.state_checksum, "");
}

TEST(LearnTest, EveryExplorerLearns) {
  for (const char* explorer : {"epsilon_greedy", "softmax", "inverse_gap", "ucb", "thompson", "bounded_shuffle:reach=0,epsilon=0.1"}) {
    EXPECT_GT(RunOn(MakeStream(3000, false), explorer).reward_mean_last_half, 0.57) << explorer;
  }
}

// One candidate that always earns 1, a second a decision, paid 20 decisions later: while it is pending it counts as a failure, unless it is
// held back for as long.
double EstimateWithPendingRewards(int64_t settle_after_seconds) {
  TrainerOptions options;
  Feature constant;
  constant.name = "one";
  options.features.features = {constant};
  options.explorer = *ParseExplorer("greedy");
  options.ridge = 1e-6;
  options.reward_delay = 20;
  options.settle_after_seconds = settle_after_seconds;
  auto trainer = Trainer::Make(options);
  EXPECT_OK(trainer);
  for (int i = 0; i < 100; ++i) {
    StreamDecision decision;
    decision.time = i * kMicrosPerSecond;
    decision.candidates.resize(1);
    decision.candidates[0].id = "a";
    decision.candidates[0].reward = 1;
    EXPECT_OK((*trainer)->Step(decision));
  }
  const double estimate = (*trainer)->model()->theta()(0);
  EXPECT_OK((*trainer)->Finish());
  EXPECT_NEAR((*trainer)->model()->theta()(0), 1, 1e-6) << "all are paid in the end";
  return estimate;
}

TEST(LearnTest, HeldBackDecisionsDoNotCountAsFailures) {
  EXPECT_NEAR(EstimateWithPendingRewards(0), 0.8, 0.02);
  EXPECT_NEAR(EstimateWithPendingRewards(20), 1, 1e-6);
}

TEST(LearnTest, AReplayCountsOnlyWhatWasLogged) {
  const LearnReport report = RunOn(MakeStream(6000, true));
  EXPECT_EQ(report.decisions, 6000);
  EXPECT_NEAR(static_cast<double>(report.matched), 3000, 200);
  EXPECT_NEAR(report.reward_mean_last_half, kBest, 0.05);
}

TEST(LearnTest, TheSameSeedIsTheSameToTheBit) {
  const std::string stream = MakeStream(500, false);
  const LearnReport a = RunOn(stream), b = RunOn(stream), c = RunOn(stream, "", 0, 2);
  EXPECT_EQ(a.state_checksum, b.state_checksum);
  EXPECT_EQ(a.reward_mean, b.reward_mean);
  EXPECT_NE(a.state_checksum, c.state_checksum);
}

TEST(LearnTest, DelayedRewardsArriveAllTheSame) {
  const std::string stream = MakeStream(2000, false);
  const LearnReport report = RunOn(stream, "", 500);
  EXPECT_NEAR(report.reward_mean_last_half, kBest, 0.06);
  // Nothing is lost: greedy by random policy teaches nobody, so compare what the sums hold with what was earned.
  const TempFile file(stream);
  LearnOptions options;
  options.stream = file.path();
  options.trainer.explorer = *ParseExplorer("");
  options.trainer.reward_delay = 500;
  std::unique_ptr<Trainer> trainer;
  auto full = Learn(options, nullptr, &trainer);
  ASSERT_OK(full);
  const LinearStatistics& statistics = trainer->fold().learning().begin()->second.statistics;
  EXPECT_EQ(statistics.num_shown(), 2000);
  EXPECT_NEAR(statistics.reward_x()[0], 2000 * full->reward_mean, 1e-6);
}

TEST(LearnTest, APassMoreIsMoreOfTheSame) {
  const TempFile file(MakeStream(300, false));
  LearnOptions options;
  options.stream = file.path();
  options.trainer.explorer = *ParseExplorer("");
  options.passes = 3;
  std::unique_ptr<Trainer> trainer;
  EXPECT_EQ(Learn(options, nullptr, &trainer)->decisions, 900);
}

TEST(LearnTest, JsonHasTheContractsKeys) {
  const cli::Json json = ToJson(RunOn(MakeStream(100, false)));
  for (const char* key : {"decisions", "matched", "reward_mean", "reward_mean_last_half", "interval", "exploration_cost", "state_checksum", "seconds"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["interval"].size(), 2u);
}

TEST(LearnTest, ErrorsNameTheFile) {
  const TempFile file("{}\n");
  LearnOptions options;
  options.stream = file.path();
  std::unique_ptr<Trainer> trainer;
  EXPECT_THAT(Learn(options, nullptr, &trainer).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, absl::StrCat(file.path(), ": line 1: candidates: expected at least one")));
  const TempFile empty("\n");
  options.stream = empty.path();
  EXPECT_THAT(Learn(options, nullptr, &trainer).status(), StatusIs(absl::StatusCode::kInvalidArgument, "expected at least one decision, found none"));
}

}  // namespace
}  // namespace offerd::learn
