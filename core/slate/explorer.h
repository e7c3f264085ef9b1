#pragma once
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/types.h"

namespace offerd {

enum class ExplorerKind : uint8_t { kGreedy, kEpsilonGreedy, kThompson };

struct ExplorerSpec {
  ExplorerKind kind = ExplorerKind::kThompson;
  double epsilon = 0;  // epsilon-greedy and Thompson: the part that is uniform over the open candidates
};

absl::Status CheckExplorer(const ExplorerSpec& spec);  // epsilon in [0, 1]; InvalidArgument

// Which candidate each member of a bag ranks first among the open ones, kept up to date as candidates close and open.
//
// Shapes   scores n x (1 + M), column 0 is the mean and is not looked at. open_by_tie: the open candidates in tie
// order. Cost     O(n M) the first time and whenever a candidate opens; else O(8 n) for each group of eight members of
// which one
//          lost its winner. No allocation once it has seen M members.
class BagWinners {
 public:
  // Forgets what it knows: the next Update looks at everything.
  void Reset() { is_known_ = false; }

  // is_open: n; `some_opened` says that a candidate is open which was not at the last Update.
  // A score that is not a number counts as minus infinity; equal scores go to the earlier in open_by_tie, which is not
  // empty.
  void Update(const FloatRowMatrix& scores, absl::Span<const int32_t> open_by_tie, absl::Span<const uint8_t> is_open,
              bool some_opened);

  absl::Span<const int32_t> winners() const { return winners_; }  // M

 private:
  std::vector<int32_t> winners_;
  bool is_known_ = false;
};

// The distribution of the explorer over the open candidates: greedy puts everything on the best mean (ties: earlier in
// open_by_tie); epsilon-greedy takes epsilon of it and spreads that evenly; Thompson takes each candidate's share of
// the bag's winners instead of the best mean. Thompson without a bag (winners empty) is epsilon-greedy. probability (n)
// is written everywhere; 0 for candidates that are not open.
void ExplorerDistribution(const ExplorerSpec& spec, absl::Span<const double> mean, absl::Span<const int32_t> winners,
                          absl::Span<const int32_t> open_by_tie, absl::Span<double> probability);

}  // namespace offerd
