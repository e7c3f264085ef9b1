#include <random>

#include "store/keys.h"
#include "tests/store/store_fixture.h"

// Bases: written, verified, set aside, pruned. tests/store/store_test.cc has the log.
namespace offerd {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using v1::stored::BaseRecord;

template <typename Disk>
class BaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Reopen();
    FillLog(*store_, 20);
  }
  void Reopen() {
    store_.reset();
    kv_ = nullptr;
    auto kv = disk_.Mount();
    kv_ = kv.get();
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(std::move(kv), {});
    ASSERT_OK(store);
    store_ = *std::move(store);
  }
  std::vector<BaseRecord> Read(Sequence sequence) {
    std::vector<BaseRecord> records;
    EXPECT_OK(store_->ReadBase(sequence, [&](const BaseRecord& record) {
      records.push_back(record);
      return absl::OkStatus();
    }));
    return records;
  }
  int64_t NumBaseKeys() {
    int64_t count = 0;
    for (const Family family : {Family::kPolicies, Family::kProfiles, Family::kCatalog}) {
      for (auto it = kv_->Iterate(family, "", ""); it->valid(); it->Next()) ++count;
    }
    return count;
  }
  Disk disk_;
  std::unique_ptr<Store> store_;
  Kv* kv_ = nullptr;  // the store's
};
using Disks = ::testing::Types<MemoryDisk, RocksDisk>;
TYPED_TEST_SUITE(BaseTest, Disks);

TYPED_TEST(BaseTest, RecordsComeBackInTheOrderWritten) {
  const std::vector<BaseRecord> written = BaseRecords(20, 2'500);  // more than two batches
  auto writer = this->store_->BeginBase(20, 77);
  ASSERT_OK(writer);
  for (const BaseRecord& record : written) ASSERT_OK((*writer)->Add(record));
  const auto manifest = (*writer)->Finish();
  ASSERT_OK(manifest);
  EXPECT_EQ(manifest->sequence(), 20u);
  EXPECT_EQ(manifest->records(), 2'501);
  EXPECT_EQ(manifest->created_micros(), 77);
  writer->reset();
  this->Reopen();
  const std::vector<BaseRecord> read = this->Read(20);
  ASSERT_EQ(read.size(), written.size());
  for (size_t i = 0; i < read.size(); ++i) ASSERT_THAT(read[i], EqualsProto(written[i])) << i;
  ASSERT_EQ(this->store_->ListBases().size(), 1u);
  EXPECT_THAT(this->store_->ListBases()[0].manifest, EqualsProto(*manifest));
}

TYPED_TEST(BaseTest, StateGoesFromUnverifiedToSoundAndIsRemembered) {
  ASSERT_OK(WriteBase(*this->store_, 20));
  EXPECT_EQ(this->store_->ListBases()[0].state, BaseInfo::State::kUnverified);
  ASSERT_OK(this->store_->VerifyBase(20));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(this->store_->ListBases()[0].state, BaseInfo::State::kSound);
    this->Reopen();
  }
  EXPECT_THAT(this->store_->VerifyBase(19), StatusIs(StatusCode::kNotFound, "no base 19"));
}

TYPED_TEST(BaseTest, WriterRefusesWhatIsNoBase) {
  EXPECT_THAT(this->store_->BeginBase(21, 0), StatusIs(StatusCode::kInvalidArgument, "past the end of the log, 20"));
  auto writer = this->store_->BeginBase(20, 0);
  ASSERT_OK(writer);
  EXPECT_THAT(this->store_->BeginBase(19, 0), StatusIs(StatusCode::kFailedPrecondition, "another base"));
  EXPECT_THAT((*writer)->Add(BaseRecord()), StatusIs(StatusCode::kInvalidArgument, "empty"));
  EXPECT_THAT((*writer)->Add(BaseRecords(20, 1)[1]), StatusIs(StatusCode::kInvalidArgument, "header"));
  EXPECT_THAT((*writer)->Add(BaseRecords(19, 1)[0]), StatusIs(StatusCode::kInvalidArgument, "sequence 19"));
  EXPECT_THAT((*writer)->Finish(), StatusIs(StatusCode::kFailedPrecondition, "header"));
  ASSERT_OK((*writer)->Add(BaseRecords(20, 1)[0]));
  EXPECT_THAT((*writer)->Add(BaseRecords(20, 1)[0]), StatusIs(StatusCode::kInvalidArgument, "header"));
  ASSERT_OK((*writer)->Finish());
  EXPECT_THAT((*writer)->Finish(), StatusIs(StatusCode::kFailedPrecondition, "finished"));
  EXPECT_THAT((*writer)->Add(BaseRecords(20, 1)[1]), StatusIs(StatusCode::kFailedPrecondition, "finished"));
  writer->reset();
  EXPECT_THAT(this->store_->BeginBase(20, 0), StatusIs(StatusCode::kAlreadyExists, "base 20"));
}

TYPED_TEST(BaseTest, InterruptedBaseIsNoBaseAndIsSweptWhenTheStoreOpens) {
  ASSERT_OK(WriteSoundBase(*this->store_, 10, 1'000));
  const int64_t before = this->NumBaseKeys();
  auto writer = this->store_->BeginBase(20, 0);
  ASSERT_OK(writer);
  for (const BaseRecord& record : BaseRecords(20, 3'000)) ASSERT_OK((*writer)->Add(record));
  writer->reset();
  EXPECT_GT(this->NumBaseKeys(), before);
  EXPECT_THAT(BasesOf(*this->store_), ElementsAre(10));
  this->Reopen();
  EXPECT_EQ(this->NumBaseKeys(), before);
  EXPECT_OK(this->store_->VerifyBase(10));
  EXPECT_OK(WriteSoundBase(*this->store_, 20));
}

TYPED_TEST(BaseTest, InterruptedBaseIsSweptBeforeTheNextOneIsWritten) {
  {
    auto writer = this->store_->BeginBase(20, 0);
    ASSERT_OK(writer);
    for (const BaseRecord& record : BaseRecords(20, 3'000)) ASSERT_OK((*writer)->Add(record));
  }
  ASSERT_OK(WriteSoundBase(*this->store_, 20, 4));
  EXPECT_EQ(this->NumBaseKeys(), 5);
}

TYPED_TEST(BaseTest, DamageInAnyFamilyIsFoundNamedAndSetAside) {
  // Records 0 to 5: policies, catalog, profiles, policies, catalog, policies.
  const std::pair<Family, uint64_t> records[] = {{Family::kPolicies, 0}, {Family::kCatalog, 1}, {Family::kProfiles, 2}};
  Sequence sequence = 10;
  ASSERT_OK(WriteSoundBase(*this->store_, sequence));
  for (const auto& [family, number] : records) {
    ASSERT_OK(WriteSoundBase(*this->store_, ++sequence));
    Corrupt(*this->kv_, family, BaseKey(sequence, number), 10);
    const std::string expected = absl::StrCat(FamilyName(family), " base ", sequence, " record ", number, ": checksum");
    EXPECT_THAT(this->store_->VerifyBase(sequence), StatusIs(StatusCode::kDataLoss, expected));
    for (int i = 0; i < 2; ++i) {
      const BaseInfo newest = this->store_->ListBases()[0];
      EXPECT_EQ(newest.state, BaseInfo::State::kDamaged);
      EXPECT_THAT(newest.detail, ::testing::HasSubstr(expected));
      EXPECT_THAT(this->store_->ReadBase(sequence, [](const BaseRecord&) { return absl::OkStatus(); }),
                  StatusIs(StatusCode::kDataLoss, "set aside"));
      this->Reopen();
    }
    EXPECT_GT(this->NumBaseKeys(), 11);  // kept on the disk
  }
  // The newest sound one is the one before all damage.
  const std::vector<BaseInfo> bases = this->store_->ListBases();
  const auto sound = std::find_if(bases.begin(), bases.end(),
                                  [](const BaseInfo& base) { return base.state == BaseInfo::State::kSound; });
  ASSERT_TRUE(sound != bases.end());
  EXPECT_EQ(sound->manifest.sequence(), 10u);
  EXPECT_EQ(this->Read(10).size(), 11u);
}

TYPED_TEST(BaseTest, DamageFoundWhileReadingSetsTheBaseAside) {
  ASSERT_OK(WriteSoundBase(*this->store_, 20));
  Corrupt(*this->kv_, Family::kProfiles, BaseKey(20, 2), 0);
  int visited = 0;
  EXPECT_THAT(this->store_->ReadBase(20,
                                     [&](const BaseRecord&) {
                                       ++visited;
                                       return absl::OkStatus();
                                     }),
              StatusIs(StatusCode::kDataLoss, "profiles base 20 record 2: unknown format byte"));
  EXPECT_EQ(visited, 2);
  EXPECT_EQ(this->store_->ListBases()[0].state, BaseInfo::State::kDamaged);
}

TYPED_TEST(BaseTest, VisitorThatFailsIsNoDamage) {
  ASSERT_OK(WriteSoundBase(*this->store_, 20));
  EXPECT_THAT(this->store_->ReadBase(20, [](const BaseRecord&) { return absl::DataLossError("mine"); }),
              StatusIs(StatusCode::kDataLoss, "mine"));
  EXPECT_EQ(this->store_->ListBases()[0].state, BaseInfo::State::kSound);
}

TYPED_TEST(BaseTest, MissingSurplusAndExchangedRecordsAreDamage) {
  ASSERT_OK(WriteBase(*this->store_, 10));
  ASSERT_OK(WriteBase(*this->store_, 11));
  ASSERT_OK(WriteBase(*this->store_, 12));
  KvBatch batch;
  batch.Delete(Family::kPolicies, BaseKey(10, 10));
  batch.Put(Family::kPolicies, BaseKey(11, 11), **this->kv_->Read(Family::kPolicies, BaseKey(11, 10)));
  batch.Put(Family::kCatalog, BaseKey(12, 1), **this->kv_->Read(Family::kCatalog, BaseKey(12, 4)));
  ASSERT_OK(this->kv_->Write(batch, true));
  EXPECT_THAT(this->store_->VerifyBase(10), StatusIs(StatusCode::kDataLoss, "base 10: record 10 is missing"));
  EXPECT_THAT(this->store_->VerifyBase(11), StatusIs(StatusCode::kDataLoss, "base 11: has more records"));
  EXPECT_THAT(this->store_->VerifyBase(12), StatusIs(StatusCode::kDataLoss, "base 12: bytes or checksum"));
}

TYPED_TEST(BaseTest, DamagedManifestIsListedAsDamaged) {
  ASSERT_OK(WriteSoundBase(*this->store_, 10));
  ASSERT_OK(WriteSoundBase(*this->store_, 20));
  Corrupt(*this->kv_, Family::kMeta, NumberKey(kBasePrefix, 20), 15);
  this->Reopen();
  const std::vector<BaseInfo> bases = this->store_->ListBases();
  ASSERT_EQ(bases.size(), 2u);
  EXPECT_EQ(bases[0].manifest.sequence(), 20u);
  EXPECT_EQ(bases[0].state, BaseInfo::State::kDamaged);
  EXPECT_THAT(bases[0].detail, ::testing::HasSubstr("meta base/20: checksum"));
  EXPECT_EQ(bases[1].state, BaseInfo::State::kSound);
  EXPECT_OK(this->store_->DeleteBase(20));
  EXPECT_THAT(BasesOf(*this->store_), ElementsAre(10));
}

TYPED_TEST(BaseTest, DamagedNoteOfVerificationCountsAsUnverified) {
  ASSERT_OK(WriteSoundBase(*this->store_, 20));
  Corrupt(*this->kv_, Family::kMeta, NumberKey(kBaseStatePrefix, 20), 10);
  this->Reopen();
  EXPECT_EQ(this->store_->ListBases()[0].state, BaseInfo::State::kUnverified);
  EXPECT_OK(this->store_->VerifyBase(20));
}

TYPED_TEST(BaseTest, BasePastTheEndOfTheLogIsRefusedWhenOpened) {
  ASSERT_OK(WriteSoundBase(*this->store_, 20));
  KvBatch batch;
  batch.Delete(Family::kLog, NumberKey(20));
  ASSERT_OK(this->kv_->Write(batch, true));
  this->store_.reset();
  EXPECT_THAT(Store::Open(this->disk_.Mount(), {}),
              StatusIs(StatusCode::kDataLoss, "base 20 is newer than the end of the log, 19"));
}

TYPED_TEST(BaseTest, DeletedBaseIsGoneWithAllItsRecordsAndNoOther) {
  ASSERT_OK(WriteSoundBase(*this->store_, 10));
  ASSERT_OK(WriteSoundBase(*this->store_, 11));
  ASSERT_OK(this->store_->DeleteBase(10));
  EXPECT_EQ(this->NumBaseKeys(), 11);
  this->Reopen();
  EXPECT_THAT(BasesOf(*this->store_), ElementsAre(11));
  EXPECT_OK(this->store_->VerifyBase(11));
  EXPECT_THAT(this->store_->DeleteBase(10), StatusIs(StatusCode::kNotFound, ""));
}

TYPED_TEST(BaseTest, RetentionKeepsLogThatNoVerifiedBaseCovers) {
  EXPECT_OK(this->store_->KeepNewestBases(1));
  ASSERT_OK(WriteBase(*this->store_, 5));
  EXPECT_OK(this->store_->KeepNewestBases(1));  // unverified
  EXPECT_EQ(this->store_->first_sequence(), 1u);
  ASSERT_OK(this->store_->VerifyBase(5));
  ASSERT_OK(WriteBase(*this->store_, 12));
  EXPECT_OK(this->store_->KeepNewestBases(2));  // one sound base of two
  EXPECT_EQ(this->store_->first_sequence(), 1u);
  EXPECT_OK(this->store_->KeepNewestBases(1));
  EXPECT_EQ(this->store_->first_sequence(), 6u);
  EXPECT_THAT(BasesOf(*this->store_), ElementsAre(12, 5));
  EXPECT_THAT(this->store_->KeepNewestBases(0), StatusIs(StatusCode::kInvalidArgument, ""));
}

TYPED_TEST(BaseTest, RetentionKeepsTheNewestSoundBasesAndTheLogAfterTheOldestOfThem) {
  for (const Sequence sequence : {3u, 6u, 9u, 12u, 15u}) ASSERT_OK(WriteSoundBase(*this->store_, sequence));
  Corrupt(*this->kv_, Family::kPolicies, BaseKey(12, 0), 10);
  EXPECT_FALSE(this->store_->VerifyBase(12).ok());
  Corrupt(*this->kv_, Family::kPolicies, BaseKey(3, 0), 10);
  EXPECT_FALSE(this->store_->VerifyBase(3).ok());
  ASSERT_OK(this->store_->KeepNewestBases(2));
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(BasesOf(*this->store_), ElementsAre(15, 12, 9, 3));  // damaged ones stay to be looked at
    EXPECT_EQ(this->store_->first_sequence(), 10u);
    EXPECT_EQ(SequencesOf(*this->store_).size(), 11u);
    EXPECT_EQ(*this->store_->ReadRecord(9), std::nullopt);
    EXPECT_OK(this->store_->KeepNewestBases(2));  // again: nothing more to do
    this->Reopen();
  }
}

TEST(BaseFaultTest, FailedWriteLeavesNoBase) {
  for (int64_t nth = 1;; ++nth) {
    FaultDisk disk;
    auto store = Store::Open(disk.Mount(), {});
    ASSERT_OK(store);
    FillLog(**store, 5);
    ASSERT_OK(WriteSoundBase(**store, 2));
    disk.FailWrites(nth);
    const absl::Status status = WriteBase(**store, 5, 3'000);
    disk.RepairWrites();
    store->reset();
    disk.LosePower();
    store = Store::Open(disk.Mount(), {});
    ASSERT_OK(store);
    if (status.ok()) {
      EXPECT_GT(nth, 4);
      EXPECT_OK((*store)->VerifyBase(5));
      break;
    }
    EXPECT_THAT(status, StatusIs(StatusCode::kUnavailable, "")) << nth;
    EXPECT_THAT(BasesOf(**store), ElementsAre(2)) << nth;
    EXPECT_OK((*store)->VerifyBase(2));
  }
}

TEST(BaseFaultTest, RetentionThatFailsAnywhereLosesNothingItShouldKeep) {
  for (int64_t nth = 1;; ++nth) {
    FaultDisk disk;
    auto store = Store::Open(disk.Mount(), {});
    ASSERT_OK(store);
    FillLog(**store, 20);
    for (const Sequence sequence : {4u, 8u, 12u}) ASSERT_OK(WriteSoundBase(**store, sequence));
    disk.FailWrites(nth);
    const absl::Status status = (*store)->KeepNewestBases(1);
    disk.RepairWrites();
    for (int i = 0; i < 2; ++i) {
      const Sequence first = (*store)->first_sequence();
      EXPECT_EQ(first, status.ok() ? 13u : 1u);
      EXPECT_EQ(SequencesOf(**store).size(), 21 - first);
      EXPECT_OK((*store)->VerifyBase(12));
      store->reset();
      disk.LosePower();
      store = Store::Open(disk.Mount(), {});
      ASSERT_OK(store);
    }
    if (status.ok()) break;
  }
}

// One flipped bit anywhere in a base, drawn at random: never unnoticed.
TEST(BaseFaultTest, RandomDamageIsAlwaysFound) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 300; ++i) {
    FaultDisk disk;
    auto store = Store::Open(disk.Mount(), {});
    ASSERT_OK(store);
    FillLog(**store, 1);
    ASSERT_OK(WriteSoundBase(**store, 1, 20));
    auto kv = disk.Mount();
    std::vector<std::pair<Family, std::string>> keys;
    for (const Family family : {Family::kPolicies, Family::kProfiles, Family::kCatalog}) {
      for (auto it = kv->Iterate(family, "", ""); it->valid(); it->Next()) keys.emplace_back(family, it->key());
    }
    keys.emplace_back(Family::kMeta, NumberKey(kBasePrefix, 1));
    const auto& [family, key] = keys[random() % keys.size()];
    const size_t size = (**kv->Read(family, key)).size();
    ASSERT_OK(
        disk.Corrupt(family, key, static_cast<int64_t>(random() % size), static_cast<uint8_t>(1u << random() % 8)));
    ASSERT_THAT((*store)->VerifyBase(1), StatusIs(StatusCode::kDataLoss, FamilyName(family).data()));
  }
}

}  // namespace
}  // namespace offerd
