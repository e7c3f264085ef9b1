#pragma once
#include <cstdint>
#include <vector>

namespace offerd {

// What the weights of a log look like, in one pass and bounded memory.
//
// Errors  LargestShare counts weights in bins that are 0.1 % wide, so it is right to 0.1 % of the weight of the one bin
//         that is taken in part; all else is exact.
class WeightSummary {
 public:
  WeightSummary();

  void Add(double weight);  // at least 0, finite

  int64_t count() const { return count_; }
  double largest() const { return largest_; }
  // (sum w)^2 / sum w^2: as many equal weights would know as much; 0 if all are 0. Kish, Survey Sampling, 1965,
  // section 11.2.
  double effective_samples() const;
  // The share of all weight that the `largest` largest weights carry; 0 if there is none.
  double LargestShare(int64_t largest) const;

 private:
  struct Bin {
    int64_t count = 0;
    double sum = 0;
  };

  int64_t count_ = 0;
  double sum_ = 0;
  double squares_ = 0;
  double largest_ = 0;
  std::vector<Bin> bins_;  // of weights above 0, by their leading bits, ascending
};

}  // namespace offerd
