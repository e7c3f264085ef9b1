#include "core/snapshot.h"

#include <array>
#include <thread>

#include "core/hash.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

// A value that knows which one it is and whether it is whole, and who destroyed it.
struct Value {
  explicit Value(uint64_t number) : generation(number) {
    for (size_t i = 0; i < words.size(); ++i) words[i] = MixHash(number, i);
    checksum = Sum();
  }
  ~Value() {
    if (std::this_thread::get_id() != maker) destroyed_elsewhere.fetch_add(1, std::memory_order_relaxed);
    words.fill(0);
    alive.fetch_sub(1, std::memory_order_relaxed);
  }
  uint64_t Sum() const {
    uint64_t sum = generation;
    for (const uint64_t word : words) sum = MixHash(sum, word);
    return sum;
  }

  uint64_t generation;
  std::array<uint64_t, 30> words{};
  uint64_t checksum = 0;
  std::thread::id maker = std::this_thread::get_id();
  static std::atomic<int> alive, destroyed_elsewhere;
};
std::atomic<int> Value::alive{0};
std::atomic<int> Value::destroyed_elsewhere{0};

std::shared_ptr<const Value> MakeValue(uint64_t generation) {
  Value::alive.fetch_add(1, std::memory_order_relaxed);
  return std::make_shared<const Value>(generation);
}

TEST(SnapshotTest, IsEmptyBeforeTheFirstPublication) {
  Snapshot<Value> snapshot;
  EXPECT_EQ(snapshot.Get(), nullptr);
}

TEST(SnapshotTest, GetSeesTheLatestAndAKeptPointerStaysAsItWas) {
  Snapshot<Value> snapshot;
  snapshot.Publish(MakeValue(1));
  const std::shared_ptr<const Value> kept = snapshot.Get();
  snapshot.Publish(MakeValue(2));
  EXPECT_EQ(snapshot.Get()->generation, 2u);
  EXPECT_EQ(kept->generation, 1u);
  EXPECT_EQ(kept->checksum, kept->Sum());
}

TEST(SnapshotTest, ARetiredVersionLivesUntilItsLastReaderLetsGoAndTheWriterSweeps) {
  Snapshot<Value> snapshot;
  EXPECT_EQ(snapshot.Get(), nullptr);  // this thread's cache lets go of an earlier test's value
  const int before = Value::alive.load();
  snapshot.Publish(MakeValue(1));
  std::shared_ptr<const Value> kept = snapshot.Get();
  for (uint64_t i = 2; i < 10; ++i) snapshot.Publish(MakeValue(i));
  EXPECT_EQ(snapshot.Get()->generation, 9u);  // this thread's cache lets go of the first
  snapshot.Sweep();
  EXPECT_EQ(Value::alive.load() - before, 2);
  EXPECT_EQ(snapshot.num_retired(), 2u);  // the kept one and the current one
  kept.reset();
  EXPECT_EQ(Value::alive.load() - before, 2);  // the reader freed nothing
  snapshot.Sweep();
  EXPECT_EQ(Value::alive.load() - before, 1);
  EXPECT_EQ(snapshot.num_retired(), 1u);
}

TEST(SnapshotTest, TwoSnapshotsOfOneTypeDoNotMix) {
  Snapshot<Value> a, b;
  a.Publish(MakeValue(1));
  b.Publish(MakeValue(2));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(a.Get()->generation, 1u);
    EXPECT_EQ(b.Get()->generation, 2u);
  }
  b.Publish(nullptr);
  EXPECT_EQ(b.Get(), nullptr);
  EXPECT_EQ(a.Get()->generation, 1u);
}

TEST(SnapshotTest, ReadersSeeWholeVersionsInOrderAndOnlyTheWriterFrees) {
  constexpr uint64_t kLast = 3'000;
  Value::destroyed_elsewhere = 0;
  Snapshot<Value> snapshot;
  snapshot.Publish(MakeValue(1));
  std::atomic<int> broken{0};
  std::vector<std::thread> readers;
  for (int r = 0; r < 3; ++r) {
    readers.emplace_back([&snapshot, &broken, keeps = r == 0] {
      uint64_t seen = 0;
      std::shared_ptr<const Value> kept;
      while (seen < kLast) {
        const std::shared_ptr<const Value>& value = snapshot.Get();
        if (value->generation < seen || value->checksum != value->Sum()) ++broken;
        seen = value->generation;
        if (keeps && seen % 16 == 0) kept = value;
        if (kept != nullptr && kept->checksum != kept->Sum()) ++broken;
      }
    });
  }
  for (uint64_t i = 2; i <= kLast; ++i) snapshot.Publish(MakeValue(i));
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(broken.load(), 0);
  EXPECT_EQ(Value::destroyed_elsewhere.load(), 0);
  snapshot.Sweep();
  EXPECT_EQ(snapshot.num_retired(), 1u);
}

}  // namespace
}  // namespace offerd
