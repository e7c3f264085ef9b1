#include "cli/tables/table_diff.h"

#include <filesystem>
#include <map>

#include "build_fixture.h"
#include "cli/tables/inspect.h"
#include "gmock/gmock.h"

namespace offerd::tables {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A table in memory: items with their rows, by letters.
struct Sample {
  explicit Sample(const std::map<char, std::string>& rows) : ids(IdsOf(rows)) {
    for (const auto& [item, row] : rows) {
      float score = 10;
      for (const char neighbour : row) {
        items.neighbours.push_back(*ids.view().Find(std::string(1, neighbour)));
        items.scores.push_back(score--);
      }
      items.offsets.push_back(items.neighbours.size());
    }
    table.kind = "count";
    table.ids = ids.view();
    table.rows = items.view();
  }
  static std::vector<std::string> IdsOf(const std::map<char, std::string>& rows) {
    std::vector<std::string> letters;
    for (const auto& row : rows) letters.emplace_back(1, row.first);
    return letters;
  }

  ItemIds ids;
  ItemTable items;
  ListTable table;
};

TEST(TableDiffTest, NumbersByHand) {
  const Sample older({{'a', "bcd"}, {'b', "ac"}, {'c', "a"}, {'d', ""}, {'x', "a"}});
  const Sample newer({{'a', "cbe"}, {'b', "ac"}, {'c', ""}, {'d', ""}, {'e', "a"}});
  const TableDiff diff = Compare(older.table, newer.table, 10);
  EXPECT_EQ(diff.old_items, 5u);
  EXPECT_EQ(diff.new_items, 5u);
  EXPECT_THAT(diff.gained, ElementsAre("e"));
  EXPECT_THAT(diff.lost, ElementsAre("x"));
  EXPECT_EQ(diff.compared, 3u);  // a, b, c; d has no list in either
  EXPECT_DOUBLE_EQ(diff.overlap, (2.0 / 3 + 1 + 0) / 3);
  EXPECT_DOUBLE_EQ(diff.equal_lists, 1.0 / 3);
  EXPECT_DOUBLE_EQ(diff.equal_rows, 1.0 / 3);
}

TEST(TableDiffTest, ListsAreCutAtK) {
  const Sample older({{'a', "bcd"}, {'b', ""}, {'c', ""}, {'d', ""}});
  const Sample newer({{'a', "bdc"}, {'b', ""}, {'c', ""}, {'d', ""}});
  EXPECT_DOUBLE_EQ(Compare(older.table, newer.table, 1).equal_lists, 1);
  EXPECT_DOUBLE_EQ(Compare(older.table, newer.table, 1).equal_rows, 0);
  EXPECT_DOUBLE_EQ(Compare(older.table, newer.table, 2).overlap, 0.5);
  EXPECT_DOUBLE_EQ(Compare(older.table, newer.table, 3).overlap, 1);
  EXPECT_DOUBLE_EQ(Compare(older.table, newer.table, 3).equal_lists, 0);
}

TEST(TableDiffTest, ItemsAreMatchedByIdNotByNumber) {
  const Sample older({{'b', "c"}, {'c', "b"}});
  const Sample newer({{'a', ""}, {'b', "c"}, {'c', "b"}});
  EXPECT_DOUBLE_EQ(Compare(older.table, newer.table, 10).equal_rows, 1);
}

TEST(TableDiffTest, AnotherScoreIsAnotherRowButTheSameList) {
  const Sample older({{'b', "c"}, {'c', "b"}});
  Sample newer({{'b', "c"}, {'c', "b"}});
  newer.items.scores[0] = 7;
  EXPECT_DOUBLE_EQ(Compare(older.table, newer.table, 10).equal_rows, 0.5);
  EXPECT_DOUBLE_EQ(Compare(older.table, newer.table, 10).equal_lists, 1);
}

TEST(TableDiffTest, TablesWithNothingInCommonCompareNothing) {
  const TableDiff diff = Compare(Sample({{'a', ""}}).table, Sample({{'b', ""}}).table, 10);
  EXPECT_EQ(diff.compared, 0u);
  EXPECT_EQ(diff.overlap, 1);
}

TEST(TableReferenceTest, IsAVersionOrANameAndAVersion) {
  EXPECT_EQ(ParseTableReference("3", "t")->name, "t");
  EXPECT_EQ(ParseTableReference("3", "t")->version, 3u);
  EXPECT_EQ(ParseTableReference("u.US/4", "t")->name, "u.US");
  EXPECT_EQ(ParseTableReference("u.US/4", "")->version, 4u);
  for (const char* text : {"", "t", "t/", "t/x", "-1"}) EXPECT_FALSE(ParseTableReference(text, "t").ok()) << text;
  EXPECT_THAT(ParseTableReference("3", ""), StatusIs(absl::StatusCode::kInvalidArgument, "of which table?"));
}

class InspectTest : public BuildTest {
 protected:
  evaluate::Output To(bool json = false) {
    out_.str("");
    return {out_, err_, false, json};
  }
  cli::Json Parsed() { return cli::Json::parse(out_.str()); }
};

TEST_F(InspectTest, ShowPrintsARowOfTheNewestOrTheNamedVersion) {
  ASSERT_OK(Build(Arguments(Put("b.csv", BasketCsv({"ab", "ab", "ac"})), "count")));
  ASSERT_OK(Build(Arguments(Put("b.csv", BasketCsv({"ac"})), "count")));
  ASSERT_OK(RunShow(root(), {"t", 1}, "a", 10, To()));
  EXPECT_EQ(out_.str(), "t version 1 (count), item a\nrank  item  score\n   1  b         2\n   2  c         1\n");
  ASSERT_OK(RunShow(root(), {"t", 0}, "a", 10, To(true)));
  EXPECT_EQ(Parsed()["version"], 2);
  EXPECT_EQ(Parsed()["neighbours"], cli::Json::parse(R"([{"item": "c", "score": 1.0}])"));
  ASSERT_OK(RunShow(root(), {"t", 1}, "a", 1, To(true)));
  EXPECT_EQ(Parsed()["neighbours"].size(), 1u);
  EXPECT_THAT(RunShow(root(), {"t", 0}, "b", 10, To()),
              StatusIs(absl::StatusCode::kNotFound, "does not know item \"b\""));
}

TEST_F(InspectTest, DiffOfTwoVersions) {
  ASSERT_OK(Build(Arguments(Put("b.csv", BasketCsv({"ab", "ac", "ac"})), "count")));
  ASSERT_OK(Build(Arguments(Put("b.csv", BasketCsv({"ac", "ad", "ad"})), "count")));
  ASSERT_OK(RunDiff(root(), {"t", 1}, {"t", 2}, 10, To(true)));
  EXPECT_EQ(Parsed()["gained"], cli::Json::parse(R"(["d"])"));
  EXPECT_EQ(Parsed()["lost"], cli::Json::parse(R"(["b"])"));
  EXPECT_EQ(Parsed()["compared"], 2);
  EXPECT_EQ(Parsed()["overlap"], 0.75);  // a: c of {c, b} and {d, c}; c: a of a
  EXPECT_EQ(Parsed()["equal_lists"], 0.5);
  EXPECT_EQ(Parsed()["equal_rows"], 0.0);
  ASSERT_OK(RunDiff(root(), {"t", 1}, {"t", 2}, 10, To()));
  EXPECT_THAT(out_.str(), HasSubstr("items gained  1: d\nitems lost    1: b\n"));
  EXPECT_THAT(out_.str(), HasSubstr("overlap at 10  75.00 %"));
}

TEST_F(InspectTest, ListAndVerifyTellADamagedVersionFromASoundOne) {
  ASSERT_OK(Build(Arguments(Put("b.csv", BasketCsv({"ab"})), "count")));
  ASSERT_OK(Build(Arguments(Put("b.csv", BasketCsv({"ab", "ac"})), "count")));
  ASSERT_OK(RunVerify(root(), {"t", 0}, To()));
  std::ofstream(root() + "/t/1/row_scores.f32") << "damage..";
  ASSERT_OK(RunList(root(), To(true)));
  EXPECT_EQ(Parsed()["tables"].size(), 2u) << "a list reads manifests only";
  EXPECT_EQ(Parsed()["tables"][1]["items"], 3);
  EXPECT_THAT(RunVerify(root(), {}, To(true)), StatusIs(absl::StatusCode::kDataLoss, "1 of 2 cannot be used"));
  EXPECT_EQ(Parsed()["tables"][0]["state"], "damaged");
  EXPECT_THAT(Parsed()["tables"][0]["detail"].get<std::string>(), HasSubstr("row_scores.f32"));
  EXPECT_EQ(Parsed()["tables"][1]["state"], "sound");
  EXPECT_OK(RunVerify(root(), {"t", 2}, To()));
  EXPECT_THAT(RunVerify(root(), {"t", 3}, To()), StatusIs(absl::StatusCode::kNotFound, "no version 3"));
  EXPECT_THAT(RunVerify(root(), {"u", 0}, To()), StatusIs(absl::StatusCode::kNotFound, "no table u"));
  std::ofstream(root() + "/t/2/manifest.json") << "{}";
  ASSERT_OK(RunList(root(), To()));
  EXPECT_THAT(out_.str(), HasSubstr("cannot be read: "));
}

TEST_F(InspectTest, AFolderWithoutTablesIsAnEmptyListAndNoFolderIsAnError) {
  EXPECT_THAT(RunList(root(), To()), StatusIs(absl::StatusCode::kNotFound, "there is no folder"));
  EXPECT_THAT(RunVerify(root(), {}, To()), StatusIs(absl::StatusCode::kNotFound, "there is no folder"));
  std::filesystem::create_directory(root());
  ASSERT_OK(RunList(root(), To()));
  EXPECT_THAT(out_.str(), HasSubstr("no tables in"));
  ASSERT_OK(RunList(root(), To(true)));
  EXPECT_EQ(Parsed()["tables"], cli::Json::array());
}

}  // namespace
}  // namespace offerd::tables
