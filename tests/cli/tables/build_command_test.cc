#include "cli/tables/build_command.h"

#include <filesystem>

#include "build_fixture.h"
#include "cli/evaluate/tune_command.h"
#include "cli/format.h"
#include "cli/input_file.h"
#include "cli/tables/table_lists.h"
#include "gmock/gmock.h"
#include "tests/support/shared_data.h"

namespace offerd::tables {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class BuildCommandTest : public BuildTest {};

TEST_F(BuildCommandTest, CountsOfATinyFileAreThoseByHand) {
  ASSERT_OK(Build(Arguments(Put("b.csv", BasketCsv({"ab", "abc", "bc", "d", "bb"})), "count")));
  EXPECT_EQ(Row("t", "a"), "b:2 c:1");
  EXPECT_EQ(Row("t", "b"), "a:2 c:2");
  EXPECT_EQ(Row("t", "c"), "b:2 a:1");
  EXPECT_EQ(Row("t", "d"), "");
  EXPECT_THAT(out_.str(), HasSubstr("t            1  count      4        5        6      3"));
  EXPECT_THAT(err_.str(), HasSubstr("10 lines, 1 repeat an item of their group, 2 groups of one item"));
}

TEST_F(BuildCommandTest, TheManifestHasEveryParameter) {
  BuildArguments arguments = Arguments(Put("b.csv", BasketCsv({"ab", "abc", "bc"})), "cosine");
  arguments.table.parameters = {"shrink=0.5"};
  arguments.table.keep = 1;
  arguments.table.min_support = 2;
  arguments.max_length = 7;
  ASSERT_OK(Build(arguments));
  const auto info = ReadTableInfo(root(), "t", 1);
  ASSERT_OK(info);
  const auto& parameters = info->manifest.parameters();
  EXPECT_EQ(parameters.at("shrink"), "0.5");
  EXPECT_EQ(parameters.at("k"), "1");
  EXPECT_EQ(parameters.at("min_support"), "2.0");
  EXPECT_EQ(parameters.at("max_length"), "7");
  EXPECT_EQ(info->manifest.counts().baskets(), 3u);
  EXPECT_EQ(info->manifest.counts().pairs(), 3u);
  EXPECT_EQ(Row("t", "a"), "b:0.678083");  // 2 / (sqrt(2 x 3) + .5)
}

TEST_F(BuildCommandTest, TwoBuildsAreTwoVersions) {
  const BuildArguments arguments = Arguments(Put("b.csv", BasketCsv({"ab"})), "jaccard");
  ASSERT_OK(Build(arguments));
  ASSERT_OK(Build(arguments));
  EXPECT_THAT(*ListTableVersions(root(), "t"), ElementsAre(1, 2));
}

TEST_F(BuildCommandTest, EachMarketHasATableBesideThatOfAll) {
  const std::string long_name(80, 'm');
  const std::string text =
      "b,i,m\n1,x,US\n1,y,US\n2,x,United Kingdom\n2,z,United Kingdom\n3,x,US\n3,y,US\n4,x,\n4,y,\n5,x," + long_name +
      "\n";
  ASSERT_OK(Build(Arguments(Put("m.csv", text), "count", {"basket=b", "item=i", "market=m"}), true));
  EXPECT_EQ(Row("t", "x"), "y:3 z:1");
  EXPECT_EQ(Row("t.US", "x"), "y:2");
  EXPECT_EQ(Row("t.US", "z"), "unknown");
  EXPECT_EQ(Row("t.United_20Kingdom", "x"), "z:1");
  EXPECT_EQ(ListTables(root())->size(), 3u);
  const cli::Json json = cli::Json::parse(out_.str());
  EXPECT_EQ(json["tables"].size(), 3u);
  EXPECT_EQ(json["tables"][1]["name"], "t.US");
  EXPECT_EQ(json["tables"][1]["baskets"], 2);
  EXPECT_EQ(json["data"]["markets_without_a_table"], 1);
  EXPECT_EQ(json["data"]["rows_without_market"], 1);
  EXPECT_TRUE(json["peak_bytes"].is_number());
}

TEST_F(BuildCommandTest, AConfigOfTuneIsTheSameTableAsItsOptions) {
  const std::string input = Put("b.csv", BasketCsv({"ab", "abc", "bc", "ca"}));
  BuildArguments arguments = Arguments(input, "confidence");
  arguments.table.parameters = {"damping=0.5", "k=1"};
  ASSERT_OK(Build(arguments));
  const std::string by_options = Row("t", "a") + Row("t", "b");
  arguments = Arguments(input, "");
  arguments.config_file =
      Put("c.json", R"({"kind": "confidence", "parameters": {"damping": 0.5, "k": 1}, "tuned": {"seed": 3}})");
  ASSERT_OK(Build(arguments));
  EXPECT_EQ(Row("t", "a") + Row("t", "b"), by_options);
}

TEST_F(BuildCommandTest, EveryConfigOfTuneIsTaken) {
  std::string text = "u,g,i,t\n", lines;
  for (int g = 0; g < 60; ++g) {
    for (int i = 0; i < 3; ++i) absl::StrAppend(&text, g % 9, ",", g, ",", (g + i * i) % 12, ",", 86'400 * g + i, "\n");
    absl::StrAppend(&lines, g % 5, ",", g % 7 + 5, ",", g % 3 + 12, "\n");
  }
  const std::string rows = Put("rows.csv", text), basket_lines = Put("lines.csv", lines);
  const auto tune_and_build = [&](evaluate::Subject subject, const std::string& input, const std::vector<std::string>& columns,
                                  const std::string& protocol, const std::vector<std::string>& methods) {
    evaluate::TuneArguments tune;
    tune.data.subject = subject;
    tune.data.train = tune.data.baskets = input;
    tune.data.columns = columns;
    tune.data.basket_lines = columns.empty();
    tune.data.protocol = protocol;
    tune.data.methods = methods;
    tune.trials = 6;
    tune.budget_seconds = 1e6;
    tune.output = folder_.path("config.json");
    const auto plan = evaluate::MakeTunePlan(tune);
    ASSERT_OK(plan);
    std::ostringstream out, err;
    ASSERT_OK(evaluate::RunTune(*plan, {out, err, false, true}));
    BuildArguments arguments = Arguments(input, "", columns);
    arguments.basket_lines = columns.empty();
    arguments.config_file = tune.output;
    EXPECT_OK(Build(arguments)) << absl::StrJoin(methods, " ") << " " << *cli::ReadWholeFile(tune.output);
  };
  const std::vector<std::string> sessions = {"session=g", "item=i", "time=t"}, baskets = {"user=u", "basket=g", "item=i", "time=t"};
  for (const absl::string_view kind : TableKinds()) {
    const std::string method(kind);
    tune_and_build(evaluate::Subject::kSessions, rows, sessions, "leave-one-out", {method, "popular", "blend"});
    if (method == "ar" || method == "sr") continue;
    tune_and_build(evaluate::Subject::kBaskets, rows, baskets, "leave-one-out", {method, "repeat", "blend"});
    tune_and_build(evaluate::Subject::kBaskets, basket_lines, {}, "leave-one-out", {method, "popular", "blend"});
    if (method != "vmis") tune_and_build(evaluate::Subject::kBaskets, rows, baskets, "next-basket", {method, "repeat_popular", "blend"});
  }
  tune_and_build(evaluate::Subject::kBaskets, basket_lines, {}, "leave-one-out", {});
}

TEST_F(BuildCommandTest, WhatWasWrongWithTheDataOfAConfigIsSaidAgain) {
  BuildArguments arguments = Arguments(Put("b.csv", BasketCsv({"ab", "ab"})), "");
  arguments.config_file = Put("c.json", R"({"kind": "count", "parameters": {}, "warnings": ["x.csv was read in part only"]})");
  ASSERT_OK(Build(arguments));
  EXPECT_THAT(err_.str(), HasSubstr("warning: --config was tuned on x.csv was read in part only\n"));
}

TEST_F(BuildCommandTest, HalfLifeNeedsATimeThatCanBeRead) {
  const std::string text = "b,i,t\n1,x,1433221332117\n1,y,1433221332118\n2,x,soon\n2,y,\n";
  BuildArguments arguments = Arguments(Put("b.csv", text), "count", {"basket=b", "item=i", "time=t"});
  ASSERT_OK(Build(arguments));
  EXPECT_THAT(err_.str(), HasSubstr("these may be milliseconds"));
  arguments.table.half_life_days = 10;
  EXPECT_THAT(Build(arguments), StatusIs(absl::StatusCode::kInvalidArgument, "--half-life: no line has a time that can be read"));
  EXPECT_THAT(err_.str(), HasSubstr("these may be milliseconds"));
}

TEST_F(BuildCommandTest, ATableWithoutEntriesIsWarnedOf) {
  BuildArguments arguments = Arguments(Put("b.csv", BasketCsv({"a", "b"})), "count");
  ASSERT_OK(Build(arguments, true));
  EXPECT_EQ(cli::Json::parse(out_.str())["warnings"][0], "table t has 0 entries: no item has a neighbour in it");
  EXPECT_THAT(err_.str(), HasSubstr("warning: table t has 0 entries"));
  arguments.table.kind = "vmis";
  ASSERT_OK(Build(arguments, true));
  EXPECT_THAT(err_.str(), Not(HasSubstr("0 entries"))) << "sessions are its content";
}

TEST_F(BuildCommandTest, AConfigThatIsNoneIsRefused) {
  const std::string input = Put("b.csv", BasketCsv({"ab"}));
  const auto expect = [&](const std::string& text, const std::string& why) {
    BuildArguments arguments = Arguments(input, "");
    arguments.config_file = Put("c.json", text);
    EXPECT_THAT(Build(arguments), StatusIs(absl::StatusCode::kInvalidArgument, why)) << text;
  };
  expect("", "is empty");
  expect("kind: cosine", "expected a JSON object");
  expect("[1]", "expected a JSON object");
  expect(R"({"parameters": {}})", "\"kind\" is missing");
  expect(R"({"kind": 5})", "found \"kind\"");
  expect(R"({"kind": "cosine", "parameter": {}})", "found \"parameter\"");
  expect(R"({"kind": "cosine", "parameters": {"k": [1]}})", "parameter k is neither");
  expect(R"({"kind": "cosine", "parameters": {"depth": 1}})", "no parameter \"depth\"");
  expect(R"({"kind": "blend", "parameters": {}})", "\"blend\" is no kind of a table");
}

TEST_F(BuildCommandTest, ArgumentsThatDoNotFitAreRefused) {
  const std::string input = Put("b.csv", BasketCsv({"ab"}));
  const auto expect = [&](const std::string& why, const std::function<void(BuildArguments&)>& change) {
    BuildArguments arguments = Arguments(input, "cosine");
    change(arguments);
    EXPECT_THAT(Build(arguments), StatusIs(absl::StatusCode::kInvalidArgument, why));
  };
  expect("is no name of a table", [](BuildArguments& a) { a.name = "../t"; });
  expect("--kind or --config is missing", [](BuildArguments& a) { a.table.kind = ""; });
  expect("no kind of a table; there are ar, sr,", [](BuildArguments& a) { a.table.kind = "popular"; });
  expect("role item is missing", [](BuildArguments& a) { a.columns = {"basket=basket"}; });
  expect("leave --columns out", [](BuildArguments& a) { a.basket_lines = true; });
  expect("--half-life needs times", [](BuildArguments& a) { a.table.half_life_days = 3; });
  expect("expected days above 0", [](BuildArguments& a) { a.table.half_life_days = 0; });
  for (const char* kind : {"ar", "cosine", "ease"}) {
    expect("--keep: expected 1 or more", [kind](BuildArguments& a) {
      a.table.kind = kind;
      a.table.keep = 0;
    });
  }
  expect("k is given twice", [](BuildArguments& a) {
    a.table.parameters = {"k=3"};
    a.table.keep = 4;
  });
  expect("--parameters of cosine:", [](BuildArguments& a) { a.table.parameters = {"shrink=-1"}; });
  expect("not defined for leave-one-out", [](BuildArguments& a) { a.table.kind = "sr"; });
  expect("vmis has no neighbours to keep", [](BuildArguments& a) {
    a.table.kind = "vmis";
    a.table.keep = 4;
  });
  expect("vmis prefers recent sessions", [](BuildArguments& a) {
    a.table.kind = "vmis";
    a.table.half_life_days = 4;
  });
  expect("leave those out", [&](BuildArguments& a) { a.config_file = Put("c.json", "{}"); });
  expect("keep is given twice", [](BuildArguments& a) {
    a.table.kind = "ease";
    a.table.parameters = {"keep=3"};
    a.table.keep = 4;
  });
  EXPECT_FALSE(fs::exists(root()));
}

TEST_F(BuildCommandTest, NothingIsWrittenFromAFileThatIsCut) {
  const std::string input = Put("b.csv", BasketCsv({"ab"}) + "9,\"a");
  EXPECT_THAT(Build(Arguments(input, "count")), StatusIs(absl::StatusCode::kDataLoss, "nothing is built from it"));
  EXPECT_FALSE(fs::exists(root()));
}

TEST_F(BuildCommandTest, NothingIsWrittenWithoutRows) {
  EXPECT_THAT(Build(Arguments(Put("b.csv", "basket,item\n,a\n"), "count")),
              StatusIs(absl::StatusCode::kInvalidArgument, "nothing to build from"));
  EXPECT_THAT(err_.str(), HasSubstr("1 lack an id and are left out"));
  EXPECT_FALSE(fs::exists(root()));
}

TEST_F(BuildCommandTest, RowsLoseWeightWithTheirAge) {
  const std::string text = "b,i,t\n1,x,2020-01-01\n1,y,2020-01-01\n2,x,2020-01-11\n2,y,2020-01-11\n2,z,2020-01-11\n";
  BuildArguments arguments = Arguments(Put("b.csv", text), "count", {"basket=b", "item=i", "time=t"});
  arguments.table.half_life_days = 10;
  ASSERT_OK(Build(arguments));
  EXPECT_EQ(Row("t", "x"), "y:1.5 z:1");
  EXPECT_EQ(ReadTableInfo(root(), "t", 1)->manifest.parameters().at("half_life"), "10.0");
  arguments.table.kind = "sr";
  arguments.columns[0] = "session=b";
  ASSERT_OK(Build(arguments));
  EXPECT_EQ(Row("t", "x"), "y:1.5 z:0.5");
}

TEST_F(BuildCommandTest, SequentialRulesFollowTheClicks) {
  const std::string text = "s,i,t\n1,y,20\n1,x,10\n1,x,30\n2,x,5\n2,z,6\n";
  ASSERT_OK(Build(Arguments(Put("s.csv", text), "sr", {"session=s", "item=i", "time=t"})));
  EXPECT_EQ(Row("t", "x"), "y:1 z:1 x:0.5");
  EXPECT_EQ(Row("t", "y"), "x:1");
  EXPECT_THAT(out_.str(), HasSubstr("sessions"));
}

TEST_F(BuildCommandTest, SessionsAreAskedAsTheyWereBuilt) {
  const std::string text = "s,i,t\n1,x,10\n1,y,11\n2,x,20\n2,z,21\n3,y,30\n";
  BuildArguments arguments = Arguments(Put("s.csv", text), "vmis", {"session=s", "item=i", "time=t"});
  arguments.table.parameters = {"m=1", "k=5", "last=3", "keep_current=true", "quantile=1", "idf=0"};
  ASSERT_OK(Build(arguments));
  const auto table = LoadTable(root(), "t", 1);
  ASSERT_OK(table);
  EXPECT_EQ((*table)->sessions.sessions_per_item, 1u);
  EXPECT_EQ((*table)->query.neighbours, 5u);
  EXPECT_EQ((*table)->query.last_items, 3u);
  EXPECT_TRUE((*table)->query.keep_current);
  std::vector<ScoredItem> list;
  TableLists(**table).Get(*(*table)->ids.Find("x"), 9, &list);
  ASSERT_EQ(list.size(), 2u);  // of the one session x remembers
  EXPECT_EQ((*table)->ids.IdOf(list[0].item), "x");
  EXPECT_EQ((*table)->ids.IdOf(list[1].item), "z");
}

TEST_F(BuildCommandTest, EaseThatDoesNotFitItsMemoryIsRefused) {
  BuildArguments arguments = Arguments(Put("b.csv", BasketCsv({"abcdefghij", "ab", "bc"})), "ease");
  arguments.memory_bytes = 100;
  EXPECT_THAT(Build(arguments), StatusIs(absl::StatusCode::kResourceExhausted, ""));
  EXPECT_FALSE(fs::exists(root()));
  arguments.memory_bytes = 1 << 20;
  arguments.table.parameters = {"lambda=0.5", "keep=1"};
  ASSERT_OK(Build(arguments));
  const auto table = LoadTable(root(), "t", 1);
  for (TableItem item = 0; item < 10; ++item) EXPECT_LE((*table)->rows.Neighbours(item).size(), 1u);
}

TEST_F(BuildCommandTest, TheTableDoesNotDependOnTheNumberOfThreads) {
  std::string text = "basket,item\n";
  for (int line = 0; line < 4000; ++line) absl::StrAppend(&text, line / 4, ",", line * line % 97, "\n");
  const std::string input = Put("b.csv", text);
  for (const std::string kind : {"llr", "ease", "cosine"}) {
    BuildArguments arguments = Arguments(input, kind);
    arguments.name = kind;
    arguments.threads = 1;
    ASSERT_OK(Build(arguments));
    arguments.threads = 3;
    ASSERT_OK(Build(arguments));
    for (const char* file : {"row_offsets.u64", "row_neighbours.u32", "row_scores.f32", "id_slots.u32"}) {
      EXPECT_EQ(ReadWholeFile(root() + "/" + kind + "/1/" + file), ReadWholeFile(root() + "/" + kind + "/2/" + file))
          << kind << " " << file;
    }
  }
}

TEST_F(BuildCommandTest, GroceriesHaveTheirPublishedCounts) {
  SKIP_WITHOUT_SHARED_DATA("groceries/groceries.csv.zst");
  BuildArguments arguments = Arguments(*SharedData("groceries/groceries.csv.zst"), "count", {});
  arguments.basket_lines = true;
  arguments.table.keep = 1000;
  ASSERT_OK(Build(arguments, true));
  const cli::Json table = cli::Json::parse(out_.str())["tables"][0];
  EXPECT_EQ(table["items"], 169);
  EXPECT_EQ(table["baskets"], 9835);
  EXPECT_EQ(table["pairs"], 9636);
  EXPECT_EQ(table["entries"], 2 * 9636);
  EXPECT_THAT(Row("t", "whole milk"), HasSubstr("other vegetables:736 "));
}

}  // namespace
}  // namespace offerd::tables
