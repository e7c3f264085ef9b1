#pragma once
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/types.h"

namespace offerd {

// Which candidate each member of a bag ranks first among the open ones, kept up to date as candidates close. The candidates stand in
// blocks that know their own winners: where one closes, its block is scanned again and the blocks are compared, not all candidates.
//
// Shapes   scores n x (1 + M), column 0 is the mean and is not looked at. open_by_tie: the open candidates in tie order.
// Threads  Not safe; one per thread, reused.
// Cost     O(n M) the first time and after Reset; else O(sqrt(n) M) where a member lost its winner. No allocation once it has the size.
class BagWinners {
 public:
  // Scores changed, or a candidate opened: the next Update looks at everything.
  void Reset() { is_known_ = false; }
  // An open candidate is open no longer.
  void Close(int32_t candidate);

  // `open_by_tie`, not empty, says which are open, as Reset and Close told; `scores` are those of the last time but after a Reset. A score
  // that is not a number counts as minus infinity; equal scores go to the earlier in open_by_tie.
  void Update(const FloatRowMatrix& scores, absl::Span<const int32_t> open_by_tie);

  absl::Span<const int32_t> winners() const { return winners_; }  // M

 private:
  void Start(const FloatRowMatrix& scores, absl::Span<const int32_t> open_by_tie);

  bool is_known_ = false;
  bool lost_winner_ = false;           // some member, since the last Update
  int block_bits_ = 0;                 // a block has 2^block_bits_ candidates
  std::vector<int32_t> order_;         // candidates that were open at the start, in tie order; -1 = closed since
  std::vector<int32_t> place_;         // by candidate: in order_, where it is there
  std::vector<uint8_t> is_stale_;      // by block: one of its candidates closed
  std::vector<float> block_best_;      // blocks x M
  std::vector<int32_t> block_winner_;  // blocks x M
  std::vector<float> best_;            // M
  std::vector<int32_t> winners_;       // M
};

}  // namespace offerd
