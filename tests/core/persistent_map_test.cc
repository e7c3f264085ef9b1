#include "core/persistent_map.h"

#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/rng.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

// All keys agree in their first two rounds: the trie must go 24 levels down to part them.
struct ClashingKey {
  using Stored = uint64_t;
  using View = uint64_t;
  static uint64_t Hash(View key, uint64_t round) { return round < 2 ? 0x123456789abcdefull : MixHash(key, round); }
  static Stored Store(View key) { return key; }
};

template <typename Map, typename Model>
void ExpectSame(const Map& map, const Model& model) {
  ASSERT_EQ(map.size(), model.size());
  EXPECT_EQ(map.empty(), model.empty());
  size_t visited = 0;
  map.ForEach([&](typename Map::KeyView key, const int64_t& value) {
    ++visited;
    const auto it = model.find(typename Map::Key(key));
    ASSERT_TRUE(it != model.end());
    EXPECT_EQ(value, it->second);
  });
  EXPECT_EQ(visited, model.size());
  for (const auto& [key, value] : model) {
    const int64_t* found = map.Find(key);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(*found, value);
  }
}

// Random changes to one map while copies of earlier moments live on; each copy stays what it was.
template <typename Map, typename MakeKey>
void CompareWithStdMap(uint64_t seed, int operations, uint64_t num_keys, MakeKey&& make_key) {
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  using Model = std::map<typename Map::Key, int64_t>;
  Rng rng(seed);
  Map map;
  Model model;
  std::vector<std::pair<Map, Model>> copies;
  for (int i = 0; i < operations; ++i) {
    const auto key = make_key(rng.NextBits() % num_keys);
    const uint64_t choice = rng.NextBits() % 100;
    if (choice < 50) {
      const int64_t value = static_cast<int64_t>(rng.NextBits());
      map.Mutate(key) = value;
      model[key] = value;
    } else if (choice < 60) {
      ++map.Mutate(key);
      ++model[key];
    } else if (choice < 90) {
      EXPECT_EQ(map.Erase(key), model.erase(key) == 1);
    } else if (choice < 95) {
      const int64_t* found = map.Find(key);
      EXPECT_EQ(found != nullptr, model.count(key) == 1);
    } else if (copies.size() < 20) {
      copies.emplace_back(map, model);
    } else if (choice < 98) {
      const size_t at = rng.NextBits() % copies.size();
      ExpectSame(copies[at].first, copies[at].second);
      copies[at] = {map, model};
    } else {  // a copy is changed, and the map goes on from it
      auto& [copy, copy_model] = copies[rng.NextBits() % copies.size()];
      map = copy;
      model = copy_model;
    }
  }
  ExpectSame(map, model);
  for (const auto& [copy, copy_model] : copies) ExpectSame(copy, copy_model);
}

TEST(PersistentMapTest, AgreesWithStdMapWhileCopiesStayAsTheyWere) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    CompareWithStdMap<PersistentMap<int64_t>>(seed, 20'000, 50 * seed * seed,
                                              [](uint64_t number) { return absl::StrCat("customer-", number); });
  }
}

TEST(PersistentMapTest, AgreesWithStdMapForNumberKeys) {
  CompareWithStdMap<PersistentMap<int64_t, NumberKey>>(11, 30'000, 700, [](uint64_t number) { return number * number; });
}

TEST(PersistentMapTest, KeysWithEqualHashesPart) {
  CompareWithStdMap<PersistentMap<int64_t, ClashingKey>>(21, 5'000, 40, [](uint64_t number) { return number; });
}

TEST(PersistentMapTest, OrderOfVisitDoesNotDependOnTheOrderOfInsertionOrOnErasures) {
  PersistentMap<int64_t> up, down;
  for (int i = 0; i < 3000; ++i) up.Mutate(absl::StrCat(i)) = i;
  for (int i = 3999; i >= 0; --i) down.Mutate(absl::StrCat(i)) = i;
  for (int i = 3000; i < 4000; ++i) EXPECT_TRUE(down.Erase(absl::StrCat(i)));
  std::vector<int64_t> first, second;
  up.ForEach([&](absl::string_view, int64_t value) { first.push_back(value); });
  down.ForEach([&](absl::string_view, int64_t value) { second.push_back(value); });
  EXPECT_EQ(first.size(), 3000u);
  EXPECT_EQ(first, second);
}

TEST(PersistentMapTest, AnEmptyMapHoldsNothing) {
  PersistentMap<int64_t> map;
  EXPECT_EQ(map.Find(""), nullptr);
  EXPECT_FALSE(map.Erase("x"));
  map.Mutate("") = 3;  // the empty key is a key
  ASSERT_NE(map.Find(""), nullptr);
  EXPECT_TRUE(map.Erase(""));
  EXPECT_TRUE(map.empty());
}

TEST(PersistentMapTest, AMovedFromMapIsEmptyAndUsable) {
  PersistentMap<int64_t> map;
  map.Mutate("a") = 1;
  PersistentMap<int64_t> taken = std::move(map);
  EXPECT_EQ(taken.size(), 1u);
  map = PersistentMap<int64_t>();
  map.Mutate("b") = 2;
  EXPECT_EQ(map.size(), 1u);
  EXPECT_EQ(taken.Find("b"), nullptr);
}

TEST(PersistentMapTest, AChangeCopiesOnlyTheValueThatIsShared) {
  struct Counted {
    Counted() = default;
    Counted(const Counted& other) : copies(other.copies + 1) {}
    Counted& operator=(const Counted&) = default;
    int copies = 0;
  };
  PersistentMap<Counted> map;
  for (int i = 0; i < 100; ++i) map.Mutate(absl::StrCat(i));
  map.Mutate("7");
  EXPECT_EQ(map.Find("7")->copies, 0);
  const PersistentMap<Counted> copy = map;
  map.Mutate("7");
  map.Mutate("7");
  EXPECT_EQ(map.Find("7")->copies, 1);
  EXPECT_EQ(map.Find("8")->copies, 0);
  EXPECT_EQ(copy.Find("7")->copies, 0);
}

}  // namespace
}  // namespace offerd
