#include "store/records.h"

#include <cmath>
#include <limits>

#include "google/protobuf/text_format.h"
#include "tests/store/store_fixture.h"

namespace offerd {
namespace {

using absl::StatusCode;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <typename Proto>
Proto Parse(const char* text) {
  Proto proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto)) << text;
  return proto;
}

// In, out, and nothing changed.
template <typename Proto>
void ExpectRoundTrip(const char* text) {
  const Proto proto = Parse<Proto>(text);
  const auto core = FromProto(proto);
  ASSERT_OK(core);
  EXPECT_THAT(ToProto(*core), EqualsProto(proto));
}

constexpr char kItem[] = R"(
  item_id: "i" category_path: "food" category_path: "tea" brand: "b" price_micros: 5 cost_micros: 3 currency: "EUR"
  attributes { name: "organic" number: 1.5 } attributes { name: "colour" text: "green" } unavailable_markets: "DE")";
constexpr char kOffer[] = R"(
  offer_id: "o" label: "l" campaign: "c" item_ids: "i" item_ids: "j" category: "tea" markets: "FR"
  starts_at { seconds: 100 nanos: 7000 } ends_at { seconds: -5 nanos: 999999000 } currency: "EUR" cost_micros: 1
  budget_micros: 2 stock: 3 requires_consent: true only_sent: true audiences: "a" attributes { name: "n" text: "" })";
constexpr char kCustomer[] = R"(excluded_offers: "o" excluded_categories: "k" 
  customer_id: "c" consent: CONSENT_DENIED audiences: "a" campaigns: "k" attributes { name: "age" number: -4 })";
constexpr char kFeatures[] = R"(
  features { name: "one" constant {} }
  features { name: "age" numeric { fact: "customer.age" transform: EXP_DECAY scale: 30 multiplier: 0 minimum: 1 maximum: 99 missing_value: -1 } }
  features { name: "log" numeric { fact: "computed.stock" transform: LOG1P scale: 1 multiplier: 1 } }
  features { name: "root" only_in_crosses: true numeric { fact: "offer.size" transform: SQRT scale: 1 multiplier: 2 minimum: 0 } }
  features { name: "day" one_hot { fact: "context.day" values: "mon" values: "tue" } }
  features { name: "price" bucket { fact: "candidate.price" boundaries: 1 boundaries: 2.5 } }
  features { name: "day_price" cross { left: "day" right: "price" } })";
constexpr char kPlacement[] = R"(
  name: "home" policy: "p" fixed_policy: "f" mode: LOG_ONLY slate_size: 4 explorer { kind: INVERSE_GAP epsilon: 0 strength: 2 }
  randomised_share { share: 0 kind: UNIFORM reach: 0 base: FIXED }
  reward { value: REVENUE weights { kind: CLICK weight: 0 } weights { kind: REFUND weight: -1 } aggregation: MAX
           default_reward: -0.5 value_cap: 9 largest: 4 attribution: SPLIT currency: "EUR" customer_weight: "worth"
           late_policy: LATE_POLICY_PROFILE }
  window_seconds: 60 max_lateness_seconds: 1 matrix_share: 0 campaigns: "c"
  lists { strategies { kind: NEIGHBOURS table: "t" weight: 2 } strategies { kind: BUY_AGAIN weight: 0.5 } blend: RECIPROCAL_RANK
          fallbacks { kind: POPULAR weight: 1 } max_per_category: 2 max_per_brand: 3 diversity: 0.25 margin_weight: 0.5 up_sell_weight: 0.75
          keep_bought: true event_weights { kind: VIEW weight: 0.125 } history_half_life_days: 7 }
  rules { max_per_category: 1 max_per_brand: 2 cannibalisation: 0.5 cannibalisation_table: "t" diversity: 0.25 pins { offer_id: "o" slot: 3 }
          frequency_caps { period: WEEK count: 4 } }
  settle_after_seconds: 30 examination: 1 examination: 0.5 estimate_examination: true
  cart_table: "t")";

TEST(RecordsTest, EveryFieldComesBack) {
  ExpectRoundTrip<v1::Item>(kItem);
  ExpectRoundTrip<v1::Offer>(kOffer);
  ExpectRoundTrip<v1::Customer>(kCustomer);
  ExpectRoundTrip<v1::FeatureList>(kFeatures);
  ExpectRoundTrip<v1::Placement>(kPlacement);
  ExpectRoundTrip<v1::Placement>(R"(name: "p" mode: LIVE slate_size: 10 explorer { kind: BOUNDED_SHUFFLE reach: 2 }
    randomised_share { share: 0.05 kind: BOUNDED reach: 3 base: POLICY } reward { value: MARGIN weights { kind: PURCHASE weight: 1 }
    aggregation: EARLIEST largest: 1 } window_seconds: 604800 max_lateness_seconds: 86400 matrix_share: 0.01)");
  ExpectRoundTrip<v1::Policy>(R"(name: "f" fixed { order: "b" order: "a" })");
  ExpectRoundTrip<v1::Policy>(R"(name: "r" random { kind: UNIFORM reach: 0 })");
  ExpectRoundTrip<v1::Policy>(R"(name: "r" random { kind: BOUNDED reach: 5 })");
  ExpectRoundTrip<v1::Policy>(R"(name: "l" linear { features { features { name: "one" constant {} } } ridge: 1
                                 half_life_days: 2 bag_size: 3 scale: 0 publish_every_ms: 4 })");
  ExpectRoundTrip<v1::stored::Publication>(R"(policy: "p" version: 2 included_sequence: 3 reference_micros: 4 lambda: 5
                                              sigma: 6 bag_size: 7 scale: 8 bag_seed: 9 kept: true lambda_shown: 10)");
  ExpectRoundTrip<v1::stored::RollBack>(R"(policy: "p" version: 2)");
}

TEST(RecordsTest, EmptyMessagesComeBackEmpty) {
  ExpectRoundTrip<v1::Item>("");
  ExpectRoundTrip<v1::Offer>("");
  ExpectRoundTrip<v1::Customer>("");
  ExpectRoundTrip<v1::FeatureList>("");
  ExpectRoundTrip<v1::stored::Publication>("");
}

TEST(RecordsTest, OutputOnlyFieldsStayBehind) {
  EXPECT_THAT(
      ToProto(*FromProto(Parse<v1::Policy>(R"(name: "f" fixed {} version: 5 feature_fingerprint: 6 pinned: true)"))),
      EqualsProto(Parse<v1::Policy>(R"(name: "f" fixed {})")));
  EXPECT_THAT(ToProto(*FromProto(Parse<v1::Offer>(R"(offer_id: "o" redemptions: 5 spent_micros: 6)"))),
              EqualsProto(Parse<v1::Offer>(R"(offer_id: "o")")));
}

TEST(RecordsTest, OfferWithoutDatesAlwaysWasAndNeverEnds) {
  const auto offer = FromProto(v1::Offer());
  ASSERT_OK(offer);
  EXPECT_EQ(offer->starts_at, INT64_MIN);
  EXPECT_EQ(offer->ends_at, kForever);
}

TEST(RecordsTest, DefaultsOfALinearPolicy) {
  const auto policy = FromProto(Parse<v1::Policy>("linear {}"));
  ASSERT_OK(policy);
  EXPECT_EQ(policy->kind, PolicyKind::kLinear);
  EXPECT_EQ(policy->ridge, 10);
  EXPECT_EQ(policy->half_life_days, 0);
  EXPECT_EQ(policy->bag_size, 32);
  EXPECT_EQ(policy->scale, 0.3);
  EXPECT_EQ(policy->publish_every_ms, 10);
}

TEST(RecordsTest, DefaultsOfARandomPolicy) {
  const auto policy = FromProto(Parse<v1::Policy>("random {}"));
  ASSERT_OK(policy);
  EXPECT_EQ(policy->random_kind, RandomKind::kBounded);  // as offerd.v1.RandomisedShare.Kind says
  EXPECT_EQ(policy->reach, 3);
}

TEST(RecordsTest, DefaultsOfANumericFeature) {
  const auto list = FromProto(Parse<v1::FeatureList>(R"(features { name: "n" numeric { fact: "context.n" } })"));
  ASSERT_OK(list);
  const Feature& feature = list->features[0];
  EXPECT_EQ(feature.fact.scope, FactScope::kContext);
  EXPECT_EQ(feature.transform, Transform::kIdentity);
  EXPECT_EQ(feature.scale, 1);
  EXPECT_EQ(feature.multiplier, 1);
  EXPECT_EQ(feature.min, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(feature.max, std::numeric_limits<double>::infinity());
  EXPECT_EQ(feature.missing_value, 0);
}

TEST(RecordsTest, DefaultsOfAPlacement) {
  const auto placement = FromProto(v1::Placement());
  ASSERT_OK(placement);
  EXPECT_EQ(placement->mode, Mode::kUnspecified);
  EXPECT_EQ(placement->slate_size, 10);
  EXPECT_EQ(placement->explorer.kind, ExplorerKind::kThompson);
  EXPECT_EQ(placement->explorer.epsilon, 0);
  EXPECT_FALSE(placement->epsilon_set);
  EXPECT_EQ(placement->randomised_share.share, 0.05);
  EXPECT_EQ(placement->randomised_share.kind, RandomKind::kBounded);
  EXPECT_EQ(placement->randomised_share.reach, 3);
  EXPECT_FALSE(placement->share_on_fixed_order);
  EXPECT_EQ(placement->window_seconds, 604'800);
  EXPECT_EQ(placement->max_lateness_seconds, 86'400);
  EXPECT_EQ(placement->matrix_share, 0.01);
  const RewardSpec& reward = placement->reward;
  EXPECT_EQ(reward.value, RewardSpec::Value::kByKind);
  EXPECT_EQ(reward.aggregation, RewardSpec::Aggregation::kSum);
  EXPECT_EQ(reward.largest, 1);
  for (int kind = 0; kind < kNumEventKinds; ++kind) {
    const bool is_purchase = kind == static_cast<int>(EventKind::kPurchase);
    EXPECT_EQ(reward.weights[kind], is_purchase ? 1 : 0);
    EXPECT_EQ(reward.counts[kind], is_purchase);
  }
}

TEST(RecordsTest, EpsilonDependsOnExplorerAndShare) {
  const auto epsilon = [](const char* text) { return FromProto(Parse<v1::Placement>(text))->explorer.epsilon; };
  EXPECT_EQ(epsilon(""), 0);
  EXPECT_EQ(epsilon("randomised_share { share: 0 }"), 0.005);
  EXPECT_EQ(epsilon("explorer { kind: THOMPSON } randomised_share { share: 0.1 }"), 0);
  EXPECT_EQ(epsilon("explorer { kind: EPSILON_GREEDY }"), 0.05);
  EXPECT_EQ(epsilon("explorer { kind: EPSILON_GREEDY } randomised_share { share: 0 }"), 0.05);
  EXPECT_EQ(epsilon("explorer { kind: GREEDY } randomised_share { share: 0 }"), 0);
  EXPECT_EQ(epsilon("explorer { epsilon: 0 } randomised_share { share: 0 }"), 0);
  EXPECT_EQ(epsilon("explorer { epsilon: 0.3 }"), 0.3);
}

TEST(RecordsTest, DefaultPlacementComesBackAsTheSamePlacement) {
  for (const char* text : {"", "randomised_share { share: 0 }", "explorer { kind: EPSILON_GREEDY }", kPlacement}) {
    const auto first = FromProto(Parse<v1::Placement>(text));
    ASSERT_OK(first);
    const auto second = FromProto(ToProto(*first));
    ASSERT_OK(second);
    EXPECT_EQ(first->explorer.epsilon, second->explorer.epsilon);
    EXPECT_EQ(first->epsilon_set, second->epsilon_set);
    EXPECT_THAT(ToProto(*second), EqualsProto(ToProto(*first)));
  }
}

// Sums up to 512 columns are a triangle, those beyond single columns' own; both come back to the bit, and neither passes for the other.
TEST(RecordsTest, LearnedSumsOfBothFormsComeBack) {
  for (const int dim : {3, LinearStatistics::kMaxFullDim + 1}) {
    LearnedSums sums;
    sums.policy = "p";
    sums.statistics = LinearStatistics(dim);
    ASSERT_OK(sums.statistics.AddShown(Eigen::VectorXf::LinSpaced(dim, -1, 2), {0.5, 0.25}, 3));
    v1::stored::LogRecord record;
    record.set_sequence(1);
    *record.mutable_learned_sums() = ToProto(sums);
    const auto entry = FromProto(record);
    ASSERT_OK(entry);
    const LinearStatistics& again = std::get<LearnedSums>(entry->change).statistics;
    EXPECT_EQ(again.Checksum(), sums.statistics.Checksum());
    EXPECT_EQ(again.gram(), sums.statistics.gram());
    record.mutable_learned_sums()->mutable_gram()->resize(8 * 7);
    EXPECT_FALSE(FromProto(record).ok()) << dim;
  }
}

TEST(RecordsTest, StoredEventCarriesResolvedTimeAndFate) {
  const auto event = FromProto(Parse<v1::stored::StoredEvent>(R"(
    event { event_id: "e" kind: PURCHASE customer_id: "c" decision_id: "d" offer_id: "o" market: "FR" time { seconds: 1 }
            order_id: "r" lines { item_id: "i" quantity: 2 revenue_micros: 3 } lines { item_id: "j" } currency: "EUR"
            reverses_event_id: "x" history: true }
    fate: ORPHAN time_micros: 42)"));
  ASSERT_OK(event);
  EXPECT_EQ(event->id.value(), "e");
  EXPECT_EQ(event->kind, EventKind::kPurchase);
  EXPECT_EQ(event->customer_id.value(), "c");
  EXPECT_EQ(event->decision_id.value(), "d");
  EXPECT_EQ(event->offer_id.value(), "o");
  EXPECT_EQ(event->market, "FR");
  EXPECT_EQ(event->time, 42);
  EXPECT_EQ(event->order_id, "r");
  ASSERT_EQ(event->lines.size(), 2u);
  EXPECT_EQ(event->lines[0].item_id, "i");
  EXPECT_EQ(event->lines[0].quantity, 2);
  EXPECT_EQ(event->lines[0].revenue_micros, 3);
  EXPECT_EQ(event->lines[1].quantity, 0);
  EXPECT_EQ(event->currency, "EUR");
  EXPECT_EQ(event->reverses_event_id.value(), "x");
  EXPECT_TRUE(event->history);
  EXPECT_EQ(event->fate, Fate::kOrphan);
}

TEST(RecordsTest, QuantityZeroIsOneUnlessItIsAPurchase) {
  const auto event = FromProto(Parse<v1::stored::StoredEvent>("event { kind: ADD_TO_CART lines { item_id: \"i\" } }"));
  ASSERT_OK(event);
  EXPECT_EQ(event->lines[0].quantity, 1);
}

TEST(RecordsTest, EventWithoutConsentHasNoCustomer) {
  const auto event = FromProto(Parse<v1::stored::StoredEvent>("event { customer_id: \"c\" consent: CONSENT_DENIED }"));
  ASSERT_OK(event);
  EXPECT_TRUE(event->customer_id.empty());
}

TEST(RecordsTest, DecisionKeepsWhatLearningNeeds) {
  v1::stored::Decision proto = Parse<v1::stored::Decision>(R"(
    decision_id: "d" customer_id: "c" placement: "home" policy: "p" learner: "l" deferred: true agreed: true has_agreement: true
    slots { offer_id: "o" } slots { offer_id: "q" })");
  const Eigen::VectorXf x = Eigen::VectorXf::LinSpaced(3, -1, 1);
  proto.mutable_slots(1)->set_x(FloatsToBytes(x));
  const auto decision = FromProto(proto);
  ASSERT_OK(decision);
  EXPECT_EQ(decision->id.value(), "d");
  EXPECT_EQ(decision->customer_id.value(), "c");
  EXPECT_EQ(decision->placement, "home");
  EXPECT_EQ(decision->policy, "p");
  EXPECT_EQ(decision->learner, "l");
  EXPECT_TRUE(decision->deferred && decision->agreed && decision->has_agreement);
  ASSERT_EQ(decision->slots.size(), 2u);
  EXPECT_EQ(decision->slots[0].x.size(), 0);
  EXPECT_EQ(decision->slots[1].offer_id.value(), "q");
  EXPECT_EQ(decision->slots[1].x, x);
  proto.mutable_slots(1)->set_x("12345");
  EXPECT_THAT(FromProto(proto),
              StatusIs(StatusCode::kInvalidArgument, "decision slot x: 5 bytes are no multiple of 4"));
}

TEST(RecordsTest, EveryKindOfLogRecordBecomesItsChange) {
  const std::pair<const char*, size_t> kinds[] = {
      {R"(decision { decision_id: "d" })", 0},
      {R"(event { event { event_id: "e" } })", 1},
      {R"(activation { decision_id: "d" slots: 0 slots: 2 })", 2},
      {R"(items_upserted { items { item_id: "i" } })", 3},
      {R"(offers_upserted { offers { offer_id: "o" } })", 4},
      {R"(item_deleted: "i")", 5},
      {R"(offer_deleted: "o")", 6},
      {R"(customers_upserted { customers { customer_id: "c" } })", 7},
      {R"(customer_erased: "c")", 8},
      {R"(customers_merged { from_customer_id: "s" to_customer_id: "c" })", 9},
      {R"(placement_set { name: "p" })", 10},
      {R"(placement_deleted: "p")", 11},
      {R"(policy_set { name: "p" fixed {} })", 12},
      {R"(publication { policy: "p" })", 13},
      {R"(roll_back { policy: "p" version: 3 })", 14},
      {R"(limits_set { profile_bytes: 1 max_open_decisions: 2 })", 15},
      {R"(table_published { name: "t" version: 2 checksum: 3 rolled_back: true })", 16},
      {R"(learned_sums { policy: "p" dim: 1 gram: "\000\000\000\000\000\000\000\000" reward_x: "\000\000\000\000\000\000\000\000" })", 17},
      {R"(released { placement: "p" policy: "q" mode: LIVE changes_placement: true report { placement: "p" } })", 18},
  };
  static_assert(std::variant_size_v<Change> == 19);
  for (const auto& [text, index] : kinds) {
    v1::stored::LogRecord record = Parse<v1::stored::LogRecord>(text);
    record.set_sequence(7);
    record.set_time_micros(8);
    record.set_erased(true);
    const auto entry = FromProto(record);
    ASSERT_OK(entry);
    EXPECT_EQ(entry->change.index(), index) << text;
    EXPECT_EQ(entry->sequence, 7u);
    EXPECT_EQ(entry->time, 8);
    EXPECT_TRUE(entry->erased);
  }
  const auto activation = FromProto(Parse<v1::stored::LogRecord>(kinds[2].first));
  EXPECT_THAT(std::get<Activation>(activation->change).slots, ::testing::ElementsAre(0, 2));
  const auto limits = FromProto(Parse<v1::stored::LogRecord>(kinds[15].first));
  EXPECT_EQ(std::get<FoldLimits>(limits->change), (FoldLimits{1, 2}));
  const auto items = FromProto(Parse<v1::stored::LogRecord>(kinds[3].first));
  EXPECT_EQ(std::get<ItemsUpserted>(items->change).items[0].id.value(), "i");
}

TEST(RecordsTest, WhatCannotBeIsRefusedWithTheNumberOfTheRecord) {
  const auto refused = [](v1::stored::LogRecord record, absl::string_view expected) {
    record.set_sequence(7);
    EXPECT_THAT(FromProto(record), StatusIs(StatusCode::kInvalidArgument, absl::StrCat("log record 7: ", expected)));
  };
  v1::stored::LogRecord record;
  refused(record, "change: is not set");
  record.mutable_event()->mutable_event()->set_kind(static_cast<v1::EventKind>(10));
  refused(record, "event kind: is unknown");
  record.mutable_event()->mutable_event()->set_kind(v1::CLICK);
  record.mutable_event()->set_fate(static_cast<v1::Fate>(-1));
  refused(record, "event fate: is unknown");
  record.mutable_policy_set()->set_name("p");
  refused(record, "policy kind: is not set");
  record.mutable_policy_set()->mutable_linear()->set_ridge(kNan);
  refused(record, "linear: is not finite");
  record.mutable_policy_set()->mutable_linear()->clear_ridge();
  v1::Feature& feature = *record.mutable_policy_set()->mutable_linear()->mutable_features()->add_features();
  feature.set_name("n");
  refused(record, "feature n kind: is not set");
  feature.mutable_numeric()->set_fact("nonsense");
  refused(record, "");
  record.mutable_placement_set()->mutable_explorer()->set_epsilon(kNan);
  refused(record, "explorer.epsilon: is not finite");
  record.mutable_placement_set()->mutable_explorer()->set_kind(static_cast<v1::Explorer::Kind>(9));
  refused(record, "explorer.kind: is unknown");
  record.mutable_placement_set()->set_mode(static_cast<v1::Mode>(9));
  refused(record, "placement mode: is unknown");
  v1::NamedValue& attribute = *record.mutable_items_upserted()->add_items()->add_attributes();
  attribute.set_name("a");
  attribute.set_number(INFINITY);
  refused(record, "item attribute a: is not finite");
  record.mutable_offers_upserted()->add_offers()->mutable_ends_at()->set_nanos(-1);
  refused(record, "timestamp: ");
  record.mutable_publication()->set_sigma(kNan);
  refused(record, "publication: is not finite");
}

TEST(TimestampTest, MicrosComeBackAlsoBefore1970) {
  for (const TimeMicros micros :
       {TimeMicros{0}, TimeMicros{1}, TimeMicros{-1}, TimeMicros{-1'000'000}, TimeMicros{1'700'000'000'123'456}}) {
    const auto time = ToTimestamp(micros);
    EXPECT_GE(time.nanos(), 0);
    EXPECT_EQ(*ToMicros(time), micros);
  }
  google::protobuf::Timestamp time;
  time.set_seconds(-1);
  time.set_nanos(1'999);
  EXPECT_EQ(*ToMicros(time), -999'999);  // towards the past
}

TEST(TimestampTest, OutOfRangeIsRefused) {
  google::protobuf::Timestamp time;
  for (const int64_t seconds : {int64_t{-62'135'596'801}, int64_t{253'402'300'800}, INT64_MAX, INT64_MIN}) {
    time.set_seconds(seconds);
    EXPECT_THAT(ToMicros(time), StatusIs(StatusCode::kInvalidArgument, "years 1 to 9999"));
  }
  time.set_seconds(0);
  time.set_nanos(1'000'000'000);
  EXPECT_THAT(ToMicros(time), StatusIs(StatusCode::kInvalidArgument, ""));
}

TEST(ArraysTest, BytesAreLittleEndianAndComeBack) {
  Eigen::VectorXf floats(2);
  floats << 1.0f, -0.0f;
  EXPECT_EQ(FloatsToBytes(floats), std::string("\x00\x00\x80\x3f\x00\x00\x00\x80", 8));
  EXPECT_EQ(*BytesToFloats(FloatsToBytes(floats), "x"), floats);
  Eigen::VectorXd doubles(2);
  doubles << 1.0, std::numeric_limits<double>::denorm_min();
  EXPECT_EQ(DoublesToBytes(doubles).substr(0, 8), std::string("\x00\x00\x00\x00\x00\x00\xf0\x3f", 8));
  EXPECT_EQ(*BytesToDoubles(DoublesToBytes(doubles), "x"), doubles);
  EXPECT_EQ(BytesToDoubles("", "x")->size(), 0);
}

TEST(ArraysTest, OddSizesAndNonFiniteNumbersAreRefused) {
  EXPECT_THAT(BytesToDoubles("1234", "gram"),
              StatusIs(StatusCode::kInvalidArgument, "gram: 4 bytes are no multiple of 8"));
  EXPECT_THAT(BytesToFloats(FloatsToBytes(Eigen::VectorXf::Constant(1, NAN)), "x"),
              StatusIs(StatusCode::kInvalidArgument, "finite"));
}

}  // namespace
}  // namespace offerd
