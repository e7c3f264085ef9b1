#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/rng.h"

namespace offerd {

enum class CallKind { kRankOffers, kCrossSell, kSimilarItems, kRecommendItems, kRecommendNext, kSendFeedback };
inline constexpr int kNumCallKinds = 6;
absl::string_view CallKindText(CallKind kind);   // "rank_offers"
const std::string& CallKindPath(CallKind kind);  // "/offerd.v1.OfferService/RankOffers"

// What the shop of bench/load/measure.py holds, and what its callers ask.
struct TrafficOptions {
  uint64_t seed = 1;
  int offers = 10'000;
  int customers = 100'000;
  int items = 100'000;
  int candidates = 50;
  bool compact = false;  // RankOffers by offer keys
  int cart_lines = 5;
  int session_items = 5;
  int events = 100;       // of one call or batch
  int event_bytes = 100;  // of each event, exactly; at least 90
  bool request_ids = true;                               // RankOffers with an id of its own, as a careful caller does
  std::array<double, kNumCallKinds> weights = {1, 0, 0, 0, 0, 0};
  int bodies = 4096;  // different requests of each kind, used in turn
};

// "rank_offers=8,cross_sell=2".
absl::StatusOr<std::array<double, kNumCallKinds>> ParseMix(absl::string_view text);

// Seeded requests as bytes. The bodies are made and serialised once and used again and again; only what must differ, the ids
// that make a call or an event count once, is new in each: the generator is to cost less than the server.
//
// Threads  Not safe. Two with different `run` numbers never make the same id.
class Traffic {
 public:
  Traffic(const TrafficOptions& options, uint32_t run);

  CallKind NextKind();
  void Fill(CallKind kind, grpc::ByteBuffer* request);
  // A FeedbackBatch of events with the caller's number.
  void FillBatch(int64_t client_sequence, grpc::ByteBuffer* batch);

 private:
  struct EventBatch {
    std::string bytes;              // events as field 1 or 2 of their message
    std::vector<size_t> id_digits;  // where each event's 16 digits begin
  };
  grpc::Slice NextId();
  grpc::Slice NextEvents(std::vector<EventBatch>& batches);

  const TrafficOptions options_;
  const uint32_t run_;
  Rng rng_;
  uint32_t ids_ = 0;
  uint32_t event_ids_ = 0;
  double total_weight_ = 0;
  std::array<std::vector<grpc::Slice>, kNumCallKinds> bodies_;
  std::array<size_t, kNumCallKinds> next_{};
  std::vector<EventBatch> call_events_;
  std::vector<EventBatch> stream_events_;
  size_t next_events_ = 0;
};

}  // namespace offerd
