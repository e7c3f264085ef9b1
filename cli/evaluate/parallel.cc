#include "cli/evaluate/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace offerd::evaluate {

Workers::Workers(size_t count) : count_(count > 0 ? count : std::max<size_t>(1, std::thread::hardware_concurrency())) {}

void Workers::Run(size_t tasks, absl::FunctionRef<void(size_t, size_t)> body) const {
  std::atomic<size_t> next{0};  // relaxed: it hands out numbers; joining orders everything else
  const auto work = [&](size_t worker) {
    for (size_t task = next.fetch_add(1, std::memory_order_relaxed); task < tasks;
         task = next.fetch_add(1, std::memory_order_relaxed)) {
      body(task, worker);
    }
  };
  std::vector<std::thread> threads;
  for (size_t worker = 1; worker < std::min(count_, tasks); ++worker) threads.emplace_back(work, worker);
  work(0);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace offerd::evaluate
