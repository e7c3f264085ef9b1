// Lists: a cart through an item-item table, a session through its neighbours, and the build of a pair table, each
// beside a bare loop over the same data in the same run. Generated data; the flags come after Google Benchmark's own:
//   --items=N (1000000) of the cart's table   --sessions=N (1000000)   --baskets=N (10000000) of the build
// At the end every measurement is printed as a multiple of its bare twin.
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "benchmark/benchmark.h"
#include "core/check.h"
#include "core/rng.h"
#include "core/similarity/cart_scorer.h"
#include "core/similarity/ease.h"
#include "core/similarity/pair_table.h"
#include "core/similarity/session_neighbours.h"

namespace offerd {
namespace {

uint64_t num_table_items = 1'000'000;
uint64_t num_sessions = 1'000'000;
uint64_t num_baskets = 10'000'000;
constexpr size_t kNeighbours = 100;
constexpr size_t kTop = 20;

// Items 0 .. n - 1 with popularity 1 / rank, ranks shuffled over the numbers: Walker's alias method.
class Zipf {
 public:
  Zipf(size_t n, Rng& rng) : keep_(n), alias_(n), item_(n) {
    std::vector<double> share(n);
    double sum = 0;
    for (size_t r = 0; r < n; ++r) sum += share[r] = 1 / static_cast<double>(r + 1);
    std::vector<uint32_t> small, large;
    for (size_t r = 0; r < n; ++r) {
      share[r] *= static_cast<double>(n) / sum;
      (share[r] < 1 ? small : large).push_back(static_cast<uint32_t>(r));
    }
    while (!small.empty() && !large.empty()) {
      const uint32_t s = small.back(), l = large.back();
      small.pop_back();
      keep_[s] = share[s];
      alias_[s] = l;
      share[l] -= 1 - share[s];
      if (share[l] >= 1) continue;
      large.pop_back();
      small.push_back(l);
    }
    for (const auto& rest : {small, large}) {
      for (uint32_t r : rest) keep_[r] = 1;
    }
    std::iota(item_.begin(), item_.end(), 0u);
    for (size_t k = n; k > 1; --k) std::swap(item_[k - 1], item_[rng.NextBits() % k]);
  }
  TableItem Draw(Rng& rng) const {
    const size_t r = rng.NextBits() % keep_.size();
    return item_[rng.NextUniform() < keep_[r] ? r : alias_[r]];
  }
  size_t size() const { return keep_.size(); }

 private:
  std::vector<double> keep_;
  std::vector<uint32_t> alias_;
  std::vector<TableItem> item_;
};

// Half by popularity, half near another item.
TableItem DrawNear(TableItem other, const Zipf& zipf, Rng& rng) {
  if (rng.NextBits() % 2 == 0) return zipf.Draw(rng);
  return static_cast<TableItem>((other + zipf.size() + rng.NextBits() % 101 - 50) % zipf.size());
}

// 2 to 40 distinct items, 4.8 on average.
Baskets MakeBaskets(size_t count, size_t num_items, uint64_t seed) {
  Rng rng(seed);
  const Zipf zipf(num_items, rng);
  Baskets baskets;
  baskets.num_items = num_items;
  baskets.offsets.reserve(count + 1);
  baskets.items.reserve(count * 5);
  std::vector<TableItem> basket;
  for (size_t b = 0; b < count; ++b) {
    size_t size = 2;
    while (size < 40 && rng.NextUniform() < 2.8 / 3.8) ++size;
    basket.assign(1, zipf.Draw(rng));
    while (basket.size() < size) {
      const TableItem item = DrawNear(basket[0], zipf, rng);
      if (std::find(basket.begin(), basket.end(), item) == basket.end()) basket.push_back(item);
    }
    baskets.Add(basket);
  }
  return baskets;
}

// An array in huge pages, as the server holds a table.
template <typename T>
class HugeArray {
 public:
  explicit HugeArray(size_t size) : size_(size) {
    const size_t bytes = (size * sizeof(T) + kHuge - 1) / kHuge * kHuge;
    data_.reset(static_cast<T*>(std::aligned_alloc(kHuge, bytes)));
    madvise(data_.get(), bytes, MADV_HUGEPAGE);
  }
  T& operator[](size_t k) { return data_.get()[k]; }
  absl::Span<const T> span() const { return {data_.get(), size_}; }

 private:
  static constexpr size_t kHuge = 2 << 20;
  struct Free {
    void operator()(T* memory) const { std::free(memory); }
  };
  size_t size_;
  std::unique_ptr<T, Free> data_;
};

// ---- a cart ----

struct CartData {
  CartData()
      : neighbours(num_table_items * kNeighbours),
        scores(num_table_items * kNeighbours),
        allowed((num_table_items + 63) / 64) {
    Rng rng(1);
    const Zipf zipf(num_table_items, rng);
    for (size_t i = 0; i < num_table_items; ++i) {
      for (size_t k = 0; k < kNeighbours; ++k) {
        neighbours[i * kNeighbours + k] = DrawNear(static_cast<TableItem>(i), zipf, rng);
        scores[i * kNeighbours + k] =
            static_cast<float>((1 - 0.009 * static_cast<double>(k)) * (0.5 + 0.5 * rng.NextUniform()));
      }
      offsets.push_back((i + 1) * kNeighbours);
    }
    for (size_t i = 0; i < num_table_items; ++i) allowed[i / 64] |= uint64_t{rng.NextUniform() < 0.9} << (i % 64);
    for (int q = 0; q < 4096 * 20; ++q) lines.push_back({zipf.Draw(rng), 1});
  }
  ItemTableView view() const { return {offsets, neighbours.span(), scores.span()}; }
  absl::Span<const CartLine> Cart(size_t query, size_t size) const {
    return absl::MakeConstSpan(lines).subspan(query % 4096 * 20, size);
  }

  std::vector<uint64_t> offsets = {0};
  HugeArray<TableItem> neighbours;
  HugeArray<float> scores;
  std::vector<uint64_t> allowed;
  std::vector<CartLine> lines;
};

const CartData& Carts() {
  static const CartData* data = new CartData;
  return *data;
}

void BM_Cart(benchmark::State& state) {
  const CartData& data = Carts();
  CartScorer scorer;
  std::vector<ScoredItem> answer;
  size_t query = 0;
  for (auto _ : state) {
    scorer.Accumulate(data.view(), data.Cart(query++, static_cast<size_t>(state.range(0))));
    scorer.Top(kTop, data.allowed, &answer);
    benchmark::DoNotOptimize(answer.data());
  }
}

// Adds up the rows in a stamped array and takes the top by a threshold; the filter and the cart's own lines as plain
// tests.
class BareCart {
 public:
  explicit BareCart(size_t num_items) : sums_(num_items), stamps_(num_items), touched_(num_items) {}

  size_t Accumulate(ItemTableView table, absl::Span<const CartLine> cart) {
    ++stamp_;
    size_t size = 0;
    for (const CartLine& line : cart) {
      for (uint64_t e = table.offsets[line.item]; e < table.offsets[line.item + 1]; ++e) {
        const TableItem item = table.neighbours[e];
        if (stamps_[item] != stamp_) {
          stamps_[item] = stamp_;
          sums_[item] = 0;
          touched_[size++] = item;
        }
        sums_[item] += table.scores[e];
      }
    }
    return size;
  }

  const std::vector<std::pair<float, TableItem>>& Top(size_t size, absl::Span<const CartLine> cart,
                                                      absl::Span<const uint64_t> allowed) {
    heap_.clear();
    const auto before = [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    };
    for (size_t k = 0; k < size; ++k) {
      const std::pair<float, TableItem> entry = {sums_[touched_[k]], touched_[k]};
      if (heap_.size() == kTop && !before(entry, heap_.front())) continue;
      if ((allowed[entry.second / 64] >> (entry.second % 64) & 1) == 0) continue;
      bool is_own = false;
      for (const CartLine& line : cart) is_own |= line.item == entry.second;
      if (is_own) continue;
      if (heap_.size() == kTop) {
        std::pop_heap(heap_.begin(), heap_.end(), before);
        heap_.pop_back();
      }
      heap_.push_back(entry);
      std::push_heap(heap_.begin(), heap_.end(), before);
    }
    std::sort_heap(heap_.begin(), heap_.end(), before);
    return heap_;
  }

 private:
  std::vector<float> sums_;
  std::vector<uint32_t> stamps_;
  std::vector<TableItem> touched_;
  std::vector<std::pair<float, TableItem>> heap_;
  uint32_t stamp_ = 0;
};

void BM_Cart_Bare(benchmark::State& state) {
  const CartData& data = Carts();
  BareCart bare(num_table_items);
  size_t query = 0;
  for (auto _ : state) {
    const auto cart = data.Cart(query++, static_cast<size_t>(state.range(0)));
    benchmark::DoNotOptimize(bare.Top(bare.Accumulate(data.view(), cart), cart, data.allowed).data());
  }
}

void BM_Cart_BareSumsOnly(benchmark::State& state) {
  const CartData& data = Carts();
  BareCart bare(num_table_items);
  size_t query = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(bare.Accumulate(data.view(), data.Cart(query++, static_cast<size_t>(state.range(0)))));
  }
}

// ---- a session ----

struct SessionData {
  SessionData() {
    const Baskets sessions = MakeBaskets(num_sessions, 100'000, 2);
    std::vector<int64_t> last_click(sessions.size());
    std::iota(last_click.begin(), last_click.end(), 0);
    for (size_t m : {500, 2500}) {
      SessionIndexOptions options;
      options.sessions_per_item = m;
      auto index = SessionIndex::Build(sessions, last_click, options);
      CHECK(index.ok());
      indexes.emplace(m, *std::move(index));
    }
    Rng rng(3);
    const Zipf zipf(sessions.num_items, rng);
    for (int q = 0; q < 4096; ++q) {
      clicks.push_back(zipf.Draw(rng));
      for (int k = 1; k < 10; ++k) clicks.push_back(DrawNear(clicks.back(), zipf, rng));
    }
  }
  absl::Span<const TableItem> Session(size_t query, size_t size) const {
    return absl::MakeConstSpan(clicks).subspan(query % 4096 * 10, size);
  }
  std::map<size_t, SessionIndex> indexes;
  std::vector<TableItem> clicks;
};

const SessionData& SessionsOf() {
  static const SessionData* data = new SessionData;
  return *data;
}

SessionQueryOptions SessionQueryOf(const benchmark::State& state) {
  SessionQueryOptions options;
  options.neighbours = 100;
  options.last_items = static_cast<size_t>(state.range(1));
  return options;
}

void BM_Session(benchmark::State& state) {
  const SessionIndex& index = SessionsOf().indexes.at(static_cast<size_t>(state.range(0)));
  const SessionQueryOptions options = SessionQueryOf(state);
  SessionIndex::Scratch scratch;
  std::vector<ScoredItem> answer;
  size_t query = 0;
  for (auto _ : state) {
    index.Recommend(SessionsOf().Session(query++, options.last_items), options, scratch, &answer);
    benchmark::DoNotOptimize(answer.data());
  }
  state.counters["index_MB"] = static_cast<double>(index.size_bytes()) / 1e6;
}

// The same loops without the rules: no repeats, no limit over all items together, ties as they fall.
class BareSession {
 public:
  explicit BareSession(const SessionIndexView& index)
      : index_(index), similarity_(index.num_sessions()), back_(index.num_sessions()), votes_(index.num_items()) {}

  const std::vector<std::pair<float, TableItem>>& Run(absl::Span<const TableItem> clicks, size_t k) {
    matched_.clear();
    items_.clear();
    best_.clear();
    for (size_t back = 1; back <= clicks.size(); ++back) {
      const TableItem item = clicks[clicks.size() - back];
      const float place = static_cast<float>(clicks.size() - back + 1) / static_cast<float>(clicks.size());
      for (uint64_t e = index_.item_offsets[item]; e < index_.item_offsets[item + 1]; ++e) {
        const uint32_t session = index_.item_sessions[e];
        if (similarity_[session] == 0) {
          matched_.push_back({0, session});
          back_[session] = static_cast<uint8_t>(back);
        }
        similarity_[session] += place;
      }
    }
    for (auto& [similarity, session] : matched_) similarity = similarity_[session];
    const auto before = [](const auto& a, const auto& b) { return a.first > b.first; };
    const size_t kept = std::min(k, matched_.size());
    if (kept < matched_.size())
      std::nth_element(matched_.begin(), matched_.begin() + static_cast<std::ptrdiff_t>(kept), matched_.end(), before);
    for (size_t n = 0; n < kept; ++n) {
      const auto [similarity, session] = matched_[n];
      const float vote = similarity * (1 - 0.1f * back_[session]);
      for (uint64_t e = index_.session_offsets[session]; e < index_.session_offsets[session + 1]; ++e) {
        const TableItem item = index_.session_items[e];
        if (votes_[item] == 0) items_.push_back(item);
        votes_[item] += vote;
      }
    }
    for (const auto& [similarity, session] : matched_) similarity_[session] = 0;
    for (TableItem item : items_) {
      if (item != clicks.back()) best_.push_back({votes_[item] * static_cast<float>(index_.idf[item]), item});
      votes_[item] = 0;
    }
    if (best_.size() > kTop) {
      std::nth_element(best_.begin(), best_.begin() + kTop, best_.end(), before);
      best_.resize(kTop);
    }
    std::sort(best_.begin(), best_.end(), before);
    return best_;
  }

 private:
  SessionIndexView index_;
  std::vector<float> similarity_;
  std::vector<uint8_t> back_;
  std::vector<float> votes_;
  std::vector<std::pair<float, uint32_t>> matched_;
  std::vector<TableItem> items_;
  std::vector<std::pair<float, TableItem>> best_;
};

void BM_Session_Bare(benchmark::State& state) {
  BareSession bare(SessionsOf().indexes.at(static_cast<size_t>(state.range(0))).view());
  size_t query = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(bare.Run(SessionsOf().Session(query++, static_cast<size_t>(state.range(1))), 100).data());
  }
}

// ---- building ----

class ThreadsFor {
 public:
  explicit ThreadsFor(size_t threads) : threads_(threads) {}
  void operator()(size_t tasks, absl::FunctionRef<void(size_t)> body) const {
    std::atomic<size_t> next = 0;
    std::vector<std::thread> threads;
    const auto work = [&] {
      for (size_t task = next++; task < tasks; task = next++) body(task);
    };
    for (size_t t = 1; t < threads_; ++t) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
  }

 private:
  size_t threads_;
};

// Resident bytes at their peak since the last reset, in MB; the input is part of it.
class PeakMemory {
 public:
  PeakMemory() {
    malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << 5;
  }
  double Megabytes() const {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);) {
      double kilobytes = 0;
      if (absl::StartsWith(line, "VmHWM:") && std::sscanf(line.c_str(), "VmHWM: %lf", &kilobytes) == 1)
        return kilobytes / 1e3;
    }
    return 0;
  }
};

const Baskets& BuildInput(size_t num_items) {
  static std::map<size_t, Baskets>* inputs = new std::map<size_t, Baskets>;
  if (inputs->count(num_items) == 0) {
    inputs->clear();  // one at a time: they are large
    inputs->emplace(num_items, MakeBaskets(num_baskets, num_items, 4));
  }
  return inputs->at(num_items);
}

void BM_PairTable(benchmark::State& state) {
  const Baskets& baskets = BuildInput(static_cast<size_t>(state.range(1)));
  const PeakMemory peak;
  PairTableStats stats;
  for (auto _ : state) {
    auto table = BuildPairTable(baskets, {}, ThreadsFor(static_cast<size_t>(state.range(0))), &stats);
    CHECK(table.ok());
    benchmark::DoNotOptimize(table->scores.data());
  }
  state.counters["peak_MB"] = peak.Megabytes();
  state.counters["entries_M"] = static_cast<double>(stats.entries) / 1e6;
  state.counters["pairs_M"] = static_cast<double>(stats.pairs) / 1e6;
}

// Cosine top 100 and nothing else: the index on one thread, then rows by the next free block; no checks, no ties.
std::vector<std::pair<float, TableItem>> BarePairTable(const Baskets& baskets, size_t num_threads) {
  const size_t n = baskets.num_items;
  std::vector<uint32_t> starts(n + 1), holders(baskets.items.size());
  for (TableItem item : baskets.items) ++starts[item + 1];
  std::partial_sum(starts.begin(), starts.end(), starts.begin());
  std::vector<uint32_t> next(starts.begin(), starts.end() - 1);
  for (size_t b = 0; b < baskets.size(); ++b) {
    for (TableItem item : baskets[b]) holders[next[item]++] = static_cast<uint32_t>(b);
  }
  std::vector<float> scale(n);
  for (size_t i = 0; i < n; ++i)
    scale[i] = 1 / std::sqrt(std::max(1.0f, static_cast<float>(starts[i + 1] - starts[i])));
  std::vector<std::pair<float, TableItem>> table(n * kNeighbours);
  std::atomic<size_t> block = 0;
  const auto work = [&] {
    std::vector<uint32_t> counts(n);
    std::vector<TableItem> touched(n);
    std::vector<std::pair<float, TableItem>> row;
    const auto before = [](const auto& a, const auto& b) { return a.first > b.first; };
    for (size_t begin = 64 * block++; begin < n; begin = 64 * block++) {
      for (size_t i = begin; i < std::min(n, begin + 64); ++i) {
        size_t size = 0;
        for (uint32_t h = starts[i]; h < starts[i + 1]; ++h) {
          if (h + 16 < starts[i + 1]) __builtin_prefetch(&baskets.offsets[holders[h + 16]]);
          if (h + 8 < starts[i + 1]) __builtin_prefetch(&baskets.items[baskets.offsets[holders[h + 8]]]);
          for (TableItem item : baskets[holders[h]]) {
            touched[size] = item;
            size += counts[item]++ == 0;
          }
        }
        row.clear();
        float least = 0;
        for (size_t k = 0; k < size; ++k) {
          const TableItem item = touched[k];
          const float score = static_cast<float>(counts[item]) * scale[item] * scale[i];
          counts[item] = 0;
          if (item == i || score <= least) continue;
          row.push_back({score, item});
          if (row.size() < 4 * kNeighbours) continue;
          std::nth_element(row.begin(), row.begin() + kNeighbours, row.end(), before);
          row.resize(kNeighbours);
          least = std::min_element(row.begin(), row.end())->first;
        }
        const size_t kept = std::min(row.size(), kNeighbours);
        std::partial_sort(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(kept), row.end(), before);
        std::copy(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(kept),
                  table.begin() + static_cast<std::ptrdiff_t>(i * kNeighbours));
      }
    }
  };
  std::vector<std::thread> threads;
  for (size_t t = 1; t < num_threads; ++t) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return table;
}

void BM_PairTable_Bare(benchmark::State& state) {
  const Baskets& baskets = BuildInput(static_cast<size_t>(state.range(1)));
  const PeakMemory peak;
  for (auto _ : state) {
    benchmark::DoNotOptimize(BarePairTable(baskets, static_cast<size_t>(state.range(0))).data());
  }
  state.counters["peak_MB"] = peak.Megabytes();
}

void BM_Ease(benchmark::State& state) {
  const size_t num_items = static_cast<size_t>(state.range(1));
  const Baskets baskets = MakeBaskets(20 * num_items, num_items, 5);
  const PeakMemory peak;
  for (auto _ : state) {
    auto weights = EaseWeights(baskets, {}, ThreadsFor(static_cast<size_t>(state.range(0))));
    CHECK(weights.ok());
    benchmark::DoNotOptimize(weights->data());
  }
  state.counters["peak_MB"] = peak.Megabytes();
  state.counters["stated_MB"] = static_cast<double>(EaseMemoryBytes(num_items)) / 1e6;
  state.counters["GFlop/s"] = benchmark::Counter(std::pow(static_cast<double>(num_items), 3) / 1e9,
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(BM_Cart)->Arg(1)->Arg(5)->Arg(20);
BENCHMARK(BM_Cart_Bare)->Arg(1)->Arg(5)->Arg(20);
BENCHMARK(BM_Cart_BareSumsOnly)->Arg(1)->Arg(5)->Arg(20);
BENCHMARK(BM_Session)->ArgsProduct({{500, 2500}, {1, 2, 5, 10}});
BENCHMARK(BM_Session_Bare)->ArgsProduct({{500, 2500}, {1, 2, 5, 10}});
BENCHMARK(BM_PairTable)
    ->ArgsProduct({{1, 2}, {100'000}})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();
BENCHMARK(BM_PairTable_Bare)
    ->ArgsProduct({{1, 2}, {100'000}})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();
BENCHMARK(BM_Ease)
    ->ArgsProduct({{1, 2}, {4'000}})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// The console's table, and at the end each measurement over that of its bare twin with the same arguments: the median
// where there were repetitions.
class RatioReporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Iteration)
        times_[run.run_name.function_name + "/" + run.run_name.args].push_back(run.GetAdjustedRealTime());
    }
  }
  void Finalize() override {
    for (const auto& [name, times] : times_) {
      const size_t slash = name.find('/');
      for (const char* bare : {"_Bare", "_BareSumsOnly"}) {
        const auto twin = times_.find(name.substr(0, slash) + bare + name.substr(slash));
        if (twin != times_.end())
          std::printf("%-32s %6.2f x %s\n", name.c_str(), Median(times) / Median(twin->second), twin->first.c_str());
      }
    }
    ConsoleReporter::Finalize();
  }

 private:
  static double Median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  }
  std::map<std::string, std::vector<double>> times_;
};

void ReadFlag(absl::string_view argument, absl::string_view prefix, uint64_t& value) {
  if (absl::ConsumePrefix(&argument, prefix)) CHECK(absl::SimpleAtoi(argument, &value) && value > 100);
}

}  // namespace
}  // namespace offerd

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  for (int a = 1; a < argc; ++a) {
    offerd::ReadFlag(argv[a], "--items=", offerd::num_table_items);
    offerd::ReadFlag(argv[a], "--sessions=", offerd::num_sessions);
    offerd::ReadFlag(argv[a], "--baskets=", offerd::num_baskets);
  }
  offerd::RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();
  return 0;
}
