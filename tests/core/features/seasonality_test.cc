#include "core/features/seasonality.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "absl/time/civil_time.h"

namespace offerd {
namespace {

int64_t DayOf(int year, int month, int day) { return absl::CivilDay(year, month, day) - absl::CivilDay(1970, 1, 1); }

TEST(SeasonalityTest, NothingKnownIsOne) {
  SeasonCounts all, item;
  EXPECT_EQ(Season(all, 20'000, 40).Factor(item), 1);
  all.Add(20'000);
  EXPECT_EQ(Season(all, 20'000, 40).Factor(item), 1) << "an item without orders is like all";
}

TEST(SeasonalityTest, OrdersStandInTheirWeekdayAndMonth) {
  SeasonCounts counts;
  counts.Add(DayOf(2024, 2, 29));  // a Thursday
  counts.Add(DayOf(2024, 12, 29));  // a Sunday
  EXPECT_EQ(counts.weekdays[3], 1);
  EXPECT_EQ(counts.weekdays[6], 1);
  EXPECT_EQ(counts.months[1], 1);
  EXPECT_EQ(counts.months[11], 1);
  SeasonCounts before;
  before.Add(DayOf(1969, 12, 31));  // a Wednesday
  EXPECT_EQ(before.weekdays[2], 1);
}

TEST(SeasonalityTest, HalvesAtTheTurnOfTheYearInAnyOrder) {
  const int64_t days[] = {DayOf(2022, 5, 2), DayOf(2024, 5, 6), DayOf(2023, 7, 3)};
  SeasonCounts forward, backward;
  for (int i = 0; i < 3; ++i) forward.Add(days[i]);
  for (int i = 2; i >= 0; --i) backward.Add(days[i]);
  EXPECT_EQ(forward.weekdays[0], 1.75f);
  EXPECT_EQ(forward.months[4], 1.25f);
  EXPECT_EQ(forward.months[6], 0.5f);
  EXPECT_EQ(forward.year, 2024);
  for (int i = 0; i < 12; ++i) EXPECT_EQ(forward.months[i], backward.months[i]);
  EXPECT_EQ(backward.weekdays[0], 1.75f);
}

// Nine in ten of an item's orders on Saturdays where all items spread evenly: with many orders the factor is .9 / (1/7), shrunk; cut at 4.
TEST(SeasonalityTest, WeekdayFactorIsTheShrunkShareOverThatOfAll) {
  SeasonCounts all, item;
  const int64_t monday = DayOf(2025, 3, 3);
  for (int day = 0; day < 7; ++day) {
    for (int i = 0; i < 1000; ++i) all.Add(monday + day);
  }
  for (int i = 0; i < 60; ++i) item.Add(monday + 5);
  for (int i = 0; i < 40; ++i) item.Add(monday);
  const double usual = 1.0 / 7;
  EXPECT_NEAR(Season(all, monday + 5, 40).Factor(item), (60 + 175 * usual) / (100 + 175) / usual, 1e-9);
  EXPECT_NEAR(Season(all, monday + 2, 40).Factor(item), 175 / (100 + 175.0), 1e-9);
  for (int i = 0; i < 100'000; ++i) item.Add(monday + 5);
  EXPECT_EQ(Season(all, monday + 5, 40).Factor(item), 4);
  EXPECT_EQ(Season(all, monday + 2, 40).Factor(item), 0.25);
}

// Two years in which an item sells twice as much in winter: in the middle of January its factor over the middle of the autumn is what
// the rates say; and the year is left out while a month is missing.
TEST(SeasonalityTest, TimeOfYearIsTheRateNowOverTheRateThen) {
  SeasonCounts all, item, part_all, part_item;
  for (int64_t day = DayOf(2023, 1, 1); day < DayOf(2024, 1, 1); ++day) {
    const int month = (absl::CivilDay(1970, 1, 1) + day).month();
    const bool is_winter = month == 12 || month <= 2;
    for (int i = 0; i < 1000; ++i) all.Add(day);
    for (int i = 0; i < (is_winter ? 200 : 100); ++i) item.Add(day);
    if (month == 6) continue;
    part_all.Add(day);
    if (is_winter) part_item.Add(day);
  }
  const int64_t january = DayOf(2024, 1, 16);
  const double up = Season(all, january, 90).Factor(item);   // October then
  EXPECT_NEAR(up, 2, 0.02);
  const double down = Season(all, DayOf(2024, 4, 15), 90).Factor(item);  // January then
  EXPECT_NEAR(down, 0.5, 0.01);
  EXPECT_NEAR(Season(part_all, january, 90).Factor(part_item), 1, 0.1) << "weekdays alone";
}

// Sales between 3 and 9 a day round the year: the factor moves from day to day by little, where whole months would jump.
TEST(SeasonalityTest, MovesWithoutJumps) {
  SeasonCounts all, item;
  for (int64_t day = DayOf(2022, 1, 1); day < DayOf(2024, 1, 1); ++day) {
    for (int i = 0; i < 7; ++i) all.Add(day);
    const double month = (absl::CivilDay(1970, 1, 1) + day).month();
    const int sales = static_cast<int>(std::lround(6 + 3 * std::cos(month * std::acos(-1.0) / 6)));
    for (int i = 0; i < sales; ++i) item.Add(day);
  }
  double least = 4, most = 0;
  for (int64_t day = DayOf(2023, 1, 1); day < DayOf(2024, 1, 1); ++day) {
    const double factor = Season(all, day, 40).Factor(item);
    EXPECT_NEAR(Season(all, day + 1, 40).Factor(item), factor, 0.12) << day;
    least = std::min(least, factor);
    most = std::max(most, factor);
  }
  EXPECT_LT(least, 0.75);
  EXPECT_GT(most, 1.3);
}

}  // namespace
}  // namespace offerd
