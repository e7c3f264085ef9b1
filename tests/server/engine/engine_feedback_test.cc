#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "store/decision_records.h"
#include "tests/server/engine/shop.h"

namespace offerd {
namespace {

TEST(EngineFeedbackTest, PurchaseRightAfterItsDecisionIsAppliedAndTeaches) {
  Shop shop;
  shop.OpenFurnished();
  const v1::PolicyStatus before = shop.Learned();
  for (int i = 0; i < 100; ++i) {
    const std::string id = absl::StrCat("r", i);
    const auto decision = shop.Rank(id, "ann", kOpening + i * kMinute);
    ASSERT_EQ(decision.slots_size(), 3);
    // The decision is still in the queue, or in the same batch.
    ASSERT_EQ(shop.Send(Shop::Purchase(id, "ann", decision, kOpening + i * kMinute)).fate(), v1::APPLIED);
  }
  const v1::PolicyStatus shown = shop.Learned();
  EXPECT_EQ(before.shown(), 0);
  EXPECT_EQ(shown.shown(), 300);
  EXPECT_NE(shown.state_checksum(), before.state_checksum());
  EXPECT_EQ(shop.VisitsOf("ann"), 100);
  const v1::ServerStatus status = shop.Status();
  EXPECT_EQ(status.events().applied(), 100);
  EXPECT_EQ(status.events().orphan(), 0);
  EXPECT_EQ(status.gate_leaks(), 0);
}

TEST(EngineFeedbackTest, RewardChangesWhatIsLearnedNotWhatWasShown) {
  Shop shop;
  shop.OpenFurnished();
  const auto decision = shop.Rank("r", "ann", kOpening);
  const v1::PolicyStatus shown = shop.Learned();
  ASSERT_EQ(shop.Send(Shop::Purchase("e", "ann", decision, kOpening)).fate(), v1::APPLIED);
  const v1::PolicyStatus rewarded = shop.Learned();
  EXPECT_EQ(shown.shown(), rewarded.shown());
  EXPECT_NE(shown.state_checksum(), rewarded.state_checksum());
}

TEST(EngineFeedbackTest, EventIdCountsOnceInABatchLaterAndAfterARestart) {
  Shop shop;
  shop.OpenFurnished();
  const auto decision = shop.Rank("r", "ann", kOpening);
  const v1::Event event = Shop::Purchase("e", "ann", decision, kOpening);
  v1::SendFeedbackResponse response;
  ASSERT_OK(shop.Send({event, event}, &response));
  EXPECT_EQ(response.results(0).fate(), v1::APPLIED);
  EXPECT_GT(response.results(0).sequence(), 0u);
  EXPECT_EQ(response.results(1).fate(), v1::DUPLICATE);
  EXPECT_EQ(response.results(1).sequence(), 0u);
  EXPECT_EQ(shop.Send(event).fate(), v1::DUPLICATE);
  const std::string learned = shop.Learned().state_checksum();
  shop.Crash();
  shop.Open();
  EXPECT_EQ(shop.Send(event).fate(), v1::DUPLICATE);
  EXPECT_EQ(shop.VisitsOf("ann"), 1);
  EXPECT_EQ(shop.Learned().state_checksum(), learned);
  EXPECT_EQ(shop.Status().events().applied(), 1);
}

TEST(EngineFeedbackTest, OneBadEventDoesNotStopTheOthers) {
  Shop shop;
  shop.OpenFurnished();
  v1::Event bad = Shop::Purchase("", "ann", {}, kOpening);
  v1::Event dear = Shop::Purchase("dear", "ann", {}, kOpening);
  dear.set_currency("USD");
  v1::SendFeedbackResponse response;
  ASSERT_OK(shop.Send({bad, Shop::Purchase("e", "ann", {}, kOpening), dear}, &response));
  EXPECT_EQ(response.results(0).fate(), v1::REFUSED);
  EXPECT_EQ(response.results(1).fate(), v1::APPLIED);
  EXPECT_EQ(response.results(2).fate(), v1::REFUSED);
  EXPECT_EQ(shop.Status().events().refused(), 2);
}

TEST(EngineFeedbackTest, UnknownDecisionIsAnOrphanAndStillAVisit) {
  Shop shop;
  shop.OpenFurnished();
  v1::Event event = Shop::Purchase("e", "ann", {}, kOpening);
  event.set_decision_id("nobody knows");
  const std::string learned = shop.Learned().state_checksum();
  EXPECT_EQ(shop.Send(event).fate(), v1::ORPHAN);
  EXPECT_EQ(shop.VisitsOf("ann"), 1);
  EXPECT_EQ(shop.Learned().state_checksum(), learned);
  EXPECT_EQ(shop.Send(event).fate(), v1::DUPLICATE);
}

TEST(EngineFeedbackTest, EventOfAClosedDecisionIsLateAndNotLogged) {
  Shop shop;
  shop.OpenFurnished();
  const auto decision = shop.Rank("r", "ann", kOpening);
  (void)shop.Rank("later", "bob", kOpening + 3 * 60 * kMinute);  // its record moves the clock past window and lateness
  const Sequence last = shop.Status().last_sequence();
  const v1::EventResult result = shop.Send(Shop::Purchase("e", "ann", decision, kOpening + kMinute));
  EXPECT_EQ(result.fate(), v1::LATE);
  EXPECT_EQ(result.sequence(), 0u);
  EXPECT_EQ(shop.VisitsOf("ann"), 0);
  EXPECT_EQ(shop.Status().events().late(), 1);
  EXPECT_EQ(shop.Status().last_sequence(), last);
}

// The same where the placement keeps late events for the profile: a visit that earns nothing, once.
TEST(EngineFeedbackTest, LateEventsGoToTheProfileWhereThePlacementSaysSo) {
  for (const bool is_open : {true, false}) {  // closed by the event's own record, or long before
    SCOPED_TRACE(is_open);
    Shop shop;
    shop.OpenFurnished();
    v1::Placement placement = Shop::MakePlacement();
    placement.mutable_reward()->set_late_policy(v1::Reward::LATE_POLICY_PROFILE);
    ASSERT_OK(shop.SetPlacement(placement));
    const auto decision = shop.Rank("r", "ann", kOpening);
    if (!is_open) (void)shop.Rank("later", "bob", kOpening + 3 * 60 * kMinute);
    const TimeMicros late = kOpening + 3 * 60 * kMinute;
    const v1::EventResult result = shop.Send(Shop::Purchase("e", "ann", decision, late));
    EXPECT_EQ(result.fate(), v1::ORPHAN);
    EXPECT_GT(result.sequence(), 0u);
    EXPECT_EQ(shop.VisitsOf("ann"), 1);
    EXPECT_EQ(shop.Send(Shop::Purchase("e", "ann", decision, late)).fate(), v1::DUPLICATE);
    EXPECT_EQ(shop.VisitsOf("ann"), 1);
    shop.Crash();
    shop.Open();
    EXPECT_EQ(shop.VisitsOf("ann"), 1);
    EXPECT_EQ(shop.Send(Shop::Purchase("e", "ann", decision, late)).fate(), v1::DUPLICATE);
    // What is older than the memory of event ids is late whatever the placement says: a repetition could not be told.
    const TimeMicros ancient = kOpening - (shop.config.event_id_lifetime_seconds + 60) * kMicrosPerSecond;
    EXPECT_EQ(shop.Send(Shop::Purchase("ancient", "ann", decision, ancient)).fate(), v1::LATE);
  }
}

// Room for open decisions ran out. The window did not.
TEST(EngineFeedbackTest, PurchaseForADecisionClosedEarlyIsKeptForTheProfile) {
  Shop shop;
  shop.config.max_open_decisions = 2;
  shop.OpenFurnished();
  const auto decision = shop.Rank("r", "ann", kOpening);
  for (int i = 0; i < 3; ++i) (void)shop.Rank(absl::StrCat("later", i), "bob", kOpening + kMinute);
  ASSERT_EQ(shop.Status().closed_early(), 2);
  const auto result = shop.Send(Shop::Purchase("e", "ann", decision, kOpening + kMinute));
  EXPECT_EQ(result.fate(), v1::ORPHAN);
  EXPECT_GT(result.sequence(), 0u);
  EXPECT_EQ(shop.VisitsOf("ann"), 1);
  // Past window and lateness it is late like any other.
  EXPECT_EQ(shop.Send(Shop::Purchase("last", "ann", decision, kOpening + 120 * kMinute)).fate(), v1::ORPHAN);
  EXPECT_EQ(shop.Send(Shop::Purchase("late", "ann", decision, kOpening + 120 * kMinute + 1)).fate(), v1::LATE);
}

// Its log went with a base, and only the index knows the decision.
TEST(EngineFeedbackTest, DecisionClosedEarlyWhoseRecordIsGone) {
  Shop shop;
  shop.config.max_open_decisions = 1;
  shop.config.snapshots_kept = 1;
  shop.OpenFurnished();
  const auto decision = shop.Rank("r", "ann", kOpening);
  (void)shop.Rank("later", "bob", kOpening + 1);
  ASSERT_OK(shop.Snapshot());
  ASSERT_EQ(shop.Status().closed_early(), 1);
  EXPECT_EQ(shop.Send(Shop::Purchase("e", "ann", decision, kOpening + 120 * kMinute)).fate(), v1::ORPHAN);
  EXPECT_EQ(shop.Send(Shop::Purchase("late", "ann", decision, kOpening + 121 * kMinute)).fate(), v1::LATE);
}

TEST(EngineFeedbackTest, PurchaseForADecisionWhosePlacementWasDeletedIsKeptForTheProfile) {
  Shop shop;
  shop.OpenFurnished();
  shop.disk.StallWrites();  // so that the decision is folded after the deletion
  v1::DeletePlacementRequest request;
  request.set_name("home");
  v1::DeletePlacementResponse response;
  absl::Notification deleted;
  shop.engine->DeletePlacement(request, &response, [&](const absl::Status& status) {
    EXPECT_OK(status);
    deleted.Notify();
  });
  shop.disk.AwaitStalledWrite();
  const auto decision = shop.Rank("r", "ann", kOpening);
  shop.disk.ReleaseWrites();
  deleted.WaitForNotification();
  EXPECT_EQ(shop.Send(Shop::Purchase("e", "ann", decision, kOpening)).fate(), v1::ORPHAN);
  EXPECT_EQ(shop.VisitsOf("ann"), 1);
}

// One entry on the disk is nobody's business but that event's.
TEST(EngineFeedbackTest, UnreadableEventIdRefusesItsEventAlone) {
  Shop shop;
  shop.OpenFurnished();
  EXPECT_EQ(shop.Send(Shop::Purchase("bad", "ann", {}, kOpening)).fate(), v1::APPLIED);
  ASSERT_OK(shop.disk.Corrupt(Family::kSeen, "bad", 12));
  v1::SendFeedbackResponse response;
  ASSERT_OK(shop.Send({Shop::Purchase("e1", "bob", {}, kOpening), Shop::Purchase("bad", "ann", {}, kOpening),
                       Shop::Purchase("e2", "bob", {}, kOpening)}, &response));
  EXPECT_EQ(response.results(0).fate(), v1::APPLIED);
  EXPECT_EQ(response.results(1).fate(), v1::REFUSED);
  EXPECT_EQ(response.results(1).status().code(), 15);  // DATA_LOSS
  EXPECT_EQ(response.results(2).fate(), v1::APPLIED);
  EXPECT_EQ(shop.VisitsOf("ann"), 1) << "it counted once";
  EXPECT_EQ(shop.metrics->counter(Counter::kDamagedEntries), 1u);
  EXPECT_EQ(shop.Status().store_error(), "");
}

// Nothing was logged in between: the event itself is the first to come after the end.
TEST(EngineFeedbackTest, EventThatItselfMovesTheClockPastTheEndIsLate) {
  Shop shop;
  shop.OpenFurnished();
  const auto decision = shop.Rank("r", "ann", kOpening);
  const TimeMicros close = kOpening + 2 * 60 * kMinute;
  EXPECT_EQ(shop.Send(Shop::Purchase("in", "ann", decision, close)).fate(), v1::APPLIED) << "the end is inclusive";
  EXPECT_EQ(shop.Send(Shop::Purchase("out", "ann", decision, close + 1)).fate(), v1::LATE);
  EXPECT_EQ(shop.Status().events().applied(), 1);
  EXPECT_EQ(shop.VisitsOf("ann"), 1);
}

TEST(EngineFeedbackTest, DeniedConsentLeavesNoIdAndNoProfile) {
  Shop shop;
  shop.OpenFurnished();
  v1::RankOffersRequest request = Shop::RankRequestOf("r", "secret-person", kOpening);
  request.set_consent(v1::CONSENT_DENIED);
  const auto decision = shop.Rank(request);
  v1::Event event = Shop::Purchase("e", "secret-person", decision, kOpening);
  event.set_consent(v1::CONSENT_DENIED);
  EXPECT_EQ(shop.Send(event).fate(), v1::APPLIED);
  v1::CustomerProfile profile;
  EXPECT_THAT(shop.GetCustomer("secret-person", &profile), StatusIs(absl::StatusCode::kNotFound, ""));
  EXPECT_EQ(shop.CountBytes("secret-person"), 0);
}

// What is denied once and for all is known to the server, not to the request.
TEST(EngineFeedbackTest, StoredDenialLeavesNoIdInDecisionsAndReplaysAlike) {
  Shop shop;
  shop.OpenFurnished();
  v1::UpsertCustomersRequest upsert;
  upsert.add_customers()->set_customer_id("ann");
  upsert.mutable_customers(0)->set_consent(v1::CONSENT_DENIED);
  v1::UpsertResponse upserted;
  ASSERT_OK(shop.Call(&Engine::UpsertCustomers, upsert, &upserted));
  const auto decision = shop.Rank("r", "ann", kOpening);
  EXPECT_EQ(shop.Send(Shop::Purchase("e", "ann", decision, kOpening)).fate(), v1::APPLIED);
  EXPECT_EQ(shop.VisitsOf("ann"), 0);
  shop.Crash();
  for (const auto& record : shop.Log()) {
    EXPECT_TRUE(record.decision().customer_id().empty());
    EXPECT_TRUE(RequestOf(record.decision())->customer_id().empty());
    EXPECT_TRUE(record.event().event().customer_id().empty());
  }
  const auto report = Replay(*shop.OpenStore());
  ASSERT_OK(report);
  EXPECT_EQ(report->decisions, 1);
  EXPECT_EQ(report->differences, 0) << (report->examples.empty() ? "" : report->examples[0]);
}

TEST(EngineFeedbackTest, FailingStoreStopsAcknowledgingAndKeepsServing) {
  Shop shop;
  shop.OpenFurnished();
  const auto decision = shop.Rank("r", "ann", kOpening);
  const Sequence last = shop.Status().last_sequence();
  const v1::Event event = Shop::Purchase("e", "ann", decision, kOpening);
  shop.disk.FailWrites(1);
  v1::SendFeedbackResponse response;
  EXPECT_THAT(shop.Send({event}, &response), StatusIs(absl::StatusCode::kUnavailable, ""));
  // Serves from memory, says so, and nothing of the event is to be seen.
  EXPECT_EQ(shop.Rank("during", "ann", kOpening).slots_size(), 3);
  EXPECT_THAT(shop.Send({event}, &response), StatusIs(absl::StatusCode::kUnavailable, ""));
  const v1::ServerStatus failing = shop.Status();
  EXPECT_NE(failing.store_error(), "");
  EXPECT_EQ(failing.last_sequence(), last);
  EXPECT_EQ(failing.dropped_decisions(), 1);
  EXPECT_EQ(shop.VisitsOf("ann"), 0);
  shop.engine->CollectMetrics();
  EXPECT_EQ(shop.metrics->gauge(Gauge::kStoreError), 1);

  shop.disk.RepairWrites();
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  absl::Status sent = absl::UnavailableError("");
  while (absl::IsUnavailable(sent) && absl::Now() < deadline) {
    sent = shop.Send({event}, &response);
    std::this_thread::yield();
  }
  ASSERT_OK(sent);
  EXPECT_EQ(response.results(0).fate(), v1::DUPLICATE) << "it was kept, and is told once it is safe";
  EXPECT_EQ(shop.VisitsOf("ann"), 1);
  EXPECT_EQ(shop.Status().store_error(), "");
  shop.Crash();
  shop.Open();
  EXPECT_EQ(shop.Send(event).fate(), v1::DUPLICATE);
  EXPECT_EQ(shop.VisitsOf("ann"), 1);
}

// As long as nobody knows that the store fails, the question for the status waits behind the write that will show it.
TEST(EngineFeedbackTest, StatusAskedForJustBeforeTheStoreFailsIsAnswered) {
  Shop shop;
  shop.OpenFurnished();
  shop.disk.StallWrites();
  v1::SendFeedbackRequest request;
  *request.add_events() = Shop::Purchase("e", "ann", {}, kOpening);
  v1::SendFeedbackResponse response;
  absl::Notification sent, asked;
  shop.engine->SendFeedback(request, &response, [&](const absl::Status& status) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, ""));
    sent.Notify();
  });
  shop.disk.AwaitStalledWrite();
  v1::ServerStatus status;
  shop.engine->GetStatus({}, &status, [&](const absl::Status& answer) {
    EXPECT_OK(answer);
    asked.Notify();
  });
  shop.disk.FailWrites(1);
  shop.disk.ReleaseWrites();
  sent.WaitForNotification();
  asked.WaitForNotification();
  EXPECT_NE(status.store_error(), "");
  EXPECT_TRUE(status.ready());
}

TEST(EngineFeedbackTest, FullQueueDropsDecisionsAndRefusesEvents) {
  Shop shop;
  shop.config.max_queued_records = 4;
  shop.OpenFurnished();
  shop.disk.StallWrites();
  constexpr int kSent = 6;  // one is being written, four wait, one finds no room
  std::vector<v1::SendFeedbackRequest> requests(kSent);
  std::vector<v1::SendFeedbackResponse> responses(kSent);
  std::vector<absl::Status> answers(kSent);
  std::vector<absl::Notification> done(kSent);
  for (size_t i = 0; i < kSent; ++i) {
    *requests[i].add_events() = Shop::Purchase(absl::StrCat("e", i), "ann", {}, kOpening);
    shop.engine->SendFeedback(requests[i], &responses[i], [&, i](const absl::Status& status) {
      answers[i] = status;
      done[i].Notify();
    });
    if (i == 0) shop.disk.AwaitStalledWrite();
  }
  done[kSent - 1].WaitForNotification();
  EXPECT_THAT(answers[kSent - 1], StatusIs(absl::StatusCode::kResourceExhausted, ""));
  EXPECT_EQ(shop.Rank("r", "ann", kOpening).slots_size(), 3) << "a decision needs no room";
  shop.disk.ReleaseWrites();
  for (size_t i = 0; i + 1 < kSent; ++i) {
    done[i].WaitForNotification();
    EXPECT_OK(answers[i]);
  }
  const v1::ServerStatus status = shop.Status();
  EXPECT_EQ(status.dropped_decisions(), 1);
  EXPECT_EQ(status.decisions(), 0);
  EXPECT_EQ(status.events().applied(), kSent - 1);
  EXPECT_EQ(shop.metrics->counter(Counter::kDroppedDecisions), 1u);
}

}  // namespace
}  // namespace offerd
