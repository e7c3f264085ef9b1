#include "core/similarity/ease.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/similarity/basket_index.h"
#include "core/similarity/best_of.h"
#include "core/similarity/score_order.h"
#include "core/similarity/table_rows.h"
#include "core/status_macros.h"

namespace offerd {
namespace {

using Eigen::Index;

constexpr Index kBlock = 256;
// Below this share of the largest count, rounding decides the weights of items that are always bought together.
constexpr double kSmallestLambda = 1e-12;

// The lower half of a symmetric or triangular matrix, in blocks of kBlock. The upper half is neither read nor written,
// except by MirrorWeights. Every block is written by one task, whose arithmetic does not depend on the others': the
// same bits for any number of threads.
class LowerBlocks {
 public:
  explicit LowerBlocks(RowMatrix& matrix) : matrix_(matrix) {}

  Index num_blocks() const { return (matrix_.rows() + kBlock - 1) / kBlock; }
  Index start(Index block) const { return block * kBlock; }
  Index size(Index block) const { return std::min(kBlock, matrix_.rows() - start(block)); }
  auto operator()(Index row, Index column) { return matrix_.block(start(row), start(column), size(row), size(column)); }
  // Blocks first .. the last of a column of blocks, and 0 .. last of a row of blocks.
  auto ColumnFrom(Index first, Index column) {
    return matrix_.block(start(first), start(column), matrix_.rows() - start(first), size(column));
  }
  auto RowTo(Index row, Index last) { return matrix_.block(start(row), 0, size(row), start(last) + size(last)); }

 private:
  RowMatrix& matrix_;
};

void RunTasks(Index tasks, ParallelFor parallel_for, absl::FunctionRef<void(Index)> body) {
  if (tasks > 0) parallel_for(static_cast<size_t>(tasks), [&](size_t task) { body(static_cast<Index>(task)); });
}

// The pair (i, j), 0 <= j <= i, with number task in the order (0, 0), (1, 0), (1, 1), (2, 0) ...
std::pair<Index, Index> TrianglePair(Index task) {
  Index i = static_cast<Index>((std::sqrt(8.0 * static_cast<double>(task) + 1) - 1) / 2);
  while (i * (i + 1) / 2 > task) --i;
  while ((i + 1) * (i + 2) / 2 <= task) ++i;
  return {i, task - i * (i + 1) / 2};
}

// X'X + lambda I, lower half.
void AddUpBaskets(const Baskets& baskets, double lambda, ParallelFor parallel_for, RowMatrix& matrix) {
  const BasketIndex index = InvertBaskets(baskets, parallel_for);
  LowerBlocks blocks(matrix);
  RunTasks(blocks.num_blocks(), parallel_for, [&](Index block) {
    for (Index row = blocks.start(block); row < blocks.start(block) + blocks.size(block); ++row) {
      double* sums = matrix.row(row).data();
      std::fill(sums, sums + row + 1, 0.0);
      for (uint32_t basket : index[static_cast<TableItem>(row)]) {
        const double weight = baskets.weights.empty() ? 1 : baskets.weights[basket];
        for (TableItem item : baskets[basket]) {
          if (item <= row) sums[item] += weight;
        }
      }
      sums[row] += lambda;
    }
  });
}

// The lower half becomes L with matrix = L L'. False if the matrix is not positive definite.
bool Factorize(LowerBlocks& a, ParallelFor parallel_for) {
  for (Index k = 0; k < a.num_blocks(); ++k) {
    auto diagonal = a(k, k);
    Eigen::LLT<Eigen::Ref<RowMatrix, 0, Eigen::OuterStride<>>> factor(diagonal);
    if (factor.info() != Eigen::Success) return false;
    const Index rest = a.num_blocks() - k - 1;
    RunTasks(rest, parallel_for, [&](Index task) {
      auto block = a(k + 1 + task, k);
      a(k, k).triangularView<Eigen::Lower>().transpose().solveInPlace<Eigen::OnTheRight>(block);
    });
    RunTasks(rest * (rest + 1) / 2, parallel_for, [&](Index task) {
      const auto [i, j] = TrianglePair(task);
      a(k + 1 + i, k + 1 + j).noalias() -= a(k + 1 + i, k) * a(k + 1 + j, k).transpose();
    });
  }
  return true;
}

// L becomes W = L^-1, from the last column of blocks to the first: W_ij = -(sum over l > j of W_il L_lj) L_jj^-1.
void InvertLower(LowerBlocks& a, RowMatrix& panel, ParallelFor parallel_for) {
  for (Index j = a.num_blocks() - 1; j >= 0; --j) {
    const Index rest = a.num_blocks() - j - 1;
    if (rest > 0) {
      const Index rows = a.ColumnFrom(j + 1, j).rows();
      panel.topLeftCorner(rows, a.size(j)) = a.ColumnFrom(j + 1, j);
    }
    RunTasks(rest, parallel_for, [&](Index task) {
      const Index i = j + rest - task;  // the longest first
      auto block = a(i, j);
      const Index inner = a.start(i) - a.start(j + 1);
      block = a(i, i).triangularView<Eigen::Lower>() * panel.block(inner, 0, a.size(i), a.size(j));
      if (inner > 0) block.noalias() += a.RowTo(i, i - 1).rightCols(inner) * panel.topLeftCorner(inner, a.size(j));
      block = -block;
      a(j, j).triangularView<Eigen::Lower>().solveInPlace<Eigen::OnTheRight>(block);
    });
    const RowMatrix identity = RowMatrix::Identity(a.size(j), a.size(j));
    const RowMatrix inverse = a(j, j).triangularView<Eigen::Lower>().solve(identity);
    a(j, j).triangularView<Eigen::Lower>() = inverse;
  }
}

// W becomes the lower half of P = W'W, row of blocks by row of blocks: P_ij = sum over l >= i of W_li' W_lj. Row i of W
// is used by rows 0 .. i of P only, so that its own row is all that must be kept aside.
void MultiplyTransposed(LowerBlocks& a, RowMatrix& panel, ParallelFor parallel_for) {
  for (Index i = 0; i < a.num_blocks(); ++i) {
    const Index size = a.size(i);
    const Index width = a.start(i) + size;
    Eigen::Map<RowMatrix> row(panel.data(), size, width);
    row = a.RowTo(i, i);
    row.rightCols(size).triangularView<Eigen::StrictlyUpper>().setZero();
    RunTasks(i + 1, parallel_for, [&](Index j) {
      auto block = a(i, j);
      RowMatrix sum = row.rightCols(size).transpose() * row.middleCols(a.start(j), a.size(j));
      if (i + 1 < a.num_blocks()) sum.noalias() += a.ColumnFrom(i + 1, i).transpose() * a.ColumnFrom(i + 1, j);
      if (i == j) {
        block.triangularView<Eigen::Lower>() = sum;
      } else {
        block = sum;
      }
    });
  }
}

// The lower half of P becomes B, both halves.
void MirrorWeights(LowerBlocks& a, const Eigen::VectorXd& diagonal, ParallelFor parallel_for, RowMatrix& matrix) {
  RunTasks(a.num_blocks() * (a.num_blocks() + 1) / 2, parallel_for, [&](Index task) {
    const auto [block_row, block_column] = TrianglePair(task);
    for (Index i = a.start(block_row); i < a.start(block_row) + a.size(block_row); ++i) {
      const Index end = std::min(i, a.start(block_column) + a.size(block_column));
      for (Index j = a.start(block_column); j < end; ++j) {
        const double p = matrix(i, j);
        matrix(i, j) = -p / diagonal[j];
        matrix(j, i) = -p / diagonal[i];
      }
    }
  });
  matrix.diagonal().setZero();
}

absl::Status CheckMemory(size_t num_items, uint64_t memory_bytes) {
  if (memory_bytes == 0 || EaseMemoryBytes(num_items) <= memory_bytes) return absl::OkStatus();
  size_t fits = static_cast<size_t>(std::sqrt(static_cast<double>(memory_bytes) / sizeof(double)));
  while (fits > 0 && EaseMemoryBytes(fits) > memory_bytes) --fits;
  return absl::ResourceExhaustedError(absl::StrCat("EASE of ", num_items, " items needs ", EaseMemoryBytes(num_items),
                                                   " bytes, ", memory_bytes, " are allowed: ", fits,
                                                   " items would fit"));
}

}  // namespace

uint64_t EaseMemoryBytes(size_t num_items) {
  const uint64_t n = num_items;
  return sizeof(double) * (n * n + n * kBlock + n);
}

absl::StatusOr<RowMatrix> EaseWeights(const Baskets& baskets, const EaseOptions& options, ParallelFor parallel_for) {
  if (!(options.lambda > 0 && std::isfinite(options.lambda))) {
    return absl::InvalidArgumentError(absl::StrCat("lambda: expected a positive number, found ", options.lambda));
  }
  if (baskets.num_items == 0) return absl::InvalidArgumentError("EASE: there are no items");
  RETURN_IF_ERROR(CheckMemory(baskets.num_items, options.memory_bytes));
  RETURN_IF_ERROR(CheckBaskets(baskets, parallel_for));
  const Index n = static_cast<Index>(baskets.num_items);
  RowMatrix matrix(n, n);
  {
    const BasketSummary summary = SummariseBaskets(baskets, 0, parallel_for);
    std::optional<Baskets> copy;
    if (summary.has_repeats) copy = CopyCounted(baskets, summary, 0, 0);
    AddUpBaskets(copy ? *copy : baskets, options.lambda, parallel_for, matrix);
  }
  LowerBlocks blocks(matrix);
  if (options.lambda < kSmallestLambda * matrix.diagonal().maxCoeff() || !Factorize(blocks, parallel_for)) {
    return absl::InvalidArgumentError(absl::StrCat("lambda: ", options.lambda, " is too small for these baskets"));
  }
  RowMatrix panel(n, std::min(kBlock, n));
  InvertLower(blocks, panel, parallel_for);
  MultiplyTransposed(blocks, panel, parallel_for);
  const Eigen::VectorXd diagonal = matrix.diagonal();
  MirrorWeights(blocks, diagonal, parallel_for, matrix);
  return matrix;
}

ItemTable EaseTable(const RowMatrix& weights, size_t keep) {
  TableRows rows;
  BestOf<Neighbour, ScoreOrder<9>> best;
  for (Index i = 0; i < weights.rows(); ++i) {
    best.Start(keep);
    for (Index j = 0; j < weights.cols(); ++j) {
      if (weights(i, j) > 0) best.Offer({weights(i, j), static_cast<TableItem>(j)});
    }
    rows.Append(best.Sorted());
  }
  std::vector<TableRows> parts;
  parts.push_back(std::move(rows));
  return JoinRows(std::move(parts));
}

}  // namespace offerd
