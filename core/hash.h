#pragma once
#include <cstdint>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/string_view.h"

namespace offerd {

// XXH3, 64 bits: the same value on every machine and in every version, so it may be stored and may decide a draw.
// Never use absl::Hash for that: it is seeded per process.
inline uint64_t StableHash(absl::string_view bytes, uint64_t seed = 0) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

// FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923): a few lines in any language, for what callers compute themselves.
inline uint64_t Fnv1aHash(absl::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ull;
  return hash;
}

// Mixes two numbers into one (the finaliser of SplitMix64 over their combination).
inline uint64_t MixHash(uint64_t a, uint64_t b) {
  uint64_t z = a + 0x9e3779b97f4a7c15ull * (b + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

}  // namespace offerd
