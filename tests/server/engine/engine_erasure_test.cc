#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "tests/server/engine/shop.h"

namespace offerd {
namespace {

constexpr char kPerson[] = "person-who-leaves";

void Visit(Shop& shop, const std::string& customer, const std::string& id, TimeMicros time) {
  const auto decision = shop.Rank(id, customer, time);
  ASSERT_EQ(shop.Send(Shop::Purchase(id, customer, decision, time)).fate(), v1::APPLIED);
}

// Maintenance works in order: once it answers this, all that was asked of it before is done.
void AwaitMaintenance(Shop& shop) { ASSERT_OK(shop.Snapshot()); }

// Maintenance, busy with the answer to a snapshot until it is let go.
class HeldMaintenance {
 public:
  explicit HeldMaintenance(Shop& shop) {
    shop.engine->CreateSnapshot({}, &snapshot_, [this](const absl::Status&) {
      busy_.Notify();
      go_on_.WaitForNotification();
    });
    busy_.WaitForNotification();
  }
  void LetGo() { go_on_.Notify(); }

 private:
  absl::Notification busy_, go_on_;
  v1::Snapshot snapshot_;
};

TEST(EngineErasureTest, SomebodyWhoWasOnlyShownOffersIsErasedFromTheLog) {
  Shop shop;
  shop.OpenFurnished();
  shop.Rank("only shown", kPerson, kOpening);
  v1::CustomerProfile profile;
  ASSERT_THAT(shop.GetCustomer(kPerson, &profile), StatusIs(absl::StatusCode::kNotFound, ""));
  ASSERT_OK(shop.Erase(kPerson));
  AwaitMaintenance(shop);
  EXPECT_EQ(shop.CountBytes(kPerson), 0);
}

// A request that read the state before the erasure may reach the log after it.
TEST(EngineErasureTest, ADecisionBehindTheErasingRecordIsStrippedToo) {
  Shop shop;
  shop.OpenFurnished();
  Visit(shop, kPerson, "p", kOpening);
  HeldMaintenance held(shop);
  ASSERT_OK(shop.Erase(kPerson));
  shop.Rank("overtaken", kPerson, kOpening);
  held.LetGo();
  AwaitMaintenance(shop);
  EXPECT_EQ(shop.Status().erasures_pending(), 0);
  EXPECT_EQ(shop.CountBytes(kPerson), 0);
}

TEST(EngineErasureTest, NothingNamesThePersonAndReplayAgreesFromThenOn) {
  Shop shop;
  shop.config.snapshots_kept = 1000;  // the log from its beginning stays
  shop.OpenFurnished();
  for (int i = 0; i < 4; ++i) {
    Visit(shop, kPerson, absl::StrCat("p", i), kOpening + i * kMinute);
    Visit(shop, "ann", absl::StrCat("a", i), kOpening + i * kMinute);
    if (i == 1) ASSERT_OK(shop.Snapshot());
  }
  const std::string learned = shop.Learned().state_checksum();
  ASSERT_OK(shop.Erase(kPerson));
  v1::CustomerProfile profile;
  EXPECT_THAT(shop.GetCustomer(kPerson, &profile), StatusIs(absl::StatusCode::kNotFound, ""));
  AwaitMaintenance(shop);
  EXPECT_EQ(shop.Status().erasures_pending(), 0);
  EXPECT_EQ(shop.CountBytes(kPerson), 0);
  EXPECT_EQ(shop.Learned().state_checksum(), learned) << "sums stay";

  Visit(shop, "ann", "after", kOpening + kMicrosPerDay);
  AwaitMaintenance(shop);
  Visit(shop, "ann", "after too", kOpening + kMicrosPerDay);
  shop.Crash();
  Recovery recovery;
  ReplayReport report;
  ASSERT_NO_FATAL_FAILURE(shop.RecoverAndReplay(&recovery, &report));
  EXPECT_GT(report.decisions, 0);
}

// The log cannot rebuild what was taken out of it: without a base nothing is loaded that was never so.
TEST(EngineErasureTest, StrippedLogWithoutASoundBaseIsDataLoss) {
  Shop shop;
  shop.OpenFurnished();
  Visit(shop, kPerson, "p", kOpening);
  ASSERT_OK(shop.Erase(kPerson));
  AwaitMaintenance(shop);
  shop.Crash();
  const auto store = shop.OpenStore();
  ASSERT_EQ(store->first_sequence(), 1u);
  for (const BaseInfo& base : store->ListBases()) ASSERT_OK(store->DeleteBase(base.manifest.sequence()));
  EXPECT_THAT(Recover(*store), StatusIs(absl::StatusCode::kDataLoss, "erasure"));
  EXPECT_THAT(Replay(*store), StatusIs(absl::StatusCode::kDataLoss, ""));
}

// Answered, but the server stops before maintenance has looked at it: the last snapshot covers the erasing record.
TEST(EngineErasureTest, ErasureAskedForAtShutdownIsFinishedAfterTheRestart) {
  Shop shop;
  shop.OpenFurnished();
  Visit(shop, kPerson, "p", kOpening);
  HeldMaintenance held(shop);
  ASSERT_OK(shop.Erase(kPerson));
  std::thread stop([&] { EXPECT_OK(shop.engine->Stop()); });
  for (bool is_stopping = false; !is_stopping;) {
    auto answer = std::make_shared<std::atomic<bool>>(false);
    auto response = std::make_shared<v1::VerifySnapshotResponse>();
    shop.engine->VerifySnapshot({}, response.get(), [answer, response](const absl::Status& status) { answer->store(absl::IsUnavailable(status)); });
    is_stopping = answer->load();
    std::this_thread::yield();
  }
  held.LetGo();
  stop.join();
  shop.engine = nullptr;

  shop.Open();
  AwaitMaintenance(shop);
  EXPECT_EQ(shop.CountBytes(kPerson), 0);
  EXPECT_EQ(shop.Status().erasures_pending(), 0);
}

TEST(EngineErasureTest, ErasureThatACrashInterruptedIsFinishedAfterTheRestart) {
  Shop shop;
  shop.OpenFurnished();
  Visit(shop, kPerson, "p", kOpening);
  HeldMaintenance held(shop);
  ASSERT_OK(shop.Erase(kPerson));
  shop.disk.FailWrites(1);  // the process does nothing more
  held.LetGo();
  shop.engine = nullptr;
  shop.disk.RepairWrites();
  shop.Open();
  AwaitMaintenance(shop);
  EXPECT_EQ(shop.CountBytes(kPerson), 0);
}

TEST(EngineErasureTest, RandomTrafficWithErasuresReplaysAlike) {
  Shop shop;
  shop.config.snapshots_kept = 1000;
  shop.OpenFurnished();
  Traffic traffic(shop, 77);
  traffic.erases = true;
  traffic.Run(500);
  shop.Crash();
  Recovery recovery;
  ReplayReport report;
  ASSERT_NO_FATAL_FAILURE(shop.RecoverAndReplay(&recovery, &report));
}

}  // namespace
}  // namespace offerd
