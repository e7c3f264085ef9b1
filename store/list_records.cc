#include "store/list_records.h"

#include <utility>
#include <vector>

#include "core/status_macros.h"
#include "store/record_parts.h"

namespace offerd {
namespace {

using record_parts::CheckFinite;
using record_parts::ToEventKind;
using record_parts::Wrong;
using Strategies = google::protobuf::RepeatedPtrField<v1::Strategy>;

absl::StatusOr<std::vector<Strategy>> ToStrategies(const Strategies& protos) {
  std::vector<Strategy> strategies;
  for (const v1::Strategy& proto : protos) {
    if (proto.kind() <= 0 || proto.kind() >= kNumStrategyKinds) return Wrong("strategy.kind", "is unknown");
    Strategy strategy;
    strategy.kind = static_cast<StrategyKind>(proto.kind());
    strategy.table = proto.table();
    if (proto.has_weight()) strategy.weight = proto.weight();
    RETURN_IF_ERROR(CheckFinite(strategy.weight, "strategy.weight"));
    strategies.push_back(std::move(strategy));
  }
  return strategies;
}

void CopyStrategies(const std::vector<Strategy>& strategies, Strategies& to) {
  for (const Strategy& strategy : strategies) {
    v1::Strategy& proto = *to.Add();
    proto.set_kind(static_cast<v1::Strategy::Kind>(strategy.kind));
    proto.set_table(strategy.table);
    proto.set_weight(strategy.weight);
  }
}

}  // namespace

absl::StatusOr<Lists> ListsFromProto(const v1::Lists& proto) {
  Lists lists;
  ASSIGN_OR_RETURN(lists.strategies, ToStrategies(proto.strategies()));
  ASSIGN_OR_RETURN(lists.fallbacks, ToStrategies(proto.fallbacks()));
  lists.by_reciprocal_rank = proto.blend() == v1::Lists::RECIPROCAL_RANK;
  lists.max_per_category = proto.max_per_category();
  lists.max_per_brand = proto.max_per_brand();
  lists.diversity = proto.diversity();
  lists.margin_weight = proto.margin_weight();
  lists.up_sell_weight = proto.up_sell_weight();
  lists.keep_bought = proto.keep_bought();
  if (proto.history_half_life_days() != 0) lists.history_half_life_days = proto.history_half_life_days();
  for (const double value : {lists.diversity, lists.margin_weight, lists.up_sell_weight, lists.history_half_life_days}) {
    RETURN_IF_ERROR(CheckFinite(value, "lists"));
  }
  lists.has_event_weights = !proto.event_weights().empty();
  for (const v1::Lists::EventWeight& weight : proto.event_weights()) {
    ASSIGN_OR_RETURN(const EventKind kind, ToEventKind(weight.kind(), "event_weights.kind"));
    RETURN_IF_ERROR(CheckFinite(weight.weight(), "event_weights.weight"));
    lists.event_weights[static_cast<size_t>(kind)] = weight.weight();
  }
  return lists;
}

v1::Lists ListsToProto(const Lists& lists) {
  v1::Lists proto;
  CopyStrategies(lists.strategies, *proto.mutable_strategies());
  CopyStrategies(lists.fallbacks, *proto.mutable_fallbacks());
  proto.set_blend(lists.by_reciprocal_rank ? v1::Lists::RECIPROCAL_RANK : v1::Lists::WEIGHTS);
  proto.set_max_per_category(lists.max_per_category);
  proto.set_max_per_brand(lists.max_per_brand);
  proto.set_diversity(lists.diversity);
  proto.set_margin_weight(lists.margin_weight);
  proto.set_up_sell_weight(lists.up_sell_weight);
  proto.set_keep_bought(lists.keep_bought);
  proto.set_history_half_life_days(lists.history_half_life_days);
  for (int kind = 1; lists.has_event_weights && kind < kNumEventKinds; ++kind) {
    if (lists.event_weights[kind] == 0) continue;
    v1::Lists::EventWeight& weight = *proto.add_event_weights();
    weight.set_kind(static_cast<v1::EventKind>(kind));
    weight.set_weight(lists.event_weights[kind]);
  }
  // None at all would mean the defaults.
  if (lists.has_event_weights && proto.event_weights().empty()) proto.add_event_weights()->set_kind(v1::PURCHASE);
  return proto;
}

}  // namespace offerd
