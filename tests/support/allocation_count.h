#pragma once
#include <cstddef>

namespace offerd {

// How often this thread has called operator new. Needs tests/support/allocation_count.cc in the binary. Always 0 under
// sanitizers, which bring their own allocators.
size_t AllocationCount();

}  // namespace offerd
