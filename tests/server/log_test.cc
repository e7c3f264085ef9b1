#include "server/log.h"

#include <limits>
#include <sstream>
#include <thread>
#include <vector>

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace offerd {
namespace {

google::protobuf::Struct Parse(const std::string& line) {
  google::protobuf::Struct out;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(line, &out).ok()) << line;
  return out;
}

TEST(LogTest, ALineIsOneJsonObject) {
  EXPECT_EQ(FormatLogLine(LogLevel::kWarning, "store_failed", {{"sequence", uint64_t{17}}, {"ok", false}, {"share", 0.5}, {"n", -3}},
                          1'714'564'800'000'001),
            "{\"time\":\"2024-05-01T12:00:00.000001Z\",\"level\":\"warning\",\"event\":\"store_failed\",\"sequence\":17,"
            "\"ok\":false,\"share\":0.5,\"n\":-3}\n");
}

TEST(LogTest, TimesBefore1970AndFarAway) {
  EXPECT_THAT(FormatLogLine(LogLevel::kInfo, "e", {}, -1), ::testing::HasSubstr("1969-12-31T23:59:59.999999Z"));
  EXPECT_THAT(FormatLogLine(LogLevel::kInfo, "e", {}, 7'258'118'400'000'000), ::testing::HasSubstr("2200-01-01T00:00:00.000000Z"));
}

TEST(LogTest, EveryByteComesOutAsJson) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = {'a', static_cast<char>(byte), 'b'};
    const std::string line = FormatLogLine(LogLevel::kInfo, "e", {{"text", text}}, 0);
    EXPECT_EQ(line.find('\n'), line.size() - 1) << byte;
    const std::string back = Parse(line).fields().at("text").string_value();
    EXPECT_EQ(back, byte < 128 ? text : "a\xef\xbf\xbd" "b") << byte;
  }
}

TEST(LogTest, NumbersThatAreNotFiniteAreNull) {
  const std::string line = FormatLogLine(LogLevel::kInfo, "e", {{"a", std::numeric_limits<double>::quiet_NaN()},
                                                                {"b", -std::numeric_limits<double>::infinity()}}, 0);
  EXPECT_THAT(line, ::testing::HasSubstr("\"a\":null,\"b\":null"));
}

TEST(LogTest, LongTextsAreCutAndTheLineStaysWhole) {
  const std::string text(100'000, '"');
  const std::string line = FormatLogLine(LogLevel::kInfo, "e", {{"a", text}, {"b", text}, {"c", text}}, 0);
  EXPECT_LE(line.size(), 4000u);
  EXPECT_EQ(Parse(line).fields().at("cut").bool_value(), true);
}

TEST(LogTest, LevelsBelowTheFilterAreDropped) {
  ::testing::internal::CaptureStderr();
  SetLogLevel(LogLevel::kWarning);
  Log(LogLevel::kInfo, "hidden");
  Log(LogLevel::kError, "shown");
  SetLogLevel(LogLevel::kInfo);
  const std::string out = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(out, ::testing::Not(::testing::HasSubstr("hidden")));
  EXPECT_THAT(out, ::testing::HasSubstr("\"event\":\"shown\""));
}

TEST(LogTest, LinesOfManyThreadsDoNotMix) {
  ::testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) Log(LogLevel::kInfo, "line", {{"thread", t}, {"text", std::string(500, 'x')}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::istringstream lines(::testing::internal::GetCapturedStderr());
  std::string line;
  int n = 0;
  while (std::getline(lines, line)) {
    EXPECT_EQ(Parse(line).fields().at("event").string_value(), "line");
    ++n;
  }
  EXPECT_EQ(n, 800);
}

}  // namespace
}  // namespace offerd
