#include "core/features/item_demand.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "core/rng.h"
#include "tests/core/log_writer.h"

namespace offerd {
namespace {

constexpr TimeMicros kDay = kMicrosPerDay;

std::vector<ItemIndex> Items(const std::vector<ItemDemand::Wanted>& list) {
  std::vector<ItemIndex> items;
  for (const ItemDemand::Wanted& wanted : list) items.push_back(wanted.item);
  return items;
}

TEST(ItemDemandTest, MarketsCountApartAndTogether) {
  ItemDemand demand;
  demand.AddOrder("nl", kDayZero, true, {ItemIndex{1}, ItemIndex{2}});
  demand.AddOrder("de", kDayZero, true, {ItemIndex{2}});
  demand.AddOrder("", kDayZero, true, {ItemIndex{2}});
  EXPECT_EQ(demand.Of("nl").orders.Slow(DayOf(kDayZero)), 1);
  EXPECT_EQ(demand.Of("").orders.Slow(DayOf(kDayZero)), 3);
  EXPECT_EQ(Items(demand.Of("nl").slow), (std::vector<ItemIndex>{ItemIndex{1}, ItemIndex{2}})) << "equal: the lower number first";
  EXPECT_EQ(Items(demand.Of("").slow), (std::vector<ItemIndex>{ItemIndex{2}, ItemIndex{1}}));
  EXPECT_EQ(Items(demand.Of("never heard of").slow), Items(demand.Of("").slow));
}

TEST(ItemDemandTest, RecentOrdersPassOlderOnesByTheirHalfLife) {
  ItemDemand demand;
  for (int i = 0; i < 3; ++i) demand.AddOrder("", kDayZero, true, {ItemIndex{1}});
  demand.AddOrder("", kDayZero + 14 * kDay, true, {ItemIndex{2}});
  demand.AddOrder("", kDayZero + 14 * kDay, false, {ItemIndex{3}});
  // After 14 days 3 orders count 2.1 by 28 days and .75 by 7 days.
  EXPECT_EQ(demand.Of("").slow.front().item, ItemIndex{1});
  EXPECT_EQ(demand.Of("").fast.front().item, ItemIndex{2});
  EXPECT_NEAR(demand.Of("").orders.Slow(DayOf(kDayZero) + 14), 1 + 3 * std::exp2(-0.5), 1e-12) << "more of an order is no order";
}

// More items than the lists keep, days in any order: the lists are those of a full sort, and the same when made anew.
TEST(ItemDemandTest, MostWantedIsExact) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Rng rng(seed);
    ItemDemand demand;
    int64_t day = 20'000;
    for (int order = 0; order < 3'000; ++order) {
      if (rng.NextUniform() < 0.1) ++day;
      const int64_t on = rng.NextUniform() < 0.1 ? day - static_cast<int64_t>(rng.NextBits() % 60) : day;
      std::vector<ItemIndex> items;
      for (int i = 0; i < 3; ++i) items.push_back(ItemIndex{static_cast<uint32_t>(rng.NextUniform() * rng.NextUniform() * 500)});
      std::sort(items.begin(), items.end());
      items.erase(std::unique(items.begin(), items.end()), items.end());
      demand.AddOrder("", on * kDay, true, items);
    }
    const ItemDemand::Market& market = demand.Of("");
    ItemDemand again;
    again.Restore("", 0, 0, market.orders, market.order_seasons);
    for (size_t i = 0; i < market.items.size(); ++i) again.Restore("", 3, static_cast<uint32_t>(i), market.items[i], market.item_seasons[i]);
    EXPECT_EQ(Items(again.Of("").slow), Items(market.slow)) << "seed " << seed;
    EXPECT_EQ(Items(again.Of("").fast), Items(market.fast)) << "seed " << seed;

    ASSERT_EQ(market.slow.size(), ItemDemand::kMostWanted);
    double last = std::numeric_limits<double>::infinity();
    std::vector<bool> listed(market.items.size(), false);
    for (const ItemDemand::Wanted& wanted : market.slow) {
      const double count = market.items[static_cast<size_t>(wanted.item)].Slow(day);
      EXPECT_LE(count, last * (1 + 1e-12));
      last = count;
      listed[static_cast<size_t>(wanted.item)] = true;
    }
    for (size_t i = 0; i < market.items.size(); ++i) {
      if (!listed[i]) EXPECT_LE(market.items[i].Slow(day), last * (1 + 1e-12)) << "seed " << seed << " item " << i;
    }
  }
}

}  // namespace
}  // namespace offerd
