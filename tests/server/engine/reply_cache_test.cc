#include "server/reply_cache.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace offerd {
namespace {

using Found = ReplyCache::Found;
constexpr TimeMicros kSecond = kMicrosPerSecond;

TEST(ReplyCacheTest, AnswersARepeatWithTheStoredBytes) {
  ReplyCache cache(1000, 10);
  std::string reply;
  ASSERT_EQ(cache.Begin("a", 1, 0, reply), Found::kNew);
  cache.Finish("a", std::string("x\0y", 3));
  ASSERT_EQ(cache.Begin("a", 1, 1, reply), Found::kRepeat);
  EXPECT_EQ(reply, std::string("x\0y", 3));
}

TEST(ReplyCacheTest, OtherBodyIsAConflictAlsoWhileInProgress) {
  ReplyCache cache(1000, 10);
  std::string reply;
  ASSERT_EQ(cache.Begin("a", 1, 0, reply), Found::kNew);
  EXPECT_EQ(cache.Begin("a", 2, 0, reply), Found::kConflict);
  cache.Finish("a", "x");
  EXPECT_EQ(cache.Begin("a", 2, 0, reply), Found::kConflict);
}

TEST(ReplyCacheTest, InProgressUntilFinishedOrAbandoned) {
  ReplyCache cache(1000, 10);
  std::string reply;
  ASSERT_EQ(cache.Begin("a", 1, 0, reply), Found::kNew);
  EXPECT_EQ(cache.Begin("a", 1, 0, reply), Found::kInProgress);
  cache.Abandon("a");
  EXPECT_EQ(cache.Begin("a", 2, 0, reply), Found::kNew) << "nothing stays of what was abandoned";
}

TEST(ReplyCacheTest, CountsLiveAnswersThatGaveWay) {
  ReplyCache cache(64, 10);  // 4 a shard
  std::string reply;
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(cache.Begin(absl::StrCat("old", i), 1, 0, reply), Found::kNew);
    cache.Finish(absl::StrCat("old", i), "x");
  }
  EXPECT_EQ(cache.TakeEvicted(), 200u - 64u);
  EXPECT_EQ(cache.TakeEvicted(), 0u);
  for (int i = 0; i < 64; ++i) ASSERT_EQ(cache.Begin(absl::StrCat("new", i), 1, 10 * kSecond, reply), Found::kNew);
  EXPECT_LT(cache.TakeEvicted(), 64u) << "what is past its lifetime owes nobody an answer";
}

TEST(ReplyCacheTest, LifetimeEndsExactly) {
  ReplyCache cache(1000, 10);
  std::string reply;
  ASSERT_EQ(cache.Begin("a", 1, 0, reply), Found::kNew);
  cache.Finish("a", "x");
  EXPECT_EQ(cache.Begin("a", 1, 10 * kSecond - 1, reply), Found::kRepeat);
  EXPECT_EQ(cache.Begin("a", 2, 10 * kSecond, reply), Found::kNew) << "also with another body";
  cache.Finish("a", "y");
  ASSERT_EQ(cache.Begin("a", 2, 10 * kSecond, reply), Found::kRepeat);
  EXPECT_EQ(reply, "y");
}

TEST(ReplyCacheTest, FullRingForgetsTheOldestAndNothingElse) {
  ReplyCache cache(0, 10);  // the least: four answers a shard
  std::string reply;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = absl::StrCat("id", i);
    ASSERT_EQ(cache.Begin(id, 1, 0, reply), Found::kNew);
    cache.Finish(id, id);
    ASSERT_EQ(cache.Begin(id, 1, 0, reply), Found::kRepeat);
    ASSERT_EQ(reply, id);
  }
  int kept = 0;
  for (int i = 999; i >= 0; --i) {
    const std::string id = absl::StrCat("id", i);
    if (cache.Begin(id, 1, 0, reply) != Found::kRepeat) break;  // asking for it claimed a place: no further
    EXPECT_EQ(reply, id);
    ++kept;
  }
  EXPECT_GE(kept, 4);
  EXPECT_LE(kept, 64);
}

TEST(ReplyCacheTest, FinishAfterTheRingCameRoundHarmsNobody) {
  ReplyCache cache(0, 10);
  std::string reply;
  ASSERT_EQ(cache.Begin("slow", 1, 0, reply), Found::kNew);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(cache.Begin(absl::StrCat("id", i), 1, 0, reply), Found::kNew);
    cache.Finish(absl::StrCat("id", i), absl::StrCat("id", i));
  }
  cache.Finish("slow", "late");
  cache.Abandon("slow");
  ASSERT_EQ(cache.Begin("id999", 1, 0, reply), Found::kRepeat);
  EXPECT_EQ(reply, "id999");
}

TEST(ReplyCacheTest, RestoredAnswersAreRepeatsForTheRestOfTheirLifetime) {
  ReplyCache cache(1000, 10);
  std::string reply;
  cache.Restore("a", 7, 5 * kSecond, "x");
  ASSERT_EQ(cache.Begin("a", 7, 14 * kSecond, reply), Found::kRepeat);
  EXPECT_EQ(reply, "x");
  EXPECT_EQ(cache.Begin("a", 8, 14 * kSecond, reply), Found::kConflict);
  EXPECT_EQ(cache.Begin("a", 8, 15 * kSecond, reply), Found::kNew);
}

TEST(ReplyCacheTest, ARestoredAnswerPushesOutNobody) {
  ReplyCache cache(1, 10);  // a few a shard
  std::string reply;
  ASSERT_EQ(cache.Begin("given", 1, 0, reply), Found::kNew);
  cache.Finish("given", "now");
  int restored = 0;
  for (int i = 0; i < 1000; ++i) restored += cache.Restore(absl::StrCat("old", i), 7, 0, "then") ? 1 : 0;
  EXPECT_LT(restored, 1000);
  EXPECT_EQ(cache.TakeEvicted(), 0u);
  EXPECT_TRUE(cache.Restore("given", 7, 0, "then"));  // is there already
  ASSERT_EQ(cache.Begin("given", 1, 0, reply), Found::kRepeat);
  EXPECT_EQ(reply, "now");
}

}  // namespace
}  // namespace offerd
