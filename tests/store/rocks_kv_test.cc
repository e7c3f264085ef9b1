#include "store/rocks_kv.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "store/keys.h"
#include "tests/store/store_fixture.h"

// What only a real disk does: locks, other people's files, damaged files, processes that die, no room left.
namespace offerd {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;

std::vector<std::string> FilesIn(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path)) {
    names.push_back(
        absl::StrCat(entry.path().filename().string(), " ", entry.is_regular_file() ? entry.file_size() : 0));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string FileWithSuffix(const std::string& path, absl::string_view suffix) {
  for (const auto& entry : fs::directory_iterator(path)) {
    if (absl::string_view(entry.path().extension().string()) == suffix && entry.file_size() > 0)
      return entry.path().string();
  }
  return "";
}

void FlipByte(const std::string& file, int64_t position) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  ASSERT_TRUE(stream.good()) << file;
  stream.seekg(position);
  const char byte = static_cast<char>(stream.get() ^ 0x20);
  stream.seekp(position);
  stream.put(byte);
}

StoreOptions Small() {
  StoreOptions options;
  options.min_free_bytes = 0;
  return options;
}

// Runs in a child process, which ends without any clean-up: as kill -9 would.
template <typename Body>
pid_t RunInChild(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  return child;
}

TEST(RocksKvTest, FileInsteadOfDirectoryIsRefused) {
  TemporaryDirectory directory;
  std::ofstream(directory.path("file")) << "mine";
  EXPECT_THAT(OpenRocksKv(directory.path("file"), {}), StatusIs(StatusCode::kInvalidArgument, "is not a directory"));
  EXPECT_THAT(OpenRocksKv(directory.path("absent/store"), {}),
              StatusIs(StatusCode::kInvalidArgument, "parent is not a directory"));
}

TEST(RocksKvTest, TablesMayBeBuiltBeforeTheFirstStart) {
  TemporaryDirectory directory;
  fs::create_directories(directory.path("store/tables/together/1"));
  EXPECT_OK(OpenRocksKv(directory.path("store"), {}));
  EXPECT_OK(OpenRocksKv(directory.path("store"), {}));
  EXPECT_TRUE(fs::exists(directory.path("store/tables/together/1")));
  fs::create_directory(directory.path("other"));
  std::ofstream(directory.path("other/tables")) << "mine";
  EXPECT_THAT(OpenRocksKv(directory.path("other"), {}), StatusIs(StatusCode::kFailedPrecondition, "holds 'tables'"));
}

TEST(RocksKvTest, DirectoryWithOtherFilesIsRefusedAndLeftAsItWas) {
  TemporaryDirectory directory;
  std::ofstream(directory.path("letter.txt")) << "mine";
  EXPECT_THAT(OpenRocksKv(directory.path(), {}), StatusIs(StatusCode::kFailedPrecondition, "holds 'letter.txt'"));
  EXPECT_THAT(FilesIn(directory.path()), ::testing::ElementsAre("letter.txt 4"));
}

TEST(RocksKvTest, TooLittleFreeSpaceIsRefusedAndNothingIsMade) {
  TemporaryDirectory directory;
  RocksKvOptions options;
  options.min_free_bytes = INT64_MAX;
  EXPECT_THAT(OpenRocksKv(directory.path("store"), options),
              StatusIs(StatusCode::kUnavailable, absl::StrCat("bytes free, needed are ", INT64_MAX)));
  EXPECT_TRUE(FilesIn(directory.path()).empty());
  StoreOptions store_options;
  store_options.min_free_bytes = INT64_MAX;
  EXPECT_THAT(Store::OpenAt(directory.path("store"), store_options), StatusIs(StatusCode::kUnavailable, "bytes free"));
}

TEST(RocksKvTest, ReadOnlyMakesNothing) {
  TemporaryDirectory directory;
  RocksKvOptions options;
  options.read_only = true;
  EXPECT_THAT(OpenRocksKv(directory.path("store"), options), StatusIs(StatusCode::kNotFound, "no store in"));
  EXPECT_THAT(OpenRocksKv(directory.path(), options), StatusIs(StatusCode::kNotFound, "no store in"));
  EXPECT_TRUE(FilesIn(directory.path()).empty());
}

TEST(RocksKvTest, ReadOnlyReadsBesideTheWriter) {
  TemporaryDirectory directory;
  auto writer = Store::OpenAt(directory.path("store"), Small());
  ASSERT_OK(writer);
  FillLog(**writer, 5);
  StoreOptions options = Small();
  options.read_only = true;
  auto reader = Store::OpenAt(directory.path("store"), options);
  ASSERT_OK(reader);
  EXPECT_EQ(SequencesOf(**reader).size(), 5u);
  EXPECT_THAT(AppendOne(**reader, EventRecord(6, "e")), StatusIs(StatusCode::kFailedPrecondition, "reading only"));
  EXPECT_OK(AppendOne(**writer, EventRecord(6, "e")));
}

TEST(RocksKvTest, SecondOpenInThisProcessIsRefused) {
  TemporaryDirectory directory;
  auto first = OpenRocksKv(directory.path("store"), {});
  ASSERT_OK(first);
  EXPECT_THAT(OpenRocksKv(directory.path("store"), {}), StatusIs(StatusCode::kAborted, "is locked"));
  first->reset();
  EXPECT_OK(OpenRocksKv(directory.path("store"), {}));
}

TEST(RocksKvTest, StoreOpenInAnotherProcessIsRefusedAndLeftAsItWas) {
  TemporaryDirectory directory;
  int ready[2], done[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(done), 0);
  const pid_t child = RunInChild([&] {
    auto store = Store::OpenAt(directory.path("store"), Small());
    char byte = store.ok() ? 'y' : 'n';
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    if (read(done[0], &byte, 1) != 1) _exit(1);
  });
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  const std::vector<std::string> before = FilesIn(directory.path("store"));
  EXPECT_THAT(Store::OpenAt(directory.path("store"), Small()),
              StatusIs(StatusCode::kAborted, "is locked: it is open in another process"));
  EXPECT_EQ(FilesIn(directory.path("store")), before);
  ASSERT_EQ(write(done[1], &byte, 1), 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_OK(Store::OpenAt(directory.path("store"), Small()));  // died without a word, and the lock with it
  for (const int file : {ready[0], ready[1], done[0], done[1]}) close(file);
}

TEST(RocksKvTest, AcknowledgedRecordsSurviveAProcessThatDies) {
  TemporaryDirectory directory;
  int acknowledged[2];
  ASSERT_EQ(pipe(acknowledged), 0);
  const pid_t child = RunInChild([&] {
    auto store = Store::OpenAt(directory.path("store"), Small());
    if (!store.ok()) _exit(1);
    for (Sequence sequence = 1;; ++sequence) {
      if (!AppendOne(**store, EventRecord(sequence, absl::StrCat("e", sequence))).ok()) _exit(1);
      if (write(acknowledged[1], &sequence, sizeof sequence) != sizeof sequence) _exit(1);
    }
  });
  Sequence last = 0;
  while (last < 300) ASSERT_EQ(read(acknowledged[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(acknowledged[1]);
  while (read(acknowledged[0], &last, sizeof last) == static_cast<ssize_t>(sizeof last)) {
  }
  close(acknowledged[0]);
  auto store = Store::OpenAt(directory.path("store"), Small());
  ASSERT_OK(store);
  EXPECT_GE((*store)->last_sequence(), last);
  EXPECT_LE((*store)->last_sequence(), last + 1);
  EXPECT_EQ(SequencesOf(**store).size(), (*store)->last_sequence());
}

TEST(RocksKvTest, DamagedManifestFileIsDataLoss) {
  TemporaryDirectory directory;
  { ASSERT_OK(Store::OpenAt(directory.path("store"), Small())); }
  std::string manifest;
  for (const auto& entry : fs::directory_iterator(directory.path("store"))) {
    if (entry.path().filename().string().rfind("MANIFEST-", 0) == 0) manifest = entry.path().string();
  }
  ASSERT_FALSE(manifest.empty());
  FlipByte(manifest, static_cast<int64_t>(fs::file_size(manifest)) / 2);
  EXPECT_THAT(Store::OpenAt(directory.path("store"), Small()), StatusIs(StatusCode::kDataLoss, "store '"));
}

TEST(RocksKvTest, TornEndOfTheWriteAheadLogCostsOnlyWhatWasNotWhole) {
  TemporaryDirectory directory;
  {
    auto store = Store::OpenAt(directory.path("store"), Small());
    ASSERT_OK(store);
    FillLog(**store, 5);
    ASSERT_OK(AppendOne(**store, EventRecord(6, "e6"), false));
  }
  const std::string log = FileWithSuffix(directory.path("store"), ".log");
  ASSERT_FALSE(log.empty());
  fs::resize_file(log, fs::file_size(log) - 3);
  auto store = Store::OpenAt(directory.path("store"), Small());
  ASSERT_OK(store);
  EXPECT_EQ((*store)->last_sequence(), 5u);
  const std::vector<absl::string_view> ids = {"e5", "e6"};
  std::vector<bool> seen;
  ASSERT_OK((*store)->HasEvents(ids, seen));
  EXPECT_EQ(seen, std::vector<bool>({true, false}));  // record and index go together
}

TEST(RocksKvTest, DamageWithinTheWriteAheadLogIsRefusedNotSkipped) {
  TemporaryDirectory directory;
  {
    auto store = Store::OpenAt(directory.path("store"), Small());
    ASSERT_OK(store);
    for (int i = 1; i <= 50; ++i) FillLog(**store, static_cast<Sequence>(i));
  }
  const std::string log = FileWithSuffix(directory.path("store"), ".log");
  ASSERT_FALSE(log.empty());
  FlipByte(log, static_cast<int64_t>(fs::file_size(log)) / 2);
  EXPECT_THAT(Store::OpenAt(directory.path("store"), Small()), StatusIs(StatusCode::kDataLoss, "store '"));
}

TEST(RocksKvTest, DamagedTableFileIsDataLossNeverAWrongRecord) {
  TemporaryDirectory directory;
  {
    auto store = Store::OpenAt(directory.path("store"), Small());
    ASSERT_OK(store);
    FillLog(**store, 2'000);
    ASSERT_OK((*store)->Flush());
  }
  std::string largest;
  for (const auto& entry : fs::directory_iterator(directory.path("store"))) {
    if (entry.path().extension() != ".sst") continue;
    if (largest.empty() || entry.file_size() > fs::file_size(largest)) largest = entry.path().string();
  }
  ASSERT_FALSE(largest.empty());
  FlipByte(largest, static_cast<int64_t>(fs::file_size(largest)) / 3);
  auto store = Store::OpenAt(directory.path("store"), Small());
  if (!store.ok()) {
    EXPECT_THAT(store, StatusIs(StatusCode::kDataLoss, ""));
    return;
  }
  std::vector<std::string> ids;
  for (int i = 1; i <= 2'000; ++i) ids.push_back(absl::StrCat("e", i));
  const std::vector<absl::string_view> views(ids.begin(), ids.end());
  std::vector<bool> seen;
  const absl::Status read_log = (*store)->ReadLog(1, 2'000, [](const LogRecord&) { return absl::OkStatus(); });
  const absl::Status read_ids = (*store)->HasEvents(views, seen);
  EXPECT_TRUE(absl::IsDataLoss(read_log) || absl::IsDataLoss(read_ids)) << read_log << read_ids;
}

// A disk that really fills up. Needs the right to mount.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    fs::create_directory(path);
    is_mounted_ = mount("tmpfs", path.c_str(), "tmpfs", 0, "size=24m") == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (is_mounted_) umount(path_.c_str());
  }
  bool is_mounted() const { return is_mounted_; }

 private:
  const std::string path_;
  bool is_mounted_ = false;
};

// Fills the disk with another program's bytes until `left` are free.
void Fill(const std::string& path, int64_t left) {
  struct statvfs info;
  ASSERT_EQ(statvfs(path.c_str(), &info), 0);
  const int64_t free_bytes = static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
  if (free_bytes > left) std::ofstream(path + "/filler") << std::string(static_cast<size_t>(free_bytes - left), 'x');
}

void FillUpAndRecover(int64_t min_free_bytes) {
  TemporaryDirectory directory;
  SmallDisk disk(directory.path("disk"));
  if (!disk.is_mounted()) GTEST_SKIP() << "SKIPPED LOUDLY: no right to mount a tmpfs, the full disk was not tested";
  const std::string path = directory.path("disk/store");
  StoreOptions options;
  options.min_free_bytes = min_free_bytes;
  auto store = Store::OpenAt(path, options);
  ASSERT_OK(store);
  Sequence last = 0;
  absl::Status status;
  Fill(directory.path("disk"), std::max<int64_t>(min_free_bytes, 0) + (4 << 20));
  while (status.ok() && last < 100'000) {
    LogRecord record = EventRecord(last + 1, absl::StrCat("e", last + 1));
    record.mutable_event()->mutable_event()->set_market(std::string(2'000, static_cast<char>('a' + last % 26)));
    status = AppendOne(**store, record);
    if (status.ok()) ++last;
  }
  ASSERT_THAT(status, StatusIs(StatusCode::kUnavailable, ""));
  EXPECT_GT(last, 100u);
  EXPECT_EQ((*store)->last_sequence(), last);
  EXPECT_THAT((*store)->ReadRecord(last), IsOk());  // still serving
  EXPECT_THAT(AppendOne(**store, EventRecord(last + 1, "late")), StatusIs(StatusCode::kUnavailable, ""));
  // There is room again: writes go on, in this process or after a restart.
  fs::remove(directory.path("disk/filler"));
  absl::Status again = AppendOne(**store, EventRecord(last + 1, "again"));
  if (!again.ok()) {
    const absl::Status resumed = (*store)->Resume();
    if (resumed.ok()) again = AppendOne(**store, EventRecord(last + 1, "again"));
  }
  if (min_free_bytes > 0) {
    EXPECT_OK(again);
  }
  const Sequence acknowledged = (*store)->last_sequence();
  store->reset();
  store = Store::OpenAt(path, options);
  ASSERT_OK(store);
  EXPECT_GE((*store)->last_sequence(), acknowledged);
  EXPECT_EQ(SequencesOf(**store).size(), (*store)->last_sequence());
  EXPECT_OK(AppendOne(**store, EventRecord((*store)->last_sequence() + 1, "after")));
}

TEST(RocksKvSlow, FullDiskStopsWritesBeforeItIsFullAndTheyGoOnWhenThereIsRoom) { FillUpAndRecover(2 << 20); }

TEST(RocksKvSlow, DiskThatFillsUpBehindOurBackLosesNothingAcknowledged) { FillUpAndRecover(-(1 << 20)); }

}  // namespace
}  // namespace offerd
