#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/features/feature_list.h"
#include "core/learn/linear_statistics.h"
#include "core/slate/slate.h"
#include "core/types.h"

// What the log says, as core sees it. store/records translates to and from the stored protobufs; the meaning of each field
// is documented once, in proto/offerd/v1. Everything here has passed the edge: finite, in range, valid UTF-8.
namespace offerd {

struct NamedValue {
  std::string name;
  bool is_text = false;
  double number = 0;
  std::string text;
};

enum class Consent : uint8_t { kUnspecified, kGranted, kDenied };

// Numbers are those of offerd.v1.EventKind.
enum class EventKind : uint8_t {
  kUnspecified, kImpression, kClick, kAddToCart, kPurchase, kRefund, kDismiss, kView, kSearch, kWishlist
};
inline constexpr int kNumEventKinds = 10;

// Numbers are those of offerd.v1.Fate.
enum class Fate : uint8_t { kUnspecified, kApplied, kDuplicate, kLate, kOrphan, kRefused };
inline constexpr int kNumFates = 6;

struct Item {
  ItemId id;
  std::vector<std::string> category_path;
  std::string brand;
  int64_t price_micros = 0;
  int64_t cost_micros = 0;
  std::string currency;
  std::vector<NamedValue> attributes;
  std::vector<std::string> unavailable_markets;
};

inline constexpr TimeMicros kForever = INT64_MAX;

struct Offer {
  OfferId id;
  std::string label;
  std::string campaign;
  std::vector<std::string> item_ids;
  std::string category;
  std::vector<std::string> markets;
  TimeMicros starts_at = INT64_MIN;
  TimeMicros ends_at = kForever;
  std::string currency;
  int64_t cost_micros = 0;
  int64_t budget_micros = 0;
  int64_t stock = 0;
  bool requires_consent = false;
  bool only_sent = false;
  std::vector<std::string> audiences;
  std::vector<NamedValue> attributes;
};

struct Customer {
  CustomerId id;
  Consent consent = Consent::kUnspecified;
  std::vector<std::string> audiences;
  std::vector<std::string> campaigns;
  std::vector<NamedValue> attributes;
  std::vector<std::string> excluded_offers;
  std::vector<std::string> excluded_categories;
};

enum class PolicyKind : uint8_t { kFixed, kRandom, kLinear };

struct Policy {
  std::string name;
  PolicyKind kind = PolicyKind::kFixed;
  std::vector<std::string> order;              // fixed
  RandomKind random_kind = RandomKind::kUniform;  // random
  int reach = 3;                               // random, bounded
  FeatureList features;                        // linear, as are the rest
  double ridge = 10;
  bool ridge_set = false;                      // else chosen by marginal likelihood at publications
  double half_life_days = 0;  // 0 = none
  int bag_size = 32;
  double scale = 0.3;
  int publish_every_ms = 10;
};

// Numbers are those of offerd.v1.Strategy.Kind.
enum class StrategyKind : uint8_t {
  kUnspecified, kNeighbours, kSessions, kContent, kHistory, kPopular, kTrending, kRecentlyViewed, kBuyAgain, kNewArrivals
};
inline constexpr int kNumStrategyKinds = 10;

struct Strategy {
  StrategyKind kind = StrategyKind::kUnspecified;
  std::string table;
  double weight = 1;
};

struct Lists {
  std::vector<Strategy> strategies, fallbacks;
  bool by_reciprocal_rank = false;
  int max_per_category = 0;  // 0 = no limit
  int max_per_brand = 0;
  double diversity = 0;
  double margin_weight = 0;
  double up_sell_weight = 0;
  bool keep_bought = false;
  bool has_event_weights = false;  // declared, not the defaults
  double event_weights[kNumEventKinds] = {};
  double history_half_life_days = 56;
};

enum class Mode : uint8_t { kUnspecified, kLive, kApprentice, kLogOnly };

struct RewardSpec {
  enum class Value : uint8_t { kByKind, kRevenue, kMargin };
  enum class Aggregation : uint8_t { kSum, kMax, kEarliest };
  enum class Attribution : uint8_t { kEverySlot, kFirstSlot, kSplit };
  enum class LatePolicy : uint8_t { kUnspecified, kRefuse, kProfile };
  Value value = Value::kByKind;
  double weights[kNumEventKinds] = {};  // by kind; the translation puts 1 at kPurchase where none is declared
  bool counts[kNumEventKinds] = {};     // kinds that were declared
  Aggregation aggregation = Aggregation::kSum;
  double default_reward = 0;
  double value_cap = 0;  // major units; 0 = none
  double largest = 1;
  Attribution attribution = Attribution::kEverySlot;
  LatePolicy late_policy = LatePolicy::kUnspecified;
  std::string currency;         // empty: any
  std::string customer_weight;  // attribute of the customer that multiplies; empty: none

  // Do both pay the same for the same events? `largest` and `late_policy` pay nothing.
  bool PaysLike(const RewardSpec& other) const {
    RewardSpec alike = other;
    alike.largest = largest;
    alike.late_policy = late_policy;
    return *this == alike;
  }
  friend bool operator==(const RewardSpec& a, const RewardSpec& b) = default;
};

struct Pin {
  std::string offer_id;
  int slot = 0;
};

struct FrequencyCap {
  enum class Period : uint8_t { kUnspecified, kDay, kWeek, kCampaign };
  Period period = Period::kDay;
  int count = 0;
};

struct SlateRules {
  int max_per_category = 0;  // 0 = no limit
  int max_per_brand = 0;
  double cannibalisation = 0;
  std::string cannibalisation_table;
  double diversity = 0;
  std::vector<Pin> pins;
  std::vector<FrequencyCap> frequency_caps;

  // Is there anything for a draw to look at? Frequency caps are the gate's.
  bool AreInDraw() const {
    return max_per_category > 0 || max_per_brand > 0 || cannibalisation > 0 || diversity > 0 || !pins.empty();
  }
};

struct ReleaseGate {
  bool snips = false;
  double floor = 0;
  double min_effective_samples = 500;
  int slots = 0;  // 0 = all
  bool required = false;
  bool guard = false;
  double guard_floor = 0;
  bool automatic_return = false;
};

struct Placement {
  std::string name;
  std::string policy;
  std::string fixed_policy;  // empty = popularity
  Mode mode = Mode::kUnspecified;
  int slate_size = 10;
  ExplorerSpec explorer;  // epsilon and strength as declared, or their defaults
  bool epsilon_set = false;
  bool strength_set = false;
  RandomShare randomised_share{0.05, RandomKind::kBounded, 3};
  bool share_on_fixed_order = false;  // base of the bounded share
  RewardSpec reward;
  int64_t window_seconds = 604'800;
  int64_t max_lateness_seconds = 86'400;
  int64_t settle_after_seconds = 0;
  std::vector<double> examination;  // weight of each slot; the last one goes for those beyond, none: 1
  bool estimate_examination = false;  // starts from these
  double matrix_share = 0.01;
  std::vector<std::string> campaigns;
  SlateRules rules;
  std::optional<Lists> lists;
  std::string cart_table;
  ReleaseGate gate;
  bool has_gate = false;
};

struct EventLine {
  std::string item_id;
  int64_t quantity = 1;
  int64_t revenue_micros = 0;
};

struct Event {
  EventId id;
  EventKind kind = EventKind::kUnspecified;
  CustomerId customer_id;  // empty: unknown, erased, or consent denied
  DecisionId decision_id;
  OfferId offer_id;
  std::string market;
  TimeMicros time = 0;  // resolved
  std::string order_id;
  std::vector<EventLine> lines;
  std::string currency;
  EventId reverses_event_id;
  bool history = false;
  Fate fate = Fate::kUnspecified;  // decided before it was logged
};

// The part of a decision that learning needs; the stored record holds more.
struct DecisionChange {
  struct Slot {
    OfferId offer_id;
    Eigen::VectorXf x;  // empty where the policy has no features
    double fixed_ratio = 0;  // probability by the fixed order over that of the draw; only where is_guarded
    // Probability by the explorer over that of the draw; none where there was nothing to draw: pinned, or the only one left.
    std::optional<double> explorer_ratio = std::nullopt;
  };
  DecisionId id;
  CustomerId customer_id;
  std::string placement;
  Sequence placement_sequence = 0;  // its version
  std::string learner;  // policy that learns; empty: none
  Sequence learner_sequence = 0;  // log record that made that model: another one does not learn from it
  std::string policy;   // that answered
  bool deferred = false;
  bool has_agreement = false;
  bool agreed = false;
  bool is_guarded = false;
  std::vector<Slot> slots;
};

struct Activation {
  DecisionId decision_id;
  std::vector<int> slots;  // empty = all
};

struct ItemsUpserted { std::vector<Item> items; };
struct OffersUpserted { std::vector<Offer> offers; };
struct CustomersUpserted { std::vector<Customer> customers; };
struct ItemDeleted { ItemId id; };
struct OfferDeleted { OfferId id; };
struct CustomerErased { CustomerId id; };
struct CustomersMerged { CustomerId from, to; };
struct PlacementSet { Placement placement; };
struct PlacementDeleted { std::string name; };
struct PolicySet { Policy policy; };

struct Publication {
  std::string policy;
  uint64_t version = 0;
  Sequence included_sequence = 0;
  TimeMicros reference_micros = 0;  // T
  double lambda = 0;
  int64_t lambda_shown = 0;  // slots shown when lambda was chosen
  double sigma = 0;
  int bag_size = 0;
  double scale = 0;
  uint64_t bag_seed = 0;
  bool kept = false;
};

// What a policy learned elsewhere. Added to what it has learned here where both forget nothing, or where it has learned nothing yet;
// else it changes nothing.
struct LearnedSums {
  std::string policy;
  LinearStatistics statistics{1};
  bool has_epoch = false;
  TimeMicros epoch = 0;
  int64_t half_lives = 0;
  TimeMicros newest = 0;
};

struct RollBack {
  std::string policy;
  uint64_t version = 0;
};

// An attempt to change who answers a placement. The report is offerd.v1.Release in bytes: nothing here reads it.
struct Released {
  std::string placement;
  bool changes_placement = false;
  std::string policy;
  Mode mode = Mode::kUnspecified;
  bool tested = false;  // spent a part of the quarter's error
  std::string report;
};

struct TablePublished {
  std::string name;
  uint64_t version = 0;
  uint64_t checksum = 0;
  bool rolled_back = false;  // to a version that was in force before
  bool IsSameTable(const TablePublished& other) const {
    return name == other.name && version == other.version && checksum == other.checksum;
  }
};

// What the fold keeps of a customer and of open decisions.
struct FoldLimits {
  int64_t profile_bytes = 16'384;
  int64_t max_open_decisions = 200'000;
  friend bool operator==(const FoldLimits&, const FoldLimits&) = default;
};

using Change = std::variant<DecisionChange, Event, Activation, ItemsUpserted, OffersUpserted, ItemDeleted, OfferDeleted,
                            CustomersUpserted, CustomerErased, CustomersMerged, PlacementSet, PlacementDeleted, PolicySet, Publication, RollBack, FoldLimits,
                            TablePublished, LearnedSums, Released>;

struct LogEntry {
  Sequence sequence = 0;
  TimeMicros time = 0;  // the log's time
  bool erased = false;
  Change change;
};

}  // namespace offerd
