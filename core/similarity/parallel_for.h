#pragma once
#include <cstddef>

#include "absl/functional/function_ref.h"

namespace offerd {

// Runs body(0) .. body(tasks - 1), each once, on any threads in any order, and returns when all are done. core/ starts no
// threads: a caller that owns some passes them in this way, a test passes InOrder. Builders cut their work so that the result
// does not depend on the number of threads.
using ParallelFor = absl::FunctionRef<void(size_t tasks, absl::FunctionRef<void(size_t)> body)>;

inline void InOrder(size_t tasks, absl::FunctionRef<void(size_t)> body) {
  for (size_t task = 0; task < tasks; ++task) body(task);
}

}  // namespace offerd
