#include "cli/tables/build_input.h"

#include <random>

#include "build_fixture.h"
#include "cli/evaluate/read_dataset.h"
#include "cli/evaluate/report.h"
#include "gmock/gmock.h"

namespace offerd::tables {
namespace {

using evaluate::Protocol;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

class BuildInputTest : public BuildTest {
 protected:
  BuildFile File(const std::string& text, Protocol protocol) {
    BuildFile file;
    file.path = Put("input.csv", text);
    file.protocol = protocol;
    file.options.columns = {{protocol == Protocol::kSessions ? "session" : "basket", "row"}, {"item", "item"}};
    return file;
  }
  BuildFile WithTime(const std::string& text, Protocol protocol) {
    BuildFile file = File(text, protocol);
    file.options.columns["time"] = "time";
    return file;
  }
  static int64_t CountOf(const BuildInput& input, const std::string& name) {
    for (const auto& [key, count] : input.data.counts) {
      if (key == name) return count;
    }
    ADD_FAILURE() << "nobody counts " << name;
    return -1;
  }
  // Rows as "1 2 2|1", by item id.
  static std::string RowsOf(const evaluate::Dataset& data) {
    std::vector<std::string> rows;
    for (size_t row = 0; row < data.training.rows.size(); ++row) {
      std::vector<std::string> ids;
      for (const TableItem item : data.training.rows[row]) ids.push_back(data.item_ids[item]);
      rows.push_back(absl::StrJoin(ids, " "));
    }
    return absl::StrJoin(rows, "|");
  }
};

TEST_F(BuildInputTest, SessionsStandByIdAndTheirClicksByTime) {
  const auto input =
      ReadBuildInput(WithTime("row,item,time\n10,b,30\n9,a,5\n10,a,20.0\n10,b,40\n", Protocol::kSessions));
  ASSERT_OK(input);
  EXPECT_EQ(RowsOf(input->data), "a|a b b");
  EXPECT_THAT(input->data.training.times, ElementsAre(5'000'000, 40'000'000));
  EXPECT_THAT(input->data.training.item_counts, ElementsAre(2, 2));
  EXPECT_EQ(input->data.reports[0].out_of_order, 1);
  EXPECT_EQ(input->data.reports[0].repeats, 1);
  EXPECT_EQ(input->data.reports[0].single, 1);
}

TEST_F(BuildInputTest, BasketsStandByTimeAndHoldAnItemOnce) {
  const auto input = ReadBuildInput(WithTime("row,item,time\nx,b,30\ny,a,5\nx,b,20\nx,a,40\n", Protocol::kLeaveOneOut));
  ASSERT_OK(input);
  EXPECT_EQ(RowsOf(input->data), "a|b a");
  EXPECT_THAT(input->data.training.times, ElementsAre(5'000'000, 30'000'000));
}

TEST_F(BuildInputTest, WithoutTimesTheFileIsInOrder) {
  const auto input = ReadBuildInput(File("row,item\n2,b\n1,a\n2,a\n", Protocol::kSessions));
  ASSERT_OK(input);
  EXPECT_EQ(RowsOf(input->data), "a|b a");
  EXPECT_LT(input->data.training.times[0], input->data.training.times[1]);
}

TEST_F(BuildInputTest, ALineWithoutATimeStandsBehindTheOneBeforeIt) {
  const auto input = ReadBuildInput(WithTime("row,item,time\n1,a,\n1,b,50\n1,c,soon\n1,d,60\n", Protocol::kSessions));
  ASSERT_OK(input);
  EXPECT_EQ(RowsOf(input->data), "a b c d");
  EXPECT_EQ(input->data.reports[0].without_time, 1);
  EXPECT_EQ(input->data.reports[0].unreadable_time, 1);
  EXPECT_EQ(input->data.reports[0].out_of_order, 0);
}

TEST_F(BuildInputTest, ReadsWhatEvaluateReads) {
  std::mt19937 random(7);
  std::string text = "row,item,time\n";
  for (int line = 0; line < 3000; ++line) {
    const int item = static_cast<int>(random() % 60);
    absl::StrAppend(&text, random() % 200, ",", item, ",",
                    random() % 20 == 0 ? "" : absl::StrCat(1'500'000'000 + random() % 5000), "\n");
  }
  const auto sessions = ReadBuildInput(WithTime(text, Protocol::kSessions));
  const auto evaluated = evaluate::ReadSessions(
      {folder_.path("input.csv"), "", {',', {{"session", "row"}, {"item", "item"}, {"time", "time"}}}});
  ASSERT_OK(sessions);
  ASSERT_OK(evaluated);
  EXPECT_THAT(sessions->data.item_ids, ElementsAreArray(evaluated->item_ids));
  EXPECT_THAT(sessions->data.training.rows.items, ElementsAreArray(evaluated->training.rows.items));
  EXPECT_THAT(sessions->data.training.rows.offsets, ElementsAreArray(evaluated->training.rows.offsets));
  EXPECT_THAT(sessions->data.training.times, ElementsAreArray(evaluated->training.times));
  EXPECT_EQ(sessions->data.reports[0].repeats, evaluated->reports[0].repeats);
  EXPECT_EQ(sessions->data.reports[0].out_of_order, evaluated->reports[0].out_of_order);
}

TEST_F(BuildInputTest, LongRowsAndRareItemsAreLeftOutAndCounted) {
  BuildFile file = File("row,item\n1,a\n1,b\n1,c\n2,a\n2,b\n2,b\n3,b\n3,d\n", Protocol::kSessions);
  file.max_length = 2;        // session 1 has three
  file.min_item_support = 2;  // then b alone is left in two sessions
  const auto input = ReadBuildInput(file);
  ASSERT_OK(input);
  EXPECT_EQ(RowsOf(input->data), "b b|b");
  EXPECT_THAT(input->data.item_ids, ElementsAre("b"));
  EXPECT_THAT(input->data.training.item_counts, ElementsAre(3));
  EXPECT_EQ(CountOf(*input, "rows_left_out_for_their_length"), 1);
  EXPECT_EQ(CountOf(*input, "items_left_out_for_their_support"), 2);
}

TEST_F(BuildInputTest, BadLinesAreCountedAndLeftOut) {
  const std::string text =
      "row,item\n1,a\n1\n,a\n1,\n2,\"b\"x\n2,b,c\n2," + std::string(257, 'x') + "\n2,\xff\n2,b\n2,B\n";
  const auto input = ReadBuildInput(File(text, Protocol::kLeaveOneOut));
  ASSERT_OK(input);
  EXPECT_EQ(RowsOf(input->data), "a|b B");
  const evaluate::FileReport& report = input->data.reports[0];
  EXPECT_EQ(report.lines, 10);
  EXPECT_EQ(report.damaged, 3);
  EXPECT_EQ(report.without_id, 2);
  EXPECT_EQ(CountOf(*input, "item_ids_that_cannot_be_used"), 2);
  EXPECT_EQ(CountOf(*input, "item_ids_alike"), 1);
  EXPECT_THAT(absl::StrJoin(evaluate::Notes(input->data), "\n"), HasSubstr("2 item ids that cannot be used"));
}

TEST_F(BuildInputTest, BlankIdsAreNoIds) {
  const auto input = ReadBuildInput(File("row,item\n1,a\n1, \n \t,a\n1,b\n", Protocol::kLeaveOneOut));
  ASSERT_OK(input);
  EXPECT_EQ(RowsOf(input->data), "a b");
  EXPECT_EQ(input->data.reports[0].without_id, 2);
  BuildFile lines;
  lines.path = Put("lines.csv", "milk, ,bread\n");
  lines.one_basket_a_line = true;
  const auto baskets = ReadBuildInput(lines);
  ASSERT_OK(baskets);
  EXPECT_EQ(RowsOf(baskets->data), "milk bread");
  EXPECT_EQ(baskets->data.reports[0].without_id, 1);
}

TEST_F(BuildInputTest, EmptyFileAndMissingColumnAreErrors) {
  EXPECT_THAT(ReadBuildInput(File("", Protocol::kSessions)), StatusIs(absl::StatusCode::kInvalidArgument, "empty"));
  EXPECT_THAT(ReadBuildInput(File("row,thing\n", Protocol::kSessions)),
              StatusIs(absl::StatusCode::kInvalidArgument, "no column \"item\""));
  const auto no_rows = ReadBuildInput(File("row,item\n", Protocol::kSessions));
  ASSERT_OK(no_rows);
  EXPECT_EQ(no_rows->data.training.rows.size(), 0u);
}

TEST_F(BuildInputTest, AnUnclosedQuoteIsAFileReadInPart) {
  EXPECT_THAT(ReadBuildInput(File("row,item\n1,a\n1,\"b\n2,a\n", Protocol::kLeaveOneOut)),
              StatusIs(absl::StatusCode::kDataLoss, "read in part only"));
}

TEST_F(BuildInputTest, OneBasketALine) {
  BuildFile file;
  file.path = Put("lines.csv", "milk,bread\n\nbread,bread,,tea\nb\"ad,x\nmilk\n");
  file.one_basket_a_line = true;
  const auto input = ReadBuildInput(file);
  ASSERT_OK(input);
  EXPECT_EQ(RowsOf(input->data), "milk bread|bread tea|milk");
  EXPECT_EQ(input->data.reports[0].repeats, 1);
  EXPECT_EQ(input->data.reports[0].without_id, 1);
  EXPECT_EQ(input->data.reports[0].damaged, 1);
}

TEST_F(BuildInputTest, ARowIsOfTheMarketOfItsFirstLine) {
  BuildFile file = File("row,item,land\n1,a,UK\n1,b,FR\n2,b,\n2,c,FR\n3,c,\n", Protocol::kLeaveOneOut);
  file.options.columns["market"] = "land";
  const auto input = ReadBuildInput(file);
  ASSERT_OK(input);
  EXPECT_THAT(input->market_names, ElementsAre("FR", "UK"));
  EXPECT_THAT(input->markets, ElementsAre(1, 0, kNoMarket));
  EXPECT_EQ(CountOf(*input, "lines_of_another_market_than_their_row"), 1);
  EXPECT_EQ(CountOf(*input, "rows_without_market"), 1);
  EXPECT_EQ(RowsOf(OfMarket(*input, 0)), "b c");
  EXPECT_THAT(OfMarket(*input, 0).item_ids, ElementsAre("b", "c"));
  EXPECT_EQ(RowsOf(OfMarket(*input, 1)), "a b");
}

TEST_F(BuildInputTest, ABasketIdMayBelongToManyUsers) {
  BuildFile file = File("row,item,who\n1,a,x\n1,b,y\n1,c,x\n1,d,\n", Protocol::kLeaveOneOut);
  file.options.columns["user"] = "who";
  const auto input = ReadBuildInput(file);
  ASSERT_OK(input);
  EXPECT_EQ(RowsOf(input->data), "a c|b|d");
}

}  // namespace
}  // namespace offerd::tables
