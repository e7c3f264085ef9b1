#include <cmath>

#include "cli/input_file.h"
#include "cli/play_visit.h"
#include "cli/text.h"
#include "fake_server.h"
#include "temp_file.h"
#include "tests/support/status_matchers.h"

namespace offerd::cli {
namespace {

using ::testing::HasSubstr;

// Four visits of two customers, and one without candidates. The fake ranks as given, so learned hits on orders 1 and 2, the policy
// `reverse` on orders 2 and 3; the first slate holds o1 and o2.
constexpr char kStream[] =
    R"({"customer":"a","order_id":"1","time":1000,"context":{"evening":1,"store":"north"},"candidates":[{"id":"o1","features":{"mailer":1}},{"id":"o2"}],"lines":[{"item":"x","quantity":1,"revenue":3.5}]}
{"customer":"a","order_id":"2","time":2000,"context":{},"candidates":[{"id":"o1"},{"id":"o3"}],"lines":[{"item":"x","quantity":1,"revenue":18.5},{"item":"z","quantity":2,"revenue":4.25}]}
{"customer":"b","order_id":"0","time":2500,"context":{},"candidates":[],"lines":[{"item":"y","quantity":1,"revenue":1}]}
{"customer":"b","order_id":"3","time":3000,"context":{},"candidates":[{"id":"o1"},{"id":"o2"}],"lines":[{"item":"y","quantity":1,"revenue":2}]}
{"customer":"b","order_id":"4","time":4000,"context":{},"candidates":[{"id":"o1"}],"lines":[]}
)";
constexpr char kItems[] = "offer_id,item_ids\no1,x|w\no2,y\no3,z|x\n";
constexpr char kNames[] = "offer_id,label\no1,Milk and more\n";

struct Play {
  RunResult run;
  Json summary;
};

Play PlayOn(const FakeServer& server, std::vector<std::string> more = {}, const std::string& stream_bytes = kStream) {
  const TempFile stream(stream_bytes);
  const TempFile items(kItems);
  const TempFile names(kNames);
  const TempFile output("");
  std::vector<std::string> arguments = {"play", "--stream", stream.path(), "--placement", "home", "--compare", "reverse", "--offer-items", items.path(),
                                        "--offer-names", names.path(), "--output", output.path()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  Play play{RunOn(server, arguments), nullptr};
  play.summary = Json::parse(*ReadWholeFile(output.path()), nullptr, false);
  return play;
}

TEST(PlayTest, CountsHitsValueAndPairedDifferencesAsByHand) {
  FakeServer server;
  const Play play = PlayOn(server);
  ASSERT_EQ(play.run.code, 0) << play.run.err;
  const Json& summary = play.summary;
  EXPECT_EQ(summary["visits"], 4);
  EXPECT_EQ(summary["visits_without_candidates"], 1);
  EXPECT_EQ(summary["reward"]["learned"]["mean"], 0.5);      // 1 1 0 0
  EXPECT_EQ(summary["reward"]["reverse"]["mean"], 0.5);      // 0 1 1 0
  EXPECT_EQ(summary["slate_hits"]["learned"]["mean"], 0.75);
  EXPECT_EQ(summary["value"]["learned"]["mean"], (3.5 + 18.5) / 4);
  EXPECT_EQ(summary["value"]["reverse"]["mean"], (20.0 + 2.0) / 4) << "22.75 is capped at 20";
  // Differences: a 1, 0; b -1, 0. Mean 0, residuals 1 and -1: half width 1.959964 x sqrt(2 x 2) / 4.
  EXPECT_EQ(summary["difference"]["reverse"]["mean"], 0.0);
  EXPECT_NEAR(summary["difference"]["reverse"]["hi"].get<double>(), 1.959964 / 2, 1e-6);
  EXPECT_NEAR(summary["reward"]["learned"]["lo"].get<double>(), 0.5 - 1.959964 * std::sqrt(4.0) / 4, 1e-6);
  EXPECT_EQ(summary["events"]["acknowledged"], 5);
  EXPECT_EQ(summary["events"]["applied"], 5);
  EXPECT_EQ(summary["events"]["duplicates"], 0);
  for (const char* key : {"p50_us", "p99_us", "per_second"}) EXPECT_GT(summary["rank_offers"][key].get<double>(), 0) << key;
}

TEST(PlayTest, SendsWhatTheStreamSaysAndTheDecisionWithThePurchase) {
  FakeServer server;
  PlayOn(server, {"--market", "north", "--slots", "2"});
  ASSERT_EQ(server.ranked.size(), 8u);
  const v1::RankOffersRequest& own = server.ranked[0];
  EXPECT_EQ(own.request_id(), "play-1");
  EXPECT_EQ(own.market(), "north");
  EXPECT_EQ(own.slate_size(), 2);
  EXPECT_EQ(own.as_of().seconds(), 1000);
  EXPECT_FALSE(own.validate_only());
  EXPECT_EQ(own.context(1).text(), "north");
  EXPECT_EQ(own.candidates(0).features(0).number(), 1);
  const v1::RankOffersRequest& compared = server.ranked[1];
  EXPECT_TRUE(compared.validate_only());
  EXPECT_EQ(compared.policy(), "reverse");
  EXPECT_EQ(compared.request_id(), "play-1/reverse");
  ASSERT_EQ(server.events.size(), 5u);
  EXPECT_EQ(server.events[0].event_id(), "purchase-1");
  EXPECT_EQ(server.events[0].decision_id(), "d-play-1");
  EXPECT_EQ(server.events[0].lines(0).revenue_micros(), 3'500'000);
  EXPECT_EQ(server.events[2].event_id(), "purchase-0");
  EXPECT_EQ(server.events[2].decision_id(), "");
}

TEST(PlayTest, TellsInWordsWhatItProvesAndExplainsOneDecision) {
  FakeServer server;
  const RunResult run = PlayOn(server).run;
  EXPECT_THAT(run.out, HasSubstr("not uplift"));
  EXPECT_THAT(run.out, HasSubstr("is not known, so this is no exact cost"));
  EXPECT_THAT(run.out, HasSubstr("One decision: customer a on 1970-01-01T00:33:20Z"));
  EXPECT_THAT(run.out, HasSubstr("Milk and more"));
  EXPECT_THAT(run.out, HasSubstr("bought for 18.50"));
  EXPECT_THAT(run.out, HasSubstr("one visit of 4.0"));
}

TEST(PlayTest, SecondRunIsCountedOnceAndSeesDuplicates) {
  FakeServer server;
  PlayOn(server);
  const Json summary = PlayOn(server).summary;
  EXPECT_EQ(summary["visits"], 4);
  EXPECT_EQ(summary["events"]["duplicates"], 5);
  EXPECT_EQ(summary["events"]["applied"], 0);
  EXPECT_EQ(server.events.size(), 5u);
}

TEST(PlayTest, StartAndLimitCutTheStream) {
  FakeServer server;
  const Json summary = PlayOn(server, {"--start", "1", "--limit", "2"}, Gzip(kStream)).summary;
  EXPECT_EQ(summary["visits"], 1);
  EXPECT_EQ(summary["reward"]["learned"]["lo"], nullptr) << "one customer has no interval";
  ASSERT_EQ(server.events.size(), 2u);
  EXPECT_EQ(server.events[0].event_id(), "purchase-2");
}

TEST(PlayTest, RestartingServerIsRetriedWithTheSameIds) {
  FakeServer server;
  server.rank_failures = 2;
  server.feedback_failures = 1;
  const Play play = PlayOn(server, {"--retry", "30"});
  EXPECT_EQ(play.run.code, 0) << play.run.err;
  EXPECT_EQ(play.summary["visits"], 4);
  EXPECT_EQ(play.summary["events"]["acknowledged"], 5);
  EXPECT_EQ(play.summary["events"]["duplicates"], 1) << "its first acknowledgement was lost";
  EXPECT_EQ(server.events.size(), 5u);
}

TEST(PlayTest, WithoutRetryItStopsAndSaysWhereToGoOn) {
  FakeServer server;
  server.feedback_failures = 1;
  const RunResult run = PlayOn(server, {"--start", "1"}).run;
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("UNAVAILABLE"));
  EXPECT_THAT(run.err, HasSubstr("line 2 (--start 1 goes on there)"));
}

TEST(PlayTest, CatalogueOfTheServerStandsInForTheFiles) {
  FakeServer server;
  server.offers.resize(3);
  for (int i = 0; i < 3; ++i) server.offers[static_cast<size_t>(i)].set_offer_id("o" + std::to_string(i + 1));
  server.offers[0].add_item_ids("x");
  server.offers[0].set_label("Milk of the catalogue");
  server.offers[1].add_item_ids("y");
  const TempFile stream(kStream);
  const RunResult run = RunOn(server, {"play", "--json", "--stream", stream.path(), "--placement", "home"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(Json::parse(run.out)["reward"]["learned"]["mean"], 0.5);
  EXPECT_THAT(RunOn(server, {"play", "--stream", stream.path(), "--placement", "home"}).out, HasSubstr("Milk of the catalogue"));
}

TEST(PlayTest, WrongInputNamesTheLine) {
  FakeServer server;
  const RunResult run = PlayOn(server, {}, std::string(kStream) + "{\"customer\":\"a\"}\n").run;
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("line 6: \"order_id\" is not a text"));
  EXPECT_EQ(PlayOn(server, {"--compare", "learned"}).run.code, 2);
  EXPECT_EQ(PlayOn(server, {"--offer-items-columns", "id=offer_id,item=x"}).run.code, 2);
  EXPECT_EQ(PlayOn(server, {"--offer-items-columns", "id=nothing,items=item_ids"}).run.code, 1);
}

TEST(PlayVisitTest, WrongTypesAreErrorsNotDefaults) {
  for (const char* line : {"", "[]", "{", R"({"customer":1,"order_id":"1","time":1,"candidates":[],"lines":[]})",
                           R"({"customer":"a","order_id":"1","time":"1","candidates":[],"lines":[]})",
                           R"({"customer":"a","order_id":"1","time":-1,"candidates":[],"lines":[]})",
                           R"({"customer":"a","order_id":"1","time":1,"lines":[]})",
                           R"({"customer":"a","order_id":"1","time":1,"candidates":[7],"lines":[]})",
                           R"({"customer":"a","order_id":"1","time":1,"candidates":[],"lines":[{"item":"x","quantity":1.5,"revenue":1}]})",
                           R"({"customer":"a","order_id":"1","time":1,"context":{"x":true},"candidates":[],"lines":[]})"}) {
    EXPECT_THAT(ParseVisit(line), StatusIs(absl::StatusCode::kInvalidArgument, "")) << line;
  }
}

}  // namespace
}  // namespace offerd::cli
