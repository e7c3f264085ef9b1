#include "store/frame.h"

#include "store/index_entry.h"
#include "store/keys.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

using absl::StatusCode;

TEST(FrameTest, LayoutIsFormatByteThenLittleEndianXxh3ThenPayload) {
  const std::string framed = Frame("offerd");
  ASSERT_EQ(framed.size(), kFrameHeaderSize + 6);
  EXPECT_EQ(framed[0], 1);
  EXPECT_EQ(framed.substr(9), "offerd");
  uint64_t hash = 0;
  for (int i = 8; i >= 1; --i) hash = hash << 8 | static_cast<unsigned char>(framed[static_cast<size_t>(i)]);
  EXPECT_EQ(hash, StableHash("offerd"));
}

TEST(FrameTest, EmptyPayloadComesBackEmpty) {
  const std::string framed = Frame("");
  const auto payload = Unframe(Family::kMeta, "k", framed);
  ASSERT_OK(payload);
  EXPECT_EQ(*payload, "");
}

TEST(FrameTest, EveryFlippedBitIsDataLossThatNamesFamilyAndKey) {
  const std::string framed = Frame("a payload");
  for (size_t bit = 0; bit < framed.size() * 8; ++bit) {
    std::string damaged = framed;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_THAT(Unframe(Family::kLog, NumberKey(17), damaged), StatusIs(StatusCode::kDataLoss, "log record 17: "))
        << bit;
  }
}

TEST(FrameTest, EveryCutIsDataLoss) {
  const std::string framed = Frame("a payload");
  for (size_t size = 0; size < framed.size(); ++size) {
    EXPECT_THAT(Unframe(Family::kSeen, "id", framed.substr(0, size)), StatusIs(StatusCode::kDataLoss, "seen id: "))
        << size;
  }
}

TEST(KeysTest, ByteOrderIsNumberOrder) {
  std::string last;
  for (const uint64_t number :
       {uint64_t{0}, uint64_t{1}, uint64_t{255}, uint64_t{256}, uint64_t{1} << 32, UINT64_MAX}) {
    const std::string key = NumberKey(number);
    EXPECT_GT(key, last);
    EXPECT_EQ(ReadNumber(key), number);
    last = key;
  }
  EXPECT_EQ(ReadNumber("1234567"), std::nullopt);
}

TEST(KeysTest, AfterPrefixIsTheSmallestKeyAboveThePrefix) {
  EXPECT_EQ(AfterPrefix("base/"), "base0");
  EXPECT_EQ(AfterPrefix("a\xff"), "b");
  EXPECT_EQ(AfterPrefix("\xff"), "");
}

TEST(KeysTest, TextOfAKeyHasNoPersonInIt) {
  EXPECT_EQ(KeyText(Family::kMeta, NumberKey(kErasurePrefix, 9) + "alice"), "erasure/9");
  EXPECT_EQ(KeyText(Family::kCatalog, BaseKey(3, 4)), "base 3 record 4");
  EXPECT_EQ(KeyText(Family::kSeen, "a\nb"), "a\\nb");
}

TEST(IndexEntryTest, KeepsSequenceAndTimesBefore1970) {
  const std::string framed = Frame(IndexEntry{5, -7}.ToPayload());
  const auto entry = IndexEntry::Read(Family::kSeen, "id", framed);
  ASSERT_OK(entry);
  EXPECT_EQ(entry->sequence, 5u);
  EXPECT_EQ(entry->time_micros, -7);
  EXPECT_THAT(IndexEntry::Read(Family::kSeen, "id", Frame("short")), StatusIs(StatusCode::kDataLoss, "seen id"));
}

}  // namespace
}  // namespace offerd
