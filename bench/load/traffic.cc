#include "bench/load/traffic.h"

#include <cstdio>
#include <numeric>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "core/check.h"
#include "core/hash.h"
#include "offerd/v1/feedback_service.pb.h"
#include "offerd/v1/offer_service.pb.h"

namespace offerd {
namespace {

constexpr size_t kIdDigits = 16;
constexpr int kEventBatches = 64;

// As bench/load/measure.py names them.
std::string OfferName(uint64_t n) { return absl::StrFormat("offer-%06d", n); }
std::string ItemName(uint64_t n) { return absl::StrFormat("item-%07d", n); }
std::string CustomerName(uint64_t n) { return absl::StrFormat("customer-%07d", n); }

uint64_t Below(Rng& rng, int n) { return rng.NextBits() % static_cast<uint64_t>(n); }

void WriteDigits(uint32_t run, uint32_t number, char* to) {
  static constexpr char kDigits[] = "0123456789abcdef";
  uint64_t value = uint64_t{run} << 32 | number;
  for (size_t i = kIdDigits; i-- > 0; value >>= 4) to[i] = kDigits[value & 15];
}

std::string RankOffersBody(const TrafficOptions& options, Rng& rng) {
  v1::RankOffersRequest request;
  request.set_placement("home");
  request.set_customer_id(CustomerName(Below(rng, options.customers)));
  for (int i = 0; i < options.candidates; ++i) {
    const std::string offer = OfferName(Below(rng, options.offers));
    if (options.compact) {
      request.add_offer_keys(Fnv1aHash(offer));
    } else {
      request.add_candidates()->set_offer_id(offer);
    }
  }
  return request.SerializeAsString();
}

template <typename Request>
Request ListBody(const TrafficOptions& options, Rng& rng) {
  Request request;
  request.set_placement("cart");
  request.set_customer_id(CustomerName(Below(rng, options.customers)));
  return request;
}

std::string ListBytes(CallKind kind, const TrafficOptions& options, Rng& rng) {
  if (kind == CallKind::kCrossSell) {
    auto request = ListBody<v1::CrossSellRequest>(options, rng);
    for (int i = 0; i < options.cart_lines; ++i) request.add_cart()->set_item_id(ItemName(Below(rng, options.items)));
    return request.SerializeAsString();
  }
  if (kind == CallKind::kSimilarItems) {
    auto request = ListBody<v1::SimilarItemsRequest>(options, rng);
    request.set_item_id(ItemName(Below(rng, options.items)));
    return request.SerializeAsString();
  }
  if (kind == CallKind::kRecommendItems) return ListBody<v1::RecommendItemsRequest>(options, rng).SerializeAsString();
  auto request = ListBody<v1::RecommendNextRequest>(options, rng);
  for (int i = 0; i < options.session_items; ++i) request.add_session_item_ids(ItemName(Below(rng, options.items)));
  return request.SerializeAsString();
}

// Six views, two things put into carts and two purchases of one line in ten events; the event id is filled up to the wanted size.
v1::Event MakeEvent(const TrafficOptions& options, int number, Rng& rng) {
  v1::Event event;
  event.set_customer_id(CustomerName(Below(rng, options.customers)));
  event.set_kind(number % 10 < 6 ? v1::VIEW : number % 10 < 8 ? v1::ADD_TO_CART : v1::PURCHASE);
  v1::EventLine& line = *event.add_lines();
  line.set_item_id(ItemName(Below(rng, options.items)));
  line.set_quantity(1);
  if (event.kind() == v1::PURCHASE) {
    line.set_revenue_micros(1'000'000 + static_cast<int64_t>(Below(rng, 90)) * 1'000'000);
    event.set_order_id(absl::StrFormat("o-%06d", Below(rng, 1'000'000)));
  }
  event.set_event_id(std::string(kIdDigits, '#'));
  while (event.ByteSizeLong() < static_cast<size_t>(options.event_bytes)) event.mutable_event_id()->append("=");
  return event;
}

template <typename Batch>
Batch MakeEvents(const TrafficOptions& options, Rng& rng) {
  Batch batch;
  for (int i = 0; i < options.events; ++i) *batch.add_events() = MakeEvent(options, i, rng);
  return batch;
}

std::vector<size_t> FindDigits(const std::string& bytes) {
  const std::string placeholder(kIdDigits, '#');
  std::vector<size_t> out;
  for (size_t at = bytes.find(placeholder); at != std::string::npos; at = bytes.find(placeholder, at + kIdDigits)) out.push_back(at);
  return out;
}

std::string Varint(uint64_t value) {
  std::string out;
  for (; value >= 128; value >>= 7) out.push_back(static_cast<char>(value | 128));
  out.push_back(static_cast<char>(value));
  return out;
}

}  // namespace

absl::string_view CallKindText(CallKind kind) {
  static constexpr absl::string_view kTexts[] = {"rank_offers", "cross_sell", "similar_items", "recommend_items", "recommend_next", "send_feedback"};
  return kTexts[static_cast<int>(kind)];
}

const std::string& CallKindPath(CallKind kind) {
  static const std::string* const kPaths = new std::string[kNumCallKinds]{
      "/offerd.v1.OfferService/RankOffers",     "/offerd.v1.OfferService/CrossSell",      "/offerd.v1.OfferService/SimilarItems",
      "/offerd.v1.OfferService/RecommendItems", "/offerd.v1.OfferService/RecommendNext", "/offerd.v1.FeedbackService/SendFeedback"};
  return kPaths[static_cast<int>(kind)];
}

absl::StatusOr<std::array<double, kNumCallKinds>> ParseMix(absl::string_view text) {
  std::array<double, kNumCallKinds> weights{};
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> words = absl::StrSplit(part, '=');
    bool is_known = false;
    for (int i = 0; i < kNumCallKinds; ++i) {
      if (words[0] != CallKindText(static_cast<CallKind>(i))) continue;
      double weight = 1;
      if (words.size() > 2 || (words.size() == 2 && !absl::SimpleAtod(words[1], &weight)) || !(weight > 0)) break;
      weights[static_cast<size_t>(i)] = weight;
      is_known = true;
    }
    if (!is_known) return absl::InvalidArgumentError(absl::StrCat("mix: expected CALL=WEIGHT, found '", part, "'"));
  }
  return weights;
}

Traffic::Traffic(const TrafficOptions& options, uint32_t run)
    : options_(options), run_(run), rng_(MixHash(options.seed, run)),
      total_weight_(std::accumulate(options.weights.begin(), options.weights.end(), 0.0)) {
  Rng rng(options.seed);
  for (int kind = 0; kind < static_cast<int>(CallKind::kSendFeedback); ++kind) {
    if (options.weights[static_cast<size_t>(kind)] == 0) continue;
    for (int i = 0; i < options.bodies; ++i) {
      const CallKind call = static_cast<CallKind>(kind);
      const std::string bytes = call == CallKind::kRankOffers ? RankOffersBody(options, rng) : ListBytes(call, options, rng);
      bodies_[static_cast<size_t>(kind)].emplace_back(bytes);
    }
  }
  for (int i = 0; i < kEventBatches; ++i) {
    for (auto* batches : {&call_events_, &stream_events_}) {
      std::string bytes = batches == &call_events_ ? MakeEvents<v1::SendFeedbackRequest>(options, rng).SerializeAsString()
                                                   : MakeEvents<v1::FeedbackBatch>(options, rng).SerializeAsString();
      std::vector<size_t> digits = FindDigits(bytes);
      CHECK(digits.size() == static_cast<size_t>(options.events));
      batches->push_back({std::move(bytes), std::move(digits)});
    }
  }
}

CallKind Traffic::NextKind() {
  double at = rng_.NextUniform() * total_weight_;
  for (int kind = 0; kind < kNumCallKinds; ++kind) {
    const double weight = options_.weights[static_cast<size_t>(kind)];
    if (at < weight) return static_cast<CallKind>(kind);
    at -= weight;
  }
  return CallKind::kRankOffers;
}

grpc::Slice Traffic::NextId() {
  char field[2 + kIdDigits] = {'\x0a', kIdDigits};  // request_id = 1; small enough to lie in the slice itself
  WriteDigits(run_, ids_++, field + 2);
  return grpc::Slice(field, sizeof field);
}

grpc::Slice Traffic::NextEvents(std::vector<EventBatch>& batches) {
  EventBatch& batch = batches[next_events_++ % batches.size()];
  for (const size_t at : batch.id_digits) WriteDigits(run_, event_ids_++, batch.bytes.data() + at);
  return grpc::Slice(batch.bytes);
}

void Traffic::Fill(CallKind kind, grpc::ByteBuffer* request) {
  if (kind == CallKind::kSendFeedback) {
    const grpc::Slice events = NextEvents(call_events_);
    *request = grpc::ByteBuffer(&events, 1);
    return;
  }
  const std::vector<grpc::Slice>& bodies = bodies_[static_cast<size_t>(kind)];
  const grpc::Slice& body = bodies[next_[static_cast<size_t>(kind)]++ % bodies.size()];
  if (kind == CallKind::kRankOffers && options_.request_ids) {
    const grpc::Slice parts[] = {NextId(), body};
    *request = grpc::ByteBuffer(parts, 2);
  } else {
    *request = grpc::ByteBuffer(&body, 1);
  }
}

void Traffic::FillBatch(int64_t client_sequence, grpc::ByteBuffer* batch) {
  const std::string number = absl::StrCat("\x08", Varint(static_cast<uint64_t>(client_sequence)));  // client_sequence = 1
  const grpc::Slice parts[] = {grpc::Slice(number), NextEvents(stream_events_)};
  *batch = grpc::ByteBuffer(parts, 2);
}

}  // namespace offerd
