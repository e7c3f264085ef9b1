#include "cli/evaluate/peak_memory.h"

#include <malloc.h>

#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace offerd::evaluate {
namespace {

// "VmHWM:	  123456 kB" of a file of /proc.
uint64_t ReadKilobytes(const char* path, absl::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!absl::StartsWith(line, name)) continue;
    const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    uint64_t kilobytes = 0;
    if (words.size() > 1 && absl::SimpleAtoi(words[1], &kilobytes)) return kilobytes * 1024;
  }
  return 0;
}

}  // namespace

PeakMemory::PeakMemory() {
  malloc_trim(0);
  std::ofstream clear("/proc/self/clear_refs");
  clear << "5";
  clear.close();
  is_set_back_ = clear.good();
}

uint64_t PeakMemory::Read() const { return is_set_back_ ? ReadKilobytes("/proc/self/status", "VmHWM:") : 0; }

uint64_t AvailableMemoryBytes() { return ReadKilobytes("/proc/meminfo", "MemAvailable:"); }

uint64_t DefaultMemoryBytes() { return AvailableMemoryBytes() / 5 * 4; }

}  // namespace offerd::evaluate
