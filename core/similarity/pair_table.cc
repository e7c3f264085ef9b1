#include "core/similarity/pair_table.h"

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"
#include "core/similarity/basket_index.h"
#include "core/similarity/best_of.h"
#include "core/similarity/score_order.h"
#include "core/similarity/table_rows.h"
#include "core/status_macros.h"

namespace offerd {
namespace {

// How far ahead the baskets of a row are fetched: first where they start, then what they hold.
constexpr size_t kFetchOffset = 16;
constexpr size_t kFetchItems = 8;

// 2 sum over the table of k ln(k n / (row x column)). The ratio is 1 +- d / (row x column) with d = n c_ij - c_i c_j,
// which keeps the digits that subtracting sums of k ln k would lose.
double LogLikelihoodRatio(const PairCounts& c) {
  const double rest_first = std::max(0.0, c.baskets - c.first);
  const double rest_second = std::max(0.0, c.baskets - c.second);
  const double d = c.baskets * c.both - c.first * c.second;
  const auto cell = [](double count, double difference, double row, double column) {
    return count > 0 && row > 0 && column > 0 ? count * std::log1p(std::max(-1.0, difference / (row * column))) : 0;
  };
  return 2 * std::max(0.0, cell(c.both, d, c.first, c.second) + cell(c.first - c.both, -d, c.first, rest_second) +
                               cell(c.second - c.both, -d, rest_first, c.second) +
                               cell(c.baskets - c.first - c.second + c.both, d, rest_first, rest_second));
}

// So many pairs are scored at once: the choice of measure and the long operations are paid once a block.
constexpr int kBlock = 64;
using Block = Eigen::Array<double, kBlock, 1>;

// Scores of pairs of one item (first, of n baskets) with others. Places beyond the pairs hold any positive numbers.
void ScoreBlock(const PairTableOptions& options, double first, double n, const Block& both, const Block& second,
                Block& scores) {
  switch (options.measure) {
    case PairMeasure::kCount:
      scores = both;
      break;
    case PairMeasure::kConfidence:
      scores = both / first;
      for (int k = 0; k < kBlock && options.damping != 0; ++k) scores[k] /= std::pow(second[k], options.damping);
      break;
    case PairMeasure::kCosine:
      scores = both / ((first * second).sqrt() + options.shrink);
      break;
    case PairMeasure::kJaccard:
      scores = both / (first + second - both);
      break;
    case PairMeasure::kLift:
      scores = n * both / (first * second);
      break;
    case PairMeasure::kLogLikelihoodRatio:
      for (int k = 0; k < kBlock; ++k) scores[k] = LogLikelihoodRatio({both[k], first, second[k], n});
      break;
  }
}

absl::Status CheckOptions(const PairTableOptions& options) {
  const auto refuse = [](absl::string_view name, absl::string_view expected, double found) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": expected ", expected, ", found ", found));
  };
  if (options.keep == 0) return refuse("keep", "at least 1", 0);
  if (!(options.min_support >= 0)) return refuse("min_support", "0 or more", options.min_support);
  if (!(options.min_item_support >= 0)) return refuse("min_item_support", "0 or more", options.min_item_support);
  if (!(options.shrink >= 0 && std::isfinite(options.shrink))) return refuse("shrink", "0 or more", options.shrink);
  if (!(options.damping >= 0 && options.damping <= 1)) return refuse("damping", "0 to 1", options.damping);
  return absl::OkStatus();
}

// Everything the rows read.
struct Source {
  const PairTableOptions& options;
  const Baskets& baskets;
  const BasketIndex& index;
  std::vector<double> item_weights;  // c_i; empty = as many as the index says
  double total_weight = 0;           // n

  double ItemWeight(TableItem item) const {
    return item_weights.empty() ? index.offsets[item + 1] - index.offsets[item] : item_weights[item];
  }
};

// What an item has together with the row's.
struct CountCell {
  uint32_t count = 0;
  void Add(double) { ++count; }
  double both() const { return count; }
};
struct WeightCell {
  double weight = 0;
  uint32_t count = 0;
  void Add(double basket_weight) {
    weight += basket_weight;
    ++count;
  }
  double both() const { return weight; }
};

template <typename Cell>
class RowBuilder {
 public:
  explicit RowBuilder(const Source& source)
      : source_(source), cells_(source.baskets.num_items), touched_(source.baskets.num_items + 1) {}

  absl::Span<const Neighbour> Row(TableItem item) {
    const size_t num_touched = Accumulate(item);
    best_.Start(source_.options.keep);
    for (size_t k = 0; k < num_touched; ++k) {
      const TableItem other = touched_[k];
      const Cell cell = cells_[other];
      cells_[other] = Cell();
      pairs_ += other > item;
      both_[num_waiting_] = cell.both();
      second_[num_waiting_] = source_.ItemWeight(other);
      waiting_[num_waiting_] = other;
      num_waiting_ += other != item && cell.count >= source_.options.min_support;
      if (num_waiting_ == kBlock) Score(item);
    }
    Score(item);
    return best_.Sorted();
  }

  uint64_t pairs() const { return pairs_; }  // of an item of a row with a later one

 private:
  // Counts the items of the baskets that hold this one; returns how many there are.
  size_t Accumulate(TableItem item) {
    const absl::Span<const uint32_t> holders = source_.index[item];
    const uint64_t* offsets = source_.baskets.offsets.data();
    const TableItem* items = source_.baskets.items.data();
    const double* weights = source_.baskets.weights.empty() ? nullptr : source_.baskets.weights.data();
    Cell* const cells = cells_.data();
    TableItem* const touched = touched_.data();
    size_t num_touched = 0;
    for (size_t h = 0; h < holders.size(); ++h) {
      if (h + kFetchOffset < holders.size()) __builtin_prefetch(offsets + holders[h + kFetchOffset]);
      if (h + kFetchItems < holders.size()) __builtin_prefetch(items + offsets[holders[h + kFetchItems]]);
      const double weight = weights == nullptr ? 1 : weights[holders[h]];
      const TableItem* const end = items + offsets[holders[h] + 1];
      for (const TableItem* other = items + offsets[holders[h]]; other != end; ++other) {
        Cell& cell = cells[*other];
        touched[num_touched] = *other;
        num_touched += cell.count == 0;
        cell.Add(weight);
      }
    }
    return num_touched;
  }

  void Score(TableItem item) {
    ScoreBlock(source_.options, source_.ItemWeight(item), source_.total_weight, both_, second_, scores_);
    for (int k = 0; k < num_waiting_; ++k) best_.Offer({scores_[k], waiting_[k]});
    num_waiting_ = 0;
  }

  const Source& source_;
  std::vector<Cell> cells_;         // all zero between rows
  std::vector<TableItem> touched_;  // one place more than items: the next one is written before it is known to be new
  uint64_t pairs_ = 0;
  // Pairs that wait for their score.
  int num_waiting_ = 0;
  std::array<TableItem, kBlock> waiting_;
  Block both_ = Block::Ones();
  Block second_ = Block::Ones();
  Block scores_;
  BestOf<Neighbour, ScoreOrder<12>> best_;
};

template <typename Cell>
ItemTable BuildRows(const Source& source, ParallelFor parallel_for, uint64_t& pairs) {
  const std::vector<size_t> ends = CutRows(source.baskets, source.index);
  std::vector<TableRows> parts(ends.size() - 1);
  std::vector<uint64_t> part_pairs(parts.size());
  parallel_for(parts.size(), [&](size_t task) {
    RowBuilder<Cell> builder(source);
    for (size_t item = ends[task]; item < ends[task + 1]; ++item) {
      parts[task].Append(builder.Row(static_cast<TableItem>(item)));
    }
    part_pairs[task] = builder.pairs();
  });
  pairs = std::accumulate(part_pairs.begin(), part_pairs.end(), uint64_t{0});
  return JoinRows(std::move(parts));
}

std::vector<double> ItemWeights(const Baskets& baskets, const BasketIndex& index) {
  std::vector<double> weights;
  for (size_t i = 0; i < baskets.num_items && !baskets.weights.empty(); ++i) {
    double sum = 0;
    for (uint32_t basket : index[static_cast<TableItem>(i)]) sum += baskets.weights[basket];
    weights.push_back(sum);
  }
  return weights;
}

}  // namespace

double ScorePair(const PairTableOptions& options, const PairCounts& counts) {
  Block scores;
  ScoreBlock(options, counts.first, counts.baskets, Block::Constant(counts.both), Block::Constant(counts.second),
             scores);
  return scores[0];
}

absl::StatusOr<ItemTable> BuildPairTable(const Baskets& baskets, const PairTableOptions& options,
                                         ParallelFor parallel_for, PairTableStats* stats) {
  RETURN_IF_ERROR(CheckOptions(options));
  RETURN_IF_ERROR(CheckBaskets(baskets, parallel_for));
  const BasketSummary summary = SummariseBaskets(baskets, options.max_basket_items, parallel_for);
  bool is_clean = !summary.has_repeats && summary.baskets_too_long == 0;
  for (uint32_t count : summary.item_baskets) is_clean &= count == 0 || count >= options.min_item_support;
  std::optional<Baskets> copy;  // only where the given ones cannot be counted as they stand
  if (!is_clean) copy = CopyCounted(baskets, summary, options.max_basket_items, options.min_item_support);
  const Baskets& counted = is_clean ? baskets : *copy;
  const BasketIndex index = InvertBaskets(counted, parallel_for);
  const Source source = {options, counted, index, ItemWeights(counted, index), summary.weight};
  uint64_t pairs = 0;
  ItemTable table = baskets.weights.empty() ? BuildRows<CountCell>(source, parallel_for, pairs)
                                            : BuildRows<WeightCell>(source, parallel_for, pairs);
  if (stats != nullptr) *stats = {summary.baskets, summary.baskets_too_long, summary.entries, pairs};
  return table;
}

}  // namespace offerd
