#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/arena.h"
#include "offerd/v1/stored.pb.h"
#include "store/keys.h"
#include "store/kv.h"

namespace offerd {

inline constexpr std::array<Family, 3> kBaseFamilies = {Family::kPolicies, Family::kProfiles, Family::kCatalog};

// Counts, bytes and checksum of the framed records so far: what a manifest promises.
class BaseSum {
 public:
  BaseSum();
  ~BaseSum();
  BaseSum(BaseSum&&) = default;
  void Add(absl::string_view framed);
  int64_t records() const { return records_; }
  int64_t bytes() const { return bytes_; }
  uint64_t checksum() const;

 private:
  struct Hash;
  std::unique_ptr<Hash> hash_;
  int64_t records_ = 0;
  int64_t bytes_ = 0;
};

// The records of one base in the order in which they were written, read, checked and parsed by a thread of its own while those before are
// visited.
//
// Threads  One caller; the visitor runs in its thread.
// Cost     At most kBatches batches of some hundred kilobytes are in memory.
class BaseReader {
 public:
  BaseReader(const Kv& kv, Sequence sequence, const v1::stored::BaseManifest& manifest);
  ~BaseReader();

  // The first failure, of the records or of `visit`; `is_damage` is false for one of the visitor. DataLoss: a record is missing, damaged
  // or too many, or they are not those that the manifest promises. Once.
  absl::Status VisitAll(absl::FunctionRef<absl::Status(const v1::stored::BaseRecord&)> visit, bool& is_damage);

 private:
  static constexpr size_t kBatches = 4;
  struct Batch {
    std::unique_ptr<google::protobuf::Arena> arena;
    std::vector<const v1::stored::BaseRecord*> records;  // on the arena
    absl::Status status;                                 // of what stands behind them
    bool is_last = false;
  };

  void ReadAhead();
  absl::Status ReadRecords(Batch& batch);
  absl::Status ReadRecord(Batch& batch, int64_t& bytes);
  absl::Status CheckEnd() const;
  bool Hand(Batch batch);
  Batch Take();

  const Kv& kv_;
  const Sequence sequence_;
  const v1::stored::BaseManifest& manifest_;
  BaseSum sum_;                                     // of the thread, as is the next
  std::vector<std::unique_ptr<KvIterator>> parts_;  // by family
  absl::Mutex mu_;
  std::deque<Batch> batches_ ABSL_GUARDED_BY(mu_);
  bool is_stopped_ ABSL_GUARDED_BY(mu_) = false;  // nobody takes batches any more
  std::thread thread_;
};

}  // namespace offerd
