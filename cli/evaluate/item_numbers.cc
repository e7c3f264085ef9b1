#include "cli/evaluate/item_numbers.h"

namespace offerd::evaluate {

ItemNumbers::ItemNumbers(const IdTable& items, const std::vector<bool>& is_in_training) : of(items.size()) {
  std::vector<uint32_t> known;
  for (uint32_t item = 0; item < items.size(); ++item) {
    if (is_in_training[item]) known.push_back(item);
  }
  items.Sort(&known);
  ids.reserve(known.size());
  for (const uint32_t item : known) {
    of[item] = static_cast<TableItem>(ids.size());
    ids.emplace_back(items[item]);
  }
  auto next = static_cast<TableItem>(ids.size());
  for (uint32_t item = 0; item < items.size(); ++item) {
    if (!is_in_training[item]) of[item] = next++;
  }
}

LinesByGroup::LinesByGroup(const std::vector<uint32_t>& group_of_line, size_t num_groups) : offsets(num_groups + 1, 0) {
  for (const uint32_t group : group_of_line) ++offsets[group + 1];
  for (size_t group = 0; group < num_groups; ++group) offsets[group + 1] += offsets[group];
  std::vector<uint64_t> next(offsets.begin(), offsets.end() - 1);
  lines.resize(group_of_line.size());
  for (size_t line = 0; line < group_of_line.size(); ++line) lines[next[group_of_line[line]]++] = static_cast<uint32_t>(line);
}

}  // namespace offerd::evaluate
