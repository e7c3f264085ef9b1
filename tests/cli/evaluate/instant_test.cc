#include "cli/evaluate/instant.h"

#include "gtest/gtest.h"

namespace offerd::evaluate {
namespace {

constexpr TimeMicros kSecond = kMicrosPerSecond;

TEST(InstantTest, SecondsWithAndWithoutFraction) {
  EXPECT_EQ(ParseInstant("1590883200"), 1'590'883'200 * kSecond);
  EXPECT_EQ(ParseInstant("1590883200.0"), 1'590'883'200 * kSecond);
  EXPECT_EQ(ParseInstant("0.25"), 250'000);
  EXPECT_EQ(ParseInstant("1.590883200e9"), 1'590'883'200 * kSecond);
  EXPECT_EQ(ParseInstant("0"), 0);
}

TEST(InstantTest, FractionBelowAMicrosecondIsDropped) { EXPECT_EQ(ParseInstant("1.12345678"), 1'123'456); }

TEST(InstantTest, DateAloneIsMidnightUtc) {
  EXPECT_EQ(ParseInstant("1970-01-02"), kMicrosPerDay);
  EXPECT_EQ(ParseInstant("2017-11-06"), 1'509'926'400 * kSecond);
  EXPECT_EQ(ParseInstant("2016-02-29"), 1'456'704'000 * kSecond);
}

TEST(InstantTest, DateAndTimeInUtcWithOrWithoutSeconds) {
  for (const char* text : {"2017-11-06 05:00", "2017-11-06T05:00:00", "2017-11-06T05:00:00Z", " 2017-11-06 05:00:00.000 "}) {
    EXPECT_EQ(ParseInstant(text), 1'509'944'400 * kSecond) << text;
  }
}

TEST(InstantTest, OffsetIsTakenOff) {
  for (const char* text : {"2017-11-06T07:00:00+02:00", "2017-11-06T07:00:00+0200", "2017-11-06T07:00+02", "2017-11-06 00:00:00-05:00"}) {
    EXPECT_EQ(ParseInstant(text), 1'509'944'400 * kSecond) << text;
  }
}

TEST(InstantTest, YearsAreThoseFrom1970To2200) {
  for (const char* text : {"1433221332117", "1433221332117000", "-1", "7289654400", "1e12", "2201-01-01", "1969-12-31", "0001-01-01"}) {
    EXPECT_EQ(ParseInstant(text), std::nullopt) << text;
    EXPECT_TRUE(IsBeyondYears(text)) << text;
  }
  EXPECT_EQ(ParseInstant("7289654399"), 7'289'654'399 * kSecond);
  EXPECT_EQ(ParseInstant("2200-12-31T23:59:59"), 7'289'654'399 * kSecond);
  for (const char* text : {"", "soon", "nan", "1e999x", "2017-13-01", "1433221332"}) EXPECT_FALSE(IsBeyondYears(text)) << text;
}

TEST(InstantTest, OtherTextIsNoTime) {
  for (const char* text : {"", "soon", "nan", "inf", "1e300", "2017-11", "2017-13-01", "2017-06-31", "2017-02-29", "2017-11-06 25:00", "2017-11-06T05:60",
                           "2017-11-06x", "2017-11-06 05:00 PM", "06.11.2017", "12/1/2010 8:26", "1590883200.0.0"}) {
    EXPECT_EQ(ParseInstant(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace offerd::evaluate
