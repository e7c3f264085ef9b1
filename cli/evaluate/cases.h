#pragma once
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "cli/evaluate/dataset.h"
#include "cli/evaluate/method.h"
#include "cli/evaluate/metric_sums.h"
#include "cli/evaluate/scoring.h"

namespace offerd::evaluate {

// The test as questions with their answers, protocol by protocol.
//
// Threads  Each thread has one of its own.
class Cases {
 public:
  // Asks for one list. Valid until the next call.
  using Ask = absl::FunctionRef<absl::Span<const TableItem>(const Query& query)>;

  Cases(const Dataset& data, absl::Span<const size_t> cutoffs, size_t min_prefix);

  // All cases of one row of the test, added to `sums` (which are not told the end of a cluster).
  void Run(size_t row, Ask ask, MetricSums* sums);

 private:
  void RunSession(size_t row, Ask ask, MetricSums* sums);
  void RunLeaveOneOut(size_t row, Ask ask, MetricSums* sums);
  void RunNextBasket(size_t row, Ask ask, MetricSums* sums);
  void RunUser(size_t row, Ask ask, MetricSums* sums);

  const Dataset& data_;
  const absl::Span<const size_t> cutoffs_;
  const size_t min_prefix_;
  const PopularityScale popularity_;
  std::vector<CaseScores> scores_;
  std::vector<CaseScores> means_;
  std::vector<TableItem> items_;
  std::vector<float> weights_;
};

}  // namespace offerd::evaluate
