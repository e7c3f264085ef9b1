#pragma once
#include <cstddef>

#include "absl/status/statusor.h"
#include "core/similarity/baskets.h"
#include "core/similarity/item_table.h"
#include "core/similarity/parallel_for.h"

namespace offerd {

// What a pair of positions counts, at distance d = 1, 2, ... between them.
enum class DistanceWeight {
  kOne,        // 1: association rules
  kInverse,    // 1 / d
  kLinear,     // 1 - 0.1 d, not below 0
  kQuadratic,  // 1 / d^2
  kLog,        // 1 / log10(d + 1.7)
};

struct SequentialRulesOptions {
  // true: the earlier item points to the later one, at most `steps` positions on (SR). false: both point to each other,
  // at any distance and with weight 1 (AR).
  bool in_order = true;
  size_t steps = 10;
  DistanceWeight weight = DistanceWeight::kInverse;
  size_t keep = 20;  // best entries an item; 0 = all
};

// Sequential and association rules of sessions.
//
// Source   Ludewig, Jannach, UMUAI 2018, "Evaluation of Session-based Recommendation Algorithms", section 3.1. Every
//          ordered pair of positions counts, repeats included, an item with itself too. Weighted sessions count with
//          their weight. Pairs of weight 0 are not in the table.
// Ties     Scores equal to 12 significant digits: the lower number first. The kept scores are rounded to float after.
// Errors   InvalidArgument names the option or session that is wrong.
// Threads  Rows in parallel; the same bytes for any number of threads.
absl::StatusOr<ItemTable> BuildSequentialRules(const Baskets& sessions, const SequentialRulesOptions& options,
                                               ParallelFor parallel_for);

}  // namespace offerd
