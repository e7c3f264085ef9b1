#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/evaluate/dataset.h"
#include "cli/evaluate/role_file.h"

// What `offerctl build` builds from: one file of sessions or baskets, of some markets.
namespace offerd::tables {

inline constexpr uint32_t kNoMarket = 0xffffffffu;

struct BuildFile {
  std::string path;
  evaluate::Protocol protocol = evaluate::Protocol::kLeaveOneOut;  // kSessions: rows are sessions, else baskets
  // Roles session or basket, and item; time, market; user, where a basket is a basket id of one user.
  evaluate::FileOptions options;
  bool one_basket_a_line = false;  // no header, no roles: cells are items, later lines are later
  size_t max_length = 0;           // rows with more distinct items are left out; 0 = none
  size_t min_item_support = 1;     // items in fewer rows are taken out of them
};

// The rows as evaluate::Dataset has its training rows: sessions by id, clicks in order of time, repeats kept; baskets
// in order of time, an item once. Without a time column the order of the file is the order of time.
struct BuildInput {
  evaluate::Dataset data;                 // training, item_ids, reports and counts; no test
  std::vector<uint32_t> markets;          // of each row, that of its first line; kNoMarket, or empty without markets
  std::vector<std::string> market_names;  // by bytes
};

// Lines that cannot be used, and whatever is left out, are counted in the data's report and counts.
//
// Errors  What cannot be opened or lacks a column. A file that is cut or damaged in the middle is DataLoss: a table of
// half the
//         data must not look like one of all.
absl::StatusOr<BuildInput> ReadBuildInput(const BuildFile& file);

// The rows of one market alone, items renumbered. Reports and counts stay behind.
evaluate::Dataset OfMarket(const BuildInput& input, uint32_t market);

}  // namespace offerd::tables
