#pragma once
#include <cstdint>

namespace offerd::evaluate {

// The most memory that this process has had resident since the object was made: Linux' VmHWM, which making it sets back
// (/proc/self/clear_refs). Memory of earlier work that the allocator holds is given back first.
class PeakMemory {
 public:
  PeakMemory();
  uint64_t Read() const;  // bytes; 0 where the system does not say

 private:
  bool is_set_back_ = false;
};

// Memory that could be taken without swapping; 0 where the system does not say.
uint64_t AvailableMemoryBytes();

// What a method's build may take where nobody says: 80 % of that.
uint64_t DefaultMemoryBytes();

}  // namespace offerd::evaluate
