#include "tests/fuzz/fuzz_targets.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "cli/csv_reader.h"
#include "core/decide.h"
#include "core/learn/fold.h"
#include "core/lists/list_answer.h"
#include "server/config.h"
#include "server/validation.h"
#include "store/decision_records.h"
#include "store/frame.h"
#include "store/records.h"

namespace offerd::fuzz {
namespace {

constexpr TimeMicros kNow = 1'700'000'000'000'000;

// A shop with offers, a customer and a linear policy, made once: requests are decided on it.
const State& ShopState() {
  static const Fold& fold = *[] {
    auto* made = new Fold();
    Sequence sequence = 0;
    const auto write = [&](Change change) {
      LogEntry entry;
      entry.sequence = ++sequence;
      entry.time = kNow;
      entry.change = std::move(change);
      (void)made->Apply(entry);
    };
    std::vector<Item> items(4);
    std::vector<Offer> offers(4);
    for (size_t i = 0; i < 4; ++i) {
      items[i].id = ItemId(std::string("i") + std::to_string(i));
      items[i].category_path = {"c"};
      items[i].price_micros = 1'000'000;
      offers[i].id = OfferId(std::string("o") + std::to_string(i));
      offers[i].item_ids = {items[i].id.value()};
    }
    write(ItemsUpserted{items});
    write(OffersUpserted{offers});
    Policy policy;
    policy.name = "p";
    policy.kind = PolicyKind::kLinear;
    Feature one;
    one.name = "one";
    Feature rate;
    rate.name = "rate";
    rate.kind = Feature::Kind::kNumeric;
    rate.fact = {FactScope::kComputed, "own_offer_rate"};
    policy.features.features = {one, rate};
    write(PolicySet{policy});
    Placement placement;
    placement.name = "home";
    placement.policy = "p";
    placement.mode = Mode::kLive;
    placement.lists.emplace();
    placement.lists->strategies = {{StrategyKind::kPopular, "", 1}, {StrategyKind::kContent, "", 1}, {StrategyKind::kBuyAgain, "", 1}};
    write(PlacementSet{placement});
    Event event;
    event.kind = EventKind::kPurchase;
    event.customer_id = CustomerId("ann");
    event.lines = {{"i1", 1, 1'000'000}};
    event.fate = Fate::kApplied;
    event.time = kNow;
    write(event);
    return made;
  }();
  return fold.state();
}

void RunRankOffers(absl::string_view bytes) {
  v1::RankOffersRequest message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !Validate(message, Limits()).ok()) return;
  static thread_local DecideScratch scratch;
  RankRequest request;
  Decision decision;
  FillRankRequest(message, request);
  if (!Decide(ShopState(), request, 7, kNow, scratch, decision).ok()) return;
  v1::stored::Decision record;
  FillDecisionRecord(decision, message, message.SerializeAsString(), "d", 7, 1, record);
  v1::RankOffersResponse response;
  FillResponse(decision, "d", kNow, response);
}

void RunRecommend(absl::string_view bytes) {
  v1::RecommendNextRequest message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !Validate(message, Limits()).ok()) return;
  ListRequest request;
  request.call = static_cast<ListCall>(bytes.size() % 4);
  request.placement = message.placement();
  request.market = message.market();
  request.customer_id = message.customer_id();
  request.count = message.count();
  for (const std::string& id : message.session_item_ids()) request.items.push_back(id);
  static thread_local ListScratch scratch;
  ListAnswer answer;
  (void)AnswerList(ShopState(), request, kNow, scratch, answer);
}

void RunEvent(absl::string_view bytes) {
  v1::stored::LogRecord record;
  v1::Event& event = *record.mutable_event()->mutable_event();
  if (!event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !Validate(event, Limits()).ok()) return;
  record.set_sequence(1);
  record.mutable_event()->set_time_micros(kNow);
  record.mutable_event()->set_fate(v1::APPLIED);
  const auto entry = FromProto(record);
  Fold fold;
  if (entry.ok()) (void)fold.Apply(*entry);
}

// What SetPolicy and SetPlacement would fold in.
template <typename Message, typename Set>
void RunSetting(absl::string_view bytes, Set set) {
  v1::stored::LogRecord record;
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !Validate(message, Limits()).ok()) return;
  set(record, message);
  record.set_sequence(1);
  const auto entry = FromProto(record);
  if (!entry.ok()) return;
  if (const auto* policy = std::get_if<PolicySet>(&entry->change)) {
    const auto encoder = Encoder::Make(policy->policy.features);
    if (policy->policy.kind == PolicyKind::kLinear && (!encoder.ok() || encoder->dim() > 64)) return;  // the engine refuses; and time
  }
  Fold fold;
  (void)fold.Apply(*entry);
}
void RunPolicy(absl::string_view bytes) {
  RunSetting<v1::Policy>(bytes, [](auto& record, const auto& message) { *record.mutable_policy_set() = message; });
}
void RunPlacement(absl::string_view bytes) {
  RunSetting<v1::Placement>(bytes, [](auto& record, const auto& message) { *record.mutable_placement_set() = message; });
}

void RunRecord(absl::string_view bytes) {
  v1::stored::LogRecord record;
  if (record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) (void)FromProto(record);
}

void RunFrame(absl::string_view bytes) { (void)Unframe(Family::kLog, "key", bytes); }

void RunConfig(absl::string_view bytes) { (void)ParseConfig(bytes); }

class MemoryFile final : public cli::InputFile {
 public:
  explicit MemoryFile(absl::string_view bytes) : bytes_(bytes) {}
  absl::StatusOr<size_t> Read(char* buffer, size_t size) override {
    const size_t taken = std::min({size, bytes_.size() - at_, size_t{7}});  // in small pieces: rows lie across their ends
    std::memcpy(buffer, bytes_.data() + at_, taken);
    at_ += taken;
    return taken;
  }

 private:
  const absl::string_view bytes_;
  size_t at_ = 0;
};

void RunCsv(absl::string_view bytes) {
  cli::CsvReader reader(std::make_unique<MemoryFile>(bytes), ',');
  cli::CsvRow row;
  for (;;) {
    const auto more = reader.Next(&row);
    if (!more.ok() || !*more) return;
  }
}

std::string RankSeed() {
  v1::RankOffersRequest request;
  request.set_placement("home");
  request.set_customer_id("ann");
  request.set_slate_size(3);
  v1::NamedValue& value = *request.add_context();
  value.set_name("hour");
  value.set_number(3);
  for (const char* offer : {"o0", "o2", "new"}) {
    v1::Candidate& candidate = *request.add_candidates();
    candidate.set_offer_id(offer);
    *candidate.add_features() = value;
  }
  request.add_cart()->set_item_id("i1");
  return request.SerializeAsString();
}

std::string RecommendSeed() {
  v1::RecommendNextRequest request;
  request.set_placement("home");
  request.set_customer_id("ann");
  request.set_count(3);
  for (const char* item : {"i0", "i1", "x"}) request.add_session_item_ids(item);
  return request.SerializeAsString();
}

v1::Event EventSeed() {
  v1::Event event;
  event.set_event_id("e");
  event.set_kind(v1::PURCHASE);
  event.set_customer_id("ann");
  event.set_order_id("order");
  event.mutable_time()->set_seconds(1'700'000'000);
  v1::EventLine& line = *event.add_lines();
  line.set_item_id("i1");
  line.set_quantity(2);
  line.set_revenue_micros(5'000'000);
  return event;
}

v1::Policy PolicySeed() {
  v1::Policy policy;
  policy.set_name("p");
  v1::Feature& one = *policy.mutable_linear()->mutable_features()->add_features();
  one.set_name("one");
  one.mutable_constant();
  v1::Feature& bucket = *policy.mutable_linear()->mutable_features()->add_features();
  bucket.set_name("bucket");
  bucket.mutable_bucket()->set_fact("context.hour");
  bucket.mutable_bucket()->add_boundaries(3);
  v1::Feature& cross = *policy.mutable_linear()->mutable_features()->add_features();
  cross.set_name("cross");
  cross.mutable_cross()->set_left("one");
  cross.mutable_cross()->set_right("bucket");
  policy.mutable_linear()->set_ridge(2);
  return policy;
}

v1::Placement PlacementSeed() {
  v1::Placement placement;
  placement.set_name("home");
  placement.set_policy("p");
  placement.set_mode(v1::LIVE);
  placement.mutable_reward()->add_weights()->set_kind(v1::CLICK);
  v1::Strategy& strategy = *placement.mutable_lists()->add_strategies();
  strategy.set_kind(v1::Strategy::NEIGHBOURS);
  strategy.set_table("t");
  return placement;
}

std::vector<std::string> RecordSeeds() {
  std::vector<v1::stored::LogRecord> records(4);
  *records[0].mutable_event()->mutable_event() = EventSeed();
  *records[1].mutable_policy_set() = PolicySeed();
  *records[2].mutable_placement_set() = PlacementSeed();
  v1::stored::Decision& decision = *records[3].mutable_decision();
  decision.set_decision_id("d");
  decision.add_slots()->set_x(std::string(8, '\0'));
  std::vector<std::string> seeds;
  for (const auto& record : records) seeds.push_back(record.SerializeAsString());
  return seeds;
}

}  // namespace

const std::vector<Target>& Targets() {
  static const std::vector<Target>& targets = *new std::vector<Target>{
      {"rank_offers", RunRankOffers, {RankSeed()}},
      {"recommend", RunRecommend, {RecommendSeed()}},
      {"event", RunEvent, {EventSeed().SerializeAsString()}},
      {"policy", RunPolicy, {PolicySeed().SerializeAsString()}},
      {"placement", RunPlacement, {PlacementSeed().SerializeAsString()}},
      {"record", RunRecord, RecordSeeds()},
      {"frame", RunFrame, {Frame("payload"), Frame("")}},
      {"config", RunConfig, {"store_path: \"s\"\nlisten: \"127.0.0.1:0\"\nclock: REQUEST\n", "tokens { role: ADMIN token: \"0123456789abcdef\" }"}},
      {"csv", RunCsv, {"a,b\n1,\"x, \"\"y\"\"\"\n2,z\r\n", "\xef\xbb\xbf" "a\n\n"}},
  };
  return targets;
}

}  // namespace offerd::fuzz
