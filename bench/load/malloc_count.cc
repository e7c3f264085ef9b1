// libmalloc_count.so, for LD_PRELOAD: counts the calls of malloc, calloc, realloc, aligned_alloc and posix_memalign of each thread into
// the file that MALLOC_COUNT_FILE names: rows of 32 bytes, thread id, calls, bytes, 0. bench/load/measure.py reads it.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
}

namespace {

struct Row {
  int64_t thread, calls, bytes, unused;
};
constexpr size_t kRows = 1024;
std::atomic<Row*> rows{nullptr};
std::atomic<size_t> num_rows{0};
thread_local Row* own __attribute__((tls_model("initial-exec"))) = nullptr;

__attribute__((constructor)) void Open() {
  const char* path = std::getenv("MALLOC_COUNT_FILE");
  if (path == nullptr) return;
  const int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || ftruncate(file, sizeof(Row) * kRows) != 0) return;
  void* mapped = mmap(nullptr, sizeof(Row) * kRows, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) rows.store(static_cast<Row*>(mapped), std::memory_order_release);
}

void Count(size_t bytes) {
  if (own == nullptr) {
    Row* all = rows.load(std::memory_order_acquire);
    if (all == nullptr) return;
    const size_t number = num_rows.fetch_add(1);
    if (number >= kRows) return;
    own = all + number;
    own->thread = syscall(SYS_gettid);
  }
  ++own->calls;
  own->bytes += static_cast<int64_t>(bytes);
}

}  // namespace

extern "C" {
void* malloc(size_t size) {
  Count(size);
  return __libc_malloc(size);
}
void* calloc(size_t n, size_t size) {
  Count(n * size);
  return __libc_calloc(n, size);
}
void* realloc(void* memory, size_t size) {
  Count(size);
  return __libc_realloc(memory, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  Count(size);
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, size_t alignment, size_t size) {
  Count(size);
  *out = __libc_memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}
}
