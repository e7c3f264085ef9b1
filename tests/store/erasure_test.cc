#include "store/keys.h"
#include "tests/store/store_fixture.h"

namespace offerd {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;

class ErasureTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Reopen();
    Append(DecisionRecord(1, "d1", "alice"));
    Append(EventRecord(2, "e2", "alice"));
    Append(EventRecord(3, "e3", "bob"));
    LogRecord upserted;
    upserted.set_sequence(4);
    for (const char* id : {"bob", "alice", "carol"}) {
      upserted.mutable_customers_upserted()->add_customers()->set_customer_id(id);
    }
    Append(upserted);
    Append(DecisionRecord(5, "d5", "bob"));
    LogRecord erased;
    erased.set_sequence(6);
    erased.set_customer_erased("alice");
    Append(erased);
    Append(EventRecord(7, "e7", "alice"));  // came back as a new customer
  }
  void Append(const LogRecord& record) { ASSERT_OK(AppendOne(*store_, record)); }
  void Reopen() {
    store_.reset();
    auto store = Store::Open(disk_.Mount(), {});
    ASSERT_OK(store);
    store_ = *std::move(store);
  }
  // How many log records hold the name, in any field.
  std::vector<Sequence> RecordsThatName(const std::string& id) {
    std::vector<Sequence> result;
    EXPECT_OK(store_->ReadLog(1, UINT64_MAX, [&](const LogRecord& record) {
      if (record.SerializeAsString().find(id) != std::string::npos) result.push_back(record.sequence());
      return absl::OkStatus();
    }));
    return result;
  }
  LogRecord Record(Sequence sequence) { return **store_->ReadRecord(sequence); }

  FaultDisk disk_;
  std::unique_ptr<Store> store_;
};

TEST_F(ErasureTest, StripsOnePersonFromEveryKindOfRecordUpToTheErasure) {
  ASSERT_OK(store_->MarkErasurePending("alice", 6));
  ASSERT_OK(WriteSoundBase(*store_, 6));
  ASSERT_OK(store_->FinishErasure("alice", 6));
  EXPECT_THAT(RecordsThatName("alice"), ElementsAre(7));
  EXPECT_THAT(RecordsThatName("bob"), ElementsAre(3, 4, 5));
  EXPECT_THAT(RecordsThatName("carol"), ElementsAre(4));
  EXPECT_EQ(Record(2).event().event().order_id(), "");
  EXPECT_EQ(Record(3).event().event().order_id(), "order");
  for (Sequence sequence = 1; sequence <= 7; ++sequence) {
    const bool expected = sequence == 1 || sequence == 2 || sequence == 4 || sequence == 6;
    EXPECT_EQ(Record(sequence).erased(), expected) << sequence;
    EXPECT_EQ(Record(sequence).sequence(), sequence);
  }
  v1::RankOffersRequest request;
  ASSERT_TRUE(request.ParseFromString(Record(1).decision().request()));
  EXPECT_EQ(request.context_size(), 1);  // features of the context stay
  EXPECT_TRUE(request.customer_id().empty());
  EXPECT_TRUE(*store_->HasDecision("d1"));
  EXPECT_TRUE(store_->PendingErasures()->empty());
  EXPECT_OK(store_->FinishErasure("alice", 6));  // again: done before
}

TEST_F(ErasureTest, NeedsAVerifiedBaseAtOrAfterIt) {
  ASSERT_OK(store_->MarkErasurePending("alice", 6));
  EXPECT_THAT(store_->FinishErasure("alice", 6), StatusIs(StatusCode::kFailedPrecondition, "needs a verified base"));
  ASSERT_OK(WriteSoundBase(*store_, 5));
  ASSERT_OK(WriteBase(*store_, 7));
  EXPECT_THAT(store_->FinishErasure("alice", 6), StatusIs(StatusCode::kFailedPrecondition, "needs a verified base"));
  EXPECT_THAT(RecordsThatName("alice"), ElementsAre(1, 2, 4, 6, 7));
  EXPECT_THAT(BasesOf(*store_), ElementsAre(7, 5));
  ASSERT_OK(store_->VerifyBase(7));
  EXPECT_OK(store_->FinishErasure("alice", 6));
  EXPECT_THAT(BasesOf(*store_), ElementsAre(7));  // the older one still knew the person
}

TEST_F(ErasureTest, MarkIsIdempotentAndSurvives) {
  ASSERT_OK(store_->MarkErasurePending("alice", 6));
  ASSERT_OK(store_->MarkErasurePending("alice", 6));
  disk_.LosePower();
  Reopen();
  const auto pending = store_->PendingErasures();
  ASSERT_OK(pending);
  ASSERT_EQ(pending->size(), 1u);
  EXPECT_EQ((*pending)[0].customer_id, "alice");
  EXPECT_EQ((*pending)[0].upto, 6u);
  EXPECT_THAT(store_->MarkErasurePending("alice", 8), StatusIs(StatusCode::kInvalidArgument, "past the end"));
  EXPECT_THAT(store_->MarkErasurePending("", 6), StatusIs(StatusCode::kInvalidArgument, ""));
}

TEST_F(ErasureTest, DamagedProgressStartsAgainFromTheFront) {
  ASSERT_OK(store_->MarkErasurePending("alice", 6));
  ASSERT_OK(WriteSoundBase(*store_, 6));
  ASSERT_OK(disk_.Corrupt(Family::kMeta, NumberKey(kErasurePrefix, 6) + "alice", -1));
  ASSERT_OK(store_->FinishErasure("alice", 6));
  EXPECT_THAT(RecordsThatName("alice"), ElementsAre(7));
}

// A long log, and every write of the erasure fails once: afterwards it goes on and ends the same.
TEST_F(ErasureTest, InterruptedAnywhereItGoesOn) {
  for (Sequence sequence = 8; sequence <= 3'500; ++sequence) {
    ASSERT_OK(AppendOne(
        *store_, EventRecord(sequence, absl::StrCat("e", sequence), sequence % 10 == 0 ? "dave" : "bob"), false));
  }
  ASSERT_OK(store_->MarkErasurePending("dave", 3'500));
  ASSERT_OK(WriteSoundBase(*store_, 3));
  ASSERT_OK(WriteSoundBase(*store_, 3'500));
  int failures = 0;
  for (int64_t nth = 1;; ++nth) {
    disk_.FailWrites(nth);
    const absl::Status status = store_->FinishErasure("dave", 3'500);
    disk_.RepairWrites();
    EXPECT_OK(store_->VerifyBase(3'500));
    if (status.ok()) break;
    ++failures;
    store_.reset();
    if (nth % 2 == 0) disk_.LosePower();
    Reopen();
    EXPECT_EQ(store_->PendingErasures()->size(), 1u);
  }
  EXPECT_GE(failures, 2);
  EXPECT_TRUE(RecordsThatName("dave").empty());
  EXPECT_EQ(RecordsThatName("bob").size(), 3'500 - 7 - 350 + 3);
  EXPECT_TRUE(store_->PendingErasures()->empty());
}

TEST_F(ErasureTest, PrunedLogNeedsNoStripping) {
  ASSERT_OK(store_->MarkErasurePending("alice", 6));
  ASSERT_OK(WriteSoundBase(*store_, 7));
  ASSERT_OK(store_->KeepNewestBases(1));
  EXPECT_OK(store_->FinishErasure("alice", 6));
  EXPECT_TRUE(store_->PendingErasures()->empty());
}

}  // namespace
}  // namespace offerd
