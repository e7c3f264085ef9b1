#pragma once
#include <zstd.h>

#include <Eigen/Core>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "tests/support/shared_data.h"

namespace offerd {

// One shown row of data/goldens/bandit/sequence.csv.zst. Its numbers have six decimals, which a float cannot hold;
// times a million they are whole numbers below 2^24, which it holds exactly. So the goldens are checked at their full
// tolerance: G and lambda grow by 1e12, b by 1e6, theta shrinks by 1e6, widths and means stay.
struct GoldenStep {
  Eigen::VectorXf x_millionths;
  double reward = 0;
  double weight = 0;
};

inline std::string ReadZstdFile(const std::string& path) {
  const std::string packed = ReadWholeFile(path);
  std::string out(1 << 22, '\0');
  const size_t size = ZSTD_decompress(out.data(), out.size(), packed.data(), packed.size());
  out.resize(ZSTD_isError(size) ? 0 : size);
  return out;
}

inline double ParseGoldenNumber(absl::string_view text) {
  double number = 0;
  return absl::SimpleAtod(text, &number) ? number : std::numeric_limits<double>::quiet_NaN();
}

inline std::vector<GoldenStep> ReadGoldenSteps(const std::string& path) {
  std::vector<GoldenStep> steps;
  const std::string text = ReadZstdFile(path);
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(absl::StripTrailingAsciiWhitespace(line), ',');
    if (fields.size() < 6 || fields[2] != "1") continue;
    GoldenStep step;
    step.reward = ParseGoldenNumber(fields[3]);
    step.weight = ParseGoldenNumber(fields[4]);
    step.x_millionths.resize(static_cast<Eigen::Index>(fields.size()) - 5);
    for (size_t k = 5; k < fields.size(); ++k) {
      step.x_millionths[static_cast<Eigen::Index>(k) - 5] =
          static_cast<float>(std::round(1e6 * ParseGoldenNumber(fields[k])));
    }
    steps.push_back(step);
  }
  return steps;
}

}  // namespace offerd
