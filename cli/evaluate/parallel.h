#pragma once
#include <cstddef>

#include "absl/functional/function_ref.h"

namespace offerd::evaluate {

// The threads of one command: as many as there are cores. They live for one call and are joined in it.
class Workers {
 public:
  explicit Workers(size_t count = 0);  // 0 = one a core

  size_t count() const { return count_; }

  // Runs body(task, worker) for every task below `tasks`, each once, in any order; worker < count() tells calls that run at the
  // same time apart.
  void Run(size_t tasks, absl::FunctionRef<void(size_t task, size_t worker)> body) const;

  // As core's ParallelFor.
  void operator()(size_t tasks, absl::FunctionRef<void(size_t)> body) const {
    Run(tasks, [&](size_t task, size_t) { body(task); });
  }

 private:
  const size_t count_;
};

}  // namespace offerd::evaluate
