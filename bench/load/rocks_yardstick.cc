// bench_rocks: the yardstick of feedback. What RocksDB alone does with the same bytes: batches of `events` values of `bytes` each
// under ascending keys, every batch synced. Prints one JSON object.
#include <rocksdb/db.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "core/rng.h"

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bench_rocks FOLDER SECONDS EVENTS BYTES\n");
    return 2;
  }
  const double seconds = std::atof(argv[2]);
  const int events = std::atoi(argv[3]);
  const size_t bytes = static_cast<size_t>(std::atoi(argv[4]));
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  rocksdb::DB* opened = nullptr;
  if (const rocksdb::Status status = rocksdb::DB::Open(options, argv[1], &opened); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  const std::unique_ptr<rocksdb::DB> db(opened);
  offerd::Rng rng(1);
  std::string value(bytes, '\0');
  rocksdb::WriteOptions synced;
  synced.sync = true;
  rocksdb::WriteBatch batch;
  uint64_t key = 0;
  using Clock = std::chrono::steady_clock;
  const auto measure = [&](double for_seconds, int64_t* written) {
    const auto begin = Clock::now();
    double passed = 0;
    while (passed < for_seconds) {
      batch.Clear();
      for (int i = 0; i < events; ++i) {
        char text[8];
        ++key;
        for (int b = 0; b < 8; ++b) text[b] = static_cast<char>(key >> (8 * (7 - b)));
        for (size_t at = 0; at + 8 <= bytes; at += 8) {
          const uint64_t bits = rng.NextBits();
          __builtin_memcpy(value.data() + at, &bits, 8);
        }
        if (!batch.Put(rocksdb::Slice(text, 8), value).ok()) std::abort();
      }
      if (!db->Write(synced, &batch).ok()) std::abort();
      *written += events;
      passed = std::chrono::duration<double>(Clock::now() - begin).count();
    }
    return passed;
  };
  int64_t warmed = 0, written = 0;
  measure(1, &warmed);
  const double passed = measure(seconds, &written);
  std::printf("{\"events_per_second\": %.0f}\n", static_cast<double>(written) / passed);
  return 0;
}
