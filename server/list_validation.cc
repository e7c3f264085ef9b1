#include "server/list_validation.h"

#include "absl/strings/str_cat.h"
#include "server/validation.h"

namespace offerd {
namespace {

using field_checks::Checker;
using field_checks::kMaxQuantity;
using field_checks::Path;
using Strategies = google::protobuf::RepeatedPtrField<v1::Strategy>;

constexpr double kLargestWeight = 1e6;

bool ReadsATable(v1::Strategy::Kind kind) {
  return kind == v1::Strategy::NEIGHBOURS || kind == v1::Strategy::SESSIONS || kind == v1::Strategy::HISTORY;
}

void CheckStrategies(const Path& lists, absl::string_view name, const Strategies& strategies, Checker& check) {
  if (!check.Size(Path(lists, name), strategies.size(), check.limits().max_strategies)) return;
  for (int i = 0; i < strategies.size(); ++i) {
    const v1::Strategy& strategy = strategies.Get(i);
    const Path path(lists, name, i);
    if (strategy.kind() == v1::Strategy::KIND_UNSPECIFIED || !v1::Strategy::Kind_IsValid(strategy.kind())) {
      check.Refuse(Path(path, "kind"), "expected a kind of strategy");
    } else if (ReadsATable(strategy.kind())) {
      check.Id(Path(path, "table"), strategy.table());
    } else if (!strategy.table().empty()) {
      check.Refuse(Path(path, "table"), "expected none: this kind reads no table");
    }
    if (!strategy.has_weight()) continue;
    check.Within(Path(path, "weight"), strategy.weight(), 0, kLargestWeight);
    if (strategy.weight() == 0) check.Refuse(Path(path, "weight"), "expected more than 0");
  }
}

// What the four requests have in common.
template <typename Request>
void CheckShared(const Request& request, Checker& check) {
  check.Id(Path("placement"), request.placement());
  check.OptionalText(Path("market"), request.market());
  check.OptionalText(Path("customer_id"), request.customer_id());
  if (request.count() < 0) check.Refuse(Path("count"), absl::StrCat("expected 0 or more, found ", request.count()));
  check.EachId("exclude_item_ids", request.exclude_item_ids(), check.limits().max_candidates);
  check.Consent(request.consent());
  if (request.has_as_of()) check.Time(Path("as_of"), request.as_of());
}

}  // namespace

void CheckLists(const v1::Lists& lists, Checker& check) {
  const Path at("lists");
  if (lists.strategies().empty()) check.Refuse(Path(at, "strategies"), "expected at least one, found none");
  CheckStrategies(at, "strategies", lists.strategies(), check);
  CheckStrategies(at, "fallbacks", lists.fallbacks(), check);
  check.Enum(Path(at, "blend"), v1::Lists::Blend_IsValid(lists.blend()), lists.blend());
  check.Whole(Path(at, "max_per_category"), lists.max_per_category(), 0, 1000);
  check.Whole(Path(at, "max_per_brand"), lists.max_per_brand(), 0, 1000);
  check.Within(Path(at, "diversity"), lists.diversity(), 0, 0.999);
  check.Within(Path(at, "margin_weight"), lists.margin_weight(), 0, 100);
  check.Within(Path(at, "up_sell_weight"), lists.up_sell_weight(), 0, 100);
  if (lists.history_half_life_days() != 0) check.Within(Path(at, "history_half_life_days"), lists.history_half_life_days(), 0.01, 36'500);
  bool is_taken[v1::EventKind_ARRAYSIZE] = {};
  if (!check.Size(Path(at, "event_weights"), lists.event_weights_size(), v1::EventKind_ARRAYSIZE)) return;
  for (int i = 0; i < lists.event_weights_size(); ++i) {
    const v1::Lists::EventWeight& weight = lists.event_weights(i);
    const Path path(at, "event_weights", i);
    if (weight.kind() == v1::EVENT_KIND_UNSPECIFIED || !v1::EventKind_IsValid(weight.kind())) {
      check.Refuse(Path(path, "kind"), "expected a kind of event");
    } else if (is_taken[weight.kind()]) {
      check.Refuse(Path(path, "kind"), "expected a kind of its own, found one used before");
    } else {
      is_taken[weight.kind()] = true;
    }
    check.Within(Path(path, "weight"), weight.weight(), 0, 1000);
  }
}

void CheckCart(const google::protobuf::RepeatedPtrField<v1::CartLine>& cart, Checker& check) {
  if (!check.Size(Path("cart"), cart.size(), check.limits().max_cart_lines)) return;
  for (int i = 0; i < cart.size(); ++i) {
    const Path path("cart", i);
    check.Id(Path(path, "item_id"), cart.Get(i).item_id());
    check.Whole(Path(path, "quantity"), cart.Get(i).quantity(), 0, kMaxQuantity);
  }
}

absl::Status Validate(const v1::CrossSellRequest& request, const Limits& limits) {
  Checker check(limits);
  CheckShared(request, check);
  CheckCart(request.cart(), check);
  return check.Done();
}

absl::Status Validate(const v1::SimilarItemsRequest& request, const Limits& limits) {
  Checker check(limits);
  CheckShared(request, check);
  check.Id(Path("item_id"), request.item_id());
  return check.Done();
}

absl::Status Validate(const v1::RecommendItemsRequest& request, const Limits& limits) {
  Checker check(limits);
  CheckShared(request, check);
  return check.Done();
}

// A session may be longer than what is read of it: what is left out is said in the answer.
absl::Status Validate(const v1::RecommendNextRequest& request, const Limits& limits) {
  Checker check(limits);
  CheckShared(request, check);
  check.EachId("session_item_ids", request.session_item_ids(), limits.max_candidates);
  return check.Done();
}

}  // namespace offerd
