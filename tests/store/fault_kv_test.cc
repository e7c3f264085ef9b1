#include "tests/support/fault_kv.h"

#include <thread>

#include "tests/store/store_fixture.h"

namespace offerd {
namespace {

using absl::StatusCode;

KvBatch PutBatch(absl::string_view key) {
  KvBatch batch;
  batch.Put(Family::kLog, key, "value");
  return batch;
}

TEST(FaultDiskTest, NthWriteAndAllAfterItFailUntilRepaired) {
  FaultDisk disk;
  auto kv = disk.Mount();
  disk.FailWrites(2);
  EXPECT_OK(kv->Write(PutBatch("a"), false));
  EXPECT_THAT(kv->Write(PutBatch("b"), false), StatusIs(StatusCode::kUnavailable, ""));
  EXPECT_THAT(kv->Write(PutBatch("b"), true), StatusIs(StatusCode::kUnavailable, ""));
  EXPECT_EQ(*kv->Read(Family::kLog, "b"), std::nullopt);
  disk.RepairWrites();
  EXPECT_OK(kv->Write(PutBatch("b"), false));
}

TEST(FaultDiskTest, PowerLossTakesWhatWasNotSyncedAndNothingElse) {
  FaultDisk disk;
  auto kv = disk.Mount();
  ASSERT_OK(kv->Write(PutBatch("a"), false));
  ASSERT_OK(kv->Write(PutBatch("b"), true));
  ASSERT_OK(kv->Write(PutBatch("c"), false));
  kv.reset();
  disk.LosePower();
  kv = disk.Mount();
  EXPECT_EQ(**kv->ReadLastKey(Family::kLog), "b");
  EXPECT_TRUE((*kv->Read(Family::kLog, "a")).has_value());
}

TEST(FaultDiskTest, CorruptChangesOneByte) {
  FaultDisk disk;
  auto kv = disk.Mount();
  ASSERT_OK(kv->Write(PutBatch("a"), true));
  ASSERT_OK(disk.Corrupt(Family::kLog, "a", -1, 0x04));
  EXPECT_EQ(**kv->Read(Family::kLog, "a"), "valua");
  EXPECT_THAT(disk.Corrupt(Family::kLog, "b", 0), StatusIs(StatusCode::kNotFound, ""));
}

TEST(FaultDiskTest, StalledWriteWaitsForItsRelease) {
  FaultDisk disk;
  auto kv = disk.Mount();
  disk.StallWrites();
  std::thread writer([&] { EXPECT_OK(kv->Write(PutBatch("a"), true)); });
  disk.AwaitStalledWrite();
  disk.ReleaseWrites();
  writer.join();
  EXPECT_TRUE((*kv->Read(Family::kLog, "a")).has_value());
}

}  // namespace
}  // namespace offerd
