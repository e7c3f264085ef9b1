#include "tests/support/allocation_count.h"

#include <cstdlib>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OFFERD_ALLOCATOR_IS_TAKEN
#endif
#endif
static thread_local size_t num_allocations = 0;

#ifndef OFFERD_ALLOCATOR_IS_TAKEN
[[gnu::noinline]] void* operator new(size_t size) {
  ++num_allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

namespace offerd {

size_t AllocationCount() { return num_allocations; }

}  // namespace offerd
