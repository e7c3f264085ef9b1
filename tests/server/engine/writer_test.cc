#include "server/writer.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/support/fault_kv.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

v1::stored::LogRecord Event(const std::string& id) {
  v1::stored::LogRecord record;
  v1::stored::StoredEvent& stored = *record.mutable_event();
  stored.mutable_event()->set_event_id(id);
  stored.mutable_event()->set_kind(v1::CLICK);
  stored.set_fate(v1::APPLIED);
  return record;
}

class WriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SetLogLevel(LogLevel::kError);
    auto store = Store::Open(disk_.Mount(), {});
    ASSERT_OK(store);
    store_ = *std::move(store);
    writer_ = std::make_unique<Writer>(config_, store_.get(), std::make_unique<Fold>(), &metrics_, &snapshot_,
                                       [] { return absl::ToUnixMicros(absl::Now()); });
    writer_->OnFailing([this](bool is_failing) {
      absl::MutexLock lock(&mu_);
      heard_.push_back(is_failing);
    });
    writer_->Start();
  }
  // A task that logs events and tells its end.
  Writer::Task LogEvents(const std::string& id, int count, absl::Notification* done, absl::Status* status = nullptr) {
    Writer::Task task;
    task.records = count;
    task.plan = [id, count](Writer::Plan& plan) {
      for (int i = 0; i < count; ++i) EXPECT_OK(plan.Log(Event(absl::StrCat(id, i)), plan.log_now(), true).status());
    };
    task.finish = [done, status](const absl::Status& written, const Fold&) {
      if (status != nullptr) *status = written;
      done->Notify();
    };
    return task;
  }
  void Fail() {
    disk_.FailWrites(1);
    absl::Notification failed;
    ASSERT_OK(writer_->Submit(LogEvents("fails", 1, &failed)));
    failed.WaitForNotification();
    ASSERT_TRUE(writer_->is_failing());
  }
  std::vector<bool> Heard(size_t n) {
    absl::MutexLock lock(&mu_);
    const auto enough = [this, n]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return heard_.size() >= n; };
    mu_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(30));
    return heard_;
  }

  FaultDisk disk_;
  ServerConfig config_;
  Metrics metrics_{"test", [] { return int64_t{0}; }};
  Snapshot<State> snapshot_;
  std::unique_ptr<Store> store_;
  absl::Mutex mu_;
  std::vector<bool> heard_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<Writer> writer_;  // the first to go
};

// What upkeep hands over is the writer's to destroy, whatever the disk does.
TEST_F(WriterTest, UpkeepReachesTheWritersThreadWhileTheStoreFails) {
  Fail();
  EXPECT_THAT(writer_->Submit({}), StatusIs(absl::StatusCode::kUnavailable, "does not take writes"));
  absl::Notification done;
  absl::Status status;
  std::thread::id finished_on;
  Writer::Task task;
  task.finish = [&](const absl::Status& written, const Fold&) {
    status = written;
    finished_on = std::this_thread::get_id();
    done.Notify();
  };
  ASSERT_OK(writer_->SubmitUpkeep(std::move(task)));
  done.WaitForNotification();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, "does not take writes"));
  EXPECT_NE(finished_on, std::this_thread::get_id());
}

TEST_F(WriterTest, TellsOnceThatTheStoreFailsAndOnceThatItTakesWritesAgain) {
  Fail();
  EXPECT_EQ(Heard(1), std::vector<bool>({true}));
  disk_.RepairWrites();
  EXPECT_EQ(Heard(2), std::vector<bool>({true, false}));
  EXPECT_FALSE(writer_->is_failing());
  EXPECT_EQ(store_->last_sequence(), 1u) << "what waited was written";
}

TEST_F(WriterTest, LagCountsRecordsQueuedAndInTheWritersHands) {
  EXPECT_EQ(writer_->lag().records, 0);
  EXPECT_EQ(writer_->lag().since, 0);
  disk_.StallWrites();
  absl::Notification first, second;
  ASSERT_OK(writer_->Submit(LogEvents("a", 3, &first)));
  disk_.AwaitStalledWrite();
  EXPECT_EQ(writer_->lag().records, 3);
  EXPECT_EQ(writer_->queued_records(), 0);
  const TimeMicros since = writer_->lag().since;
  EXPECT_GT(since, 0);
  ASSERT_OK(writer_->Submit(LogEvents("b", 2, &second)));
  EXPECT_EQ(writer_->lag().records, 5);
  EXPECT_EQ(writer_->lag().since, since) << "the oldest";
  EXPECT_EQ(writer_->queued_records(), 2);
  disk_.ReleaseWrites();
  first.WaitForNotification();
  second.WaitForNotification();
  EXPECT_EQ(writer_->lag().records, 0);
  EXPECT_EQ(writer_->lag().since, 0);
}

// The scan over what is pending took seconds for a batch like this one.
TEST_F(WriterTest, ManyQuestionsAboutDecisionsOfTheSameBatchAreQuick) {
  constexpr int kDecisions = 4000;
  absl::Notification done;
  Writer::Task task;
  task.plan = [](Writer::Plan& plan) {
    for (int i = 0; i < kDecisions; ++i) {
      v1::stored::LogRecord record;
      record.mutable_decision()->set_decision_id(absl::StrCat("decision-with-a-long-name-", i));
      EXPECT_OK(plan.Log(std::move(record), plan.log_now(), false).status());
    }
    const absl::Time begin = absl::Now();
    for (int i = 0; i < 25 * kDecisions; ++i) {
      EXPECT_TRUE(*plan.KnowsDecision(absl::StrCat("decision-with-a-long-name-", i % kDecisions)));
    }
    EXPECT_LT(absl::Now() - begin, absl::Seconds(2));
  };
  task.finish = [&](const absl::Status& written, const Fold&) {
    EXPECT_OK(written);
    done.Notify();
  };
  ASSERT_OK(writer_->Submit(std::move(task)));
  done.WaitForNotification();
}

}  // namespace
}  // namespace offerd
