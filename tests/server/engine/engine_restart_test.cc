#include <string>

#include "gtest/gtest.h"
#include "tests/server/engine/shop.h"

namespace offerd {
namespace {

// What a restart must not change, as callers see it.
std::string Visible(const v1::ServerStatus& status) {
  std::string text = absl::StrCat("last ", status.last_sequence(), " decisions ", status.decisions(), " applied ",
                                  status.events().applied(), " orphan ", status.events().orphan(), " customers ",
                                  status.customers(), " items ", status.items(), " offers ", status.offers(), " open ",
                                  status.open_decisions(), "\n");
  for (const v1::ExaminationStatus& examination : status.examinations()) absl::StrAppend(&text, examination.ShortDebugString(), "\n");
  for (const v1::PolicyStatus& policy : status.policies()) absl::StrAppend(&text, policy.ShortDebugString(), "\n");
  return text;
}

class EngineRestartTest : public ::testing::TestWithParam<int> {};

TEST_P(EngineRestartTest, StateIsEqualToTheBit) {
  Shop shop;
  shop.config.snapshots_kept = GetParam() % 2 == 0 ? 2 : 1000;  // from a base, and from the very beginning
  shop.OpenFurnished();
  Traffic traffic(shop, static_cast<uint32_t>(GetParam()));
  if (GetParam() % 3 == 0) {
    v1::Policy policy = Shop::MakePolicy("fading");
    policy.mutable_linear()->set_half_life_days(0.01);  // t0 moves now and then
    ASSERT_OK(shop.SetPolicy(policy));
  }
  for (int round = 0; round < 3; ++round) {
    traffic.Run(150);
    // News that waits for its interval would be published by whoever runs next, which is no difference of states.
    const v1::ServerStatus traded = shop.Status();
    for (const v1::PolicyStatus& policy : traded.policies()) {
      if (!policy.state_checksum().empty() && !policy.policy().pinned()) ASSERT_OK(shop.Publish(policy.policy().name()));
    }
    const v1::ServerStatus before = shop.Status();
    EXPECT_GT(before.decisions(), 0);
    EXPECT_GT(before.events().applied(), 0);
    shop.Crash();
    {
      Recovery recovery;
      ReplayReport report;
      ASSERT_NO_FATAL_FAILURE(shop.RecoverAndReplay(&recovery, &report));
      EXPECT_TRUE(recovery.set_aside.empty());
      EXPECT_GT(report.decisions, 0);
    }
    shop.Open();
    EXPECT_EQ(Visible(shop.Status()), Visible(before));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, EngineRestartTest, ::testing::Range(1, 7));

TEST(EngineRestartFactsTest, StopLeavesASnapshotAndNothingToReplay) {
  Shop shop;
  shop.OpenFurnished();
  (void)shop.Rank("r", "ann", kOpening);
  shop.Stop();
  const auto recovery = Recover(*shop.OpenStore());
  ASSERT_OK(recovery);
  EXPECT_EQ(recovery->replayed, 0);
  EXPECT_EQ(recovery->fold->state().counters.decisions, 1);
}

TEST(EngineRestartFactsTest, PowerLossKeepsWhatWasAcknowledged) {
  Shop shop;
  shop.config.durability = ServerConfig::Durability::kWritten;
  shop.OpenFurnished();
  const auto decision = shop.Rank("r", "ann", kOpening);
  ASSERT_EQ(shop.Send(Shop::Purchase("e", "ann", decision, kOpening)).fate(), v1::APPLIED);
  shop.Crash();
  shop.disk.LosePower();
  shop.Open();
  EXPECT_EQ(shop.VisitsOf("ann"), 1);
  EXPECT_EQ(shop.Send(Shop::Purchase("e", "ann", decision, kOpening)).fate(), v1::DUPLICATE);
}

// More than a block of the look-back without a decision in it.
TEST(EngineRestartFactsTest, RepeatIsOneAlsoBehindManyEvents) {
  Shop shop;
  shop.OpenFurnished();
  const auto before = shop.Rank("r", "ann", kOpening);
  constexpr int kBatch = 1000;
  for (int batch = 0; batch < 21; ++batch) {
    std::vector<v1::Event> events;
    for (int i = 0; i < kBatch; ++i) {
      events.emplace_back();
      events.back().set_event_id(absl::StrCat("e", batch * kBatch + i));
      events.back().set_kind(v1::CLICK);
      *events.back().mutable_time() = ToTimestamp(kOpening);
    }
    v1::SendFeedbackResponse response;
    ASSERT_OK(shop.Send(events, &response));
    ASSERT_EQ(response.results(0).fate(), v1::APPLIED);
  }
  shop.Crash();
  shop.Open();
  const auto again = shop.Rank("r", "ann", kOpening);
  EXPECT_EQ(again.decision_id(), before.decision_id());
  EXPECT_EQ(shop.Status().decisions(), 1);
}

// What came before Start took all the room there is.
TEST(EngineRestartFactsTest, ChangedLimitsAreLoggedAlsoIntoAFullQueue) {
  Shop shop;
  shop.OpenFurnished();
  shop.Crash();
  shop.config.max_open_decisions = 2;
  shop.config.max_queued_records = 1;
  auto store = Store::Open(shop.disk.Mount(), {});
  ASSERT_OK(store);
  shop.metrics = std::make_unique<Metrics>("test", [] { return kOpening; });
  auto engine = Engine::Create(shop.config, *std::move(store), shop.metrics.get(), [] { return kOpening; });
  ASSERT_OK(engine);
  shop.engine = *std::move(engine);
  (void)shop.Rank("r", "ann", kOpening);
  shop.engine->Start();
  do {
    shop.engine->CollectMetrics();
  } while (shop.metrics->gauge(Gauge::kOpenDecisions) == 0 || shop.metrics->gauge(Gauge::kLearnerLagRecords) > 0);
  shop.Crash();
  const auto recovery = Recover(*shop.OpenStore());
  ASSERT_OK(recovery);
  EXPECT_EQ(recovery->fold->limits().max_open_decisions, 2);
}

TEST(EngineRestartFactsTest, ChangedLimitsAreLogged) {
  Shop shop;
  shop.OpenFurnished();
  shop.Crash();
  shop.config.max_open_decisions = 2;
  shop.Open();
  for (int i = 0; i < 5; ++i) (void)shop.Rank(absl::StrCat("r", i), "ann", kOpening);
  EXPECT_EQ(shop.Status().open_decisions(), 2);
  EXPECT_EQ(shop.Status().closed_early(), 3);
  shop.Crash();
  const auto recovery = Recover(*shop.OpenStore());
  ASSERT_OK(recovery);
  EXPECT_EQ(recovery->fold->limits().max_open_decisions, 2);
}

}  // namespace
}  // namespace offerd
