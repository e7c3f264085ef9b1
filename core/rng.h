#pragma once
#include <cmath>
#include <cstdint>

#include "core/hash.h"

namespace offerd {

// A small random stream whose whole state is its seed and a counter: the same numbers on every machine, free to start.
//
// Source   Steele, Lea, Flood, OOPSLA 2014, "Fast Splittable Pseudorandom Number Generators" (SplitMix64).
// Threads  Not safe; make one per decision or per publication.
class Rng {
 public:
  explicit Rng(uint64_t seed) : seed_(seed) {}

  uint64_t NextBits() { return MixHash(seed_, counter_++); }

  // Uniform in [0, 1), 53 bits.
  double NextUniform() { return static_cast<double>(NextBits() >> 11) * 0x1.0p-53; }

  // Standard normal by the Box-Muller transform, two uniforms a number (the second of the pair is not kept).
  double NextNormal() {
    const double u = 1.0 - NextUniform();  // (0, 1]
    const double v = NextUniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586476925286766559 * v);
  }

 private:
  uint64_t seed_;
  uint64_t counter_ = 0;
};

}  // namespace offerd
