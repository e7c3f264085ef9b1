#pragma once
#include <atomic>
#include <thread>
#include <vector>

#include "core/similarity/parallel_for.h"

namespace offerd {

// A ParallelFor on so many threads, each taking the next task that nobody has.
class ThreadsFor {
 public:
  explicit ThreadsFor(size_t threads) : threads_(threads) {}

  void operator()(size_t tasks, absl::FunctionRef<void(size_t)> body) const {
    std::atomic<size_t> next = 0;
    std::vector<std::thread> threads;
    for (size_t t = 0; t < threads_; ++t) {
      threads.emplace_back([&] {
        for (size_t task = next++; task < tasks; task = next++) body(task);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

 private:
  size_t threads_;
};

// A ParallelFor whose last task comes first.
inline void InReverse(size_t tasks, absl::FunctionRef<void(size_t)> body) {
  for (size_t task = tasks; task-- > 0;) body(task);
}

}  // namespace offerd
