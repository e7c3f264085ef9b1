#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/similarity/baskets.h"
#include "core/similarity/item_table.h"
#include "core/similarity/parallel_for.h"

namespace offerd {

// How a pair of items is scored from the numbers of baskets that hold them.
enum class PairMeasure {
  kCount,               // association: c_ij
  kConfidence,          // c_ij / (c_i c_j^damping)
  kCosine,              // c_ij / (sqrt(c_i c_j) + shrink)
  kJaccard,             // c_ij / (c_i + c_j - c_ij)
  kLift,                // n c_ij / (c_i c_j)
  kLogLikelihoodRatio,  // G^2 of the 2 x 2 table: Dunning 1993, "Accurate Methods for the Statistics of Surprise and
                        // Coincidence"
};

// c_ij, c_i, c_j of n baskets, all in the same (possibly weighted) units; c_ij > 0.
struct PairCounts {
  double both = 0, first = 0, second = 0, baskets = 0;
};

struct PairTableOptions {
  PairMeasure measure = PairMeasure::kCosine;
  size_t keep = 100;            // neighbours an item, >= 1
  double min_support = 1;       // pairs in fewer baskets (unweighted) are left out
  double min_item_support = 1;  // items in fewer baskets have no row and are nobody's neighbour
  double shrink = 0;            // kCosine, >= 0
  double damping = 0;           // kConfidence, in [0, 1]
  size_t max_basket_items = 0;  // baskets with more distinct items are left out; 0 = none
};

double ScorePair(const PairTableOptions& options, const PairCounts& counts);

struct PairTableStats {
  size_t baskets = 0;           // counted: not empty, not too long
  size_t baskets_too_long = 0;  // left out by max_basket_items
  uint64_t entries = 0;         // distinct (basket, item) pairs counted
  // Unordered pairs of items with min_item_support in at least one counted basket together, before min_support.
  uint64_t pairs = 0;
};

// Item-item similarity of baskets: an item counts once in a basket, never with itself. Weighted baskets count with
// their weight in every sum, n included. Empty baskets do not count in n.
//
// Ties     Scores equal to 12 significant digits: the lower number first. The kept scores are rounded to float after.
// Threads  One inverted index, then rows in parallel; the same bytes for any number of threads.
// Errors   InvalidArgument names the option or basket that is wrong.
// Cost     Sum over baskets of size^2 / threads. Memory besides the baskets: 4 bytes an entry for the index, as much
//          again for a copy where baskets repeat items or something is left out, 8 bytes (weighted: 20) an item and
//          thread, and the table.
absl::StatusOr<ItemTable> BuildPairTable(const Baskets& baskets, const PairTableOptions& options,
                                         ParallelFor parallel_for, PairTableStats* stats = nullptr);

}  // namespace offerd
