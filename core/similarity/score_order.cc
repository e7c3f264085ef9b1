#include "core/similarity/score_order.h"

#include <cstdio>
#include <cstdlib>

namespace offerd {
namespace {

double Rounded(double value, int digits) {
  char text[40];
  std::snprintf(text, sizeof(text), "%.*e", digits - 1, value);
  return std::strtod(text, nullptr);
}

}  // namespace

int CompareRounded(double a, double b, int digits) {
  const double left = Rounded(a, digits);
  const double right = Rounded(b, digits);
  return left < right ? -1 : left > right ? 1 : 0;
}

}  // namespace offerd
