#include "core/persistent_vector.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/rng.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

void ExpectSame(const PersistentVector<std::string>& found, const std::vector<std::string>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(found[i], expected[i]) << i;
  EXPECT_EQ(found.Find(expected.size()), nullptr);
}

TEST(PersistentVectorTest, AgreesWithStdVectorWhileCopiesStayAsTheyWere) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Rng rng(seed);
    PersistentVector<std::string> vector;
    std::vector<std::string> model;
    std::vector<std::pair<PersistentVector<std::string>, std::vector<std::string>>> copies;
    for (int i = 0; i < 5'000; ++i) {
      const uint64_t choice = rng.NextBits() % 100;
      if (choice < 40) {
        model.push_back(absl::StrCat("new ", i));
        vector.Mutate(vector.size()) = model.back();
      } else if (choice < 97) {
        if (model.empty()) continue;
        const size_t at = rng.NextBits() % model.size();
        model[at] = absl::StrCat("changed ", i);
        vector.Mutate(at) = model[at];
      } else if (copies.size() < 20) {
        copies.emplace_back(vector, model);
      } else {
        const size_t at = rng.NextBits() % copies.size();
        ExpectSame(copies[at].first, copies[at].second);
        copies[at] = {vector, model};
      }
    }
    ExpectSame(vector, model);
    for (const auto& [copy, copy_model] : copies) ExpectSame(copy, copy_model);
  }
}

TEST(PersistentVectorTest, GrowsWithDefaultValuesHoweverFarTheNextIndexIs) {
  for (const size_t far : {31u, 32u, 100u, 1023u, 1024u, 5'000u, 40'000u}) {
    PersistentVector<int> vector;
    vector.Mutate(3) = 3;
    vector.Mutate(far) = 7;
    ASSERT_EQ(vector.size(), far + 1);
    for (size_t i = 0; i < far; ++i) {
      const int* found = vector.Find(i);
      ASSERT_NE(found, nullptr);
      ASSERT_EQ(*found, i == 3 ? 3 : 0) << i << " of " << far;
    }
    EXPECT_EQ(vector[far], 7);
    vector.Mutate(far / 2) = 5;  // where nothing was yet
    EXPECT_EQ(vector[far / 2], 5);
  }
}

TEST(PersistentVectorTest, AnEmptyVectorHoldsNothing) {
  const PersistentVector<int> vector;
  EXPECT_EQ(vector.size(), 0u);
  EXPECT_EQ(vector.Find(0), nullptr);
}

}  // namespace
}  // namespace offerd
