#include "bench/load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace offerd {
namespace {

constexpr int kBits = 7;
constexpr int64_t kPerDoubling = int64_t{1} << kBits;
constexpr int kMaxShift = 63 - kBits - 1;
constexpr size_t kNumBuckets = static_cast<size_t>((kMaxShift + 2) * kPerDoubling);

size_t BucketOf(int64_t value) {
  if (value < kPerDoubling) return static_cast<size_t>(value);
  const int shift = std::bit_width(static_cast<uint64_t>(value)) - 1 - kBits;
  return static_cast<size_t>(shift * kPerDoubling + (value >> shift));
}

int64_t UpperBound(size_t bucket) {
  const int64_t number = static_cast<int64_t>(bucket);
  if (number < kPerDoubling) return number;
  const int64_t shift = number / kPerDoubling - 1;
  const uint64_t top = static_cast<uint64_t>(number % kPerDoubling + kPerDoubling);
  return static_cast<int64_t>(((top + 1) << shift) - 1);
}

}  // namespace

Histogram::Histogram() : counts_(kNumBuckets) {}

void Histogram::Record(int64_t value) {
  value = std::max<int64_t>(value, 0);
  ++counts_[BucketOf(value)];
  ++count_;
  sum_ += static_cast<double>(value);
  max_ = std::max(max_, value);
}

void Histogram::Merge(const Histogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

int64_t Histogram::Percentile(double share) const {
  const int64_t wanted = std::clamp<int64_t>(static_cast<int64_t>(std::ceil(share * static_cast<double>(count_))), 1, std::max<int64_t>(count_, 1));
  int64_t so_far = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    so_far += counts_[i];
    if (so_far >= wanted) return std::min(UpperBound(i), max_);
  }
  return max_;
}

std::vector<std::pair<int64_t, int64_t>> Histogram::Buckets() const {
  std::vector<std::pair<int64_t, int64_t>> out;
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] > 0) out.emplace_back(UpperBound(i), counts_[i]);
  }
  return out;
}

}  // namespace offerd
