#include "bench/load/arrivals.h"

#include <cmath>

namespace offerd {

Arrivals::Arrivals(Kind kind, double per_second, uint64_t seed) : kind_(kind), gap_nanos_(1e9 / per_second), rng_(seed) {}

int64_t Arrivals::Next() {
  ++number_;
  if (kind_ == Kind::kFixed) return std::llround(static_cast<double>(number_) * gap_nanos_);
  at_ -= std::log(1.0 - rng_.NextUniform()) * gap_nanos_;  // of (0, 1]
  return std::llround(at_);
}

}  // namespace offerd
