#pragma once
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace offerd::fuzz {

// One decoder, or one path from bytes of a caller to what they make us do. `run` takes any bytes and must come back.
struct Target {
  const char* name;
  void (*run)(absl::string_view bytes);
  std::vector<std::string> seeds;  // sound inputs, from which others are made
};

const std::vector<Target>& Targets();

}  // namespace offerd::fuzz
