#include "store/records.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace offerd {
namespace {

static_assert(std::endian::native == std::endian::little,
              "stored arrays are little-endian; this machine needs a swap here");

absl::Status Wrong(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

absl::Status CheckFinite(double value, absl::string_view field) {
  return std::isfinite(value) ? absl::OkStatus() : Wrong(field, "is not finite");
}

std::vector<std::string> ToStrings(const google::protobuf::RepeatedPtrField<std::string>& strings) {
  return {strings.begin(), strings.end()};
}

void CopyStrings(const std::vector<std::string>& strings, google::protobuf::RepeatedPtrField<std::string>& to) {
  to.Assign(strings.begin(), strings.end());
}

using NamedValues = google::protobuf::RepeatedPtrField<v1::NamedValue>;

absl::StatusOr<std::vector<NamedValue>> ToNamedValues(const NamedValues& protos, absl::string_view field) {
  std::vector<NamedValue> values;
  values.reserve(static_cast<size_t>(protos.size()));
  for (const v1::NamedValue& proto : protos) {
    NamedValue& value = values.emplace_back();
    value.name = proto.name();
    value.is_text = proto.has_text();
    value.text = proto.text();
    value.number = proto.number();  // 0 where neither is set
    RETURN_IF_ERROR(CheckFinite(value.number, absl::StrCat(field, " ", value.name)));
  }
  return values;
}

void CopyNamedValues(const std::vector<NamedValue>& values, NamedValues& to) {
  for (const NamedValue& value : values) {
    v1::NamedValue& proto = *to.Add();
    proto.set_name(value.name);
    if (value.is_text) {
      proto.set_text(value.text);
    } else {
      proto.set_number(value.number);
    }
  }
}

// --- Features ---

absl::StatusOr<Transform> ToTransform(v1::Feature::Transform transform, absl::string_view feature) {
  switch (transform) {
    case v1::Feature::IDENTITY:
      return Transform::kIdentity;
    case v1::Feature::LOG1P:
      return Transform::kLog1p;
    case v1::Feature::SQRT:
      return Transform::kSqrt;
    case v1::Feature::EXP_DECAY:
      return Transform::kExpDecay;
    default:
      return Wrong(absl::StrCat("feature ", feature, " transform"), "is unknown");
  }
}

v1::Feature::Transform ToProtoTransform(Transform transform) {
  switch (transform) {
    case Transform::kIdentity:
      return v1::Feature::IDENTITY;
    case Transform::kLog1p:
      return v1::Feature::LOG1P;
    case Transform::kSqrt:
      return v1::Feature::SQRT;
    case Transform::kExpDecay:
      return v1::Feature::EXP_DECAY;
  }
  return v1::Feature::IDENTITY;
}

absl::Status ReadNumeric(const v1::Feature::Numeric& proto, Feature& feature) {
  feature.kind = Feature::Kind::kNumeric;
  ASSIGN_OR_RETURN(feature.fact, ParseFactName(proto.fact()));
  ASSIGN_OR_RETURN(feature.transform, ToTransform(proto.transform(), feature.name));
  if (proto.scale() != 0) feature.scale = proto.scale();
  if (proto.has_multiplier()) feature.multiplier = proto.multiplier();
  if (proto.has_minimum()) feature.min = proto.minimum();
  if (proto.has_maximum()) feature.max = proto.maximum();
  feature.missing_value = proto.missing_value();
  for (const double value :
       {proto.scale(), proto.multiplier(), proto.minimum(), proto.maximum(), proto.missing_value()}) {
    RETURN_IF_ERROR(CheckFinite(value, absl::StrCat("feature ", feature.name)));
  }
  return absl::OkStatus();
}

absl::StatusOr<Feature> ToFeature(const v1::Feature& proto) {
  Feature feature;
  feature.name = proto.name();
  feature.only_in_crosses = proto.only_in_crosses();
  switch (proto.kind_case()) {
    case v1::Feature::kConstant:
      feature.kind = Feature::Kind::kConstant;
      break;
    case v1::Feature::kNumeric:
      RETURN_IF_ERROR(ReadNumeric(proto.numeric(), feature));
      break;
    case v1::Feature::kOneHot: {
      feature.kind = Feature::Kind::kOneHot;
      ASSIGN_OR_RETURN(feature.fact, ParseFactName(proto.one_hot().fact()));
      feature.values = ToStrings(proto.one_hot().values());
      break;
    }
    case v1::Feature::kBucket: {
      feature.kind = Feature::Kind::kBucket;
      ASSIGN_OR_RETURN(feature.fact, ParseFactName(proto.bucket().fact()));
      feature.boundaries.assign(proto.bucket().boundaries().begin(), proto.bucket().boundaries().end());
      for (const double value : feature.boundaries)
        RETURN_IF_ERROR(CheckFinite(value, absl::StrCat("feature ", feature.name)));
      break;
    }
    case v1::Feature::kCross:
      feature.kind = Feature::Kind::kCross;
      feature.left = proto.cross().left();
      feature.right = proto.cross().right();
      break;
    case v1::Feature::KIND_NOT_SET:
      return Wrong(absl::StrCat("feature ", proto.name(), " kind"), "is not set");
  }
  return feature;
}

v1::Feature ToProtoFeature(const Feature& feature) {
  v1::Feature proto;
  proto.set_name(feature.name);
  proto.set_only_in_crosses(feature.only_in_crosses);
  switch (feature.kind) {
    case Feature::Kind::kConstant:
      proto.mutable_constant();
      break;
    case Feature::Kind::kNumeric: {
      v1::Feature::Numeric& numeric = *proto.mutable_numeric();
      numeric.set_fact(FactNameText(feature.fact));
      numeric.set_transform(ToProtoTransform(feature.transform));
      numeric.set_scale(feature.scale);
      numeric.set_multiplier(feature.multiplier);
      if (std::isfinite(feature.min)) numeric.set_minimum(feature.min);
      if (std::isfinite(feature.max)) numeric.set_maximum(feature.max);
      numeric.set_missing_value(feature.missing_value);
      break;
    }
    case Feature::Kind::kOneHot:
      proto.mutable_one_hot()->set_fact(FactNameText(feature.fact));
      CopyStrings(feature.values, *proto.mutable_one_hot()->mutable_values());
      break;
    case Feature::Kind::kBucket:
      proto.mutable_bucket()->set_fact(FactNameText(feature.fact));
      proto.mutable_bucket()->mutable_boundaries()->Assign(feature.boundaries.begin(), feature.boundaries.end());
      break;
    case Feature::Kind::kCross:
      proto.mutable_cross()->set_left(feature.left);
      proto.mutable_cross()->set_right(feature.right);
      break;
  }
  return proto;
}

// --- Placement ---

absl::StatusOr<RandomKind> ToRandomKind(v1::RandomisedShare::Kind kind, absl::string_view field) {
  switch (kind) {
    case v1::RandomisedShare::UNIFORM:
      return RandomKind::kUniform;
    case v1::RandomisedShare::KIND_UNSPECIFIED:
    case v1::RandomisedShare::BOUNDED:
      return RandomKind::kBounded;
    default:
      return Wrong(field, "is unknown");
  }
}

v1::RandomisedShare::Kind ToProtoRandomKind(RandomKind kind) {
  return kind == RandomKind::kUniform ? v1::RandomisedShare::UNIFORM : v1::RandomisedShare::BOUNDED;
}

absl::Status ReadShare(const v1::RandomisedShare& proto, Placement& placement) {
  RandomShare& share = placement.randomised_share;
  share = RandomShare{0.05, RandomKind::kBounded, 3};
  if (proto.has_share()) share.share = proto.share();
  RETURN_IF_ERROR(CheckFinite(share.share, "randomised_share.share"));
  ASSIGN_OR_RETURN(share.kind, ToRandomKind(proto.kind(), "randomised_share.kind"));
  if (proto.has_reach()) share.reach = proto.reach();
  switch (proto.base()) {
    case v1::RandomisedShare::BASE_UNSPECIFIED:
    case v1::RandomisedShare::POLICY:
      placement.share_on_fixed_order = false;
      break;
    case v1::RandomisedShare::FIXED:
      placement.share_on_fixed_order = true;
      break;
    default:
      return Wrong("randomised_share.base", "is unknown");
  }
  return absl::OkStatus();
}

// After ReadShare: the default epsilon depends on the share.
absl::Status ReadExplorer(const v1::Explorer& proto, Placement& placement) {
  ExplorerSpec& explorer = placement.explorer;
  placement.epsilon_set = proto.has_epsilon();
  switch (proto.kind()) {
    case v1::Explorer::KIND_UNSPECIFIED:
    case v1::Explorer::THOMPSON:
      explorer.kind = ExplorerKind::kThompson;
      explorer.epsilon = placement.randomised_share.share > 0 ? 0 : 0.005;
      break;
    case v1::Explorer::EPSILON_GREEDY:
      explorer.kind = ExplorerKind::kEpsilonGreedy;
      explorer.epsilon = 0.05;
      break;
    case v1::Explorer::GREEDY:  // has no epsilon to speak of
      explorer.kind = ExplorerKind::kGreedy;
      explorer.epsilon = 0;
      break;
    default:
      return Wrong("explorer.kind", "is unknown");
  }
  if (proto.has_epsilon()) explorer.epsilon = proto.epsilon();
  return CheckFinite(explorer.epsilon, "explorer.epsilon");
}

v1::Explorer::Kind ToProtoExplorerKind(ExplorerKind kind) {
  switch (kind) {
    case ExplorerKind::kGreedy:
      return v1::Explorer::GREEDY;
    case ExplorerKind::kEpsilonGreedy:
      return v1::Explorer::EPSILON_GREEDY;
    case ExplorerKind::kThompson:
      return v1::Explorer::THOMPSON;
  }
  return v1::Explorer::THOMPSON;
}

absl::StatusOr<EventKind> ToEventKind(v1::EventKind kind, absl::string_view field) {
  if (kind < 0 || kind >= kNumEventKinds) return Wrong(field, "is unknown");
  return static_cast<EventKind>(kind);
}

absl::StatusOr<RewardSpec> ToReward(const v1::Reward& proto) {
  RewardSpec reward;
  switch (proto.value()) {
    case v1::Reward::BY_KIND:
      reward.value = RewardSpec::Value::kByKind;
      break;
    case v1::Reward::REVENUE:
      reward.value = RewardSpec::Value::kRevenue;
      break;
    default:
      return Wrong("reward.value", "is unknown");
  }
  switch (proto.aggregation()) {
    case v1::Reward::SUM:
      reward.aggregation = RewardSpec::Aggregation::kSum;
      break;
    case v1::Reward::MAX:
      reward.aggregation = RewardSpec::Aggregation::kMax;
      break;
    default:
      return Wrong("reward.aggregation", "is unknown");
  }
  for (const v1::Reward::KindWeight& weight : proto.weights()) {
    ASSIGN_OR_RETURN(const EventKind kind, ToEventKind(weight.kind(), "reward.weights.kind"));
    RETURN_IF_ERROR(CheckFinite(weight.weight(), "reward.weights.weight"));
    reward.weights[static_cast<int>(kind)] = weight.weight();
    reward.counts[static_cast<int>(kind)] = true;
  }
  if (proto.weights().empty()) {
    reward.weights[static_cast<int>(EventKind::kPurchase)] = 1;
    reward.counts[static_cast<int>(EventKind::kPurchase)] = true;
  }
  reward.default_reward = proto.default_reward();
  reward.value_cap = proto.value_cap();
  if (proto.largest() != 0) reward.largest = proto.largest();
  for (const double value : {reward.default_reward, reward.value_cap, reward.largest}) {
    RETURN_IF_ERROR(CheckFinite(value, "reward"));
  }
  return reward;
}

v1::Reward ToProtoReward(const RewardSpec& reward) {
  v1::Reward proto;
  proto.set_value(reward.value == RewardSpec::Value::kRevenue ? v1::Reward::REVENUE : v1::Reward::BY_KIND);
  proto.set_aggregation(reward.aggregation == RewardSpec::Aggregation::kMax ? v1::Reward::MAX : v1::Reward::SUM);
  for (int kind = 0; kind < kNumEventKinds; ++kind) {
    if (!reward.counts[kind]) continue;
    v1::Reward::KindWeight& weight = *proto.add_weights();
    weight.set_kind(static_cast<v1::EventKind>(kind));
    weight.set_weight(reward.weights[kind]);
  }
  proto.set_default_reward(reward.default_reward);
  proto.set_value_cap(reward.value_cap);
  proto.set_largest(reward.largest);
  return proto;
}

// --- Lists in the log ---

template <typename Core, typename Proto>
absl::StatusOr<std::vector<Core>> ToList(const google::protobuf::RepeatedPtrField<Proto>& protos) {
  std::vector<Core> list;
  list.reserve(static_cast<size_t>(protos.size()));
  for (const Proto& proto : protos) {
    ASSIGN_OR_RETURN(Core element, FromProto(proto));
    list.push_back(std::move(element));
  }
  return list;
}

absl::StatusOr<Change> ToChange(const v1::stored::LogRecord& proto) {
  using Record = v1::stored::LogRecord;
  switch (proto.change_case()) {
    case Record::kDecision:
      return FromProto(proto.decision());
    case Record::kEvent:
      return FromProto(proto.event());
    case Record::kActivation: {
      const v1::stored::Activation& activation = proto.activation();
      return Activation{DecisionId(activation.decision_id()), {activation.slots().begin(), activation.slots().end()}};
    }
    case Record::kItemsUpserted: {
      ASSIGN_OR_RETURN(std::vector<Item> items, ToList<Item>(proto.items_upserted().items()));
      return ItemsUpserted{std::move(items)};
    }
    case Record::kOffersUpserted: {
      ASSIGN_OR_RETURN(std::vector<Offer> offers, ToList<Offer>(proto.offers_upserted().offers()));
      return OffersUpserted{std::move(offers)};
    }
    case Record::kItemDeleted:
      return ItemDeleted{ItemId(proto.item_deleted())};
    case Record::kOfferDeleted:
      return OfferDeleted{OfferId(proto.offer_deleted())};
    case Record::kCustomersUpserted: {
      ASSIGN_OR_RETURN(std::vector<Customer> customers, ToList<Customer>(proto.customers_upserted().customers()));
      return CustomersUpserted{std::move(customers)};
    }
    case Record::kCustomerErased:
      return CustomerErased{CustomerId(proto.customer_erased())};
    case Record::kPlacementSet: {
      ASSIGN_OR_RETURN(Placement placement, FromProto(proto.placement_set()));
      return PlacementSet{std::move(placement)};
    }
    case Record::kPlacementDeleted:
      return PlacementDeleted{proto.placement_deleted()};
    case Record::kPolicySet: {
      ASSIGN_OR_RETURN(Policy policy, FromProto(proto.policy_set()));
      return PolicySet{std::move(policy)};
    }
    case Record::kPublication:
      return FromProto(proto.publication());
    case Record::kRollBack:
      return FromProto(proto.roll_back());
    case Record::kLimitsSet:
      return FoldLimits{proto.limits_set().profile_bytes(), proto.limits_set().max_open_decisions()};
    case Record::CHANGE_NOT_SET:
      break;
  }
  return Wrong("change", "is not set, or of a newer version");
}

template <typename Scalar, typename Vector>
absl::StatusOr<Vector> BytesToVector(absl::string_view bytes, absl::string_view field) {
  if (bytes.size() % sizeof(Scalar) != 0) {
    return Wrong(field, absl::StrCat(bytes.size(), " bytes are no multiple of ", sizeof(Scalar)));
  }
  Vector vector(static_cast<Eigen::Index>(bytes.size() / sizeof(Scalar)));
  if (!bytes.empty()) std::memcpy(vector.data(), bytes.data(), bytes.size());
  if (!vector.allFinite()) return Wrong(field, "holds a number that is not finite");
  return vector;
}

}  // namespace

absl::StatusOr<Item> FromProto(const v1::Item& proto) {
  Item item;
  item.id = ItemId(proto.item_id());
  item.category_path = ToStrings(proto.category_path());
  item.brand = proto.brand();
  item.price_micros = proto.price_micros();
  item.cost_micros = proto.cost_micros();
  item.currency = proto.currency();
  ASSIGN_OR_RETURN(item.attributes, ToNamedValues(proto.attributes(), "item attribute"));
  item.unavailable_markets = ToStrings(proto.unavailable_markets());
  return item;
}

absl::StatusOr<Offer> FromProto(const v1::Offer& proto) {
  Offer offer;
  offer.id = OfferId(proto.offer_id());
  offer.label = proto.label();
  offer.campaign = proto.campaign();
  offer.item_ids = ToStrings(proto.item_ids());
  offer.category = proto.category();
  offer.markets = ToStrings(proto.markets());
  if (proto.has_starts_at()) {
    ASSIGN_OR_RETURN(offer.starts_at, ToMicros(proto.starts_at()));
  }
  if (proto.has_ends_at()) {
    ASSIGN_OR_RETURN(offer.ends_at, ToMicros(proto.ends_at()));
  }
  offer.currency = proto.currency();
  offer.cost_micros = proto.cost_micros();
  offer.budget_micros = proto.budget_micros();
  offer.stock = proto.stock();
  offer.requires_consent = proto.requires_consent();
  offer.only_sent = proto.only_sent();
  offer.audiences = ToStrings(proto.audiences());
  ASSIGN_OR_RETURN(offer.attributes, ToNamedValues(proto.attributes(), "offer attribute"));
  return offer;
}

absl::StatusOr<Customer> FromProto(const v1::Customer& proto) {
  Customer customer;
  customer.id = CustomerId(proto.customer_id());
  switch (proto.consent()) {
    case v1::CONSENT_UNSPECIFIED:
      customer.consent = Consent::kUnspecified;
      break;
    case v1::CONSENT_GRANTED:
      customer.consent = Consent::kGranted;
      break;
    case v1::CONSENT_DENIED:
      customer.consent = Consent::kDenied;
      break;
    default:
      return Wrong("customer consent", "is unknown");
  }
  customer.audiences = ToStrings(proto.audiences());
  customer.campaigns = ToStrings(proto.campaigns());
  ASSIGN_OR_RETURN(customer.attributes, ToNamedValues(proto.attributes(), "customer attribute"));
  return customer;
}

absl::StatusOr<FeatureList> FromProto(const v1::FeatureList& proto) {
  FeatureList list;
  for (const v1::Feature& feature_proto : proto.features()) {
    ASSIGN_OR_RETURN(Feature feature, ToFeature(feature_proto));
    list.features.push_back(std::move(feature));
  }
  return list;
}

absl::StatusOr<Policy> FromProto(const v1::Policy& proto) {
  Policy policy;
  policy.name = proto.name();
  switch (proto.kind_case()) {
    case v1::Policy::kFixed:
      policy.kind = PolicyKind::kFixed;
      policy.order = ToStrings(proto.fixed().order());
      break;
    case v1::Policy::kRandom: {
      policy.kind = PolicyKind::kRandom;
      ASSIGN_OR_RETURN(policy.random_kind, ToRandomKind(proto.random().kind(), "random.kind"));
      if (proto.random().has_reach()) policy.reach = proto.random().reach();
      break;
    }
    case v1::Policy::kLinear: {
      const v1::Policy::Linear& linear = proto.linear();
      policy.kind = PolicyKind::kLinear;
      ASSIGN_OR_RETURN(policy.features, FromProto(linear.features()));
      if (linear.has_ridge()) policy.ridge = linear.ridge();
      policy.half_life_days = linear.half_life_days();
      if (linear.has_bag_size()) policy.bag_size = linear.bag_size();
      if (linear.has_scale()) policy.scale = linear.scale();
      if (linear.has_publish_every_ms()) policy.publish_every_ms = linear.publish_every_ms();
      for (const double value : {policy.ridge, policy.half_life_days, policy.scale}) {
        RETURN_IF_ERROR(CheckFinite(value, "linear"));
      }
      break;
    }
    case v1::Policy::KIND_NOT_SET:
      return Wrong("policy kind", "is not set");
  }
  return policy;
}

absl::StatusOr<Placement> FromProto(const v1::Placement& proto) {
  Placement placement;
  placement.name = proto.name();
  placement.policy = proto.policy();
  placement.fixed_policy = proto.fixed_policy();
  switch (proto.mode()) {
    case v1::MODE_UNSPECIFIED:
      placement.mode = Mode::kUnspecified;
      break;
    case v1::LIVE:
      placement.mode = Mode::kLive;
      break;
    case v1::APPRENTICE:
      placement.mode = Mode::kApprentice;
      break;
    case v1::LOG_ONLY:
      placement.mode = Mode::kLogOnly;
      break;
    default:
      return Wrong("placement mode", "is unknown");
  }
  if (proto.slate_size() != 0) placement.slate_size = proto.slate_size();
  RETURN_IF_ERROR(ReadShare(proto.randomised_share(), placement));
  RETURN_IF_ERROR(ReadExplorer(proto.explorer(), placement));
  ASSIGN_OR_RETURN(placement.reward, ToReward(proto.reward()));
  if (proto.window_seconds() != 0) placement.window_seconds = proto.window_seconds();
  if (proto.max_lateness_seconds() != 0) placement.max_lateness_seconds = proto.max_lateness_seconds();
  if (proto.has_matrix_share()) placement.matrix_share = proto.matrix_share();
  RETURN_IF_ERROR(CheckFinite(placement.matrix_share, "matrix_share"));
  placement.campaigns = ToStrings(proto.campaigns());
  return placement;
}

absl::StatusOr<Event> FromProto(const v1::stored::StoredEvent& proto) {
  const v1::Event& from = proto.event();
  Event event;
  event.id = EventId(from.event_id());
  ASSIGN_OR_RETURN(event.kind, ToEventKind(from.kind(), "event kind"));
  if (from.consent() != v1::CONSENT_DENIED) event.customer_id = CustomerId(from.customer_id());
  event.decision_id = DecisionId(from.decision_id());
  event.offer_id = OfferId(from.offer_id());
  event.market = from.market();
  event.time = proto.time_micros();
  event.order_id = from.order_id();
  for (const v1::EventLine& line : from.lines()) {
    const bool counts_zero = event.kind == EventKind::kPurchase;
    const int64_t quantity = line.quantity() == 0 && !counts_zero ? 1 : line.quantity();
    event.lines.push_back({line.item_id(), quantity, line.revenue_micros()});
  }
  event.currency = from.currency();
  event.reverses_event_id = EventId(from.reverses_event_id());
  event.history = from.history();
  if (proto.fate() < 0 || proto.fate() >= kNumFates) return Wrong("event fate", "is unknown");
  event.fate = static_cast<Fate>(proto.fate());
  return event;
}

absl::StatusOr<DecisionChange> FromProto(const v1::stored::Decision& proto) {
  DecisionChange decision;
  decision.id = DecisionId(proto.decision_id());
  decision.customer_id = CustomerId(proto.customer_id());
  decision.placement = proto.placement();
  decision.learner = proto.learner();
  decision.learner_sequence = proto.learner_sequence();
  decision.policy = proto.policy();
  decision.deferred = proto.deferred();
  decision.has_agreement = proto.has_agreement();
  decision.agreed = proto.agreed();
  for (const v1::stored::Decision::Slot& slot : proto.slots()) {
    ASSIGN_OR_RETURN(Eigen::VectorXf x, BytesToFloats(slot.x(), "decision slot x"));
    decision.slots.push_back({OfferId(slot.offer_id()), std::move(x)});
  }
  return decision;
}

absl::StatusOr<Publication> FromProto(const v1::stored::Publication& proto) {
  Publication publication;
  publication.policy = proto.policy();
  publication.version = proto.version();
  publication.included_sequence = proto.included_sequence();
  publication.reference_micros = proto.reference_micros();
  publication.lambda = proto.lambda();
  publication.sigma = proto.sigma();
  publication.bag_size = proto.bag_size();
  publication.scale = proto.scale();
  publication.bag_seed = proto.bag_seed();
  publication.kept = proto.kept();
  for (const double value : {publication.lambda, publication.sigma, publication.scale}) {
    RETURN_IF_ERROR(CheckFinite(value, "publication"));
  }
  return publication;
}

absl::StatusOr<RollBack> FromProto(const v1::stored::RollBack& proto) {
  return RollBack{proto.policy(), proto.version()};
}

absl::StatusOr<LogEntry> FromProto(const v1::stored::LogRecord& proto) {
  LogEntry entry;
  entry.sequence = proto.sequence();
  entry.time = proto.time_micros();
  entry.erased = proto.erased();
  absl::StatusOr<Change> change = ToChange(proto);
  if (!change.ok()) {
    return absl::Status(change.status().code(),
                        absl::StrCat("log record ", proto.sequence(), ": ", change.status().message()));
  }
  entry.change = *std::move(change);
  return entry;
}

v1::Item ToProto(const Item& item) {
  v1::Item proto;
  proto.set_item_id(item.id.value());
  CopyStrings(item.category_path, *proto.mutable_category_path());
  proto.set_brand(item.brand);
  proto.set_price_micros(item.price_micros);
  proto.set_cost_micros(item.cost_micros);
  proto.set_currency(item.currency);
  CopyNamedValues(item.attributes, *proto.mutable_attributes());
  CopyStrings(item.unavailable_markets, *proto.mutable_unavailable_markets());
  return proto;
}

v1::Offer ToProto(const Offer& offer) {
  v1::Offer proto;
  proto.set_offer_id(offer.id.value());
  proto.set_label(offer.label);
  proto.set_campaign(offer.campaign);
  CopyStrings(offer.item_ids, *proto.mutable_item_ids());
  proto.set_category(offer.category);
  CopyStrings(offer.markets, *proto.mutable_markets());
  if (offer.starts_at != INT64_MIN) *proto.mutable_starts_at() = ToTimestamp(offer.starts_at);
  if (offer.ends_at != kForever) *proto.mutable_ends_at() = ToTimestamp(offer.ends_at);
  proto.set_currency(offer.currency);
  proto.set_cost_micros(offer.cost_micros);
  proto.set_budget_micros(offer.budget_micros);
  proto.set_stock(offer.stock);
  proto.set_requires_consent(offer.requires_consent);
  proto.set_only_sent(offer.only_sent);
  CopyStrings(offer.audiences, *proto.mutable_audiences());
  CopyNamedValues(offer.attributes, *proto.mutable_attributes());
  return proto;
}

v1::Customer ToProto(const Customer& customer) {
  v1::Customer proto;
  proto.set_customer_id(customer.id.value());
  proto.set_consent(static_cast<v1::Consent>(customer.consent));  // the same numbers
  CopyStrings(customer.audiences, *proto.mutable_audiences());
  CopyStrings(customer.campaigns, *proto.mutable_campaigns());
  CopyNamedValues(customer.attributes, *proto.mutable_attributes());
  return proto;
}

v1::FeatureList ToProto(const FeatureList& features) {
  v1::FeatureList proto;
  for (const Feature& feature : features.features) *proto.add_features() = ToProtoFeature(feature);
  return proto;
}

v1::Policy ToProto(const Policy& policy) {
  v1::Policy proto;
  proto.set_name(policy.name);
  switch (policy.kind) {
    case PolicyKind::kFixed:
      CopyStrings(policy.order, *proto.mutable_fixed()->mutable_order());
      break;
    case PolicyKind::kRandom:
      proto.mutable_random()->set_kind(ToProtoRandomKind(policy.random_kind));
      proto.mutable_random()->set_reach(policy.reach);
      break;
    case PolicyKind::kLinear: {
      v1::Policy::Linear& linear = *proto.mutable_linear();
      *linear.mutable_features() = ToProto(policy.features);
      linear.set_ridge(policy.ridge);
      linear.set_half_life_days(policy.half_life_days);
      linear.set_bag_size(policy.bag_size);
      linear.set_scale(policy.scale);
      linear.set_publish_every_ms(policy.publish_every_ms);
      break;
    }
  }
  return proto;
}

v1::Placement ToProto(const Placement& placement) {
  v1::Placement proto;
  proto.set_name(placement.name);
  proto.set_policy(placement.policy);
  proto.set_fixed_policy(placement.fixed_policy);
  proto.set_mode(static_cast<v1::Mode>(placement.mode));  // the same numbers
  proto.set_slate_size(placement.slate_size);
  proto.mutable_explorer()->set_kind(ToProtoExplorerKind(placement.explorer.kind));
  if (placement.epsilon_set) proto.mutable_explorer()->set_epsilon(placement.explorer.epsilon);
  v1::RandomisedShare& share = *proto.mutable_randomised_share();
  share.set_share(placement.randomised_share.share);
  share.set_kind(ToProtoRandomKind(placement.randomised_share.kind));
  share.set_reach(placement.randomised_share.reach);
  share.set_base(placement.share_on_fixed_order ? v1::RandomisedShare::FIXED : v1::RandomisedShare::POLICY);
  *proto.mutable_reward() = ToProtoReward(placement.reward);
  proto.set_window_seconds(placement.window_seconds);
  proto.set_max_lateness_seconds(placement.max_lateness_seconds);
  proto.set_matrix_share(placement.matrix_share);
  CopyStrings(placement.campaigns, *proto.mutable_campaigns());
  return proto;
}

v1::stored::Publication ToProto(const Publication& publication) {
  v1::stored::Publication proto;
  proto.set_policy(publication.policy);
  proto.set_version(publication.version);
  proto.set_included_sequence(publication.included_sequence);
  proto.set_reference_micros(publication.reference_micros);
  proto.set_lambda(publication.lambda);
  proto.set_sigma(publication.sigma);
  proto.set_bag_size(publication.bag_size);
  proto.set_scale(publication.scale);
  proto.set_bag_seed(publication.bag_seed);
  proto.set_kept(publication.kept);
  return proto;
}

v1::stored::RollBack ToProto(const RollBack& roll_back) {
  v1::stored::RollBack proto;
  proto.set_policy(roll_back.policy);
  proto.set_version(roll_back.version);
  return proto;
}

absl::StatusOr<TimeMicros> ToMicros(const google::protobuf::Timestamp& time) {
  constexpr int64_t kYear1 = -62'135'596'800, kYear10000 = 253'402'300'800;
  if (time.seconds() < kYear1 || time.seconds() >= kYear10000 || time.nanos() < 0 || time.nanos() > 999'999'999) {
    return Wrong("timestamp", "is outside of the years 1 to 9999");
  }
  return time.seconds() * kMicrosPerSecond + time.nanos() / 1000;
}

google::protobuf::Timestamp ToTimestamp(TimeMicros micros) {
  int64_t seconds = micros / kMicrosPerSecond;
  int64_t rest = micros % kMicrosPerSecond;
  if (rest < 0) {
    rest += kMicrosPerSecond;
    --seconds;
  }
  google::protobuf::Timestamp time;
  time.set_seconds(seconds);
  time.set_nanos(static_cast<int32_t>(rest * 1000));
  return time;
}

std::string FloatsToBytes(const Eigen::Ref<const Eigen::VectorXf>& floats) {
  return std::string(reinterpret_cast<const char*>(floats.data()), static_cast<size_t>(floats.size()) * sizeof(float));
}

std::string DoublesToBytes(const Eigen::Ref<const Eigen::VectorXd>& doubles) {
  return std::string(reinterpret_cast<const char*>(doubles.data()),
                     static_cast<size_t>(doubles.size()) * sizeof(double));
}

absl::StatusOr<Eigen::VectorXf> BytesToFloats(absl::string_view bytes, absl::string_view field) {
  return BytesToVector<float, Eigen::VectorXf>(bytes, field);
}

absl::StatusOr<Eigen::VectorXd> BytesToDoubles(absl::string_view bytes, absl::string_view field) {
  return BytesToVector<double, Eigen::VectorXd>(bytes, field);
}

}  // namespace offerd
