#pragma once
#include <algorithm>
#include <cmath>

#include "core/similarity/baskets.h"

namespace offerd {

// A neighbour and its score, before it becomes a row of a table.
struct Neighbour {
  double score = 0;
  TableItem item = 0;
};

// -1, 0 or 1 as a is less than, equal to or greater than b when both are rounded to so many significant decimal digits.
int CompareRounded(double a, double b, int digits);

// Score descending, then number. Scores that agree in kDigits significant digits are equal: sums and quotients that are
// equal in theory differ in their last bits, and such a difference must not decide an order. Finite scores only.
template <int kDigits>
struct ScoreOrder {
  bool operator()(const Neighbour& a, const Neighbour& b) const {
    // Further apart than the largest step between two decimals of their size, they cannot round to the same one.
    const double step = std::max(std::abs(a.score), std::abs(b.score)) * kStep;
    const double gap = a.score - b.score;
    if (gap > step) return true;
    if (gap < -step) return false;
    const int rounded = gap == 0 ? 0 : CompareRounded(a.score, b.score, kDigits);
    return rounded != 0 ? rounded > 0 : a.item < b.item;
  }

 private:
  static constexpr double PowerOfTen(int exponent) { return exponent == 0 ? 1 : 10 * PowerOfTen(exponent - 1); }
  static constexpr double kStep = 1 / PowerOfTen(kDigits - 1);
};

}  // namespace offerd
