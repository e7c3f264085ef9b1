#include "cli/evaluate/evaluate.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cli/evaluate/cases.h"
#include "cli/evaluate/peak_memory.h"

namespace offerd::evaluate {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kRowsPerChunk = 64;  // fixed, so that sums are added in the same order on any machine

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What one thread needs to ask a method.
struct Asker {
  Asker(const Dataset& data, const Method& method, const EvaluateOptions& options)
      : recommender(method.NewRecommender()),
        cases(data, options.cutoffs, options.min_prefix),
        most(*std::max_element(options.cutoffs.begin(), options.cutoffs.end())),
        is_recommended(options.cutoffs.size(), std::vector<bool>(data.training.num_items(), false)) {}

  absl::Span<const TableItem> Ask(const Query& query, const EvaluateOptions& options) {
    const Clock::time_point start = Clock::now();
    recommender->Recommend(query, most, &answer);
    const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
    query_nanoseconds.push_back(static_cast<uint32_t>(std::min<int64_t>(nanoseconds, UINT32_MAX)));
    list.clear();
    for (const ScoredItem& scored : answer) list.push_back(scored.item);
    for (size_t i = 0; i < options.cutoffs.size(); ++i) {
      for (size_t rank = 0; rank < std::min(options.cutoffs[i], list.size()); ++rank) is_recommended[i][list[rank]] = true;
    }
    return list;
  }

  std::unique_ptr<Recommender> recommender;
  Cases cases;
  size_t most;
  std::vector<std::vector<bool>> is_recommended;  // by cut-off
  std::vector<uint32_t> query_nanoseconds;
  std::vector<ScoredItem> answer;
  std::vector<TableItem> list;
};

// A range of test rows.
struct Chunk {
  size_t begin = 0;
  size_t end = 0;
};

// No cluster is cut.
std::vector<Chunk> CutChunks(const TestRows& test, size_t one_of) {
  std::vector<Chunk> chunks;
  size_t begin = 0, number = 0;
  for (size_t row = 1; row <= test.rows.size(); ++row) {
    const bool is_last = row == test.rows.size();
    if (!is_last && (row - begin < kRowsPerChunk || test.clusters[row] == test.clusters[row - 1])) continue;
    if (number++ % one_of == 0) chunks.push_back({begin, row});
    begin = row;
  }
  return chunks;
}

void RunChunk(const TestRows& test, Chunk chunk, const EvaluateOptions& options, Asker* asker, MetricSums* sums) {
  for (size_t row = chunk.begin; row < chunk.end; ++row) {
    if (row > chunk.begin && test.clusters[row] != test.clusters[row - 1]) sums->EndCluster();
    asker->cases.Run(row, [&](const Query& query) { return asker->Ask(query, options); }, sums);
  }
  sums->EndCluster();
}

class Progress {
 public:
  Progress(const std::function<void(double)>& report, size_t chunks) : report_(report), chunks_(chunks) {}

  void EndChunk() {
    if (!report_) return;
    absl::MutexLock lock(&mu_);
    report_(static_cast<double>(++done_) / static_cast<double>(chunks_));
  }

 private:
  const std::function<void(double)>& report_;
  const size_t chunks_;
  absl::Mutex mu_;  // held while reporting: that is what keeps the calls apart
  size_t done_ ABSL_GUARDED_BY(mu_) = 0;
};

double PercentileMicros(std::vector<uint32_t>* nanoseconds, double share) {
  if (nanoseconds->empty()) return 0;
  const auto place = static_cast<std::ptrdiff_t>(share * static_cast<double>(nanoseconds->size() - 1));
  std::nth_element(nanoseconds->begin(), nanoseconds->begin() + place, nanoseconds->end());
  return (*nanoseconds)[static_cast<size_t>(place)] / 1000.0;
}

// What the threads found, put together.
void Collect(const std::vector<std::unique_ptr<Asker>>& askers, const std::vector<MetricSums>& chunk_sums, size_t num_items,
             MethodResult* result) {
  for (const MetricSums& sums : chunk_sums) result->sums.Merge(sums);
  std::vector<uint32_t> nanoseconds;
  for (const auto& asker : askers) nanoseconds.insert(nanoseconds.end(), asker->query_nanoseconds.begin(), asker->query_nanoseconds.end());
  result->queries = static_cast<int64_t>(nanoseconds.size());
  result->query_p50_us = PercentileMicros(&nanoseconds, 0.5);
  result->query_p90_us = PercentileMicros(&nanoseconds, 0.9);
  for (size_t i = 0; i < askers[0]->is_recommended.size(); ++i) {
    size_t covered = 0;
    for (size_t item = 0; item < num_items; ++item) {
      covered += std::any_of(askers.begin(), askers.end(), [&](const auto& asker) { return asker->is_recommended[i][item]; });
    }
    result->coverage.push_back(static_cast<double>(covered) / static_cast<double>(num_items));
  }
}

}  // namespace

MethodResult EvaluateMethod(const Dataset& data, const MethodSpec& spec, const EvaluateOptions& options, const Workers& workers) {
  MethodResult result;
  result.spec = spec;
  result.sums = MetricSums(options.cutoffs.size());
  PeakMemory memory;
  const Clock::time_point start = Clock::now();
  const absl::StatusOr<std::unique_ptr<Method>> method = TrainMethod(spec, data.training, {options.memory_bytes}, workers);
  result.build_seconds = SecondsSince(start);
  result.status = method.status();
  if (!method.ok()) return result;

  std::vector<std::unique_ptr<Asker>> askers;
  for (size_t i = 0; i < workers.count(); ++i) askers.push_back(std::make_unique<Asker>(data, **method, options));
  const std::vector<Chunk> chunks = CutChunks(data.test, options.one_of);
  std::vector<MetricSums> chunk_sums(chunks.size(), MetricSums(options.cutoffs.size()));
  Progress progress(options.progress, chunk_sums.size());
  workers.Run(chunk_sums.size(), [&](size_t chunk, size_t worker) {
    RunChunk(data.test, chunks[chunk], options, askers[worker].get(), &chunk_sums[chunk]);
    progress.EndChunk();
  });
  Collect(askers, chunk_sums, data.training.num_items(), &result);
  result.peak_bytes = memory.Read();
  return result;
}

}  // namespace offerd::evaluate
