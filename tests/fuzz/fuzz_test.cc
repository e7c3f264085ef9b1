// Ordinary runs: every seed, every cut of it, and many inputs made from the seeds by chance. With OFFERD_FUZZ=ON the same targets
// run under libFuzzer (libfuzzer_main.cc) for as long as one likes.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "core/rng.h"
#include "server/log.h"
#include "tests/fuzz/fuzz_targets.h"

namespace offerd::fuzz {
namespace {

std::string Mutate(const std::vector<std::string>& seeds, Rng& rng) {
  const auto pick = [&rng](size_t n) { return n == 0 ? 0 : static_cast<size_t>(rng.NextBits() % n); };
  std::string bytes = seeds[pick(seeds.size())];
  for (size_t change = 0; change <= pick(6); ++change) {
    const size_t at = pick(bytes.size() + 1);
    switch (pick(6)) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << pick(8)));
        break;
      case 1:
        if (at < bytes.size()) bytes[at] = static_cast<char>(pick(256));
        break;
      case 2: bytes.insert(at, 1, static_cast<char>(pick(256))); break;
      case 3: bytes.erase(at, pick(4)); break;
      case 4: {  // a piece of another seed
        const std::string& other = seeds[pick(seeds.size())];
        const size_t from = pick(other.size());
        bytes.insert(at, other.substr(from, pick(20)));
        break;
      }
      default: {  // a number at an edge, as a varint or as eight bytes
        constexpr uint64_t kEdges[] = {0, 1, 0x7f, 0x80, 0x7fffffff, 0x80000000, 0x7ff0000000000000, 0x7ff8000000000000, UINT64_MAX};
        uint64_t number = kEdges[pick(std::size(kEdges))];
        std::string written;
        if (pick(2) == 0) {
          written.assign(reinterpret_cast<const char*>(&number), sizeof(number));
        } else {
          for (; number >= 0x80; number >>= 7) written.push_back(static_cast<char>(number | 0x80));
          written.push_back(static_cast<char>(number));
        }
        bytes.replace(at, std::min(written.size(), bytes.size() - at), written);
      }
    }
  }
  return bytes;
}

class FuzzTest : public ::testing::TestWithParam<size_t> {};

TEST_P(FuzzTest, ComesBackFromAnyBytes) {
  SetLogLevel(LogLevel::kError);
  const Target& target = Targets()[GetParam()];
  for (const std::string& seed : target.seeds) {
    for (size_t size = 0; size <= seed.size(); ++size) target.run(absl::string_view(seed).substr(0, size));
  }
  Rng rng(GetParam() + 1);
  for (int i = 0; i < 20'000; ++i) {
    const std::string bytes = Mutate(target.seeds, rng);
    target.run(bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(All, FuzzTest, ::testing::Range(size_t{0}, Targets().size()),
                         [](const auto& info) { return std::string(Targets()[info.param].name); });

}  // namespace
}  // namespace offerd::fuzz
