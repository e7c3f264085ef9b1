#pragma once
#include <Eigen/Core>
#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "core/similarity/baskets.h"
#include "core/similarity/item_table.h"
#include "core/similarity/parallel_for.h"
#include "core/types.h"

namespace offerd {

struct EaseOptions {
  double lambda = 500;        // ridge, > 0
  uint64_t memory_bytes = 0;  // what the build may take at most; 0 = no limit
};

// Bytes that EaseWeights takes at its peak for so many items: the one matrix in which everything happens, and a row of
// its blocks. While X'X is added up, the index of the baskets (4 bytes an entry, 8 where baskets repeat items) comes on
// top of the matrix; it is gone before the row of blocks comes.
uint64_t EaseMemoryBytes(size_t num_items);

// Item-item weights in closed form.
//
// Source   Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, equation 8: P = (X'X + lambda I)^-1,
//          B_ij = -P_ij / P_jj, 0 on the diagonal. X is binary: baskets x items, an item counts once. A weighted basket
//          counts with its weight in X'X.
// Shapes   items x items, row i: what having item i adds to every item. Score of a cart: the sum of its items' rows.
// Errors   InvalidArgument for no items, and for a lambda that is not positive or so small (below 1e-12 of the largest
//          count) that rounding would decide. ResourceExhausted when the items do not fit memory_bytes: the message
//          says what is needed and how many items would fit.
// Threads  The same bits for any number of threads (on one machine and build: Eigen's products depend on both).
// Cost     items^3 multiplications and additions, spread over blocks of 256 x 256.
absl::StatusOr<RowMatrix> EaseWeights(const Baskets& baskets, const EaseOptions& options, ParallelFor parallel_for);

// The `keep` largest positive weights of each row; ties at 9 significant digits by number.
ItemTable EaseTable(const RowMatrix& weights, size_t keep);

}  // namespace offerd
