#include "store/records.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "store/record_parts.h"

namespace offerd {
namespace {

static_assert(std::endian::native == std::endian::little,
              "stored arrays are little-endian; this machine needs a swap here");

using record_parts::CheckFinite;
using record_parts::CopyStrings;
using record_parts::ToEventKind;
using record_parts::ToStrings;
using record_parts::Wrong;

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
    case Record::kCustomersMerged:
      return CustomersMerged{CustomerId(proto.customers_merged().from_customer_id()), CustomerId(proto.customers_merged().to_customer_id())};
    case Record::kPlacementSet: {
      ASSIGN_OR_RETURN(Placement placement, FromProto(proto.placement_set()));
      return PlacementSet{std::move(placement)};
    }
    case Record::kTablePublished:
      return FromProto(proto.table_published());
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
    case Record::kReleased: {
      const v1::stored::Released& released = proto.released();
      if (!v1::Mode_IsValid(released.mode())) return Wrong("released.mode", "is unknown");
      return Released{released.placement(), released.changes_placement(), released.policy(), static_cast<Mode>(released.mode()),
                      released.tested(), released.report().SerializeAsString()};
    }
    case Record::kLearnedSums:
      return FromProto(proto.learned_sums());
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
  customer.excluded_offers = ToStrings(proto.excluded_offers());
  customer.excluded_categories = ToStrings(proto.excluded_categories());
  return customer;
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
  decision.placement_sequence = proto.placement_sequence();
  decision.learner = proto.learner();
  decision.learner_sequence = proto.learner_sequence();
  decision.policy = proto.policy();
  decision.deferred = proto.deferred();
  decision.has_agreement = proto.has_agreement();
  decision.agreed = proto.agreed();
  decision.is_guarded = proto.is_guarded();
  for (const v1::stored::Decision::Slot& slot : proto.slots()) {
    ASSIGN_OR_RETURN(Eigen::VectorXf x, BytesToFloats(slot.x(), "decision slot x"));
    const double ratio = proto.is_guarded() && slot.probability() > 0 ? slot.fixed_probability() / slot.probability() : 0;
    const bool is_drawn = slot.probability() > 0 && slot.probability() < 1 && slot.reason() != v1::RankOffersResponse::PINNED;
    std::optional<double> explorer_ratio;
    if (is_drawn) explorer_ratio = slot.explorer_probability() / slot.probability();
    decision.slots.push_back({OfferId(slot.offer_id()), std::move(x), ratio, explorer_ratio});
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
  publication.lambda_shown = proto.lambda_shown();
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

TablePublished FromProto(const v1::stored::TablePublished& proto) { return {proto.name(), proto.version(), proto.checksum(), proto.rolled_back()}; }

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
  CopyStrings(customer.excluded_offers, *proto.mutable_excluded_offers());
  CopyStrings(customer.excluded_categories, *proto.mutable_excluded_categories());
  return proto;
}

absl::StatusOr<LearnedSums> FromProto(const v1::stored::LearnedSums& proto) {
  LearnedSums sums;
  sums.policy = proto.policy();
  ASSIGN_OR_RETURN(const Eigen::MatrixXd gram, BytesToLower(proto.gram(), proto.dim(), 2, "learned_sums.gram"));
  ASSIGN_OR_RETURN(const Eigen::VectorXd reward_x, BytesToDoubles(proto.reward_x(), "learned_sums.reward_x"));
  ASSIGN_OR_RETURN(sums.statistics,
                   LinearStatistics::FromParts(gram, reward_x, proto.reward_squared(), proto.total_weight(), proto.num_shown()));
  sums.has_epoch = proto.has_epoch();
  sums.epoch = proto.epoch_micros();
  sums.half_lives = proto.half_lives();
  sums.newest = proto.newest_micros();
  return sums;
}

v1::stored::LearnedSums ToProto(const LearnedSums& sums) {
  v1::stored::LearnedSums proto;
  proto.set_policy(sums.policy);
  proto.set_dim(sums.statistics.dim());
  proto.set_gram(LowerToBytes(sums.statistics.gram()));
  proto.set_reward_x(DoublesToBytes(sums.statistics.reward_x()));
  proto.set_reward_squared(sums.statistics.reward_squared());
  proto.set_total_weight(sums.statistics.total_weight());
  proto.set_num_shown(sums.statistics.num_shown());
  proto.set_has_epoch(sums.has_epoch);
  proto.set_epoch_micros(sums.epoch);
  proto.set_half_lives(sums.half_lives);
  proto.set_newest_micros(sums.newest);
  return proto;
}

v1::stored::Publication ToProto(const Publication& publication) {
  v1::stored::Publication proto;
  proto.set_policy(publication.policy);
  proto.set_version(publication.version);
  proto.set_included_sequence(publication.included_sequence);
  proto.set_reference_micros(publication.reference_micros);
  proto.set_lambda(publication.lambda);
  proto.set_lambda_shown(publication.lambda_shown);
  proto.set_sigma(publication.sigma);
  proto.set_bag_size(publication.bag_size);
  proto.set_scale(publication.scale);
  proto.set_bag_seed(publication.bag_seed);
  proto.set_kept(publication.kept);
  return proto;
}

v1::stored::TablePublished ToProto(const TablePublished& published) {
  v1::stored::TablePublished proto;
  proto.set_name(published.name);
  proto.set_version(published.version);
  proto.set_checksum(published.checksum);
  proto.set_rolled_back(published.rolled_back);
  return proto;
}

v1::stored::Released ToProto(const Released& released) {
  v1::stored::Released proto;
  proto.set_placement(released.placement);
  proto.set_changes_placement(released.changes_placement);
  proto.set_policy(released.policy);
  proto.set_mode(static_cast<v1::Mode>(released.mode));  // the same numbers
  proto.set_tested(released.tested);
  (void)proto.mutable_report()->ParseFromString(released.report);  // bytes of that message
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

std::string LowerToBytes(const Eigen::MatrixXd& matrix) {
  const Eigen::Index d = matrix.rows();
  if (matrix.cols() != d) return DoublesToBytes(Eigen::Map<const Eigen::VectorXd>(matrix.data(), matrix.size()));
  Eigen::VectorXd packed(d * (d + 1) / 2);
  Eigen::Index at = 0;
  for (Eigen::Index i = 0; i < d; ++i) {
    for (Eigen::Index j = 0; j <= i; ++j) packed[at++] = matrix(i, j);
  }
  return DoublesToBytes(packed);
}

absl::StatusOr<Eigen::MatrixXd> BytesToLower(const std::string& bytes, int dim, Eigen::Index diagonal_columns, absl::string_view field) {
  ASSIGN_OR_RETURN(const Eigen::VectorXd packed, BytesToDoubles(bytes, field));
  const Eigen::Index d = dim;
  if (d > LinearStatistics::kMaxFullDim && d <= LinearStatistics::kMaxDim) {
    const Eigen::Index rows = diagonal_columns > 1 ? d + 1 : d;
    if (packed.size() != rows * diagonal_columns) {
      return absl::InvalidArgumentError(absl::StrCat(field, ": expected ", rows * diagonal_columns, " numbers of the diagonal form with ",
                                                     dim, " columns, found ", packed.size()));
    }
    return Eigen::MatrixXd(Eigen::Map<const Eigen::MatrixXd>(packed.data(), rows, diagonal_columns));
  }
  if (d < 1 || d > LinearStatistics::kMaxDim || packed.size() != d * (d + 1) / 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": ", packed.size(), " numbers are no lower triangle of ", dim));
  }
  Eigen::MatrixXd lower = Eigen::MatrixXd::Zero(d, d);
  Eigen::Index at = 0;
  for (Eigen::Index i = 0; i < d; ++i) {
    for (Eigen::Index j = 0; j <= i; ++j) lower(i, j) = packed[at++];
  }
  return lower;
}

}  // namespace offerd
