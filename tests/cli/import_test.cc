#include "cli/text.h"
#include "fake_server.h"
#include "gmock/gmock.h"
#include "temp_file.h"

namespace offerd::cli {
namespace {

using ::testing::HasSubstr;

RunResult ImportItems(const FakeServer& server, const std::string& csv, std::vector<std::string> more = {}) {
  const TempFile file(csv);
  std::vector<std::string> arguments = {"import", "items", file.path(), "--columns", "id=sku,price=price"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return RunOn(server, arguments);
}

RunResult ImportEvents(const FakeServer& server, const std::string& bytes, std::vector<std::string> more = {}) {
  const TempFile file(bytes);
  std::vector<std::string> arguments = {"import", "events", file.path(), "--columns", "kind=:purchase,order=o,customer=c,time=t,item=i,revenue=r"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return RunOn(server, arguments);
}

std::string Orders(int count, int lines) {
  std::string csv = "o,c,t,i,r\n";
  for (int order = 0; order < count; ++order) {
    for (int line = 0; line < lines; ++line) csv += std::to_string(order) + ",c,100," + std::to_string(line) + ",1.25\n";
  }
  return csv;
}

TEST(ImportTest, EntriesGoOutInBatchesAndAreCounted) {
  FakeServer server;
  const RunResult result = ImportItems(server, "sku,price\na,1\nb,2\nc,3\n", {"--batch", "2", "--json"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(server.upsert_calls, 2);
  ASSERT_EQ(server.items.size(), 3u);
  const Json summary = Json::parse(result.out);
  EXPECT_EQ(summary["rows"], 3);
  EXPECT_EQ(summary["accepted"], 3);
  EXPECT_EQ(summary["refused"], 0);
  EXPECT_EQ(summary["not_taken"], 0);
}

TEST(ImportTest, OffersAndCustomersReachTheirServices) {
  FakeServer server;
  const TempFile offers("id;items\no1;a|b\n");
  EXPECT_EQ(RunOn(server, {"import", "offers", offers.path(), "--columns", "id=id,items=items", "--delimiter", "semicolon"}).code, 0);
  ASSERT_EQ(server.offers.size(), 1u);
  EXPECT_EQ(server.offers[0].item_ids_size(), 2);
  const TempFile customers("id\tx\nc1\t4\n");
  EXPECT_EQ(RunOn(server, {"import", "customers", customers.path(), "--columns", "id=id", "--columns", "attribute.x=x", "--delimiter", "tab"}).code, 0);
  ASSERT_EQ(server.customers.size(), 1u);
  EXPECT_EQ(server.customers[0].attributes(0).number(), 4);
}

TEST(ImportTest, BadRowStopsBeforeAnythingOfItsBatchIsSent) {
  FakeServer server;
  const RunResult result = ImportItems(server, "sku,price\na,1\nb,2\nc,3\nd,x\ne,5\n", {"--batch", "2"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(server.items.size(), 2u) << "the first batch is in, c is not";
  EXPECT_THAT(result.err, HasSubstr("line 5: price: \"x\" is not an amount"));
  EXPECT_THAT(result.out, HasSubstr("4 rows read, 2 accepted, 1 refused, 1 not sent"));
}

TEST(ImportTest, SkipCountsBadRowsAndGoesOn) {
  FakeServer server;
  const RunResult result = ImportItems(server, "sku,price\na,1\nb\n,3\n\"x\"y,2\ne,5\n", {"--on-error", "skip"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(server.items.size(), 2u);
  EXPECT_THAT(result.err, HasSubstr("line 3: 1 cells, the header has 2"));
  EXPECT_THAT(result.err, HasSubstr("line 4: id: empty"));
  EXPECT_THAT(result.err, HasSubstr("line 5: a quote"));
  EXPECT_THAT(result.out, HasSubstr("5 rows read, 2 accepted, 3 refused"));
}

TEST(ImportTest, OnlyTheFirstTwentyErrorsAreTold) {
  FakeServer server;
  std::string csv = "sku,price\n";
  for (int i = 0; i < 50; ++i) csv += "a,x\n";
  const RunResult result = ImportItems(server, csv, {"--on-error", "skip"});
  EXPECT_THAT(result.err, HasSubstr("line 21:"));
  EXPECT_THAT(result.err, ::testing::Not(HasSubstr("line 22:")));
  EXPECT_THAT(result.err, HasSubstr("and 30 more bad rows"));
}

TEST(ImportTest, WhatTheServerRefusesIsReportedWithItsLine) {
  FakeServer server;
  const RunResult skip = ImportItems(server, "sku,price\na,1\nbad,2\nc,3\n", {"--on-error", "skip"});
  EXPECT_EQ(skip.code, 0);
  EXPECT_THAT(skip.err, HasSubstr("line 3: \"bad\": the fake does not like it"));
  EXPECT_THAT(skip.out, HasSubstr("3 rows read, 2 accepted, 1 refused"));
  EXPECT_EQ(ImportItems(server, "sku,price\nbad,2\n").code, 1);
}

TEST(ImportTest, BusyServerIsAskedAgain) {
  FakeServer server;
  server.upsert_failures = 2;
  EXPECT_EQ(ImportItems(server, "sku,price\na,1\n").code, 0);
  EXPECT_EQ(server.upsert_calls, 3);
  EXPECT_EQ(server.items.size(), 1u);
}

TEST(ImportTest, WrongMappingsAndFiles) {
  FakeServer server;
  const TempFile file("sku,price\na,1\n");
  const RunResult role = RunOn(server, {"import", "items", file.path(), "--columns", "id=sku,size=price"});
  EXPECT_EQ(role.code, 2);
  EXPECT_THAT(role.err, HasSubstr("items have no role \"size\""));
  const RunResult column = RunOn(server, {"import", "items", file.path(), "--columns", "id=name"});
  EXPECT_EQ(column.code, 1);
  EXPECT_THAT(column.err, HasSubstr("no column \"name\" for id; the header has sku, price"));
  EXPECT_EQ(RunOn(server, {"import", "people", file.path(), "--columns", "id=sku"}).code, 2);
  EXPECT_EQ(RunOn(server, {"import", "items", "/nowhere/x", "--columns", "id=sku"}).code, 1);
  EXPECT_EQ(ImportItems(server, "").code, 1);
  EXPECT_EQ(ImportItems(server, "sku,price\na,1\n", {"--delimiter", "comma and space"}).code, 2);
  EXPECT_EQ(ImportItems(server, "sku,price\na,1\n", {"--history"}).code, 2);
  EXPECT_TRUE(server.items.empty());
}

TEST(ImportTest, EventsOfAnOrderArriveAsOneInAnyCompression) {
  for (const auto& compress : {+[](const std::string& text) { return text; }, +[](const std::string& text) { return Gzip(text); }, +[](const std::string& text) { return Zstd(text); }}) {
    FakeServer server;
    const RunResult result = ImportEvents(server, compress(Orders(1000, 3)), {"--batch", "37", "--history", "--json"});
    EXPECT_EQ(result.code, 0) << result.err;
    ASSERT_EQ(server.events.size(), 1000u);
    EXPECT_EQ(server.events[999].event_id(), "import-999");
    EXPECT_EQ(server.events[999].lines_size(), 3);
    EXPECT_EQ(server.events[999].lines(2).revenue_micros(), 1'250'000);
    EXPECT_TRUE(server.events[999].history());
    const Json summary = Json::parse(result.out);
    EXPECT_EQ(summary["rows"], 3000);
    EXPECT_EQ(summary["accepted"], 3000);
    EXPECT_EQ(summary["events"]["applied"], 1000);
  }
}

TEST(ImportTest, SecondImportOfTheSameEventsCountsThemAsKnown) {
  FakeServer server;
  ImportEvents(server, Orders(10, 2));
  const RunResult result = ImportEvents(server, Orders(10, 2), {"--json"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(server.events.size(), 10u);
  const Json summary = Json::parse(result.out);
  EXPECT_EQ(summary["accepted"], 20);
  EXPECT_EQ(summary["events"]["duplicate"], 10);
}

TEST(ImportTest, BrokenStreamIsOpenedAgainAndNothingIsLostOrCountedTwice) {
  FakeServer server;
  server.stream_break_after = 5;
  const RunResult result = ImportEvents(server, Orders(500, 2), {"--batch", "10", "--json"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(server.events.size(), 500u);
  EXPECT_GE(server.stream_batches, 51);
  const Json summary = Json::parse(result.out);
  EXPECT_EQ(summary["accepted"], 1000);
  EXPECT_EQ(summary["events"]["applied"].get<int>() + summary["events"]["duplicate"].get<int>(), 500);
}

TEST(ImportTest, CutFileIsAnErrorThatNamesTheLineAndCountsWhatWasTaken) {
  FakeServer server;
  std::string bytes = Gzip(Orders(20'000, 2));
  bytes.resize(bytes.size() / 2);
  const RunResult result = ImportEvents(server, bytes, {"--on-error", "skip", "--json"});
  EXPECT_EQ(result.code, 1);
  const Json summary = Json::parse(result.out);
  EXPECT_THAT(result.err, HasSubstr("line " + std::to_string(summary["rows"].get<int>() + 2) + ": the gzip data end early"));
  EXPECT_EQ(summary["accepted"].get<int>() + summary["not_taken"].get<int>(), summary["rows"].get<int>());
  EXPECT_EQ(static_cast<int>(server.events.size()) * 2, summary["accepted"].get<int>());
}

TEST(ImportTest, RefusedEventCountsItsRowsAndStops) {
  FakeServer server;
  const RunResult result = ImportEvents(server, "o,c,t,i,r\n1,c,100,a,1\nbad,c,100,a,1\nbad,c,100,b,1\n", {"--json"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(Json::parse(result.out)["refused"], 2);
  EXPECT_THAT(result.err, HasSubstr("line 3: event \"import-bad\": the fake does not like it"));
}

}  // namespace
}  // namespace offerd::cli
