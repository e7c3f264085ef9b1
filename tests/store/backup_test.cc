#include <fstream>
#include <thread>

#include "tests/store/store_fixture.h"

namespace offerd {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;

class BackupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = Store::OpenAt(directory_.path("store"), {});
    ASSERT_OK(store);
    store_ = *std::move(store);
  }
  BackupInfo Backup() {
    const auto backup = store_->CreateBackup(backups_);
    EXPECT_OK(backup);
    return backup.ok() ? *backup : BackupInfo();
  }
  Sequence LastSequenceOfRestored(uint32_t id, absl::string_view name) {
    const std::string to = directory_.path(name);
    EXPECT_OK(Store::RestoreBackup(backups_, id, to));
    auto restored = Store::OpenAt(to, {});
    EXPECT_OK(restored);
    if (!restored.ok()) return 0;
    EXPECT_EQ(SequencesOf(**restored).size(), (*restored)->last_sequence());
    return (*restored)->last_sequence();
  }

  TemporaryDirectory directory_;
  const std::string backups_ = directory_.path("backups");
  std::unique_ptr<Store> store_;
};

TEST_F(BackupTest, OnlyTheNewestAreKept) {
  FillLog(*store_, 3);
  for (int i = 0; i < 4; ++i) (void)Backup();
  ASSERT_OK(Store::KeepNewestBackups(backups_, 2));
  const auto listed = Store::ListBackups(backups_);
  ASSERT_OK(listed);
  ASSERT_EQ(listed->size(), 2u);
  EXPECT_EQ((*listed)[0].id, 3u);
  EXPECT_EQ(LastSequenceOfRestored(4, "newest"), 3u);
}

TEST_F(BackupTest, HoldsTheStoreAsItWasAndIsListed) {
  FillLog(*store_, 10);
  ASSERT_OK(WriteSoundBase(*store_, 10));
  const BackupInfo first = Backup();
  FillLog(*store_, 25);
  const BackupInfo second = Backup();
  const auto listed = Store::ListBackups(backups_);
  ASSERT_OK(listed);
  ASSERT_EQ(listed->size(), 2u);
  EXPECT_EQ((*listed)[0].id, first.id);
  EXPECT_EQ((*listed)[0].last_sequence, 10u);
  EXPECT_EQ((*listed)[1].id, second.id);
  EXPECT_EQ((*listed)[1].last_sequence, 25u);
  EXPECT_GT((*listed)[0].bytes, 0);
  EXPECT_GT((*listed)[0].created_micros, 0);
  EXPECT_OK(Store::VerifyBackup(backups_, first.id));
  EXPECT_EQ(LastSequenceOfRestored(first.id, "first"), 10u);
  EXPECT_EQ(LastSequenceOfRestored(second.id, "second"), 25u);
  auto restored = Store::OpenAt(directory_.path("first"), {});
  ASSERT_OK(restored);
  EXPECT_OK((*restored)->VerifyBase(10));
}

TEST_F(BackupTest, EmptyStoreCanBeBackedUp) { EXPECT_EQ(LastSequenceOfRestored(Backup().id, "restored"), 0u); }

TEST_F(BackupTest, DamagedBackupIsFoundAndNotRestored) {
  FillLog(*store_, 500);
  const BackupInfo backup = Backup();
  std::string largest;
  for (const auto& entry : fs::recursive_directory_iterator(backups_)) {
    if (entry.path().extension() != ".sst") continue;
    if (largest.empty() || entry.file_size() > fs::file_size(largest)) largest = entry.path().string();
  }
  ASSERT_FALSE(largest.empty());
  {
    std::fstream file(largest, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(100);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(100);
    file.put(byte);
  }
  EXPECT_THAT(Store::VerifyBackup(backups_, backup.id),
              StatusIs(StatusCode::kDataLoss, absl::StrCat("backup ", backup.id)));
  EXPECT_THAT(Store::RestoreBackup(backups_, backup.id, directory_.path("to")), StatusIs(StatusCode::kDataLoss, ""));
  EXPECT_FALSE(fs::exists(directory_.path("to")));
}

TEST_F(BackupTest, BackupWithAMissingFileIsFound) {
  FillLog(*store_, 500);
  const BackupInfo backup = Backup();
  for (const auto& entry : fs::recursive_directory_iterator(backups_)) {
    if (entry.path().extension() == ".sst") {
      fs::remove(entry.path());
      break;
    }
  }
  EXPECT_FALSE(Store::VerifyBackup(backups_, backup.id).ok());
  EXPECT_FALSE(Store::RestoreBackup(backups_, backup.id, directory_.path("to")).ok());
  EXPECT_FALSE(fs::exists(directory_.path("to")));
}

TEST_F(BackupTest, RestoreNeverTouchesADirectoryThatHoldsSomething) {
  FillLog(*store_, 3);
  const BackupInfo backup = Backup();
  fs::create_directory(directory_.path("used"));
  std::ofstream(directory_.path("used/letter")) << "mine";
  EXPECT_THAT(Store::RestoreBackup(backups_, backup.id, directory_.path("used")),
              StatusIs(StatusCode::kFailedPrecondition, "not an empty directory"));
  EXPECT_EQ(fs::file_size(directory_.path("used/letter")), 4u);
}

TEST_F(BackupTest, UnknownBackupsAreNotFound) {
  EXPECT_THAT(Store::ListBackups(directory_.path("absent")), StatusIs(StatusCode::kNotFound, "holds no backups"));
  EXPECT_FALSE(fs::exists(directory_.path("absent")));
  Backup();
  EXPECT_THAT(Store::VerifyBackup(backups_, 99), StatusIs(StatusCode::kNotFound, "backup 99"));
  EXPECT_THAT(Store::RestoreBackup(backups_, 99, directory_.path("to")), StatusIs(StatusCode::kNotFound, ""));
  std::ofstream(directory_.path("file")) << "mine";
  EXPECT_THAT(store_->CreateBackup(directory_.path("file")), StatusIs(StatusCode::kInvalidArgument, "no directory"));
}

TEST_F(BackupTest, RunsBesideTheWriter) {
  FillLog(*store_, 100);
  std::thread writer([&] {
    for (Sequence sequence = 101; sequence <= 400; ++sequence) {
      EXPECT_OK(AppendOne(*store_, EventRecord(sequence, absl::StrCat("e", sequence)), false));
    }
  });
  const BackupInfo backup = Backup();
  writer.join();
  EXPECT_GE(LastSequenceOfRestored(backup.id, "restored"), backup.last_sequence);
}

}  // namespace
}  // namespace offerd
