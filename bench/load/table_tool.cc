// bench_table FOLDER NAME ITEMS NEIGHBOURS: writes a seeded table whose items are item-0000000 and on, as bench_load asks for them.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/rng.h"
#include "core/similarity/item_ids.h"
#include "core/similarity/item_table.h"
#include "store/table_artefact.h"

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bench_table FOLDER NAME ITEMS NEIGHBOURS\n");
    return 2;
  }
  const uint64_t items = static_cast<uint64_t>(std::atoll(argv[3]));
  const uint64_t neighbours = std::min(static_cast<uint64_t>(std::atoll(argv[4])), items / 2);
  std::vector<std::string> names;
  for (uint64_t i = 0; i < items; ++i) names.push_back(absl::StrFormat("item-%07d", i));
  const offerd::ItemIds ids(names);
  offerd::Rng rng(1);
  offerd::ItemTable table;
  for (uint64_t i = 0; i < items; ++i) {
    // Distinct without a set: steps of at least one around the ring of the items, shuffled by the scores they get.
    std::vector<std::pair<uint64_t, offerd::TableItem>> row;
    const uint64_t stride = (items - 1) / neighbours;
    for (uint64_t k = 0; k < neighbours; ++k) {
      row.emplace_back(rng.NextBits(), static_cast<offerd::TableItem>((i + 1 + k * stride + rng.NextBits() % stride) % items));
    }
    std::sort(row.begin(), row.end());
    for (uint64_t k = 0; k < row.size(); ++k) {
      table.neighbours.push_back(row[k].second);
      table.scores.push_back(1.0f / static_cast<float>(2 + k));
    }
    table.offsets.push_back(table.neighbours.size());
  }
  offerd::TableContent content;
  content.kind = "cosine";
  content.ids = ids.view();
  content.rows = table.view();
  const auto version = offerd::WriteTable(argv[1], argv[2], content, 1'700'000'000'000'000);
  if (!version.ok()) {
    std::fprintf(stderr, "%s\n", version.status().ToString().c_str());
    return 1;
  }
  return 0;
}
