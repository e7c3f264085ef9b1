#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "core/types.h"
#include "server/engine.h"
#include "store/frame.h"
#include "store/keys.h"
#include "store/records.h"
#include "store/recovery.h"
#include "store/state_records.h"
#include "tests/support/fault_kv.h"
#include "tests/support/status_matchers.h"

namespace offerd {

inline constexpr TimeMicros kMinute = 60 * kMicrosPerSecond;
inline constexpr TimeMicros kOpening = 20'006 * kMicrosPerDay;

// A small shop on one Engine over a disk in memory: six offers o0 to o5 of one item each (i0 to i5), a linear policy
// `learn` and a live placement `home`. History is played: `as_of` of each call is the clock; wall time stands still
// unless moved, so that nothing happens by itself.
class Shop {
 public:
  Shop() {
    config.clock = ServerConfig::Clock::kRequest;
    config.durability = ServerConfig::Durability::kSynced;
    config.salt = "shop";
    SetLogLevel(LogLevel::kError);
  }

  void Open() {
    auto store = Store::Open(disk.Mount(), {});
    ASSERT_OK(store);
    metrics = std::make_unique<Metrics>("test", [this] { return wall.load(); });
    auto made = Engine::Create(config, *std::move(store), metrics.get(), [this] { return wall.load(); });
    ASSERT_OK(made);
    engine = *std::move(made);
    engine->Start();
  }
  void OpenFurnished() {
    Open();
    Furnish();
  }
  // Ends after all that was asked for is written, but without a last snapshot.
  void Crash() {
    Status();
    disk.FailWrites(1);
    engine = nullptr;
    disk.RepairWrites();
  }
  void Stop() {
    EXPECT_OK(engine->Stop());
    engine = nullptr;
  }

  template <typename Request, typename Response>
  absl::Status Call(void (Engine::*method)(const Request&, Response*, Handlers::Done), const Request& request,
                    Response* response) {
    absl::Notification done;
    absl::Status answer;
    (engine.get()->*method)(request, response, [&](const absl::Status& status) {
      answer = status;
      done.Notify();
    });
    done.WaitForNotification();
    return answer;
  }

  void Furnish() {
    v1::UpsertItemsRequest items;
    v1::UpsertOffersRequest offers;
    for (int i = 0; i < 6; ++i) {
      *items.add_items() = MakeItem(i);
      *offers.add_offers() = MakeOffer(i);
    }
    v1::UpsertResponse upserted;
    ASSERT_OK(Call(&Engine::UpsertItems, items, &upserted));
    ASSERT_OK(Call(&Engine::UpsertOffers, offers, &upserted));
    ASSERT_OK(SetPolicy(MakePolicy("learn")));
    ASSERT_OK(SetPlacement(MakePlacement()));
  }

  static v1::Item MakeItem(int i) {
    v1::Item item;
    item.set_item_id(absl::StrCat("i", i));
    item.add_category_path("all");
    item.add_category_path(absl::StrCat("c", i % 3));
    item.set_brand(absl::StrCat("b", i % 2));
    item.set_price_micros(1'000'000 * (i + 1));
    return item;
  }
  static v1::Offer MakeOffer(int i) {
    v1::Offer offer;
    offer.set_offer_id(absl::StrCat("o", i));
    offer.add_item_ids(absl::StrCat("i", i));
    return offer;
  }
  // A constant, the inline fact "a" and what the shop computes of the person and of all.
  static v1::Policy MakePolicy(const std::string& name) {
    v1::Policy policy;
    policy.set_name(name);
    v1::Policy::Linear& linear = *policy.mutable_linear();
    v1::Feature& one = *linear.mutable_features()->add_features();
    one.set_name("one");
    one.mutable_constant();
    for (const char* fact : {"candidate.a", "computed.own_offer_rate", "computed.own_category_rate_decayed", "computed.offer_rate"}) {
      v1::Feature& feature = *linear.mutable_features()->add_features();
      feature.set_name(std::string(fact).substr(std::string(fact).find('.') + 1));
      feature.mutable_numeric()->set_fact(fact);
    }
    linear.set_ridge(1);
    linear.set_bag_size(8);
    linear.set_publish_every_ms(1000);
    return policy;
  }
  static v1::Placement MakePlacement() {
    v1::Placement placement;
    placement.set_name("home");
    placement.set_policy("learn");
    placement.set_mode(v1::LIVE);
    placement.set_slate_size(3);
    placement.set_window_seconds(3600);
    placement.set_max_lateness_seconds(3600);
    placement.set_matrix_share(1);
    return placement;
  }

  absl::Status SetPolicy(const v1::Policy& policy, v1::Policy* set = nullptr) {
    v1::SetPolicyRequest request;
    *request.mutable_policy() = policy;
    v1::Policy response;
    const absl::Status status = Call(&Engine::SetPolicy, request, &response);
    if (set != nullptr) *set = response;
    return status;
  }
  absl::Status Publish(const std::string& policy) {
    v1::PublishPolicyRequest request;
    request.set_name(policy);
    v1::Policy response;
    return Call(&Engine::PublishPolicy, request, &response);
  }
  absl::Status SetPlacement(const v1::Placement& placement, v1::Placement* set = nullptr) {
    v1::SetPlacementRequest request;
    *request.mutable_placement() = placement;
    v1::Placement response;
    const absl::Status status = Call(&Engine::SetPlacement, request, &response);
    if (set != nullptr) *set = response;
    return status;
  }

  static v1::RankOffersRequest RankRequestOf(const std::string& request_id, const std::string& customer, TimeMicros time) {
    v1::RankOffersRequest request;
    request.set_request_id(request_id);
    request.set_placement("home");
    request.set_customer_id(customer);
    *request.mutable_as_of() = ToTimestamp(time);
    return request;
  }
  v1::RankOffersResponse Rank(const v1::RankOffersRequest& request) {
    v1::RankOffersResponse response;
    EXPECT_OK(engine->RankOffers(request, &response));
    return response;
  }
  v1::RankOffersResponse Rank(const std::string& request_id, const std::string& customer, TimeMicros time) {
    return Rank(RankRequestOf(request_id, customer, time));
  }

  // A purchase of the decision's first offer.
  static v1::Event Purchase(const std::string& id, const std::string& customer, const v1::RankOffersResponse& decision,
                            TimeMicros time) {
    v1::Event event;
    event.set_event_id(id);
    event.set_kind(v1::PURCHASE);
    event.set_customer_id(customer);
    event.set_decision_id(decision.decision_id());
    event.set_order_id("order-" + id);
    *event.mutable_time() = ToTimestamp(time);
    v1::EventLine& line = *event.add_lines();
    line.set_item_id(decision.slots_size() == 0 ? "i0" : "i" + decision.slots(0).offer_id().substr(1));
    line.set_quantity(1);
    line.set_revenue_micros(2'000'000);
    return event;
  }
  absl::Status Send(const std::vector<v1::Event>& events, v1::SendFeedbackResponse* response) {
    v1::SendFeedbackRequest request;
    for (const v1::Event& event : events) *request.add_events() = event;
    response->Clear();
    return Call(&Engine::SendFeedback, request, response);
  }
  v1::EventResult Send(const v1::Event& event) {
    v1::SendFeedbackResponse response;
    EXPECT_OK(Send({event}, &response));
    return response.results_size() == 1 ? response.results(0) : v1::EventResult();
  }

  v1::ServerStatus Status() {
    v1::ServerStatus status;
    EXPECT_OK(Call(&Engine::GetStatus, v1::GetStatusRequest(), &status));
    return status;
  }
  v1::PolicyStatus Learned(const std::string& policy = "learn") {
    const v1::ServerStatus server = Status();
    for (const v1::PolicyStatus& status : server.policies()) {
      if (status.policy().name() == policy) return status;
    }
    ADD_FAILURE() << "no policy " << policy;
    return {};
  }
  absl::Status GetCustomer(const std::string& id, v1::CustomerProfile* profile) {
    v1::GetCustomerRequest request;
    request.set_customer_id(id);
    profile->Clear();
    return engine->GetCustomer(request, profile);
  }
  int64_t VisitsOf(const std::string& customer) {
    v1::CustomerProfile profile;
    return GetCustomer(customer, &profile).ok() ? profile.visits() : 0;
  }
  absl::StatusOr<Sequence> Snapshot() {
    v1::Snapshot snapshot;
    const absl::Status status = Call(&Engine::CreateSnapshot, v1::CreateSnapshotRequest(), &snapshot);
    if (!status.ok()) return status;
    return snapshot.sequence();
  }
  absl::Status Erase(const std::string& customer) {
    v1::EraseCustomerRequest request;
    request.set_customer_id(customer);
    v1::EraseCustomerResponse response;
    return Call(&Engine::EraseCustomer, request, &response);
  }

  // --- The disk, with or without an engine on it ---

  std::unique_ptr<Store> OpenStore() {
    auto store = Store::Open(disk.Mount(), {});
    EXPECT_OK(store);
    return *std::move(store);
  }
  // What a crash left: it must recover, and its log be recomputed to the bit. Call it in ASSERT_NO_FATAL_FAILURE.
  void RecoverAndReplay(Recovery* recovered, ReplayReport* replayed) {
    const auto store = OpenStore();
    auto recovery = Recover(*store);
    ASSERT_OK(recovery);
    const auto report = Replay(*store);
    ASSERT_OK(report);
    EXPECT_EQ(report->differences, 0) << ::testing::PrintToString(report->examples);
    EXPECT_EQ(report->state_digest, StateDigest(recovery->fold->Image()));
    *recovered = *std::move(recovery);
    *replayed = *report;
  }
  std::vector<v1::stored::LogRecord> Log() {
    std::vector<v1::stored::LogRecord> records;
    const auto kv = disk.Mount();
    for (auto it = kv->Iterate(Family::kLog, "", ""); it->valid(); it->Next()) {
      const auto payload = Unframe(Family::kLog, it->key(), it->value());
      EXPECT_OK(payload);
      EXPECT_TRUE(records.emplace_back().ParseFromString(std::string(*payload)));
    }
    return records;
  }
  // As if it had always been so: the frame is sound.
  void Rewrite(const v1::stored::LogRecord& record) {
    KvBatch batch;
    batch.Put(Family::kLog, NumberKey(record.sequence()), Frame(record.SerializeAsString()));
    ASSERT_OK(disk.Mount()->Write(batch, true));
  }
  // Keys and values of every family that hold these bytes.
  int CountBytes(const std::string& bytes) {
    int found = 0;
    const auto kv = disk.Mount();
    for (const Family family : kAllFamilies) {
      for (auto it = kv->Iterate(family, "", ""); it->valid(); it->Next()) {
        found += absl::string_view(it->key()).find(bytes) != absl::string_view::npos;
        found += absl::string_view(it->value()).find(bytes) != absl::string_view::npos;
      }
    }
    return found;
  }

  FaultDisk disk;
  std::atomic<TimeMicros> wall{kOpening};
  ServerConfig config;
  std::unique_ptr<Metrics> metrics;
  std::unique_ptr<Engine> engine;
};

// Random use of a shop: decisions, activations, events, settings, catalogue, customers, publications, snapshots.
class Traffic {
 public:
  Traffic(Shop& shop, uint32_t seed) : shop_(shop), random_(seed) {}

  bool erases = false;
  int snapshot_every = 60;

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) Step();
  }
  TimeMicros now() const { return now_; }

 private:
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }
  std::string Customer() { return absl::StrCat("person", Pick(8)); }

  void Step() {
    ++step_;
    now_ += kMinute * Pick(10);
    shop_.wall += 400'000;  // a publication is due now and then
    if (step_ % snapshot_every == 0) {
      EXPECT_OK(shop_.Snapshot());
      return;
    }
    const int kind = Pick(20);
    if (kind < 9) {
      Decide();
    } else if (kind < 14) {
      SendEvents();
    } else if (kind == 14) {
      Activate();
    } else if (kind == 15) {
      ChangeCatalogue();
    } else if (kind == 16) {
      ChangeCustomers();
    } else if (kind == 17) {
      ChangePlacement();
    } else if (kind == 18) {
      ChangePolicy();
    } else {
      now_ += kMicrosPerDay * Pick(3);
    }
  }

  void Decide() {
    v1::RankOffersRequest request = Shop::RankRequestOf(absl::StrCat("request", step_), Customer(), now_);
    request.set_defer_activation(Pick(4) == 0);
    if (Pick(6) == 0) request.set_consent(v1::CONSENT_DENIED);
    if (Pick(6) == 0) request.set_consent(v1::CONSENT_GRANTED);
    if (Pick(5) == 0) request.set_customer_id("");
    if (Pick(3) == 0) {
      for (int i = 0; i < 8; ++i) {
        if (Pick(3) == 0) continue;
        v1::Candidate& candidate = *request.add_candidates();
        candidate.set_offer_id(absl::StrCat("o", i));
        v1::NamedValue& value = *candidate.add_features();
        value.set_name("a");
        value.set_number(Pick(100) / 50.0);
      }
    }
    decisions_.push_back(shop_.Rank(request));
  }

  void SendEvents() {
    std::vector<v1::Event> events;
    for (int i = Pick(3); i >= 0; --i) {
      const v1::RankOffersResponse decision =
          decisions_.empty() ? v1::RankOffersResponse() : decisions_[decisions_.size() - 1 - static_cast<size_t>(Pick(static_cast<int>(std::min<size_t>(12, decisions_.size()))))];
      v1::Event event = Shop::Purchase(absl::StrCat("event", step_, "-", i), Customer(), decision, now_ - kMinute * Pick(60));
      if (Pick(3) == 0) event.set_kind(Pick(2) == 0 ? v1::CLICK : v1::VIEW);
      if (Pick(3) == 0) event.set_market("nl");
      if (Pick(6) == 0) event.clear_decision_id();
      if (Pick(8) == 0) event.set_decision_id("unknown");
      if (Pick(6) == 0) event.set_event_id(absl::StrCat("event", step_ - 1, "-", i));
      if (Pick(6) == 0) event.clear_customer_id();
      if (Pick(8) == 0) event.set_consent(v1::CONSENT_DENIED);
      if (Pick(8) == 0) event.set_history(true);
      if (Pick(3) == 0) event.add_lines()->set_item_id(absl::StrCat("i", Pick(9)));
      if (event.lines_size() > 1) event.mutable_lines(1)->set_quantity(1);
      events.push_back(event);
    }
    v1::SendFeedbackResponse response;
    EXPECT_OK(shop_.Send(events, &response));
  }

  void Activate() {
    if (decisions_.empty()) return;
    v1::ActivateRequest request;
    request.set_decision_id(decisions_[static_cast<size_t>(Pick(static_cast<int>(decisions_.size())))].decision_id());
    *request.mutable_as_of() = ToTimestamp(now_);
    v1::ActivateResponse response;
    (void)shop_.Call(&Engine::Activate, request, &response);
  }

  void ChangeCatalogue() {
    const int i = Pick(8);
    v1::UpsertResponse upserted;
    v1::DeleteResponse deleted;
    switch (Pick(4)) {
      case 0: {
        v1::UpsertItemsRequest request;
        *request.add_items() = Shop::MakeItem(i);
        request.mutable_items(0)->set_brand(absl::StrCat("b", Pick(4)));
        if (Pick(3) == 0) request.mutable_items(0)->add_unavailable_markets("nowhere");
        EXPECT_OK(shop_.Call(&Engine::UpsertItems, request, &upserted));
        break;
      }
      case 1: {
        v1::DeleteItemRequest request;
        request.set_item_id(absl::StrCat("i", i));
        (void)shop_.Call(&Engine::DeleteItem, request, &deleted);
        break;
      }
      case 2: {
        v1::UpsertOffersRequest request;
        v1::Offer& offer = *request.add_offers() = Shop::MakeOffer(i);
        if (Pick(2) == 0) offer.add_item_ids(absl::StrCat("i", Pick(10)));
        if (Pick(3) == 0) offer.set_stock(1 + Pick(5));
        if (Pick(3) == 0) offer.set_requires_consent(true);
        if (Pick(3) == 0) offer.set_category("extra");
        EXPECT_OK(shop_.Call(&Engine::UpsertOffers, request, &upserted));
        break;
      }
      default: {
        v1::DeleteOfferRequest request;
        request.set_offer_id(absl::StrCat("o", i));
        (void)shop_.Call(&Engine::DeleteOffer, request, &deleted);
      }
    }
  }

  void ChangeCustomers() {
    if (erases && Pick(3) == 0) {
      (void)shop_.Erase(Customer());
      return;
    }
    v1::UpsertCustomersRequest request;
    v1::Customer& customer = *request.add_customers();
    customer.set_customer_id(Customer());
    customer.set_consent(static_cast<v1::Consent>(Pick(3)));
    v1::UpsertResponse upserted;
    EXPECT_OK(shop_.Call(&Engine::UpsertCustomers, request, &upserted));
  }

  void ChangePlacement() {
    v1::Placement placement = Shop::MakePlacement();
    placement.set_window_seconds(1800 * (1 + Pick(4)));
    placement.set_mode(static_cast<v1::Mode>(1 + Pick(3)));
    placement.set_slate_size(1 + Pick(4));
    placement.mutable_reward()->set_aggregation(static_cast<v1::Reward::Aggregation>(Pick(2)));
    placement.mutable_reward()->set_value(static_cast<v1::Reward::Value>(Pick(2)));
    placement.mutable_reward()->set_largest(1 + Pick(3));
    placement.mutable_reward()->set_late_policy(static_cast<v1::Reward::LatePolicy>(step_ % 3));
    placement.set_estimate_examination(step_ % 4 != 0);
    EXPECT_OK(shop_.SetPlacement(placement));
  }

  void ChangePolicy() {
    v1::Policy response;
    switch (Pick(3)) {
      case 0: {
        v1::Policy policy = Shop::MakePolicy("learn");
        policy.mutable_linear()->set_half_life_days(half_life_days);
        policy.mutable_linear()->set_ridge(1 + Pick(5));
        policy.mutable_linear()->set_bag_size(1 + Pick(8));
        EXPECT_OK(shop_.SetPolicy(policy));
        break;
      }
      case 1:
        EXPECT_OK(shop_.Publish("learn"));
        break;
      default: {
        v1::RollBackPolicyRequest request;
        request.set_name("learn");
        (void)shop_.Call(&Engine::RollBackPolicy, request, &response);
      }
    }
  }

 public:
  double half_life_days = 0;  // of `learn`, as it was set first

 private:
  Shop& shop_;
  std::mt19937 random_;
  int step_ = 0;
  TimeMicros now_ = kOpening;
  std::vector<v1::RankOffersResponse> decisions_;
};

}  // namespace offerd
