#include "core/lists/remembered_numbers.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace offerd {
namespace {

// The scratch of one thread answers for one state and then for another, in which the items have other numbers, and back; for more tables
// than it remembers.
TEST(RememberedNumbersTest, FollowTheState) {
  const std::vector<std::string> names = {"biscuit", "black", "cake", "green", "pot", "white"};
  const ItemIds ids(names);
  Catalogue forward, backward;
  const Catalogue empty;
  for (size_t i = 0; i < names.size(); ++i) {
    forward.InternItem(names[i]);
    backward.InternItem(names[names.size() - 1 - i]);
  }
  RememberedNumbers remembered;
  std::vector<std::unique_ptr<ListTable>> tables;
  for (size_t i = 0; i < 2 * RememberedNumbers::kMaxTables; ++i) {
    tables.push_back(std::make_unique<ListTable>());
    tables.back()->ids = ids.view();
  }
  for (int round = 0; round < 2; ++round) {
    for (const auto& table : tables) {
      for (const Catalogue* catalogue : std::initializer_list<const Catalogue*>{&forward, &empty, &backward, &forward}) {
        for (TableItem item = 0; item < names.size(); ++item) {
          const absl::string_view id = table->ids.IdOf(item);
          const ItemIndex* known = catalogue->FindItem(id);
          ASSERT_EQ(FindNumber(*catalogue, id, remembered.Of(*table)[item]), known == nullptr ? kNoItem : *known);
        }
      }
    }
  }
}

}  // namespace
}  // namespace offerd
