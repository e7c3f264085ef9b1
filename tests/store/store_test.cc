#include "store/store.h"

#include <random>
#include <set>
#include <thread>

#include "store/frame.h"
#include "store/keys.h"
#include "tests/store/store_fixture.h"

namespace offerd {
namespace {

using absl::StatusCode;

template <typename Disk>
class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    store_.reset();
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(disk_.Mount(), {});
    ASSERT_OK(store);
    store_ = *std::move(store);
  }
  Disk disk_;
  std::unique_ptr<Store> store_;
};
using Disks = ::testing::Types<MemoryDisk, RocksDisk>;
TYPED_TEST_SUITE(StoreTest, Disks);

TYPED_TEST(StoreTest, EmptyStoreHasNothing) {
  EXPECT_EQ(this->store_->last_sequence(), 0u);
  EXPECT_EQ(this->store_->first_sequence(), 1u);
  EXPECT_TRUE(SequencesOf(*this->store_).empty());
  EXPECT_EQ(*this->store_->ReadRecord(1), std::nullopt);
  EXPECT_TRUE(this->store_->ListBases().empty());
}

TYPED_TEST(StoreTest, RecordsComeBackAsTheyWereAlsoAfterReopen) {
  const LogRecord event = EventRecord(1, "e1", "c"), decision = DecisionRecord(2, "d2", "c");
  const LogRecord* const both[] = {&event, &decision};
  ASSERT_OK(this->store_->Append(both, true));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(this->store_->last_sequence(), 2u);
    const auto first = this->store_->ReadRecord(1);
    ASSERT_OK(first);
    EXPECT_THAT(**first, EqualsProto(event));
    const auto second = this->store_->ReadDecision("d2");
    ASSERT_OK(second);
    EXPECT_THAT(**second, EqualsProto(decision));
    this->Reopen();
  }
}

TYPED_TEST(StoreTest, AppendRefusesAGapAndARepetitionAndWritesNothing) {
  FillLog(*this->store_, 3);
  EXPECT_THAT(AppendOne(*this->store_, EventRecord(5, "x")),
              StatusIs(StatusCode::kInvalidArgument, "record 5 cannot follow 3"));
  EXPECT_THAT(AppendOne(*this->store_, EventRecord(3, "x")),
              StatusIs(StatusCode::kInvalidArgument, "record 3 cannot follow 3"));
  const LogRecord good = EventRecord(4, "x"), bad = EventRecord(6, "y");
  const LogRecord* const both[] = {&good, &bad};
  EXPECT_THAT(this->store_->Append(both, true), StatusIs(StatusCode::kInvalidArgument, ""));
  EXPECT_EQ(this->store_->last_sequence(), 3u);
  EXPECT_EQ(*this->store_->ReadRecord(4), std::nullopt);
  EXPECT_OK(this->store_->Append({}, true));
}

TYPED_TEST(StoreTest, EventsAreSeenUnlessTheirFateSaysOtherwise) {
  const v1::Fate fates[] = {v1::APPLIED, v1::DUPLICATE, v1::LATE, v1::ORPHAN, v1::REFUSED};
  Sequence sequence = 0;
  for (const v1::Fate fate : fates) {
    ++sequence;
    ASSERT_OK(AppendOne(*this->store_, EventRecord(sequence, absl::StrCat("e", sequence), "", fate)));
  }
  const std::vector<absl::string_view> ids = {"e1", "e2", "e3", "e4", "e5", "e6"};
  std::vector<bool> seen = {true};
  ASSERT_OK(this->store_->HasEvents(ids, seen));
  EXPECT_EQ(seen, std::vector<bool>({true, false, false, true, false, false}));
  ASSERT_OK(this->store_->HasEvents({}, seen));
  EXPECT_TRUE(seen.empty());
}

TYPED_TEST(StoreTest, DecisionsAreFoundByTheirId) {
  ASSERT_OK(AppendOne(*this->store_, DecisionRecord(1, "d1")));
  EXPECT_TRUE(*this->store_->HasDecision("d1"));
  EXPECT_FALSE(*this->store_->HasDecision("d"));
  EXPECT_EQ(*this->store_->ReadDecision("d"), std::nullopt);
}

TYPED_TEST(StoreTest, ReadLogGivesTheRangeInOrderAndStopsWhenTold) {
  FillLog(*this->store_, 10);
  std::vector<Sequence> visited;
  const auto visit = [&](const LogRecord& record) {
    visited.push_back(record.sequence());
    return record.sequence() == 7 ? absl::CancelledError("enough") : absl::OkStatus();
  };
  EXPECT_OK(this->store_->ReadLog(4, 6, visit));
  EXPECT_THAT(visited, ::testing::ElementsAre(4, 5, 6));
  EXPECT_THAT(this->store_->ReadLog(7, 9, visit), StatusIs(StatusCode::kCancelled, "enough"));
  visited.clear();
  EXPECT_OK(this->store_->ReadLog(9, UINT64_MAX, visit));  // past the end is to the end
  EXPECT_THAT(visited, ::testing::ElementsAre(9, 10));
  EXPECT_OK(this->store_->ReadLog(11, 20, visit));
  EXPECT_OK(this->store_->ReadLog(6, 5, visit));
}

TYPED_TEST(StoreTest, ReadDecisionsSkipsOtherKindsAndOldOnes) {
  for (Sequence sequence = 1; sequence <= 6; ++sequence) {
    LogRecord record = DecisionRecord(sequence, absl::StrCat("d", sequence));
    if (sequence % 2 == 0) record.mutable_roll_back();  // of the same oneof
    record.set_time_micros(static_cast<int64_t>(10 * sequence));
    ASSERT_OK(AppendOne(*this->store_, record));
  }
  std::vector<Sequence> visited;
  const auto visit = [&](const LogRecord& record) {
    visited.push_back(record.sequence());
    return absl::OkStatus();
  };
  EXPECT_EQ(*this->store_->ReadDecisions(1, 6, 0, visit), true);
  EXPECT_THAT(visited, ::testing::ElementsAre(1, 3, 5));
  visited.clear();
  EXPECT_EQ(*this->store_->ReadDecisions(2, 5, 31, visit), true);
  EXPECT_THAT(visited, ::testing::ElementsAre(5));
  visited.clear();
  EXPECT_EQ(*this->store_->ReadDecisions(1, 6, 60, visit), true);  // no decision, and recent
  EXPECT_EQ(*this->store_->ReadDecisions(1, 6, 61, visit), false);
  EXPECT_TRUE(visited.empty());
  EXPECT_THAT(this->store_->ReadDecisions(1, 6, 0, [](const LogRecord&) { return absl::CancelledError("enough"); }),
              StatusIs(StatusCode::kCancelled, "enough"));
}

TYPED_TEST(StoreTest, LogContinuesWhereItEndedAlsoWhenAllOfItWasPruned) {
  FillLog(*this->store_, 5);
  ASSERT_OK(WriteSoundBase(*this->store_, 5));
  ASSERT_OK(this->store_->KeepNewestBases(1));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(this->store_->first_sequence(), 6u);
    EXPECT_EQ(this->store_->last_sequence(), 5u);
    this->Reopen();
  }
  FillLog(*this->store_, 6);
  EXPECT_THAT(SequencesOf(*this->store_), ::testing::ElementsAre(6));
  EXPECT_THAT(this->store_->ReadLog(5, 6, [](const LogRecord&) { return absl::OkStatus(); }),
              StatusIs(StatusCode::kOutOfRange, "record 5 is no longer kept, the oldest is 6"));
}

TYPED_TEST(StoreTest, DecisionTimeOutlivesTheRecord) {
  ASSERT_OK(AppendOne(*this->store_, DecisionRecord(1, "d1")));
  ASSERT_OK(WriteSoundBase(*this->store_, 1));
  ASSERT_OK(this->store_->KeepNewestBases(1));
  EXPECT_FALSE((*this->store_->ReadDecision("d1")).has_value());
  EXPECT_EQ(*this->store_->DecisionTime("d1"), DecisionRecord(1, "d1").time_micros());
  EXPECT_FALSE((*this->store_->DecisionTime("d2")).has_value());
}

TYPED_TEST(StoreTest, PurgeForgetsOnlyIdsWithAnOlderLogTime) {
  FillLog(*this->store_, 5);  // log time: sequence x 1000, event time: x 900
  ASSERT_OK(AppendOne(*this->store_, DecisionRecord(6, "d6")));
  ASSERT_OK(AppendOne(*this->store_, DecisionRecord(7, "d7")));
  EXPECT_TRUE(*this->store_->PurgeSeen(3000));
  const std::vector<absl::string_view> ids = {"e1", "e2", "e3", "e4"};
  std::vector<bool> seen;
  ASSERT_OK(this->store_->HasEvents(ids, seen));
  EXPECT_EQ(seen, std::vector<bool>({false, false, true, true}));
  EXPECT_TRUE(*this->store_->HasDecision("d6"));
  EXPECT_TRUE(*this->store_->PurgeDecisions(7000));
  EXPECT_FALSE(*this->store_->HasDecision("d6"));
  EXPECT_TRUE(*this->store_->HasDecision("d7"));
  EXPECT_EQ(SequencesOf(*this->store_).size(), 7u);  // the log is not touched
}

TYPED_TEST(StoreTest, PurgeDoesABoundedPartPerCallAndGoesOnFromThere) {
  FillLog(*this->store_, 45'000);
  int calls = 1;
  while (!*this->store_->PurgeSeen(INT64_MAX)) ++calls;
  EXPECT_EQ(calls, 3);
  std::vector<bool> seen;
  const std::vector<absl::string_view> ids = {"e1", "e20000", "e44999", "e45000"};
  ASSERT_OK(this->store_->HasEvents(ids, seen));
  EXPECT_EQ(seen, std::vector<bool>(4, false));
}

TYPED_TEST(StoreTest, StatisticsNameTheEndsAndTheDisk) {
  FillLog(*this->store_, 2);
  auto statistics = this->store_->Statistics();
  EXPECT_EQ(statistics["first_sequence"], 1);
  EXPECT_EQ(statistics["last_sequence"], 2);
  EXPECT_EQ(statistics["bases"], 0);
  EXPECT_GT(statistics["bytes_on_disk"], 0);
  EXPECT_GT(statistics["free_bytes"], 0);
}

TYPED_TEST(StoreTest, ReadersAndUpkeepRunBesideTheWriter) {
  FillLog(*this->store_, 100);
  std::thread reader([&] {
    for (int i = 0; i < 200; ++i) {
      const Sequence last = this->store_->last_sequence();
      EXPECT_OK(this->store_->ReadLog(std::max<Sequence>(1, last - 50), last,
                                      [](const LogRecord&) { return absl::OkStatus(); }));
    }
  });
  std::thread upkeep([&] {
    Sequence newest = 0;
    for (int i = 0; i < 10; ++i) {
      const Sequence sequence = this->store_->last_sequence();
      if (sequence == newest) continue;
      newest = sequence;
      EXPECT_OK(WriteSoundBase(*this->store_, sequence));
    }
  });
  for (Sequence sequence = 101; sequence <= 600; ++sequence) {
    EXPECT_OK(AppendOne(*this->store_, EventRecord(sequence, absl::StrCat("e", sequence)), false));
  }
  reader.join();
  upkeep.join();
  EXPECT_EQ(SequencesOf(*this->store_).size(), 600u);
}

// The log and both indexes against maps, with random batches, reopening and pruning.
TYPED_TEST(StoreTest, BehavesLikeMaps) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::map<Sequence, std::string> log;
  std::set<std::string> seen, decided;
  Sequence next = 1;
  for (int step = 0; step < 200; ++step) {
    std::vector<LogRecord> records;
    for (int i = pick(5); i > 0; --i, ++next) {
      const std::string id = absl::StrCat("id", pick(150));
      if (pick(2) == 0) {
        records.push_back(DecisionRecord(next, id));
        decided.insert(id);
      } else {
        const v1::Fate fate = pick(3) == 0 ? v1::LATE : v1::APPLIED;
        records.push_back(EventRecord(next, id, "c", fate));
        if (fate == v1::APPLIED) seen.insert(id);
      }
      log[next] = records.back().SerializeAsString();
    }
    std::vector<const LogRecord*> pointers;
    for (const LogRecord& record : records) pointers.push_back(&record);
    ASSERT_OK(this->store_->Append(pointers, pick(2) == 0));
    if (pick(20) == 0) this->Reopen();
    if (pick(30) == 0 && BasesOf(*this->store_) != std::vector<Sequence>{next - 1}) {
      if (!WriteSoundBase(*this->store_, next - 1).ok()) continue;  // exists
      ASSERT_OK(this->store_->KeepNewestBases(2));
      const std::vector<Sequence> bases = BasesOf(*this->store_);
      if (bases.size() == 2) log.erase(log.begin(), log.upper_bound(bases[1]));
    }
    ASSERT_EQ(this->store_->last_sequence(), next - 1);
    const std::string id = absl::StrCat("id", pick(150));
    const std::vector<absl::string_view> ids = {id};
    std::vector<bool> found;
    ASSERT_OK(this->store_->HasEvents(ids, found));
    ASSERT_EQ(found[0], seen.count(id) != 0);
    ASSERT_EQ(*this->store_->HasDecision(id), decided.count(id) != 0);
    auto twin = log.begin();
    ASSERT_OK(this->store_->ReadLog(this->store_->first_sequence(), UINT64_MAX, [&](const LogRecord& record) {
      EXPECT_EQ(record.sequence(), twin->first);
      EXPECT_EQ(record.SerializeAsString(), twin->second);
      ++twin;
      return absl::OkStatus();
    }));
    ASSERT_TRUE(twin == log.end());
  }
}

// --- Faults: memory is enough, the Kv is told to fail. ---

class StoreFaultTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(Open()); }
  absl::Status Open(StoreOptions options = {}) {
    store_.reset();
    auto store = Store::Open(disk_.Mount(), options);
    if (!store.ok()) return store.status();
    store_ = *std::move(store);
    return absl::OkStatus();
  }
  FaultDisk disk_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreFaultTest, FailedAppendLeavesNothingAndCanBeRepeated) {
  FillLog(*store_, 2);
  disk_.FailWrites(1);
  EXPECT_THAT(AppendOne(*store_, DecisionRecord(3, "d3")), StatusIs(StatusCode::kUnavailable, ""));
  EXPECT_EQ(store_->last_sequence(), 2u);
  EXPECT_FALSE(*store_->HasDecision("d3"));
  disk_.RepairWrites();
  EXPECT_OK(AppendOne(*store_, DecisionRecord(3, "d3")));
  EXPECT_TRUE(*store_->HasDecision("d3"));
}

TEST_F(StoreFaultTest, PowerLossKeepsEverySyncedBatchWholeAndOnlyThose) {
  FillLog(*store_, 3);  // synced
  ASSERT_OK(AppendOne(*store_, DecisionRecord(4, "d4"), false));
  ASSERT_OK(AppendOne(*store_, EventRecord(5, "e5"), true));
  ASSERT_OK(AppendOne(*store_, DecisionRecord(6, "d6"), false));
  store_.reset();
  disk_.LosePower();
  ASSERT_OK(Open());
  EXPECT_EQ(store_->last_sequence(), 5u);
  EXPECT_TRUE(*store_->HasDecision("d4"));
  EXPECT_FALSE(*store_->HasDecision("d6"));
  EXPECT_EQ(SequencesOf(*store_).size(), 5u);
}

TEST_F(StoreFaultTest, DamagedRecordIsNamedAndNotVisited) {
  FillLog(*store_, 9);
  ASSERT_OK(disk_.Corrupt(Family::kLog, NumberKey(6), -1));
  Sequence last_visited = 0;
  EXPECT_THAT(store_->ReadLog(1, 9,
                              [&](const LogRecord& record) {
                                last_visited = record.sequence();
                                return absl::OkStatus();
                              }),
              StatusIs(StatusCode::kDataLoss, "log record 6: checksum"));
  EXPECT_EQ(last_visited, 5u);
  EXPECT_THAT(store_->ReadRecord(6), StatusIs(StatusCode::kDataLoss, "log record 6"));
  EXPECT_OK(Open());  // bases may cover it
}

TEST_F(StoreFaultTest, DamagedIndexEntriesAreNamedAndNotBelieved) {
  FillLog(*store_, 1);
  ASSERT_OK(AppendOne(*store_, DecisionRecord(2, "d2")));
  ASSERT_OK(disk_.Corrupt(Family::kSeen, "e1", 12));
  ASSERT_OK(disk_.Corrupt(Family::kDecisions, "d2", 3));
  const std::vector<absl::string_view> ids = {"e1"};
  std::vector<bool> seen;
  EXPECT_THAT(store_->HasEvents(ids, seen), StatusIs(StatusCode::kDataLoss, "seen e1"));
  EXPECT_THAT(store_->HasDecision("d2"), StatusIs(StatusCode::kDataLoss, "decisions d2"));
  EXPECT_THAT(store_->ReadDecision("d2"), StatusIs(StatusCode::kDataLoss, "decisions d2"));
}

TEST_F(StoreFaultTest, PurgingStepsPastADamagedEntryAndCountsIt) {
  FillLog(*store_, 3);
  ASSERT_OK(disk_.Corrupt(Family::kSeen, "e2", 12));
  EXPECT_TRUE(*store_->PurgeSeen(INT64_MAX));
  EXPECT_EQ(store_->damaged_entries(), 1);
  const std::vector<absl::string_view> others = {"e1", "e3"};
  std::vector<bool> seen;
  ASSERT_OK(store_->HasEvents(others, seen));
  EXPECT_EQ(seen, std::vector<bool>(2, false));
  const std::vector<absl::string_view> damaged = {"e2"};
  EXPECT_FALSE(store_->HasEvents(damaged, seen).ok()) << "nobody knows how old it is";
}

TEST_F(StoreFaultTest, SwappedRecordsAreDamageAlthoughTheirChecksumsMatch) {
  FillLog(*store_, 2);
  auto kv = disk_.Mount();
  KvBatch batch;
  batch.Put(Family::kLog, NumberKey(1), **kv->Read(Family::kLog, NumberKey(2)));
  ASSERT_OK(kv->Write(batch, true));
  EXPECT_THAT(store_->ReadRecord(1), StatusIs(StatusCode::kDataLoss, "log record 1: holds the record of sequence 2"));
}

TEST_F(StoreFaultTest, GapIsNamedAndAtTheEndOfTheLogRefusedWhenOpened) {
  FillLog(*store_, 9);
  auto kv = disk_.Mount();
  KvBatch batch;
  batch.Delete(Family::kLog, NumberKey(4));
  ASSERT_OK(kv->Write(batch, true));
  EXPECT_THAT(store_->ReadLog(1, 9, [](const LogRecord&) { return absl::OkStatus(); }),
              StatusIs(StatusCode::kDataLoss, "log record 4 is missing"));
  EXPECT_THAT(store_->ReadRecord(4), StatusIs(StatusCode::kDataLoss, "log record 4 is missing"));
  EXPECT_THAT(Open(), StatusIs(StatusCode::kDataLoss, "log record 4 is missing"));
}

TEST_F(StoreFaultTest, OtherFormatIsRefusedAndNothingChanges) {
  auto kv = disk_.Mount();
  KvBatch batch;
  batch.Put(Family::kMeta, kFormatKey, Frame("offerd 2"));
  ASSERT_OK(kv->Write(batch, true));
  const int64_t writes = disk_.num_writes();
  EXPECT_THAT(Open(),
              StatusIs(StatusCode::kFailedPrecondition, "format 'offerd 2', this program reads and writes 'offerd 1'"));
  EXPECT_EQ(disk_.num_writes(), writes);
}

TEST_F(StoreFaultTest, StoreWithoutMarkerIsRefusedUnlessItIsEmpty) {
  FillLog(*store_, 1);
  auto kv = disk_.Mount();
  KvBatch batch;
  batch.Delete(Family::kMeta, kFormatKey);
  ASSERT_OK(kv->Write(batch, true));
  EXPECT_THAT(Open(), StatusIs(StatusCode::kFailedPrecondition, "no format marker, but the family 'log' is not empty"));
}

TEST_F(StoreFaultTest, DamagedMarkerIsDataLoss) {
  ASSERT_OK(disk_.Corrupt(Family::kMeta, kFormatKey, -1));
  EXPECT_THAT(Open(), StatusIs(StatusCode::kDataLoss, "meta format"));
}

TEST_F(StoreFaultTest, ReadOnlyStoreReadsAndRefusesEveryChange) {
  FillLog(*store_, 3);
  ASSERT_OK(WriteSoundBase(*store_, 2));
  const int64_t writes = disk_.num_writes();
  StoreOptions options;
  options.read_only = true;
  ASSERT_OK(Open(options));
  EXPECT_EQ(SequencesOf(*store_).size(), 3u);
  EXPECT_OK(store_->VerifyBase(2));
  const auto refused = StatusIs(StatusCode::kFailedPrecondition, "reading only");
  EXPECT_THAT(AppendOne(*store_, EventRecord(4, "e4")), refused);
  EXPECT_THAT(store_->BeginBase(3, 0), refused);
  EXPECT_THAT(store_->DeleteBase(2), refused);
  EXPECT_THAT(store_->KeepNewestBases(1), refused);
  EXPECT_THAT(store_->PurgeSeen(0), refused);
  EXPECT_THAT(store_->MarkErasurePending("c", 1), refused);
  EXPECT_THAT(store_->FinishErasure("c", 1), refused);
  EXPECT_EQ(disk_.num_writes(), writes);
  FaultDisk empty;
  EXPECT_THAT(Store::Open(empty.Mount(), options), StatusIs(StatusCode::kNotFound, ""));
}

TEST_F(StoreFaultTest, MemoryHasNoBackups) {
  EXPECT_THAT(store_->CreateBackup("anywhere"), StatusIs(StatusCode::kUnimplemented, ""));
}

}  // namespace
}  // namespace offerd
