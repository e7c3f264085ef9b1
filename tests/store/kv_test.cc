#include "store/kv.h"

#include <map>
#include <random>

#include "tests/store/store_fixture.h"

namespace offerd {
namespace {

template <typename Disk>
class KvTest : public ::testing::Test {
 protected:
  Disk disk_;
  std::unique_ptr<Kv> kv_ = disk_.Mount();

  std::vector<std::string> Keys(Family family, absl::string_view from, absl::string_view to) {
    std::vector<std::string> keys;
    auto entries = kv_->Iterate(family, from, to);
    for (; entries->valid(); entries->Next()) keys.emplace_back(entries->key());
    EXPECT_OK(entries->status());
    return keys;
  }
};
using Disks = ::testing::Types<MemoryDisk, RocksDisk>;
TYPED_TEST_SUITE(KvTest, Disks);

TYPED_TEST(KvTest, FamiliesDoNotShareKeys) {
  KvBatch batch;
  batch.Put(Family::kLog, "k", "log");
  batch.Put(Family::kMeta, "k", "meta");
  ASSERT_OK(this->kv_->Write(batch, false));
  EXPECT_EQ(**this->kv_->Read(Family::kLog, "k"), "log");
  EXPECT_EQ(**this->kv_->Read(Family::kMeta, "k"), "meta");
  EXPECT_EQ(*this->kv_->Read(Family::kSeen, "k"), std::nullopt);
}

TYPED_TEST(KvTest, OperationsOfABatchApplyInOrder) {
  KvBatch batch;
  batch.Put(Family::kSeen, "a", "1");
  batch.Put(Family::kSeen, "b", "1");
  batch.DeleteRange(Family::kSeen, "a", "b");
  batch.Delete(Family::kSeen, "b");
  batch.Put(Family::kSeen, "b", "2");
  ASSERT_OK(this->kv_->Write(batch, true));
  EXPECT_EQ(*this->kv_->Read(Family::kSeen, "a"), std::nullopt);
  EXPECT_EQ(**this->kv_->Read(Family::kSeen, "b"), "2");
}

TYPED_TEST(KvTest, EmptyFamilyHasNoLastKey) {
  EXPECT_EQ(*this->kv_->ReadLastKey(Family::kLog), std::nullopt);
  EXPECT_TRUE(this->Keys(Family::kLog, "", "").empty());
}

TYPED_TEST(KvTest, RangeHoldsItsFirstKeyButNotItsEnd) {
  KvBatch batch;
  for (const char* key : {"a", "b", "c"}) batch.Put(Family::kLog, key, "v");
  ASSERT_OK(this->kv_->Write(batch, false));
  EXPECT_THAT(this->Keys(Family::kLog, "a", "c"), ::testing::ElementsAre("a", "b"));
  EXPECT_THAT(this->Keys(Family::kLog, "b", ""), ::testing::ElementsAre("b", "c"));
  EXPECT_TRUE(this->Keys(Family::kLog, "b", "b").empty());
  EXPECT_EQ(**this->kv_->ReadLastKey(Family::kLog), "c");
}

TYPED_TEST(KvTest, IteratorSeesTheStateAtItsStart) {
  KvBatch batch;
  batch.Put(Family::kLog, "a", "1");
  batch.Put(Family::kLog, "b", "1");
  ASSERT_OK(this->kv_->Write(batch, false));
  auto entries = this->kv_->Iterate(Family::kLog, "", "");
  KvBatch later;
  later.DeleteRange(Family::kLog, "a", "z");
  ASSERT_OK(this->kv_->Write(later, false));
  ASSERT_TRUE(entries->valid());
  entries->Next();
  ASSERT_TRUE(entries->valid());
  EXPECT_EQ(entries->key(), "b");
  EXPECT_TRUE(this->Keys(Family::kLog, "", "").empty());
}

TYPED_TEST(KvTest, BytesOfAnyValueComeBack) {
  const std::string key("\0k\xff", 3), value("\0\n\xff", 3);
  KvBatch batch;
  batch.Put(Family::kSeen, key, value);
  ASSERT_OK(this->kv_->Write(batch, false));
  EXPECT_EQ(**this->kv_->Read(Family::kSeen, key), value);
}

// Random operations, checked against a std::map after each; the disk is mounted again now and then.
TYPED_TEST(KvTest, BehavesLikeAMap) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const auto key = [&] { return absl::StrCat("k", pick(40)); };
  std::map<std::string, std::string> twins[kNumFamilies];
  for (int step = 0; step < 400; ++step) {
    KvBatch batch;
    for (int i = pick(6); i >= 0; --i) {
      const int family = pick(kNumFamilies);
      auto& twin = twins[family];
      const std::string a = key(), b = key();
      switch (pick(8)) {
        case 0:
          batch.Delete(static_cast<Family>(family), a);
          twin.erase(a);
          break;
        case 1:
          batch.DeleteRange(static_cast<Family>(family), a, b);
          if (a < b) twin.erase(twin.lower_bound(a), twin.lower_bound(b));
          break;
        default:
          batch.Put(static_cast<Family>(family), a, absl::StrCat(step, "/", i));
          twin[a] = absl::StrCat(step, "/", i);
      }
    }
    ASSERT_OK(this->kv_->Write(batch, pick(10) == 0));
    if (pick(40) == 0) {
      ASSERT_OK(this->kv_->Flush());
    }
    if (pick(80) == 0) {
      this->kv_.reset();
      this->kv_ = this->disk_.Mount();
    }
    const int family = pick(kNumFamilies);
    auto& twin = twins[family];
    const std::string from = key(), to = key();
    std::vector<std::string> expected;
    for (auto it = twin.lower_bound(from); it != twin.end() && it->first < to; ++it) expected.push_back(it->first);
    ASSERT_EQ(this->Keys(static_cast<Family>(family), from, to), expected);
    const auto last = this->kv_->ReadLastKey(static_cast<Family>(family));
    ASSERT_OK(last);
    ASSERT_EQ(last->value_or(""), twin.empty() ? "" : twin.rbegin()->first);
    const std::string ids[] = {key(), key(), key()};
    const std::vector<absl::string_view> views(std::begin(ids), std::end(ids));
    std::vector<std::optional<std::string>> values;
    ASSERT_OK(this->kv_->MultiRead(static_cast<Family>(family), views, values));
    for (size_t i = 0; i < 3; ++i) {
      const auto found = twin.find(ids[i]);
      ASSERT_EQ(values[i], found == twin.end() ? std::nullopt : std::optional<std::string>(found->second));
    }
  }
}

}  // namespace
}  // namespace offerd
