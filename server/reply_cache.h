#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "core/types.h"

namespace offerd {

// Answers of recent request ids, so that a repeat gets the same list and counts once.
//
// Within its lifetime a repeat may still be new where more ids than the capacity came meanwhile: those are counted.
//
// Threads  Safe.
// Cost     A hash lookup under a lock of one of 16 shards; memory is reused in a ring, so nothing is allocated once it is full.
class ReplyCache {
 public:
  enum class Found { kNew, kRepeat, kConflict, kInProgress };

  ReplyCache(int64_t capacity, int64_t lifetime_seconds);

  // kNew: the caller must answer with Finish or Abandon. kRepeat: `reply` has the stored bytes. kConflict: the id was used with
  // another body. kInProgress: another thread is answering the same id right now.
  Found Begin(absl::string_view request_id, uint64_t fingerprint, TimeMicros now, std::string& reply);
  void Finish(absl::string_view request_id, absl::string_view reply);
  void Abandon(absl::string_view request_id);
  // For a restart: an answer from the log. False where there is no room: it does not push out one that is there.
  bool Restore(absl::string_view request_id, uint64_t fingerprint, TimeMicros time, absl::string_view reply);
  // How many answers gave way within their lifetime since the last call.
  uint64_t TakeEvicted() { return evicted_.exchange(0, std::memory_order_relaxed); }

 private:
  struct Entry {
    std::string id;
    std::string reply;
    uint64_t fingerprint = 0;
    TimeMicros time = 0;
    bool is_finished = false;
    bool is_used = false;
  };
  struct Shard {
    absl::Mutex mu;
    std::vector<Entry> ring ABSL_GUARDED_BY(mu);
    size_t next ABSL_GUARDED_BY(mu) = 0;
    absl::flat_hash_map<absl::string_view, size_t> index ABSL_GUARDED_BY(mu);  // keys live in `ring`
  };
  static constexpr size_t kShards = 16;

  Shard& ShardOf(absl::string_view id);
  Entry& Claim(Shard& shard, absl::string_view id, TimeMicros now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mu);

  const int64_t lifetime_micros_;
  const size_t shard_capacity_;
  std::vector<Shard> shards_;
  std::atomic<uint64_t> evicted_{0};  // relaxed: stands alone
};

}  // namespace offerd
