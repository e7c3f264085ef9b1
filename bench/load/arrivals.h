#pragma once
#include <cstdint>

#include "core/rng.h"

namespace offerd {

// When the requests of an open loop are due, whatever became of those before: the times do not depend on the server, so a
// server that stalls is charged for everything that had to wait.
//
// Units    Nanoseconds since the start of the run, ascending.
// Threads  Not safe.
class Arrivals {
 public:
  enum class Kind { kFixed, kPoisson };  // even gaps; or exponential ones with the same mean

  Arrivals(Kind kind, double per_second, uint64_t seed);  // per_second > 0

  // The time of the next request. The first is one gap after 0. Fixed: the i-th is at i / per_second, without drift.
  int64_t Next();

 private:
  const Kind kind_;
  const double gap_nanos_;
  Rng rng_;
  int64_t number_ = 0;
  double at_ = 0;
};

}  // namespace offerd
