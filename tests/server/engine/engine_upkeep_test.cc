#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/server/engine/shop.h"

// What goes on by itself: purging, snapshots, publications; and what the queue and the pages hold.
namespace offerd {
namespace {

template <typename Condition>
bool WaitFor(Condition&& is_met) {
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!is_met() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(5));
  return is_met();
}

int64_t CountEntries(Shop& shop, Family family) {
  const auto kv = shop.disk.Mount();
  int64_t count = 0;
  for (auto it = kv->Iterate(family, "", ""); it->valid(); it->Next()) ++count;
  return count;
}

bool HasSoundBase(Shop& shop) {
  return shop.disk.Mount()->Iterate(Family::kMeta, kBaseStatePrefix, AfterPrefix(kBaseStatePrefix))->valid();
}

// More ids than one step of a purge looks at.
TEST(EngineUpkeepTest, OldIdsArePurgedToTheLastWithoutASnapshot) {
  Shop shop;
  shop.config.event_id_lifetime_seconds = 86'400;
  shop.config.snapshot_interval_seconds = 10'000'000;
  shop.OpenFurnished();
  constexpr int kBatch = 1000;
  for (int batch = 0; batch < 45; ++batch) {
    std::vector<v1::Event> events(kBatch);
    for (int i = 0; i < kBatch; ++i) {
      events[static_cast<size_t>(i)].set_event_id(absl::StrCat("e", batch * kBatch + i));
      events[static_cast<size_t>(i)].set_kind(v1::CLICK);
      *events[static_cast<size_t>(i)].mutable_time() = ToTimestamp(kOpening);
    }
    v1::SendFeedbackResponse response;
    ASSERT_OK(shop.Send(events, &response));
  }
  (void)shop.Rank("old", "ann", kOpening);
  (void)shop.Rank("new", "ann", kOpening + 2 * kMicrosPerDay);
  (void)shop.Status();
  EXPECT_TRUE(WaitFor([&] {
    shop.wall += kMinute;  // a pass is due each minute, and one may have begun before all was there
    return CountEntries(shop, Family::kSeen) == 0 && CountEntries(shop, Family::kDecisions) == 1;
  }));
  EXPECT_FALSE(HasSoundBase(shop));
}

TEST(EngineUpkeepTest, SnapshotsGoOnAfterTheClockWasSetBack) {
  Shop shop;
  shop.config.snapshot_interval_seconds = 60;
  shop.OpenFurnished();
  shop.wall -= 10 * kMicrosPerDay;
  ASSERT_FALSE(HasSoundBase(shop));
  EXPECT_TRUE(WaitFor([&] {
    shop.wall += kMinute;  // a minute a tick: far from ten days
    return HasSoundBase(shop);
  }));
  EXPECT_LT(shop.wall.load(), kOpening);
}

TEST(EngineUpkeepTest, PublicationsGoOnAfterTheClockWasSetBack) {
  Shop shop;
  shop.OpenFurnished();
  (void)shop.Rank("r0", "ann", kOpening);
  ASSERT_OK(shop.Publish("learn"));
  const uint64_t version = shop.Learned().policy().version();
  shop.wall -= 10 * kMicrosPerDay;
  (void)shop.Rank("r1", "ann", kOpening);
  EXPECT_TRUE(WaitFor([&] {
    shop.wall += kMicrosPerSecond;
    return shop.Learned().policy().version() > version;
  }));
  EXPECT_LT(shop.wall.load(), kOpening);
}

TEST(EngineUpkeepTest, SettingsAndUpsertsCountAgainstTheBytesOfTheQueue) {
  Shop shop;
  shop.config.max_queued_bytes = 1 << 20;
  shop.OpenFurnished();
  v1::UpsertItemsRequest request;
  for (int i = 0; i < 1000; ++i) {
    v1::Item& item = *request.add_items() = Shop::MakeItem(i);
    for (int j = 0; j < 6; ++j) item.add_category_path(std::string(200, static_cast<char>('a' + j)));
  }
  ASSERT_GT(request.ByteSizeLong(), size_t{1} << 20);
  shop.disk.StallWrites();
  std::vector<v1::UpsertResponse> responses(3);
  std::vector<absl::Status> answers(3);
  std::vector<absl::Notification> done(3);
  for (size_t i = 0; i < 3; ++i) {  // one is being written, one waits, and then there is no room
    shop.engine->UpsertItems(request, &responses[i], [&, i](const absl::Status& status) {
      answers[i] = status;
      done[i].Notify();
    });
    if (i == 0) shop.disk.AwaitStalledWrite();
  }
  EXPECT_TRUE(done[2].HasBeenNotified());
  shop.disk.ReleaseWrites();
  for (size_t i = 0; i < 3; ++i) done[i].WaitForNotification();
  EXPECT_OK(answers[0]);
  EXPECT_OK(answers[1]);
  EXPECT_EQ(responses[0].accepted(), 1000);
  EXPECT_THAT(answers[2], StatusIs(absl::StatusCode::kResourceExhausted, "queue"));
}

TEST(EngineUpkeepTest, PagesOfLargeElementsFitAMessage) {
  Shop shop;
  shop.OpenFurnished();
  v1::UpsertOffersRequest request;
  v1::Offer& large = *request.add_offers();
  for (int i = 0; i < 9000; ++i) large.add_item_ids(absl::StrCat(std::string(200, 'x'), i));
  v1::UpsertResponse upserted;
  for (int i = 0; i < 5; ++i) {
    large.set_offer_id(absl::StrCat("large", i));
    ASSERT_OK(shop.Call(&Engine::UpsertOffers, request, &upserted));
    ASSERT_EQ(upserted.accepted(), 1);
  }
  std::vector<std::string> ids;
  v1::ListOffersRequest page;
  page.set_page_size(1000);
  int pages = 0;
  do {
    v1::ListOffersResponse response;
    ASSERT_OK(shop.engine->ListOffers(page, &response));
    EXPECT_GT(response.offers_size(), 0);
    EXPECT_LT(response.ByteSizeLong(), size_t{4} << 20);
    for (const v1::Offer& offer : response.offers()) ids.push_back(offer.offer_id());
    page.set_page_token(response.next_page_token());
    ++pages;
  } while (!page.page_token().empty());
  EXPECT_EQ(ids.size(), 11u);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  EXPECT_GT(pages, 3);
}

}  // namespace
}  // namespace offerd
