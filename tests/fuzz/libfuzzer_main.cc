// build/fuzz/bin/offerd_fuzz under libFuzzer; OFFERD_FUZZ_TARGET names the target, e.g. rank_offers.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/fuzz/fuzz_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const offerd::fuzz::Target* const target = [] {
    const char* name = std::getenv("OFFERD_FUZZ_TARGET");
    for (const auto& known : offerd::fuzz::Targets()) {
      if (name != nullptr && std::string(name) == known.name) return &known;
    }
    std::fprintf(stderr, "set OFFERD_FUZZ_TARGET to one of:");
    for (const auto& known : offerd::fuzz::Targets()) std::fprintf(stderr, " %s", known.name);
    std::fprintf(stderr, "\n");
    std::exit(2);
  }();
  target->run({reinterpret_cast<const char*>(data), size});
  return 0;
}
