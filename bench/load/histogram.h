#pragma once
#include <cstdint>
#include <utility>
#include <vector>

namespace offerd {

// Counts of latencies in log-linear buckets, as HdrHistogram has them: exact below 128, then 128 buckets to each doubling,
// so a percentile is at most 1/128 above what was recorded.
//
// Units    Whatever is recorded; the generator records nanoseconds. Negative values count as 0.
// Threads  Not safe; one for each thread that records.
// Cost     Record O(1) without allocation; 60 kB.
class Histogram {
 public:
  Histogram();

  void Record(int64_t value);
  void Merge(const Histogram& other);

  // The smallest bucket bound that at least `share` of what was recorded does not exceed, never above max(). 0 when empty.
  int64_t Percentile(double share) const;

  int64_t count() const { return count_; }
  int64_t max() const { return max_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  // (largest value of the bucket, count) of every bucket that has any, ascending.
  std::vector<std::pair<int64_t, int64_t>> Buckets() const;

 private:
  std::vector<int64_t> counts_;
  int64_t count_ = 0;
  int64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace offerd
