// What is wrong with files and arguments is counted, said where nobody can miss it, or refused.
#include <fstream>
#include <sstream>

#include "cli/evaluate/command.h"
#include "cli/evaluate/read_dataset.h"
#include "cli/evaluate/tune_command.h"
#include "cli/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/temp_file.h"
#include "tests/support/status_matchers.h"

namespace offerd::evaluate {
namespace {

using cli::Json;
using cli::TempFile;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kClicks[] = "s,i,t\na,1,1\na,2,2\nb,1,3\nb,2,4\nc,1,5\nc,3,6\n";
constexpr char kBaskets[] = "b,i,t\n1,x,1\n1,y,1\n2,x,2\n2,y,2\n3,x,3\n3,y,3\n4,x,4\n4,y,4\n";

struct Ran {
  absl::Status status;
  std::string out, err;
  Json json() const { return Json::parse(out); }
};

Ran Evaluate(const Arguments& arguments, bool json = true) {
  const auto plan = MakePlan(arguments);
  if (!plan.ok()) return {plan.status(), "", ""};
  std::ostringstream out, err;
  Ran ran;
  ran.status = RunEvaluate(*plan, {out, err, false, json});
  ran.out = out.str();
  ran.err = err.str();
  return ran;
}

Ran Tune(const TuneArguments& arguments, bool json = true) {
  const auto plan = MakeTunePlan(arguments);
  if (!plan.ok()) return {plan.status(), "", ""};
  std::ostringstream out, err;
  Ran ran;
  ran.status = RunTune(*plan, {out, err, false, json});
  ran.out = out.str();
  ran.err = err.str();
  return ran;
}

Arguments Sessions(const std::string& train, const std::string& test, std::vector<std::string> methods) {
  Arguments arguments;
  arguments.train = train;
  arguments.test = test;
  arguments.columns = {"session=s", "item=i", "time=t"};
  arguments.methods = std::move(methods);
  arguments.cutoffs = {1};
  return arguments;
}

Arguments Baskets(const std::string& path, std::vector<std::string> methods) {
  Arguments arguments;
  arguments.subject = Subject::kBaskets;
  arguments.baskets = path;
  arguments.columns = {"basket=b", "item=i"};
  arguments.test_every = 2;
  arguments.methods = std::move(methods);
  arguments.cutoffs = {1};
  return arguments;
}

Arguments BasketLines(const std::string& path, std::vector<std::string> methods) {
  Arguments arguments = Baskets(path, std::move(methods));
  arguments.columns = {};
  arguments.basket_lines = true;
  return arguments;
}

TuneArguments Tuning(Arguments data) {
  TuneArguments arguments;
  arguments.data = std::move(data);
  arguments.data.test_every = 0;
  arguments.trials = 4;
  arguments.budget_seconds = 1e6;
  arguments.valid_share = 0.5;
  return arguments;
}

// Two thousand clicks, half of the zipped bytes.
std::string HalfOfAGzip() {
  std::string lines = "s,i,t\n";
  for (int i = 0; i < 2'000; ++i) lines += std::to_string(i / 3) + "," + std::to_string(i * 7919 % 1000) + "," + std::to_string(i) + "\n";
  const std::string zipped = cli::Gzip(lines);
  return zipped.substr(0, zipped.size() / 2);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(BadInputTest, AFileReadInPartHasALineOfItsOwnEverywhere) {
  const TempFile train(HalfOfAGzip()), test(kClicks);
  const std::string warning = train.path() + " was read in part only, ";
  const Ran text = Evaluate(Sessions(train.path(), test.path(), {"popular"}), false);
  ASSERT_OK(text.status);
  EXPECT_THAT(text.err, HasSubstr("\nwarning: " + warning));
  EXPECT_THAT(text.out, HasSubstr("\n\nwarning: " + warning));
  const Ran json = Evaluate(Sessions(train.path(), test.path(), {"popular"}));
  EXPECT_THAT(json.json()["warnings"], ElementsAre(StartsWith(warning)));
  const TempFile whole(kClicks);
  EXPECT_EQ(Evaluate(Sessions(whole.path(), test.path(), {"popular"})).json()["warnings"], Json::array());
}

TEST(BadInputTest, APlainFileThatEndsWithinALineMayBeCut) {
  const TempFile train("s,i,t\na,1,1\na,2,2\nb"), test(kClicks), healed("s,i,t\na,1,1\nb\na,2,2\n");
  EXPECT_THAT(Evaluate(Sessions(train.path(), test.path(), {"popular"})).json()["warnings"],
              ElementsAre(train.path() + ": the last line is damaged; the file may be cut"));
  EXPECT_EQ(Evaluate(Sessions(healed.path(), test.path(), {"popular"})).json()["warnings"], Json::array()) << "damage in the middle is counted";
}

TEST(BadInputTest, AConfigTunedOnAFileReadInPartSaysSo) {
  const TempFile train(HalfOfAGzip()), config("");
  TuneArguments arguments = Tuning(Sessions(train.path(), "", {"sr"}));
  arguments.output = config.path();
  const std::string warning = train.path() + " was read in part only, ";
  const Ran ran = Tune(arguments, false);
  ASSERT_OK(ran.status);
  EXPECT_THAT(ran.err, HasSubstr("\nwarning: " + warning));
  EXPECT_THAT(ran.out, HasSubstr("\nwarning: " + warning));
  EXPECT_THAT(Json::parse(ReadFile(config.path()))["warnings"], ElementsAre(StartsWith(warning)));
}

TEST(BadInputTest, NothingFadesWithAgeWithoutTimes) {
  const TempFile lines("x,y\nx,y\nx,y\nx,y\n"), table(kBaskets);
  for (const Arguments& data : {BasketLines(lines.path(), {}), Baskets(table.path(), {})}) {
    for (const std::string method : {"popular:half_life=30", "jaccard:half_life=1", "blend:half_life=60", "blend:table_half_life=2", "blend:trend=3"}) {
      Arguments arguments = data;
      arguments.methods = {method};
      EXPECT_THAT(Evaluate(arguments).status, StatusIs(absl::StatusCode::kInvalidArgument, "needs times")) << method;
    }
    Arguments arguments = data;
    arguments.methods = {"jaccard:half_life=0", "blend"};
    const Ran ran = Evaluate(arguments);
    ASSERT_OK(ran.status);
    EXPECT_EQ(ran.json()["methods"][1]["parameters"]["half_life"], 0.0) << "a default is dropped";
  }
  Arguments sessions = Sessions(table.path(), table.path(), {"popular:half_life=30"});
  sessions.columns = {"session=b", "item=i"};
  EXPECT_THAT(Evaluate(sessions).status, StatusIs(absl::StatusCode::kInvalidArgument, "needs times"));
  sessions.columns.push_back("time=i");
  EXPECT_THAT(Evaluate(sessions).status, StatusIs(absl::StatusCode::kInvalidArgument, "needs times")) << "a column without a time in it";
}

TEST(BadInputTest, TuneDoesNotSearchAgesWithoutTimes) {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "x" + std::to_string(i % 7) + ",y" + std::to_string(i % 7) + ",z\n";
  const TempFile lines(text);
  TuneArguments arguments = Tuning(BasketLines(lines.path(), {"popular", "jaccard", "blend"}));
  arguments.trials = 30;
  const Ran ran = Tune(arguments);
  ASSERT_OK(ran.status);
  const Json json = ran.json();  // kept: the loop reads from it
  for (const Json& method : json["tuned"]["methods"]) EXPECT_EQ(method["best"]["parameters"]["half_life"], 0.0) << method["name"];
}

TEST(BadInputTest, TuneRefusesATestDateWithoutTimes) {
  const TempFile lines("x,y\nx,y\n"), table(kBaskets);
  for (Arguments data : {BasketLines(lines.path(), {}), Baskets(table.path(), {})}) {
    data.test_from = "2024-01-10";
    EXPECT_THAT(Tune(Tuning(data)).status, StatusIs(absl::StatusCode::kInvalidArgument, "--test-from needs times"));
  }
}

TEST(BadInputTest, TheConfigIsThatOfTheBestTable) {
  std::string text = "u,b,i,t\n";  // everybody buys the same again, and nothing goes together
  for (int b = 0; b < 200; ++b) text += std::to_string(b % 20) + "," + std::to_string(b) + "," + std::to_string(b % 20) + "," + std::to_string(b) + "\n";
  const TempFile file(text), config("");
  Arguments data = Baskets(file.path(), {"popular", "count", "repeat"});
  data.columns = {"user=u", "basket=b", "item=i", "time=t"};
  data.protocol = "next-basket";
  TuneArguments arguments = Tuning(data);
  arguments.cutoff = 2;
  arguments.output = config.path();
  const Ran ran = Tune(arguments, false);
  ASSERT_OK(ran.status);
  const Json written = Json::parse(ReadFile(config.path()));
  EXPECT_EQ(written["kind"], "count");
  EXPECT_EQ(written["tuned"]["winner"]["name"], "repeat");
  EXPECT_THAT(ran.out, HasSubstr("best of all: repeat:"));
  EXPECT_THAT(ran.out, HasSubstr("which is no table"));

  arguments.data.methods = {"popular", "blend"};
  EXPECT_THAT(Tune(arguments).status, StatusIs(absl::StatusCode::kInvalidArgument, "none of the methods is a table"));
  arguments.output = "";
  EXPECT_OK(Tune(arguments).status);
}

TEST(BadInputTest, MillisecondsAreUnreadableTimes) {
  const TempFile train("s,i,t\na,1,1433221332117\na,2,1433221332118\nb,1,3\nb,2,1433221332119\n"), all("s,i,t\na,1,1433221332117\na,2,1433221332118\n");
  const Ran ran = Evaluate(Sessions(train.path(), all.path(), {"popular"}));
  ASSERT_OK(ran.status);
  EXPECT_EQ(ran.json()["data"]["files"][0]["unreadable_time"], 3);
  EXPECT_EQ(ran.json()["data"]["files"][0]["beyond_years"], 3);
  EXPECT_THAT(ran.err, HasSubstr("3 have a time that cannot be read (not from 1970 to 2200: milliseconds?)"));
  EXPECT_THAT(ran.json()["warnings"], ElementsAre(AllOf(HasSubstr(all.path()), HasSubstr("no time of 2 can be read"), HasSubstr("milliseconds"))));
}

TEST(BadInputTest, NothingToTestOnIsAnError) {
  const TempFile train(kClicks), empty("s,i,t\n");
  Arguments arguments = Sessions(train.path(), train.path(), {"popular"});
  arguments.min_prefix = 2;
  EXPECT_THAT(Evaluate(arguments).status, StatusIs(absl::StatusCode::kInvalidArgument, "nothing to test on"));
  arguments.min_prefix = 1;
  EXPECT_OK(Evaluate(arguments).status);
  arguments.test = empty.path();
  EXPECT_THAT(Evaluate(arguments).status, StatusIs(absl::StatusCode::kInvalidArgument, "nothing to test on"));
  EXPECT_THAT(Evaluate(Sessions(empty.path(), train.path(), {"popular"})).status,
              StatusIs(absl::StatusCode::kInvalidArgument, "nothing to learn from"));
  TuneArguments tuning = Tuning(Sessions(train.path(), "", {"sr"}));
  tuning.data.min_prefix = 2;
  EXPECT_THAT(Tune(tuning).status, StatusIs(absl::StatusCode::kInvalidArgument, "nothing to test on"));
}

TEST(BadInputTest, BlankIdsAreNoIds) {
  const TempFile train("s,i,t\na,1,1\na, ,2\n \t,1,3\na,2,4\n"), test(kClicks);
  const Ran sessions = Evaluate(Sessions(train.path(), test.path(), {"popular"}));
  ASSERT_OK(sessions.status);
  EXPECT_EQ(sessions.json()["data"]["files"][0]["without_id"], 2);
  EXPECT_EQ(sessions.json()["data"]["training_items"], 2);
  const TempFile lines("x,y\nx, ,\nx,y\nx,y\n");
  const Ran baskets = Evaluate(BasketLines(lines.path(), {"popular"}));
  ASSERT_OK(baskets.status);
  EXPECT_EQ(baskets.json()["data"]["files"][0]["without_id"], 2);
  EXPECT_EQ(baskets.json()["data"]["training_items"], 2);
  const TempFile users("u,i\n ,x\n1,x\n1,y\n2,x\n"), held_out("u,i\n2,y\n");
  Arguments arguments = Sessions(users.path(), held_out.path(), {"popular"});
  arguments.subject = Subject::kUsers;
  arguments.columns = {"user=u", "item=i"};
  EXPECT_EQ(Evaluate(arguments).json()["data"]["files"][0]["without_id"], 1);
}

TEST(BadInputTest, ItemIdsThatNoTableHoldsAreLeftOutAndCounted) {
  const std::string bad = std::string(257, 'x') + ",1\na,\xff,1\n";
  const TempFile train("s,i,t\na,1,1\na," + bad), test(kClicks), lines("x,y\nx,\xff\nx,y\nx,y\n");
  const Ran ran = Evaluate(Sessions(train.path(), test.path(), {"popular"}));
  ASSERT_OK(ran.status);
  EXPECT_EQ(ran.json()["data"]["item_ids_that_cannot_be_used"], 2);
  EXPECT_EQ(ran.json()["data"]["training_items"], 1);
  EXPECT_EQ(Evaluate(BasketLines(lines.path(), {"popular"})).json()["data"]["item_ids_that_cannot_be_used"], 1);
}

TEST(BadInputTest, AMissingColumnDoesNotDumpALongHeader) {
  std::string header = "s";
  for (int i = 0; i < 20'000; ++i) header += ",column" + std::to_string(i);
  const TempFile train(header + "\n"), test(kClicks);
  const std::string message(Evaluate(Sessions(train.path(), test.path(), {"popular"})).status.message());
  EXPECT_THAT(message, HasSubstr("no column \"i\"; the header has: s, column0, "));
  EXPECT_LT(message.size(), 400u);
}

}  // namespace
}  // namespace offerd::evaluate
