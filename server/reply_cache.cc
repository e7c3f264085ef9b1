#include "server/reply_cache.h"

#include <algorithm>

#include "core/hash.h"

namespace offerd {

ReplyCache::ReplyCache(int64_t capacity, int64_t lifetime_seconds)
    : lifetime_micros_(lifetime_seconds * kMicrosPerSecond),
      shard_capacity_(std::max<size_t>(4, static_cast<size_t>(capacity) / kShards)),
      shards_(kShards) {}

ReplyCache::Shard& ReplyCache::ShardOf(absl::string_view id) { return shards_[StableHash(id) % kShards]; }

// The oldest entry makes room. The ring is reserved whole at first use, so its entries never move and the index may point
// into them.
ReplyCache::Entry& ReplyCache::Claim(Shard& shard, absl::string_view id, TimeMicros now) {
  if (shard.ring.capacity() == 0) shard.ring.reserve(shard_capacity_);
  if (shard.ring.size() < shard_capacity_) {
    shard.ring.emplace_back();
    shard.next = shard.ring.size() - 1;
  }
  Entry& entry = shard.ring[shard.next];
  if (entry.is_used) {
    if (now - entry.time < lifetime_micros_) evicted_.fetch_add(1, std::memory_order_relaxed);
    shard.index.erase(entry.id);
  }
  entry.id.assign(id.data(), id.size());
  entry.reply.clear();
  entry.is_used = true;
  entry.is_finished = false;
  shard.index[entry.id] = shard.next;
  shard.next = (shard.next + 1) % shard_capacity_;
  return entry;
}

ReplyCache::Found ReplyCache::Begin(absl::string_view request_id, uint64_t fingerprint, TimeMicros now, std::string& reply) {
  Shard& shard = ShardOf(request_id);
  absl::MutexLock lock(&shard.mu);
  if (const auto it = shard.index.find(request_id); it != shard.index.end()) {
    Entry& entry = shard.ring[it->second];
    const bool is_alive = now - entry.time < lifetime_micros_;
    if (is_alive && entry.fingerprint != fingerprint) return Found::kConflict;
    if (is_alive && !entry.is_finished) return Found::kInProgress;
    if (is_alive) {
      reply = entry.reply;
      return Found::kRepeat;
    }
    entry.is_finished = false;
    entry.reply.clear();
    entry.fingerprint = fingerprint;
    entry.time = now;
    return Found::kNew;
  }
  Entry& entry = Claim(shard, request_id, now);
  entry.fingerprint = fingerprint;
  entry.time = now;
  return Found::kNew;
}

void ReplyCache::Finish(absl::string_view request_id, absl::string_view reply) {
  Shard& shard = ShardOf(request_id);
  absl::MutexLock lock(&shard.mu);
  const auto it = shard.index.find(request_id);
  if (it == shard.index.end()) return;  // overwritten by a full ring of newer ones
  shard.ring[it->second].reply.assign(reply.data(), reply.size());
  shard.ring[it->second].is_finished = true;
}

void ReplyCache::Abandon(absl::string_view request_id) {
  Shard& shard = ShardOf(request_id);
  absl::MutexLock lock(&shard.mu);
  const auto it = shard.index.find(request_id);
  if (it == shard.index.end()) return;
  Entry& entry = shard.ring[it->second];
  shard.index.erase(it);
  entry.is_used = false;
}

bool ReplyCache::Restore(absl::string_view request_id, uint64_t fingerprint, TimeMicros time, absl::string_view reply) {
  Shard& shard = ShardOf(request_id);
  absl::MutexLock lock(&shard.mu);
  if (shard.index.contains(request_id)) return true;  // answered again meanwhile
  if (shard.ring.size() == shard_capacity_) return false;
  Entry& entry = Claim(shard, request_id, time);
  entry.fingerprint = fingerprint;
  entry.time = time;
  entry.reply.assign(reply.data(), reply.size());
  entry.is_finished = true;
  return true;
}

}  // namespace offerd
