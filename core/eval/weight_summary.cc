#include "core/eval/weight_summary.h"

#include <algorithm>
#include <bit>

namespace offerd {
namespace {

// The exponent and the first ten bits of the fraction of a double, for weights from 2^-40 to 2^40; others share the end
// bins.
constexpr int kDropBits = 52 - 10;
constexpr uint64_t kFirst = std::bit_cast<uint64_t>(0x1p-40) >> kDropBits;
constexpr uint64_t kLast = std::bit_cast<uint64_t>(0x1p40) >> kDropBits;

}  // namespace

WeightSummary::WeightSummary() : bins_(kLast - kFirst + 1) {}

void WeightSummary::Add(double weight) {
  ++count_;
  sum_ += weight;
  squares_ += weight * weight;
  largest_ = std::max(largest_, weight);
  if (weight <= 0) return;
  const uint64_t bin = std::clamp(std::bit_cast<uint64_t>(weight) >> kDropBits, kFirst, kLast) - kFirst;
  ++bins_[bin].count;
  bins_[bin].sum += weight;
}

double WeightSummary::effective_samples() const { return squares_ > 0 ? sum_ * sum_ / squares_ : 0; }

double WeightSummary::LargestShare(int64_t largest) const {
  if (sum_ <= 0) return 0;
  double carried = 0;
  for (size_t i = bins_.size(); i > 0 && largest > 0; --i) {
    const Bin& bin = bins_[i - 1];
    if (bin.count == 0) continue;
    const int64_t taken = std::min(bin.count, largest);
    carried += bin.sum * static_cast<double>(taken) / static_cast<double>(bin.count);
    largest -= taken;
  }
  return carried / sum_;
}

}  // namespace offerd
