#include "server/validation.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "server/bad_request.h"
#include "server/field_checks.h"
#include "server/list_validation.h"
#include "server/utf8.h"

namespace offerd {
namespace {

using field_checks::Checker;
using field_checks::Path;
using field_checks::kDefaultLatenessSeconds;
using field_checks::kDefaultWindowSeconds;
using field_checks::kLargestReward;
using field_checks::kMaxMicros;
using field_checks::kMaxNames;
using field_checks::kMaxPathDepth;
using field_checks::kMaxQuantity;
using field_checks::kYearSeconds;

void CheckFeature(const Path& path, const v1::Feature& feature, Checker& check) {
  check.Id(Path(path, "name"), feature.name());
  switch (feature.kind_case()) {
    case v1::Feature::kConstant: break;
    case v1::Feature::kNumeric: {
      const Path at(path, "numeric");
      const v1::Feature::Numeric& numeric = feature.numeric();
      check.Id(Path(at, "fact"), numeric.fact());
      check.Enum(Path(at, "transform"), v1::Feature::Transform_IsValid(numeric.transform()), numeric.transform());
      check.AtLeastZero(Path(at, "scale"), numeric.scale());
      check.Finite(Path(at, "multiplier"), numeric.multiplier());
      check.Finite(Path(at, "minimum"), numeric.minimum());
      check.Finite(Path(at, "maximum"), numeric.maximum());
      check.Finite(Path(at, "missing_value"), numeric.missing_value());
      if (numeric.has_minimum() && numeric.has_maximum() && numeric.minimum() > numeric.maximum()) {
        check.Refuse(Path(at, "maximum"), "expected minimum or more, found less");
      }
      break;
    }
    case v1::Feature::kOneHot: {
      const Path at(path, "one_hot");
      const v1::Feature::OneHot& one_hot = feature.one_hot();
      check.Id(Path(at, "fact"), one_hot.fact());
      if (one_hot.values().empty()) check.Refuse(Path(at, "values"), "expected at least one, found none");
      if (!check.Size(Path(at, "values"), one_hot.values_size(), check.limits().max_dimension)) break;
      absl::flat_hash_set<absl::string_view> seen;
      for (int i = 0; i < one_hot.values_size(); ++i) {
        const Path value(at, "values", i);
        check.OptionalText(value, one_hot.values(i));
        if (!seen.insert(one_hot.values(i)).second) check.Refuse(value, "expected a value of its own, found one used before");
      }
      break;
    }
    case v1::Feature::kBucket: {
      const Path at(path, "bucket");
      const v1::Feature::Bucket& bucket = feature.bucket();
      check.Id(Path(at, "fact"), bucket.fact());
      if (bucket.boundaries().empty()) check.Refuse(Path(at, "boundaries"), "expected at least one, found none");
      if (!check.Size(Path(at, "boundaries"), bucket.boundaries_size(), check.limits().max_dimension - 1)) break;
      for (int i = 0; i < bucket.boundaries_size(); ++i) {
        const Path boundary(at, "boundaries", i);
        check.Finite(boundary, bucket.boundaries(i));
        if (i > 0 && bucket.boundaries(i) <= bucket.boundaries(i - 1)) {
          check.Refuse(boundary, "expected more than the one before");
        }
      }
      break;
    }
    case v1::Feature::kCross:
      check.Id(Path(Path(path, "cross"), "left"), feature.cross().left());
      check.Id(Path(Path(path, "cross"), "right"), feature.cross().right());
      break;
    case v1::Feature::KIND_NOT_SET:
      check.Refuse(path, "expected constant, numeric, one_hot, bucket or cross, found none");
      break;
  }
}

void CheckLinear(const v1::Policy::Linear& linear, Checker& check) {
  const Path at("linear");
  const Path features_path(at, "features");
  const auto& features = linear.features().features();
  if (features.empty()) check.Refuse(features_path, "expected at least one feature, found none");
  if (check.Size(Path(features_path, "features"), features.size(), check.limits().max_dimension)) {
    absl::flat_hash_set<absl::string_view> seen;
    for (int i = 0; i < features.size(); ++i) {
      const Path path(features_path, "features", i);
      CheckFeature(path, features.Get(i), check);
      if (!seen.insert(features.Get(i).name()).second) {
        check.Refuse(Path(path, "name"), "expected a name of its own, found one used before");
      }
    }
  }
  if (linear.has_ridge() && !(linear.ridge() > 0 && std::isfinite(linear.ridge()))) {
    check.Refuse(Path(at, "ridge"), "expected a finite number above 0");
  }
  if (linear.half_life_days() != 0) check.Within(Path(at, "half_life_days"), linear.half_life_days(), 0.01, 36'500);
  if (linear.has_bag_size()) check.Whole(Path(at, "bag_size"), linear.bag_size(), 1, 256);
  if (linear.has_scale()) check.AtLeastZero(Path(at, "scale"), linear.scale());
  if (linear.has_publish_every_ms()) check.Whole(Path(at, "publish_every_ms"), linear.publish_every_ms(), 1, 3'600'000);
}

void CheckRules(const v1::SlateRules& rules, const Limits& limits, Checker& check) {
  const Path at("rules");
  check.Whole(Path(at, "max_per_category"), rules.max_per_category(), 0, limits.max_slate_size);
  check.Whole(Path(at, "max_per_brand"), rules.max_per_brand(), 0, limits.max_slate_size);
  check.Within(Path(at, "cannibalisation"), rules.cannibalisation(), 0, 1);
  check.OptionalText(Path(at, "cannibalisation_table"), rules.cannibalisation_table());
  if (!(rules.diversity() >= 0 && rules.diversity() < 1)) check.Refuse(Path(at, "diversity"), "expected 0 or more and below 1");
  if (check.Size(Path(at, "pins"), rules.pins_size(), limits.max_slate_size)) {
    absl::flat_hash_set<absl::string_view> offers;
    absl::flat_hash_set<int> slots;
    for (int i = 0; i < rules.pins_size(); ++i) {
      const Path pin(at, "pins", i);
      check.Id(Path(pin, "offer_id"), rules.pins(i).offer_id());
      check.Whole(Path(pin, "slot"), rules.pins(i).slot(), 0, limits.max_slate_size - 1);
      if (!offers.insert(rules.pins(i).offer_id()).second) check.Refuse(Path(pin, "offer_id"), "expected an offer of its own, found one pinned before");
      if (!slots.insert(rules.pins(i).slot()).second) check.Refuse(Path(pin, "slot"), "expected a slot of its own, found one pinned before");
    }
  }
  if (!check.Size(Path(at, "frequency_caps"), rules.frequency_caps_size(), 8)) return;
  for (int i = 0; i < rules.frequency_caps_size(); ++i) {
    const Path cap(at, "frequency_caps", i);
    const v1::SlateRules::FrequencyCap::Period period = rules.frequency_caps(i).period();
    if (!v1::SlateRules::FrequencyCap::Period_IsValid(period) || period == v1::SlateRules::FrequencyCap::PERIOD_UNSPECIFIED) {
      check.Refuse(Path(cap, "period"), "expected DAY, WEEK or CAMPAIGN");
    }
    check.Whole(Path(cap, "count"), rules.frequency_caps(i).count(), 1, 256);
  }
}

void CheckReward(const v1::Reward& reward, Checker& check) {
  const Path at("reward");
  check.Enum(Path(at, "value"), v1::Reward::Value_IsValid(reward.value()), reward.value());
  check.Enum(Path(at, "aggregation"), v1::Reward::Aggregation_IsValid(reward.aggregation()), reward.aggregation());
  bool is_taken[v1::EventKind_ARRAYSIZE] = {};
  for (int i = 0; i < reward.weights_size(); ++i) {
    const Path path(at, "weights", i);
    const v1::EventKind kind = reward.weights(i).kind();
    if (kind == v1::EVENT_KIND_UNSPECIFIED || !v1::EventKind_IsValid(kind)) {
      check.Refuse(Path(path, "kind"), "expected a kind of event");
    } else if (is_taken[kind]) {
      check.Refuse(Path(path, "kind"), "expected a kind of its own, found one used before");
    } else {
      is_taken[kind] = true;
    }
    check.Within(Path(path, "weight"), reward.weights(i).weight(), -kLargestReward, kLargestReward);
  }
  check.Enum(Path(at, "attribution"), v1::Reward::Attribution_IsValid(reward.attribution()), reward.attribution());
  check.Enum(Path(at, "late_policy"), v1::Reward::LatePolicy_IsValid(reward.late_policy()), reward.late_policy());
  check.Currency(Path(at, "currency"), reward.currency());
  if (!reward.customer_weight().empty()) check.Id(Path(at, "customer_weight"), reward.customer_weight());
  check.Within(Path(at, "default_reward"), reward.default_reward(), -kLargestReward, kLargestReward);
  check.Within(Path(at, "value_cap"), reward.value_cap(), 0, kLargestReward);
  check.Within(Path(at, "largest"), reward.largest(), 0, kLargestReward);
}

}  // namespace

Limits LimitsOf(const ServerConfig& config) {
  Limits limits;
  limits.profile_bytes = config.profile_bytes;
  limits.max_open_decisions = config.max_open_decisions;
  limits.request_id_lifetime_seconds = config.request_id_lifetime_seconds;
  limits.event_id_lifetime_seconds = config.event_id_lifetime_seconds;
  return limits;
}

v1::Limits ToProto(const Limits& limits) {
  v1::Limits out;
  out.set_max_candidates(limits.max_candidates);
  out.set_max_offer_keys(limits.max_offer_keys);
  out.set_max_context_features(limits.max_context_features);
  out.set_max_candidate_features(limits.max_candidate_features);
  out.set_max_id_bytes(limits.max_id_bytes);
  out.set_max_message_bytes(limits.max_message_bytes);
  out.set_max_slate_size(limits.max_slate_size);
  out.set_max_batch(limits.max_batch);
  out.set_max_event_lines(limits.max_event_lines);
  out.set_max_dimension(limits.max_dimension);
  out.set_profile_bytes(limits.profile_bytes);
  out.set_max_open_decisions(limits.max_open_decisions);
  out.set_request_id_lifetime_seconds(limits.request_id_lifetime_seconds);
  out.set_event_id_lifetime_seconds(limits.event_id_lifetime_seconds);
  out.set_max_offer_items(limits.max_offer_items);
  out.set_max_attributes(limits.max_attributes);
  out.set_max_cart_lines(limits.max_cart_lines);
  out.set_max_strategies(limits.max_strategies);
  return out;
}

absl::Status Validate(const v1::RankOffersRequest& request, const Limits& limits) {
  Checker check(limits);
  check.OptionalText(Path("request_id"), request.request_id());
  check.Id(Path("placement"), request.placement());
  check.OptionalText(Path("market"), request.market());
  check.OptionalText(Path("customer_id"), request.customer_id());
  check.NamedValues(nullptr, "context", request.context(), limits.max_context_features);
  if (check.Size(Path("candidates"), request.candidates_size(), limits.max_candidates)) {
    for (int i = 0; i < request.candidates_size(); ++i) {
      const v1::Candidate& candidate = request.candidates(i);
      const Path path("candidates", i);
      check.Id(Path(path, "offer_id"), candidate.offer_id());
      if (candidate.features_size() > 0) {
        check.NamedValues(&path, "features", candidate.features(), limits.max_candidate_features);
      }
    }
  }
  if (check.Size(Path("offer_keys"), request.offer_keys_size(), limits.max_offer_keys) && request.offer_keys_size() > 0 &&
      request.candidates_size() > 0) {
    check.Refuse(Path("offer_keys"), "expected none beside candidates: name the offers one way");
  }
  if (request.slate_size() < 0) check.Refuse(Path("slate_size"), absl::StrCat("expected 0 or more, found ", request.slate_size()));
  check.Consent(request.consent());
  if (request.has_as_of()) check.Time(Path("as_of"), request.as_of());
  CheckCart(request.cart(), check);
  check.OptionalText(Path("policy"), request.policy());
  if (!request.policy().empty() && !request.validate_only()) check.Refuse(Path("policy"), "expected only with validate_only");
  return check.Done();
}

absl::Status Validate(const v1::ActivateRequest& request, const Limits& limits) {
  Checker check(limits);
  check.Id(Path("decision_id"), request.decision_id());
  if (check.Size(Path("slots"), request.slots_size(), limits.max_slate_size)) {
    for (int i = 0; i < request.slots_size(); ++i) check.Whole(Path("slots", i), request.slots(i), 0, limits.max_slate_size - 1);
  }
  if (request.has_as_of()) check.Time(Path("as_of"), request.as_of());
  return check.Done();
}

absl::Status Validate(const v1::Event& event, const Limits& limits) {
  Checker check(limits);
  check.Id(Path("event_id"), event.event_id());
  if (event.kind() == v1::EVENT_KIND_UNSPECIFIED || !v1::EventKind_IsValid(event.kind())) {
    check.Refuse(Path("kind"), "expected a kind of event");
  }
  check.OptionalText(Path("customer_id"), event.customer_id());
  check.OptionalText(Path("decision_id"), event.decision_id());
  check.OptionalText(Path("offer_id"), event.offer_id());
  check.OptionalText(Path("market"), event.market());
  if (event.has_time()) check.Time(Path("time"), event.time());
  check.OptionalText(Path("order_id"), event.order_id());
  if (check.Size(Path("lines"), event.lines_size(), limits.max_event_lines)) {
    for (int i = 0; i < event.lines_size(); ++i) {
      const v1::EventLine& line = event.lines(i);
      const Path path("lines", i);
      check.Id(Path(path, "item_id"), line.item_id());
      check.Whole(Path(path, "quantity"), line.quantity(), 0, kMaxQuantity);
      check.Money(Path(path, "revenue_micros"), line.revenue_micros());
    }
  }
  check.Currency(Path("currency"), event.currency());
  check.OptionalText(Path("reverses_event_id"), event.reverses_event_id());
  if ((event.kind() == v1::REFUND) == event.reverses_event_id().empty()) {
    check.Refuse(Path("reverses_event_id"), "expected the id of the reversed event with REFUND, and only then");
  }
  check.Consent(event.consent());
  return check.Done();
}

absl::Status Validate(const v1::Item& item, const Limits& limits) {
  Checker check(limits);
  check.Id(Path("item_id"), item.item_id());
  check.EachId("category_path", item.category_path(), kMaxPathDepth);
  check.OptionalText(Path("brand"), item.brand());
  check.Money(Path("price_micros"), item.price_micros());
  check.Money(Path("cost_micros"), item.cost_micros());
  check.Currency(Path("currency"), item.currency());
  check.Attributes(item.attributes());
  check.EachId("unavailable_markets", item.unavailable_markets(), kMaxNames);
  return check.Done();
}

absl::Status Validate(const v1::Offer& offer, const Limits& limits) {
  Checker check(limits);
  check.Id(Path("offer_id"), offer.offer_id());
  check.OptionalText(Path("label"), offer.label());
  check.OptionalText(Path("campaign"), offer.campaign());
  check.EachId("item_ids", offer.item_ids(), limits.max_offer_items);
  check.OptionalText(Path("category"), offer.category());
  check.EachId("markets", offer.markets(), kMaxNames);
  const bool has_start = offer.has_starts_at() && check.Time(Path("starts_at"), offer.starts_at());
  const bool has_end = offer.has_ends_at() && check.Time(Path("ends_at"), offer.ends_at());
  if (has_start && has_end) {
    const auto& start = offer.starts_at();
    const auto& end = offer.ends_at();
    if (std::make_pair(end.seconds(), end.nanos()) <= std::make_pair(start.seconds(), start.nanos())) {
      check.Refuse(Path("ends_at"), "expected a time after starts_at");
    }
  }
  check.Currency(Path("currency"), offer.currency());
  check.Money(Path("cost_micros"), offer.cost_micros());
  check.Money(Path("budget_micros"), offer.budget_micros());
  check.Whole(Path("stock"), offer.stock(), 0, kMaxMicros);
  check.EachId("audiences", offer.audiences(), kMaxNames);
  check.Attributes(offer.attributes());
  return check.Done();
}

absl::Status Validate(const v1::Customer& customer, const Limits& limits) {
  Checker check(limits);
  check.Id(Path("customer_id"), customer.customer_id());
  check.Consent(customer.consent());
  check.EachId("audiences", customer.audiences(), kMaxNames);
  check.EachId("campaigns", customer.campaigns(), kMaxNames);
  check.EachId("excluded_offers", customer.excluded_offers(), kMaxNames);
  check.EachId("excluded_categories", customer.excluded_categories(), kMaxNames);
  check.Attributes(customer.attributes());
  return check.Done();
}

absl::Status Validate(const v1::Placement& placement, const Limits& limits) {
  Checker check(limits);
  check.Id(Path("name"), placement.name());
  if (placement.has_lists()) {
    check.OptionalText(Path("policy"), placement.policy());
    CheckLists(placement.lists(), check);
  } else {
    check.Id(Path("policy"), placement.policy());
  }
  check.OptionalText(Path("cart_table"), placement.cart_table());
  check.OptionalText(Path("fixed_policy"), placement.fixed_policy());
  check.Enum(Path("mode"), v1::Mode_IsValid(placement.mode()), placement.mode());
  check.Whole(Path("slate_size"), placement.slate_size(), 0, limits.max_slate_size);
  const v1::Explorer& explorer = placement.explorer();
  const Path explorer_path("explorer");
  check.Enum(Path(explorer_path, "kind"), v1::Explorer::Kind_IsValid(explorer.kind()), explorer.kind());
  if (explorer.has_epsilon()) check.Within(Path(explorer_path, "epsilon"), explorer.epsilon(), 0, 1);
  if (explorer.has_strength()) check.Within(Path(explorer_path, "strength"), explorer.strength(), 0, 1e6);
  if (explorer.has_reach()) check.Within(Path(explorer_path, "reach"), explorer.reach(), 0, 1000);
  const v1::RandomisedShare& share = placement.randomised_share();
  const Path share_path("randomised_share");
  if (share.has_share()) check.Within(Path(share_path, "share"), share.share(), 0, 1);
  check.Enum(Path(share_path, "kind"), v1::RandomisedShare::Kind_IsValid(share.kind()), share.kind());
  check.Enum(Path(share_path, "base"), v1::RandomisedShare::Base_IsValid(share.base()), share.base());
  if (share.has_reach()) check.Whole(Path(share_path, "reach"), share.reach(), 0, 1000);
  CheckReward(placement.reward(), check);
  check.Whole(Path("window_seconds"), placement.window_seconds(), 0, kYearSeconds);
  check.Whole(Path("max_lateness_seconds"), placement.max_lateness_seconds(), 0, kYearSeconds);
  // Bounded before they are added: a caller's numbers may be anything.
  const int64_t window = std::clamp<int64_t>(placement.window_seconds(), 0, kYearSeconds);
  const int64_t lateness = std::clamp<int64_t>(placement.max_lateness_seconds(), 0, kYearSeconds);
  const int64_t total = (window == 0 ? kDefaultWindowSeconds : window) + (lateness == 0 ? kDefaultLatenessSeconds : lateness);
  if (total >= limits.event_id_lifetime_seconds) {
    check.Refuse(Path("window_seconds"), absl::StrCat("expected less than event_id_lifetime_seconds (", limits.event_id_lifetime_seconds,
                                                      ") together with max_lateness_seconds, found ", total));
  }
  check.Whole(Path("settle_after_seconds"), placement.settle_after_seconds(), 0, total);
  if (check.Size(Path("examination"), placement.examination_size(), 100)) {
    for (int i = 0; i < placement.examination_size(); ++i) {
      const double weight = placement.examination(i);
      if (!(weight > 0 && weight <= 1)) check.Refuse(Path("examination", i), "expected above 0 and at most 1");
    }
  }
  if (placement.estimate_examination() && share.has_share() && !(share.share() > 0)) {
    check.Refuse(Path("estimate_examination"), "expected a randomised_share.share above 0 with it: the weights are estimated from what it shows");
  }
  CheckRules(placement.rules(), limits, check);
  const v1::ReleaseGate& gate = placement.gate();
  const Path gate_path("gate");
  check.Enum(Path(gate_path, "estimator"), v1::ReleaseGate::Estimator_IsValid(gate.estimator()), gate.estimator());
  check.Finite(Path(gate_path, "floor"), gate.floor());
  check.Finite(Path(gate_path, "guard_floor"), gate.guard_floor());
  check.AtLeastZero(Path(gate_path, "min_effective_samples"), gate.min_effective_samples());
  check.Whole(Path(gate_path, "slots"), gate.slots(), 0, limits.max_slate_size);
  if (gate.automatic_return() && !gate.guard()) check.Refuse(Path(gate_path, "automatic_return"), "expected guard to be on with it");
  if (placement.has_matrix_share()) check.Within(Path("matrix_share"), placement.matrix_share(), 0, 1);
  check.EachId("campaigns", placement.campaigns(), kMaxNames);
  return check.Done();
}

absl::Status Validate(const v1::Policy& policy, const Limits& limits) {
  Checker check(limits);
  check.Id(Path("name"), policy.name());
  switch (policy.kind_case()) {
    case v1::Policy::kFixed: {
      const auto& order = policy.fixed().order();
      const Path at("fixed");
      if (!check.Size(Path(at, "order"), order.size(), limits.max_offer_items)) break;
      absl::flat_hash_set<absl::string_view> seen;
      for (int i = 0; i < order.size(); ++i) {
        const Path path(at, "order", i);
        check.Id(path, order.Get(i));
        if (!seen.insert(order.Get(i)).second) check.Refuse(path, "expected an offer of its own, found one named before");
      }
      break;
    }
    case v1::Policy::kRandom: {
      const Path at("random");
      check.Enum(Path(at, "kind"), v1::RandomisedShare::Kind_IsValid(policy.random().kind()), policy.random().kind());
      if (policy.random().has_reach()) check.Whole(Path(at, "reach"), policy.random().reach(), 0, 1000);
      break;
    }
    case v1::Policy::kLinear: CheckLinear(policy.linear(), check); break;
    case v1::Policy::KIND_NOT_SET: check.Refuse(Path("kind"), "expected fixed, random or linear, found none"); break;
  }
  return check.Done();
}

absl::Status ValidateBatch(absl::string_view field, int size, const Limits& limits) {
  if (size <= limits.max_batch) return absl::OkStatus();
  return BadRequest(std::string(field), absl::StrCat("expected at most ", limits.max_batch, " elements, found ", size));
}

absl::Status ValidateId(absl::string_view field, absl::string_view id, const Limits& limits) {
  Checker check(limits);
  check.Id(Path(field), std::string(id));
  return check.Done();
}

absl::Status ValidateReason(absl::string_view field, absl::string_view reason) {
  constexpr size_t kMaxReasonBytes = 1000;
  if (reason.size() <= kMaxReasonBytes) return absl::OkStatus();
  return BadRequest(std::string(field), absl::StrCat("expected at most ", kMaxReasonBytes, " bytes, found ", reason.size()));
}

absl::StatusOr<int> ValidatePage(int page_size, absl::string_view page_token) {
  FieldErrors errors;
  if (page_size < 0) errors.Add("page_size", absl::StrCat("expected 0 to 1000, found ", page_size));
  if (page_token.size() > 1024 || !IsValidUtf8(page_token)) errors.Add("page_token", "expected that of the answer before");
  if (!errors.empty()) return errors.ToStatus();
  return page_size == 0 ? 100 : std::min(page_size, 1000);
}

}  // namespace offerd
