#include "cli/cells.h"

#include <limits>

#include "tests/support/status_matchers.h"

namespace offerd::cli {
namespace {

TEST(CellsTest, MoneyIsExact) {
  EXPECT_EQ(*ParseMoneyMicros("12.34"), 12'340'000);
  EXPECT_EQ(*ParseMoneyMicros("0.1"), 100'000);
  EXPECT_EQ(*ParseMoneyMicros("-3"), -3'000'000);
  EXPECT_EQ(*ParseMoneyMicros(".000001"), 1);
  EXPECT_EQ(*ParseMoneyMicros("5."), 5'000'000);
  EXPECT_EQ(*ParseMoneyMicros("1.100000000"), 1'100'000);
  // 9007199254.740993 x 1e6 is 2^53 + 1, which no double holds.
  EXPECT_EQ(*ParseMoneyMicros("9007199254.740993"), 9'007'199'254'740'993);
  EXPECT_EQ(*ParseMoneyMicros("9223372036854.775807"), std::numeric_limits<int64_t>::max());
}

TEST(CellsTest, WhatIsNoAmountIsRefused) {
  for (const char* text : {"", "-", ".", "1.2.3", "1,5", "$1", "1e3", " 1", "1 ", "--1", "+1", "0.0000001", "9223372036854.775808", "nan"}) {
    EXPECT_THAT(ParseMoneyMicros(text), StatusIs(absl::StatusCode::kInvalidArgument, "amount")) << text;
  }
}

TEST(CellsTest, TimesAreEpochSecondsOrIso) {
  const TimeMicros expected = 1'509'944'400'000'000;
  for (const char* text : {"1509944400", "1509944400.000", "2017-11-06T05:00:00Z", "2017-11-06T00:00:00-05:00", "2017-11-06 05:00:00",
                           "2017-11-06T05:00:00", "2017-11-06 05:00", "2017-11-06T05:00"}) {
    ASSERT_OK(ParseTimeMicros(text)) << text;
    EXPECT_EQ(*ParseTimeMicros(text), expected) << text;
  }
  EXPECT_EQ(*ParseTimeMicros("2017-11-06"), expected - 5 * 3600 * kMicrosPerSecond);
  EXPECT_EQ(*ParseTimeMicros("1.5"), 1'500'000);
  for (const char* text : {"", "yesterday", "2017-13-01", "-1", "1969-12-31", "2201-01-01", "1e9"}) EXPECT_FALSE(ParseTimeMicros(text).ok()) << text;
  EXPECT_EQ(FromTimestamp(ToTimestamp(1'500'000)), 1'500'000);
  EXPECT_EQ(FormatTime(ToTimestamp(expected)), "2017-11-06T05:00:00Z");
}

TEST(CellsTest, AttributeIsANumberOnlyWhereTheWholeTextIsAFiniteOne) {
  EXPECT_EQ(MakeNamedValue("x", "1.5").number(), 1.5);
  EXPECT_EQ(MakeNamedValue("x", "-2e3").number(), -2000);
  for (const char* text : {"1.5kg", "nan", "inf", "1e999", "0x10", "1 "}) EXPECT_EQ(MakeNamedValue("x", text).text(), text);
}

TEST(CellsTest, WordsAndLists) {
  EXPECT_EQ(*ParseEventKind("Add_To_Cart"), v1::ADD_TO_CART);
  EXPECT_FALSE(ParseEventKind("event_kind_unspecified").ok());
  EXPECT_FALSE(ParseEventKind("buy").ok());
  EXPECT_EQ(*ParseConsent(""), v1::CONSENT_UNSPECIFIED);
  EXPECT_EQ(*ParseConsent("no"), v1::CONSENT_DENIED);
  EXPECT_FALSE(ParseYesNo("maybe").ok());
  EXPECT_FALSE(ParseWholeNumber("1.0").ok());
  EXPECT_THAT(SplitList("a| b ||c", '|'), ::testing::ElementsAre("a", "b", "c"));
  EXPECT_EQ(FormatMoney(-12'340'000), "-12.34");
}

}  // namespace
}  // namespace offerd::cli
