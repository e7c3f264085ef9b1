#include "store/table_artefact.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <thread>

#include "gmock/gmock.h"
#include "table_fixture.h"

namespace offerd {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

class TableArtefactTest : public TableFolderTest {};

// Both ways to hold a table answer the same.
class TableMemoryTest : public TableFolderTest, public ::testing::WithParamInterface<TableMemory> {};
INSTANTIATE_TEST_SUITE_P(Both, TableMemoryTest, ::testing::Values(TableMemory::kCopied, TableMemory::kMapped));

TEST_P(TableMemoryTest, RowsComeBackAsTheyWere) {
  const RowsSample sample;
  Write(sample.content());
  const auto table = LoadTable(root(), "t", 1, GetParam());
  ASSERT_OK(table);
  EXPECT_EQ((*table)->name, "t");
  EXPECT_EQ((*table)->version, 1u);
  EXPECT_EQ((*table)->kind, "cosine");
  EXPECT_EQ((*table)->checksum, StableHash(ReadWholeFile(File("manifest.json"))));
  EXPECT_THAT((*table)->rows.offsets, ElementsAreArray(sample.table.offsets));
  EXPECT_THAT((*table)->rows.neighbours, ElementsAreArray(sample.table.neighbours));
  EXPECT_THAT((*table)->rows.scores, ElementsAreArray(sample.table.scores));
  EXPECT_EQ((*table)->ids.IdOf(2), "\xc3\xa9\x63lair");
  EXPECT_EQ((*table)->ids.Find("zucchini"), 3u);
  EXPECT_EQ((*table)->ids.Find("courgette"), std::nullopt);
  EXPECT_EQ((*table)->sessions.num_items(), 0u);
}

TEST_P(TableMemoryTest, SessionsComeBackAsTheyWere) {
  const SessionsSample sample;
  Write(sample.content());
  const auto table = LoadTable(root(), "t", 1, GetParam());
  ASSERT_OK(table);
  const SessionIndexView& loaded = (*table)->sessions;
  const SessionIndexView built = sample.index.view();
  EXPECT_EQ(loaded.sessions_per_item, 2u);
  EXPECT_THAT(loaded.item_offsets, ElementsAreArray(built.item_offsets));
  EXPECT_THAT(loaded.item_sessions, ElementsAreArray(built.item_sessions));
  EXPECT_THAT(loaded.session_offsets, ElementsAreArray(built.session_offsets));
  EXPECT_THAT(loaded.session_items, ElementsAreArray(built.session_items));
  EXPECT_THAT(loaded.idf, ElementsAreArray(built.idf));
  EXPECT_EQ((*table)->query.neighbours, 7u);
  EXPECT_EQ((*table)->query.last_items, 3u);
  EXPECT_EQ((*table)->query.idf_weight, 0.5);
  EXPECT_TRUE((*table)->query.keep_current);
  EXPECT_EQ((*table)->query.count, 5u);
  EXPECT_EQ((*table)->ids.Find("10"), 2u);
}

TEST_P(TableMemoryTest, ATableWithoutItemsIsATable) {
  const ItemIds ids(std::vector<std::string>{});
  TableContent content;
  content.kind = "count";
  content.ids = ids.view();
  const ItemTable rows;
  content.rows = rows.view();
  Write(content);
  const auto table = LoadTable(root(), "t", 0, GetParam());
  ASSERT_OK(table);
  EXPECT_EQ((*table)->ids.size(), 0u);
  EXPECT_EQ((*table)->ids.Find("7"), std::nullopt);
}

TEST_F(TableArtefactTest, EachWriteIsTheNextVersionAndZeroIsTheNewest) {
  RowsSample sample;
  Write(sample.content());
  sample.table.scores[0] = 9;
  EXPECT_EQ(*WriteTable(root(), "t", sample.content(), kCreated), 2u);
  EXPECT_EQ((*LoadTable(root(), "t", 1))->rows.scores[0], 2.5f);
  EXPECT_EQ((*LoadTable(root(), "t", 0))->rows.scores[0], 9.0f);
  EXPECT_EQ((*LoadTable(root(), "t", 0))->version, 2u);
}

TEST_F(TableArtefactTest, TheSameContentIsTheSameBytes) {
  TemporaryFolder other;
  RowsSample sample;
  TableContent content = sample.content();
  for (int i = 0; i < 20; ++i) content.parameters[absl::StrCat("p", i)] = absl::StrCat(i);
  Write(content);
  ASSERT_OK(WriteTable(other.path(), "t", content, kCreated));
  for (const std::string& file : Files())
    EXPECT_EQ(ReadWholeFile(File(file)), ReadWholeFile(other.path("t/1/" + file))) << file;
}

TEST_F(TableArtefactTest, TheManifestSaysWhatIsInside) {
  Write(RowsSample().content());
  const absl::StatusOr<TableInfo> info = ReadTableInfo(root(), "t", 1);
  ASSERT_OK(info);
  const v1::TableManifest& manifest = info->manifest;
  EXPECT_EQ(manifest.counts().items(), 4u);
  EXPECT_EQ(manifest.counts().entries(), 6u);
  EXPECT_EQ(manifest.counts().baskets(), 11u);
  EXPECT_EQ(manifest.counts().pairs(), 5u);
  EXPECT_EQ(manifest.parameters().at("shrink"), "10");
  EXPECT_EQ(manifest.created().seconds(), 1'500'000'000);
  EXPECT_EQ(manifest.created().nanos(), 123'456'000);
  uint64_t bytes = 0;
  for (const std::string& file : Files()) {
    if (file.find("manifest") == std::string::npos) bytes += fs::file_size(File(file));
  }
  EXPECT_EQ(info->bytes, bytes);
  EXPECT_EQ(info->checksum, (*LoadTable(root(), "t", 1))->checksum);
}

TEST_F(TableArtefactTest, WhatIsNotThereIsNotFound) {
  EXPECT_THAT(LoadTable(root(), "t", 0), StatusIs(absl::StatusCode::kNotFound, "no table t"));
  EXPECT_THAT(LoadTable(root() + "/nowhere", "t", 0), StatusIs(absl::StatusCode::kNotFound, "no table t"));
  Write(RowsSample().content());
  EXPECT_THAT(LoadTable(root(), "t", 2), StatusIs(absl::StatusCode::kNotFound, "no version 2 of table t"));
  EXPECT_THAT(ReadTableInfo(root(), "u", 1), StatusIs(absl::StatusCode::kNotFound, "no version 1 of table u"));
}

TEST_F(TableArtefactTest, ListsTablesByNameAndVersionsByNumber) {
  EXPECT_TRUE(ListTables(root() + "/nowhere")->empty());
  for (int i = 0; i < 11; ++i) ASSERT_OK(WriteTable(root(), "b", RowsSample().content(), kCreated));
  ASSERT_OK(WriteTable(root(), "a.US", SessionsSample().content(), kCreated));
  const absl::StatusOr<std::vector<TableVersions>> tables = ListTables(root());
  ASSERT_OK(tables);
  ASSERT_EQ(tables->size(), 2u);
  EXPECT_EQ((*tables)[0].name, "a.US");
  EXPECT_EQ((*tables)[1].name, "b");
  EXPECT_THAT((*tables)[1].versions, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
}

TEST_F(TableArtefactTest, LeftoversOfACrashAreNoVersionsAndGoWithTheNextWrite) {
  fs::create_directories(root() + "/t/.building");
  fs::create_directories(root() + "/t/7x");
  fs::create_directories(root() + "/t/007");
  WriteBytes(root() + "/t/.building/row_scores.f32", "half");
  WriteBytes(root() + "/t/9", "a file");
  EXPECT_TRUE(ListTables(root())->empty());
  EXPECT_THAT(LoadTable(root(), "t", 0), StatusIs(absl::StatusCode::kNotFound, ""));
  EXPECT_EQ(*WriteTable(root(), "t", RowsSample().content(), kCreated), 1u);
  EXPECT_FALSE(fs::exists(root() + "/t/.building"));
  EXPECT_OK(LoadTable(root(), "t", 1));
}

// Writes a table in a process whose files must not grow beyond so many bytes. The system kills it there, or where the
// signal is ignored fails the write. Returns how it ended.
int WriteWithin(const std::string& root, size_t bytes, bool ignore_signal) {
  const RowsSample sample;
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, ignore_signal ? SIG_IGN : SIG_DFL);
    const rlimit limit = {bytes, bytes};
    setrlimit(RLIMIT_FSIZE, &limit);
    _exit(WriteTable(root, "t", sample.content(), kCreated).ok() ? 0 : 1);
  }
  int ended = 0;
  waitpid(child, &ended, 0);
  return ended;
}

TEST_F(TableArtefactTest, AWriterThatIsKilledLeavesNoVersion) {
  for (const size_t bytes : {0, 20, 35, 100, 1000}) {  // in the ids, their offsets, row offsets, manifest
    EXPECT_TRUE(WIFSIGNALED(WriteWithin(root(), bytes, false))) << bytes;
    EXPECT_TRUE(fs::exists(root() + "/t/.building")) << bytes;
    EXPECT_TRUE(ListTableVersions(root(), "t")->empty()) << bytes;
  }
  EXPECT_EQ(*WriteTable(root(), "t", RowsSample().content(), kCreated), 1u);
  EXPECT_FALSE(fs::exists(root() + "/t/.building"));
  EXPECT_OK(LoadTable(root(), "t", 1));
}

TEST_F(TableArtefactTest, AWriteThatFailsLeavesNothing) {
  for (const size_t bytes : {0, 20, 35, 100, 1000}) {
    const int ended = WriteWithin(root(), bytes, true);
    EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 1) << bytes;
    EXPECT_TRUE(fs::is_empty(root() + "/t")) << bytes;
  }
}

TEST_F(TableArtefactTest, ContentThatDoesNotHangTogetherIsNotWritten) {
  RowsSample sample;
  sample.table.neighbours[0] = 4;
  EXPECT_THAT(WriteTable(root(), "t", sample.content(), kCreated),
              StatusIs(absl::StatusCode::kInvalidArgument, "row_neighbours.u32: item 0 has neighbour 4 of 4"));
  EXPECT_FALSE(fs::exists(root() + "/t"));
  WriteBytes(root() + "/u", "a file where the folder should be");
  EXPECT_FALSE(WriteTable(root(), "u", RowsSample().content(), kCreated).ok());
}

TEST_F(TableArtefactTest, WritersAtTheSameTimeGetVersionsOfTheirOwn) {
  const RowsSample sample;
  const auto write = [&] {
    for (int i = 0; i < 5; ++i) EXPECT_OK(WriteTable(root(), "t", sample.content(), kCreated));
  };
  std::thread other(write);
  write();
  other.join();
  EXPECT_THAT(*ListTableVersions(root(), "t"), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
  for (uint64_t version = 1; version <= 10; ++version) EXPECT_OK(LoadTable(root(), "t", version));
}

TEST_F(TableArtefactTest, WhatHappensToTheFilesDoesNotReachACopiedTable) {
  const RowsSample sample;
  Write(sample.content());
  const auto table = LoadTable(root(), "t", 1, TableMemory::kCopied);
  ASSERT_OK(table);
  for (const std::string& file : Files()) WriteBytes(File(file), "");
  fs::remove_all(root() + "/t");
  EXPECT_THAT((*table)->rows.neighbours, ElementsAreArray(sample.table.neighbours));
  EXPECT_THAT((*table)->rows.scores, ElementsAreArray(sample.table.scores));
  EXPECT_EQ((*table)->ids.Find("12"), 1u);
}

TEST_F(TableArtefactTest, NamesThatCouldLeaveTheRootAreRefused) {
  for (const std::string name :
       {"", ".", "..", "../t", "a/b", "/etc", ".hidden", "a..b", "a b", "\xc3\xa9", "a\\b", "a:b"}) {
    EXPECT_FALSE(IsTableName(name)) << name;
    EXPECT_THAT(WriteTable(root(), name, RowsSample().content(), kCreated),
                StatusIs(absl::StatusCode::kInvalidArgument, "is no name of a table"));
    EXPECT_THAT(LoadTable(root(), name, 0), StatusIs(absl::StatusCode::kInvalidArgument, "is no name of a table"));
    EXPECT_THAT(ReadTableInfo(root(), name, 1), StatusIs(absl::StatusCode::kInvalidArgument, "is no name of a table"));
    EXPECT_THAT(ListTableVersions(root(), name), StatusIs(absl::StatusCode::kInvalidArgument, "is no name of a table"));
  }
  EXPECT_FALSE(IsTableName(absl::string_view("a\0b", 3)));
  EXPECT_TRUE(IsTableName(std::string(64, 'x')));
  EXPECT_FALSE(IsTableName(std::string(65, 'x')));
  EXPECT_TRUE(IsTableName("also-bought.US_2"));
}

// Written by golden_table/write_table.py, without our code.
TEST(GoldenTableTest, RowsOfAnotherWriterAreRead) {
  const auto table = LoadTable(OFFERD_SOURCE_DIR "/tests/store/golden_table", "also-bought", 0);
  ASSERT_OK(table);
  EXPECT_EQ((*table)->kind, "count");
  EXPECT_EQ((*table)->ids.Find("100"), 3u);
  EXPECT_THAT((*table)->rows.Neighbours(0), ElementsAre(1, 2, 3));
  EXPECT_THAT((*table)->rows.Scores(0), ElementsAre(3, 1, 1));
  EXPECT_THAT((*table)->rows.Neighbours(3), ElementsAre());
}

TEST(GoldenTableTest, SessionsOfAnotherWriterAreAsked) {
  const auto table = LoadTable(OFFERD_SOURCE_DIR "/tests/store/golden_table", "sessions", 2);
  ASSERT_OK(table);
  EXPECT_EQ((*table)->ids.Find("\xc3\xbczum"), 2u);
  SessionScratch scratch;
  std::vector<ScoredItem> answer;
  RecommendNext((*table)->sessions, {1}, (*table)->query, scratch, &answer);
  ASSERT_EQ(answer.size(), 2u);  // after "pear": both sessions with it vote with 1 x 0.9
  EXPECT_EQ(answer[0].item, 2u);
  EXPECT_NEAR(answer[0].score, 0.9 * std::log(5.0), 1e-12);
  EXPECT_EQ(answer[1].item, 0u);
  EXPECT_NEAR(answer[1].score, 0.9 * std::log(2.5), 1e-12);
}

TEST(TableNameTest, MarketsHaveNamesOfTheirOwn) {
  EXPECT_EQ(MarketTableName("t", "US"), "t.US");
  EXPECT_EQ(MarketTableName("t", "en-GB"), "t.en-GB");
  EXPECT_EQ(MarketTableName("t", "United Kingdom"), "t.United_20Kingdom");
  EXPECT_EQ(MarketTableName("t", "a_20"), "t.a_5f20");
  EXPECT_EQ(MarketTableName("t", "../x"), "t._2e_2e_2fx");
  EXPECT_TRUE(IsTableName(MarketTableName("t", "\xc3\xa9/..")));
}

TEST_F(TableArtefactTest, OrderOfScoresMayDifferByOneStepOfFloat) {
  RowsSample sample;
  sample.table.scores = {1, std::nextafter(1.0f, 2.0f), 0.25f, 3, 1, 1};
  Write(sample.content());
  EXPECT_OK(LoadTable(root(), "t", 1));
  sample.table.scores[1] = std::nextafter(sample.table.scores[1], 2.0f);
  EXPECT_THAT(WriteTable(root(), "t", sample.content(), kCreated),
              StatusIs(absl::StatusCode::kInvalidArgument, "row of item 0 is not in descending order"));
}

}  // namespace
}  // namespace offerd
