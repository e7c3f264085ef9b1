#include "server/validation.h"

#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <new>
#include <random>
#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/stubs/logging.h>

#include "absl/strings/str_cat.h"
#include "google/rpc/error.pb.h"
#include "server/bad_request.h"
#include "server/utf8.h"
#include "tests/support/status_matchers.h"

// Counts what this thread allocates, for the promise that a right request costs no allocation. Sanitizers bring their own
// allocators, and libraries that keep to them: there nothing is counted.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OFFERD_ALLOCATOR_IS_TAKEN
#endif
#endif
static thread_local int64_t num_allocations = 0;

#ifndef OFFERD_ALLOCATOR_IS_TAKEN
[[gnu::noinline]] void* operator new(size_t size) {
  ++num_allocations;
  if (void* p = std::malloc(size == 0 ? 1 : size)) return p;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }
#endif

namespace offerd {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const Limits kLimits;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

std::vector<std::string> Fields(const absl::Status& status) {
  std::vector<std::string> out;
  if (status.ok()) return out;
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  google::rpc::BadRequest details;
  const auto payload = status.GetPayload(kBadRequestUrl);
  EXPECT_TRUE(payload.has_value() && details.ParseFromString(std::string(*payload)));
  for (const auto& violation : details.field_violations()) {
    EXPECT_FALSE(violation.description().empty());
    out.push_back(violation.field());
  }
  return out;
}

// A right message, one change, and the one field that is then named (none: still right).
template <typename M>
struct Case {
  std::function<void(M*)> change;
  std::string field;
};
template <typename M>
void CheckCases(const M& right, const std::vector<Case<M>>& cases, const Limits& limits = kLimits) {
  EXPECT_OK(Validate(right, limits));
  for (size_t i = 0; i < cases.size(); ++i) {
    M message = right;
    cases[i].change(&message);
    const std::vector<std::string> expected = cases[i].field.empty() ? std::vector<std::string>{} : std::vector<std::string>{cases[i].field};
    EXPECT_EQ(Fields(Validate(message, limits)), expected) << "case " << i << ": " << message.ShortDebugString().substr(0, 500);
  }
}

std::string Long(size_t n) { return std::string(n, 'x'); }

void AddNumber(google::protobuf::RepeatedPtrField<v1::NamedValue>* values, const std::string& name, double number) {
  v1::NamedValue* value = values->Add();
  value->set_name(name);
  value->set_number(number);
}

v1::RankOffersRequest RightRequest() {
  v1::RankOffersRequest r;
  r.set_request_id("r1");
  r.set_placement("home");
  r.set_market("DE");
  r.set_customer_id("c1");
  AddNumber(r.mutable_context(), "hour", 12);
  for (int i = 0; i < 50; ++i) {
    v1::Candidate* candidate = r.add_candidates();
    candidate->set_offer_id(absl::StrCat("offer-", i));
    AddNumber(candidate->mutable_features(), "price", 1.5);
    v1::NamedValue* text = candidate->add_features();
    text->set_name("brand");
    text->set_text("caf\xc3\xa9");
  }
  r.mutable_as_of()->set_seconds(1'700'000'000);
  return r;
}

TEST(ValidationTest, RankOffers) {
  using R = v1::RankOffersRequest;
  CheckCases<R>(RightRequest(), {
      {[](R* r) { r->clear_placement(); }, "placement"},
      {[](R* r) { r->set_placement(Long(256)); }, ""},
      {[](R* r) { r->set_placement(Long(257)); }, "placement"},
      {[](R* r) { r->set_request_id(Long(257)); }, "request_id"},
      {[](R* r) { r->clear_request_id(); r->clear_market(); r->clear_customer_id(); }, ""},
      {[](R* r) { r->set_market(Long(257)); }, "market"},
      {[](R* r) { r->set_customer_id("\xff"); }, "customer_id"},
      {[](R* r) { AddNumber(r->mutable_context(), "hour", 1); }, "context[1].name"},
      {[](R* r) { AddNumber(r->mutable_context(), "", 1); }, "context[1].name"},
      {[](R* r) { AddNumber(r->mutable_context(), Long(257), 1); }, "context[1].name"},
      {[](R* r) { AddNumber(r->mutable_context(), "x", kNan); }, "context[1].number"},
      {[](R* r) { AddNumber(r->mutable_context(), "x", -kInf); }, "context[1].number"},
      {[](R* r) { AddNumber(r->mutable_context(), "x", std::numeric_limits<double>::max()); }, ""},
      {[](R* r) { r->add_context()->set_name("x"); }, "context[1]"},
      {[](R* r) { for (int i = 0; i < 63; ++i) AddNumber(r->mutable_context(), absl::StrCat("f", i), i); }, ""},
      {[](R* r) { for (int i = 0; i < 64; ++i) AddNumber(r->mutable_context(), absl::StrCat("f", i), i); }, "context"},
      {[](R* r) { for (int i = 0; i < 63; ++i) AddNumber(r->mutable_context(), absl::StrCat("f", i % 62), i); }, "context[63].name"},
      {[](R* r) { r->clear_candidates(); }, ""},
      {[](R* r) { while (r->candidates_size() < 1000) r->add_candidates()->set_offer_id("x"); }, ""},
      {[](R* r) { while (r->candidates_size() < 1001) r->add_candidates()->set_offer_id("x"); }, "candidates"},
      {[](R* r) { r->clear_candidates(); r->mutable_offer_keys()->Resize(10'000, 7); }, ""},
      {[](R* r) { r->clear_candidates(); r->mutable_offer_keys()->Resize(10'001, 7); }, "offer_keys"},
      {[](R* r) { r->add_offer_keys(7); }, "offer_keys"},
      {[](R* r) { r->mutable_candidates(3)->clear_offer_id(); }, "candidates[3].offer_id"},
      {[](R* r) { r->mutable_candidates(3)->set_offer_id("\xed\xa0\x80"); }, "candidates[3].offer_id"},
      {[](R* r) { r->mutable_candidates(3)->mutable_features(0)->set_number(kInf); }, "candidates[3].features[0].number"},
      {[](R* r) { r->mutable_candidates(3)->mutable_features(1)->set_text(Long(257)); }, "candidates[3].features[1].text"},
      {[](R* r) { r->mutable_candidates(3)->mutable_features(1)->set_text(""); }, ""},
      {[](R* r) { r->mutable_candidates(3)->mutable_features(1)->set_name("price"); }, "candidates[3].features[1].name"},
      {[](R* r) { for (int i = 0; i < 63; ++i) AddNumber(r->mutable_candidates(9)->mutable_features(), absl::StrCat("f", i), i); },
       "candidates[9].features"},
      {[](R* r) { r->set_slate_size(-1); }, "slate_size"},
      {[](R* r) { r->set_slate_size(1'000'000); }, ""},
      {[](R* r) { r->set_consent(static_cast<v1::Consent>(7)); }, "consent"},
      {[](R* r) { r->mutable_as_of()->set_seconds(-1); }, "as_of"},
      {[](R* r) { r->mutable_as_of()->set_seconds(7'289'654'399); }, ""},
      {[](R* r) { r->mutable_as_of()->set_seconds(7'289'654'400); }, "as_of"},
      {[](R* r) { r->mutable_as_of()->set_nanos(1'000'000'000); }, "as_of"},
      {[](R* r) { r->mutable_as_of()->set_nanos(-1); }, "as_of"},
      {[](R* r) { r->mutable_as_of()->set_seconds(0); }, ""},
      {[](R* r) { r->set_policy("p"); }, "policy"},
      {[](R* r) { r->set_policy("p"); r->set_validate_only(true); }, ""},
  });
}

TEST(ValidationTest, ARightRequestAllocatesNothing) {
  v1::RankOffersRequest request = RightRequest();
  for (int i = 0; i < 62; ++i) AddNumber(request.mutable_candidates(0)->mutable_features(), absl::StrCat("f", i), i);
  v1::Event event;
  event.set_event_id("e");
  event.set_kind(v1::CLICK);
  const int64_t before = num_allocations;
  const bool is_right = Validate(request, kLimits).ok() && Validate(event, kLimits).ok();
  const int64_t after = num_allocations;
  EXPECT_TRUE(is_right);
  EXPECT_EQ(after - before, 0);
}

TEST(ValidationTest, EveryProblemIsNamed) {
  v1::RankOffersRequest request;
  request.add_candidates();
  request.set_slate_size(-1);
  EXPECT_EQ(Fields(Validate(request, kLimits)), (std::vector<std::string>{"placement", "candidates[0].offer_id", "slate_size"}));
}

TEST(ValidationTest, Activate) {
  using A = v1::ActivateRequest;
  A right;
  right.set_decision_id("d");
  right.add_slots(0);
  right.add_slots(99);
  CheckCases<A>(right, {
      {[](A* a) { a->clear_decision_id(); }, "decision_id"},
      {[](A* a) { a->clear_slots(); }, ""},
      {[](A* a) { a->add_slots(100); }, "slots[2]"},
      {[](A* a) { a->add_slots(-1); }, "slots[2]"},
      {[](A* a) { while (a->slots_size() < 101) a->add_slots(1); }, "slots"},
      {[](A* a) { a->mutable_as_of()->set_seconds(-5); }, "as_of"},
  });
}

TEST(ValidationTest, Event) {
  using E = v1::Event;
  E right;
  right.set_event_id("e1");
  right.set_kind(v1::PURCHASE);
  right.set_order_id("o1");
  right.mutable_time()->set_seconds(1);
  right.set_currency("EUR");
  v1::EventLine* line = right.add_lines();
  line->set_item_id("i1");
  line->set_quantity(2);
  line->set_revenue_micros(5'000'000);
  CheckCases<E>(right, {
      {[](E* e) { e->clear_event_id(); }, "event_id"},
      {[](E* e) { e->clear_kind(); }, "kind"},
      {[](E* e) { e->set_kind(static_cast<v1::EventKind>(10)); }, "kind"},
      {[](E* e) { e->set_customer_id(Long(257)); }, "customer_id"},
      {[](E* e) { e->set_decision_id(Long(257)); }, "decision_id"},
      {[](E* e) { e->set_offer_id(Long(257)); }, "offer_id"},
      {[](E* e) { e->set_market(Long(257)); }, "market"},
      {[](E* e) { e->set_order_id(Long(257)); }, "order_id"},
      {[](E* e) { e->mutable_time()->set_seconds(-1); }, "time"},
      {[](E* e) { e->clear_time(); }, ""},
      {[](E* e) { e->mutable_lines(0)->clear_item_id(); }, "lines[0].item_id"},
      {[](E* e) { e->mutable_lines(0)->set_quantity(-1); }, "lines[0].quantity"},
      {[](E* e) { e->mutable_lines(0)->set_quantity(1'000'000); }, ""},
      {[](E* e) { e->mutable_lines(0)->set_quantity(1'000'001); }, "lines[0].quantity"},
      {[](E* e) { e->mutable_lines(0)->set_revenue_micros(-1); }, "lines[0].revenue_micros"},
      {[](E* e) { e->mutable_lines(0)->set_revenue_micros(INT64_MAX); }, "lines[0].revenue_micros"},
      {[](E* e) { while (e->lines_size() < 1000) e->add_lines()->set_item_id("i"); }, ""},
      {[](E* e) { while (e->lines_size() < 1001) e->add_lines()->set_item_id("i"); }, "lines"},
      {[](E* e) { e->set_currency("eur"); }, "currency"},
      {[](E* e) { e->set_currency("EURO"); }, "currency"},
      {[](E* e) { e->clear_currency(); }, ""},
      {[](E* e) { e->set_reverses_event_id("e0"); }, "reverses_event_id"},
      {[](E* e) { e->set_kind(v1::REFUND); }, "reverses_event_id"},
      {[](E* e) { e->set_kind(v1::REFUND); e->set_reverses_event_id("e0"); }, ""},
      {[](E* e) { e->set_consent(static_cast<v1::Consent>(-1)); }, "consent"},
  });
}

TEST(ValidationTest, Item) {
  using I = v1::Item;
  I right;
  right.set_item_id("i1");
  right.add_category_path("food");
  right.set_price_micros(1);
  right.set_currency("USD");
  AddNumber(right.mutable_attributes(), "size", 1);
  CheckCases<I>(right, {
      {[](I* i) { i->clear_item_id(); }, "item_id"},
      {[](I* i) { i->add_category_path(""); }, "category_path[1]"},
      {[](I* i) { while (i->category_path_size() < 65) i->add_category_path("x"); }, "category_path"},
      {[](I* i) { i->set_brand(Long(257)); }, "brand"},
      {[](I* i) { i->set_price_micros(-1); }, "price_micros"},
      {[](I* i) { i->set_cost_micros(-1); }, "cost_micros"},
      {[](I* i) { i->set_currency("us$"); }, "currency"},
      {[](I* i) { AddNumber(i->mutable_attributes(), "size", 1); }, "attributes[1].name"},
      {[](I* i) { for (int k = 0; k < 64; ++k) AddNumber(i->mutable_attributes(), absl::StrCat(k), 1); }, "attributes"},
      {[](I* i) { i->add_unavailable_markets(""); }, "unavailable_markets[0]"},
      {[](I* i) { while (i->unavailable_markets_size() < 1001) i->add_unavailable_markets("x"); }, "unavailable_markets"},
  });
}

TEST(ValidationTest, Offer) {
  using O = v1::Offer;
  O right;
  right.set_offer_id("o1");
  right.add_item_ids("i1");
  right.mutable_starts_at()->set_seconds(10);
  right.mutable_ends_at()->set_seconds(11);
  CheckCases<O>(right, {
      {[](O* o) { o->clear_offer_id(); }, "offer_id"},
      {[](O* o) { o->set_label(Long(257)); }, "label"},
      {[](O* o) { o->set_campaign(Long(257)); }, "campaign"},
      {[](O* o) { o->set_category(Long(257)); }, "category"},
      {[](O* o) { while (o->item_ids_size() < 10'000) o->add_item_ids("x"); }, ""},
      {[](O* o) { while (o->item_ids_size() < 10'001) o->add_item_ids("x"); }, "item_ids"},
      {[](O* o) { o->add_item_ids(""); }, "item_ids[1]"},
      {[](O* o) { o->add_markets(""); }, "markets[0]"},
      {[](O* o) { o->mutable_ends_at()->set_seconds(10); }, "ends_at"},
      {[](O* o) { o->mutable_ends_at()->set_seconds(10); o->mutable_ends_at()->set_nanos(1); }, ""},
      {[](O* o) { o->mutable_starts_at()->set_seconds(-10); }, "starts_at"},
      {[](O* o) { o->clear_starts_at(); o->clear_ends_at(); }, ""},
      {[](O* o) { o->set_currency("E"); }, "currency"},
      {[](O* o) { o->set_cost_micros(-1); }, "cost_micros"},
      {[](O* o) { o->set_budget_micros(-1); }, "budget_micros"},
      {[](O* o) { o->set_stock(-1); }, "stock"},
      {[](O* o) { o->add_audiences("\xc0\x80"); }, "audiences[0]"},
      {[](O* o) { AddNumber(o->mutable_attributes(), "d", kNan); }, "attributes[0].number"},
  });
}

TEST(ValidationTest, Customer) {
  using C = v1::Customer;
  C right;
  right.set_customer_id("c1");
  CheckCases<C>(right, {
      {[](C* c) { c->clear_customer_id(); }, "customer_id"},
      {[](C* c) { c->set_consent(static_cast<v1::Consent>(3)); }, "consent"},
      {[](C* c) { c->add_audiences(""); }, "audiences[0]"},
      {[](C* c) { c->add_campaigns(Long(257)); }, "campaigns[0]"},
      {[](C* c) { while (c->audiences_size() < 1001) c->add_audiences("x"); }, "audiences"},
      {[](C* c) { c->add_attributes()->set_name("x"); }, "attributes[0]"},
  });
}

TEST(ValidationTest, Placement) {
  using P = v1::Placement;
  P right;
  right.set_name("home");
  right.set_policy("main");
  auto* weight = right.mutable_reward()->add_weights();
  weight->set_kind(v1::CLICK);
  weight->set_weight(0.1);
  CheckCases<P>(right, {
      {[](P* p) { p->clear_name(); }, "name"},
      {[](P* p) { p->clear_policy(); }, "policy"},
      {[](P* p) { p->set_fixed_policy(Long(257)); }, "fixed_policy"},
      {[](P* p) { p->set_mode(static_cast<v1::Mode>(4)); }, "mode"},
      {[](P* p) { p->set_slate_size(100); }, ""},
      {[](P* p) { p->set_slate_size(101); }, "slate_size"},
      {[](P* p) { p->set_slate_size(-1); }, "slate_size"},
      {[](P* p) { p->mutable_explorer()->set_kind(static_cast<v1::Explorer::Kind>(9)); }, "explorer.kind"},
      {[](P* p) { p->mutable_explorer()->set_epsilon(1); }, ""},
      {[](P* p) { p->mutable_explorer()->set_epsilon(1.01); }, "explorer.epsilon"},
      {[](P* p) { p->mutable_explorer()->set_epsilon(kNan); }, "explorer.epsilon"},
      {[](P* p) { p->mutable_randomised_share()->set_share(-0.01); }, "randomised_share.share"},
      {[](P* p) { p->mutable_randomised_share()->set_share(0); }, ""},
      {[](P* p) { p->mutable_randomised_share()->set_reach(1001); }, "randomised_share.reach"},
      {[](P* p) { p->mutable_randomised_share()->set_kind(static_cast<v1::RandomisedShare::Kind>(9)); }, "randomised_share.kind"},
      {[](P* p) { p->mutable_randomised_share()->set_base(static_cast<v1::RandomisedShare::Base>(9)); }, "randomised_share.base"},
      {[](P* p) { p->mutable_reward()->set_value(static_cast<v1::Reward::Value>(9)); }, "reward.value"},
      {[](P* p) { p->mutable_reward()->set_late_policy(static_cast<v1::Reward::LatePolicy>(3)); }, "reward.late_policy"},
      {[](P* p) { p->mutable_reward()->set_late_policy(v1::Reward::LATE_POLICY_PROFILE); }, ""},
      {[](P* p) { p->set_estimate_examination(true); }, ""},
      {[](P* p) { p->set_estimate_examination(true); p->mutable_randomised_share()->set_share(0); }, "estimate_examination"},
      {[](P* p) { p->mutable_reward()->set_aggregation(static_cast<v1::Reward::Aggregation>(9)); }, "reward.aggregation"},
      {[](P* p) { p->mutable_reward()->mutable_weights(0)->set_weight(kInf); }, "reward.weights[0].weight"},
      {[](P* p) { p->mutable_reward()->mutable_weights(0)->clear_kind(); }, "reward.weights[0].kind"},
      {[](P* p) { p->mutable_reward()->add_weights()->set_kind(v1::CLICK); }, "reward.weights[1].kind"},
      {[](P* p) { p->mutable_reward()->set_default_reward(kNan); }, "reward.default_reward"},
      {[](P* p) { p->mutable_reward()->set_default_reward(-3); }, ""},
      {[](P* p) { p->mutable_reward()->set_value_cap(-1); }, "reward.value_cap"},
      {[](P* p) { p->mutable_reward()->set_largest(-1); }, "reward.largest"},
      {[](P* p) { p->set_window_seconds(-1); }, "window_seconds"},
      {[](P* p) { p->set_max_lateness_seconds(-1); }, "max_lateness_seconds"},
      {[](P* p) { p->set_window_seconds(7'776'000 - 86'400 - 1); }, ""},
      {[](P* p) { p->set_window_seconds(7'776'000 - 86'400); }, "window_seconds"},
      {[](P* p) { p->set_max_lateness_seconds(7'776'000 - 604'800); }, "window_seconds"},
      {[](P* p) { p->set_matrix_share(2); }, "matrix_share"},
      {[](P* p) { p->add_campaigns(""); }, "campaigns[0]"},
  });
}

TEST(ValidationTest, PlacementWithExtremeWindowsDoesNotOverflow) {
  v1::Placement placement;
  placement.set_name("a");
  placement.set_policy("b");
  placement.set_window_seconds(INT64_MAX);
  placement.set_max_lateness_seconds(INT64_MAX);
  EXPECT_FALSE(Validate(placement, kLimits).ok());
}

v1::Policy RightPolicy() {
  v1::Policy policy;
  policy.set_name("main");
  auto* features = policy.mutable_linear()->mutable_features();
  auto* f = features->add_features();
  f->set_name("one");
  f->mutable_constant();
  f = features->add_features();
  f->set_name("price");
  f->mutable_numeric()->set_fact("offer.price");
  f = features->add_features();
  f->set_name("brand");
  f->mutable_one_hot()->set_fact("offer.brand");
  f->mutable_one_hot()->add_values("a");
  f = features->add_features();
  f->set_name("bucket");
  f->mutable_bucket()->set_fact("context.hour");
  f->mutable_bucket()->add_boundaries(6);
  f->mutable_bucket()->add_boundaries(18);
  f = features->add_features();
  f->set_name("cross");
  f->mutable_cross()->set_left("one");
  f->mutable_cross()->set_right("price");
  return policy;
}

TEST(ValidationTest, Policy) {
  using P = v1::Policy;
  const auto feature = [](P* p, int i) { return p->mutable_linear()->mutable_features()->mutable_features(i); };
  CheckCases<P>(RightPolicy(), {
      {[](P* p) { p->clear_name(); }, "name"},
      {[](P* p) { p->clear_kind(); }, "kind"},
      {[](P* p) { p->mutable_fixed(); }, ""},
      {[](P* p) { p->mutable_fixed()->add_order(""); }, "fixed.order[0]"},
      {[](P* p) { p->mutable_fixed()->add_order("a"); p->mutable_fixed()->add_order("a"); }, "fixed.order[1]"},
      {[](P* p) { p->mutable_random(); }, ""},
      {[](P* p) { p->mutable_random()->set_reach(-1); }, "random.reach"},
      {[](P* p) { p->mutable_random()->set_kind(static_cast<v1::RandomisedShare::Kind>(7)); }, "random.kind"},
      {[](P* p) { p->mutable_linear()->clear_features(); }, "linear.features"},
      {[&](P* p) { feature(p, 1)->clear_name(); }, "linear.features.features[1].name"},
      {[&](P* p) { feature(p, 1)->set_name("one"); }, "linear.features.features[1].name"},
      {[&](P* p) { feature(p, 1)->clear_kind(); }, "linear.features.features[1]"},
      {[&](P* p) { feature(p, 1)->mutable_numeric()->clear_fact(); }, "linear.features.features[1].numeric.fact"},
      {[&](P* p) { feature(p, 1)->mutable_numeric()->set_scale(-1); }, "linear.features.features[1].numeric.scale"},
      {[&](P* p) { feature(p, 1)->mutable_numeric()->set_multiplier(kNan); }, "linear.features.features[1].numeric.multiplier"},
      {[&](P* p) { feature(p, 1)->mutable_numeric()->set_minimum(-kInf); }, "linear.features.features[1].numeric.minimum"},
      {[&](P* p) { feature(p, 1)->mutable_numeric()->set_missing_value(kInf); }, "linear.features.features[1].numeric.missing_value"},
      {[&](P* p) { feature(p, 1)->mutable_numeric()->set_minimum(2); feature(p, 1)->mutable_numeric()->set_maximum(1); },
       "linear.features.features[1].numeric.maximum"},
      {[&](P* p) { feature(p, 1)->mutable_numeric()->set_transform(static_cast<v1::Feature::Transform>(9)); },
       "linear.features.features[1].numeric.transform"},
      {[&](P* p) { feature(p, 2)->mutable_one_hot()->clear_values(); }, "linear.features.features[2].one_hot.values"},
      {[&](P* p) { feature(p, 2)->mutable_one_hot()->add_values("a"); }, "linear.features.features[2].one_hot.values[1]"},
      {[&](P* p) { for (int i = 0; i < 2048; ++i) feature(p, 2)->mutable_one_hot()->add_values(absl::StrCat(i)); },
       "linear.features.features[2].one_hot.values"},
      {[&](P* p) { feature(p, 3)->mutable_bucket()->add_boundaries(18); }, "linear.features.features[3].bucket.boundaries[2]"},
      {[&](P* p) { feature(p, 3)->mutable_bucket()->add_boundaries(kNan); }, "linear.features.features[3].bucket.boundaries[2]"},
      {[&](P* p) { feature(p, 3)->mutable_bucket()->clear_boundaries(); }, "linear.features.features[3].bucket.boundaries"},
      {[&](P* p) { feature(p, 4)->mutable_cross()->clear_left(); }, "linear.features.features[4].cross.left"},
      {[](P* p) {
         for (int i = 0; i < 2048; ++i) {
           auto* f = p->mutable_linear()->mutable_features()->add_features();
           f->set_name(absl::StrCat("f", i));
           f->mutable_constant();
         }
       }, "linear.features.features"},
      {[](P* p) { p->mutable_linear()->set_ridge(0); }, "linear.ridge"},
      {[](P* p) { p->mutable_linear()->set_ridge(kNan); }, "linear.ridge"},
      {[](P* p) { p->mutable_linear()->set_half_life_days(-1); }, "linear.half_life_days"},
      {[](P* p) { p->mutable_linear()->set_bag_size(0); }, "linear.bag_size"},
      {[](P* p) { p->mutable_linear()->set_bag_size(257); }, "linear.bag_size"},
      {[](P* p) { p->mutable_linear()->set_scale(-0.1); }, "linear.scale"},
      {[](P* p) { p->mutable_linear()->set_publish_every_ms(3'600'001); }, "linear.publish_every_ms"},
  });
}

TEST(ValidationTest, BatchesIdsAndPages) {
  EXPECT_OK(ValidateBatch("events", 0, kLimits));
  EXPECT_OK(ValidateBatch("events", 1000, kLimits));
  EXPECT_EQ(Fields(ValidateBatch("events", 1001, kLimits)), std::vector<std::string>{"events"});
  EXPECT_OK(ValidateId("item_id", "x", kLimits));
  EXPECT_EQ(Fields(ValidateId("item_id", "", kLimits)), std::vector<std::string>{"item_id"});
  EXPECT_EQ(*ValidatePage(0, ""), 100);
  EXPECT_EQ(*ValidatePage(1, "token"), 1);
  EXPECT_EQ(*ValidatePage(5000, ""), 1000);
  EXPECT_EQ(Fields(ValidatePage(-1, "").status()), std::vector<std::string>{"page_size"});
  EXPECT_EQ(Fields(ValidatePage(1, Long(1025)).status()), std::vector<std::string>{"page_token"});
  EXPECT_EQ(Fields(ValidatePage(1, "\xff").status()), std::vector<std::string>{"page_token"});
}

TEST(ValidationTest, LimitsComeFromTheConfigurationAndGoOut) {
  ServerConfig config;
  config.profile_bytes = 1000;
  config.event_id_lifetime_seconds = 2000;
  const v1::Limits out = ToProto(LimitsOf(config));
  EXPECT_EQ(out.profile_bytes(), 1000);
  EXPECT_EQ(out.event_id_lifetime_seconds(), 2000);
  // None is forgotten.
  std::vector<const FieldDescriptor*> set;
  out.GetReflection()->ListFields(out, &set);
  EXPECT_EQ(static_cast<int>(set.size()), v1::Limits::descriptor()->field_count());
}

// Fills a message with anything: extreme numbers, numbers that are none, long texts, bytes that are no text.
class Filler {
 public:
  explicit Filler(uint32_t seed) : random_(seed) {}

  void Fill(Message* message, int depth = 0) {
    const auto* reflection = message->GetReflection();
    const auto* type = message->GetDescriptor();
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      if (field->is_repeated()) {
        const int n = Pick(20) == 0 ? Pick(70) : Pick(3);
        for (int k = 0; k < n; ++k) Set(message, reflection, field, depth, true);
      } else if (Pick(3) != 0) {
        Set(message, reflection, field, depth, false);
      }
    }
  }
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }

 private:
  int64_t Whole() {
    constexpr int64_t kValues[] = {0, 1, -1, 5, 100, 1'000'000, INT64_MAX, INT64_MIN, INT32_MAX, 7'289'654'400};
    return kValues[Pick(10)];
  }
  double Real() {
    const double values[] = {0, 1, -1, 0.5, kNan, kInf, -kInf, 1e308, -1e308, 5e-324};
    return values[Pick(10)];
  }
  std::string Text() {
    const std::string values[] = {"", "a", "EUR", "context.x", "\xff", "\xc3\xa9", Long(256), Long(257), "b", std::string("\0", 1)};
    return values[Pick(10)];
  }
  void Set(Message* m, const google::protobuf::Reflection* r, const FieldDescriptor* f, int depth, bool add) {
    switch (f->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32: add ? r->AddInt32(m, f, static_cast<int>(Whole())) : r->SetInt32(m, f, static_cast<int>(Whole())); break;
      case FieldDescriptor::CPPTYPE_INT64: add ? r->AddInt64(m, f, Whole()) : r->SetInt64(m, f, Whole()); break;
      case FieldDescriptor::CPPTYPE_UINT64: add ? r->AddUInt64(m, f, 1) : r->SetUInt64(m, f, 1); break;
      case FieldDescriptor::CPPTYPE_DOUBLE: add ? r->AddDouble(m, f, Real()) : r->SetDouble(m, f, Real()); break;
      case FieldDescriptor::CPPTYPE_BOOL: add ? r->AddBool(m, f, true) : r->SetBool(m, f, true); break;
      case FieldDescriptor::CPPTYPE_ENUM: add ? r->AddEnumValue(m, f, Pick(14) - 2) : r->SetEnumValue(m, f, Pick(14) - 2); break;
      case FieldDescriptor::CPPTYPE_STRING: add ? r->AddString(m, f, Text()) : r->SetString(m, f, Text()); break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        if (depth < 4) Fill(add ? r->AddMessage(m, f) : r->MutableMessage(m, f), depth + 1);
        break;
      default: break;
    }
  }
  std::mt19937 random_;
};

// The promise after OK, found by looking at every field there is.
bool IsClean(const Message& message) {
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* f : fields) {
    const int n = f->is_repeated() ? reflection->FieldSize(message, f) : 1;
    for (int i = 0; i < n; ++i) {
      if (f->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
        const double value = f->is_repeated() ? reflection->GetRepeatedDouble(message, f, i) : reflection->GetDouble(message, f);
        if (!std::isfinite(value)) return false;
      } else if (f->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
        const std::string value = f->is_repeated() ? reflection->GetRepeatedString(message, f, i) : reflection->GetString(message, f);
        if (value.size() > 256 || !IsValidUtf8(value)) return false;
      } else if (f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        if (!IsClean(f->is_repeated() ? reflection->GetRepeatedMessage(message, f, i) : reflection->GetMessage(message, f))) return false;
      }
    }
  }
  return true;
}

template <typename M>
void Fuzz(uint32_t seed, M message = M()) {
  const google::protobuf::LogSilencer silencer;  // it complains of every text that is none
  std::mt19937 random(seed);
  for (uint32_t i = 0; i < 2000; ++i) {
    M filled;
    Filler(seed + i).Fill(&filled);
    EXPECT_TRUE(!Validate(filled, kLimits).ok() || IsClean(filled)) << filled.ShortDebugString().substr(0, 1000);
    // One right message in which one thing was overwritten, so that deep checks are reached as well.
    M changed = message;
    M other;
    Filler(seed + i).Fill(&other);
    const FieldDescriptor* field = M::descriptor()->field(static_cast<int>(random() % static_cast<uint32_t>(M::descriptor()->field_count())));
    std::vector<const FieldDescriptor*> one = {field};
    changed.GetReflection()->SwapFields(&changed, &other, one);
    EXPECT_TRUE(!Validate(changed, kLimits).ok() || IsClean(changed)) << changed.ShortDebugString().substr(0, 1000);
    // Bytes turned over: what still parses must still be judged.
    std::string bytes = message.SerializeAsString();
    if (!bytes.empty()) {
      for (int k = 0; k < 3; ++k) bytes[random() % bytes.size()] = static_cast<char>(random());
      M parsed;
      EXPECT_TRUE(!parsed.ParseFromString(bytes) || !Validate(parsed, kLimits).ok() || IsClean(parsed));
    }
  }
}

TEST(ValidationTest, NothingUncleanPassesWhateverIsSent) {
  Fuzz<v1::RankOffersRequest>(1, RightRequest());
  Fuzz<v1::ActivateRequest>(2);
  v1::Event event;
  event.set_event_id("e");
  event.set_kind(v1::CLICK);
  Fuzz<v1::Event>(3, event);
  v1::Item item;
  item.set_item_id("i");
  Fuzz<v1::Item>(4, item);
  v1::Offer offer;
  offer.set_offer_id("o");
  Fuzz<v1::Offer>(5, offer);
  v1::Customer customer;
  customer.set_customer_id("c");
  Fuzz<v1::Customer>(6, customer);
  v1::Placement placement;
  placement.set_name("p");
  placement.set_policy("q");
  Fuzz<v1::Placement>(7, placement);
  Fuzz<v1::Policy>(8, RightPolicy());
}

}  // namespace
}  // namespace offerd
