#include "store/placement_parts.h"

#include "core/status_macros.h"
#include "store/record_parts.h"

namespace offerd {

using record_parts::CheckFinite;
using record_parts::Wrong;

absl::StatusOr<ReleaseGate> GateFromProto(const v1::ReleaseGate& proto) {
  ReleaseGate gate;
  if (!v1::ReleaseGate::Estimator_IsValid(proto.estimator())) return Wrong("gate.estimator", "is unknown");
  gate.snips = proto.estimator() == v1::ReleaseGate::SNIPS;
  gate.floor = proto.floor();
  if (proto.min_effective_samples() != 0) gate.min_effective_samples = proto.min_effective_samples();
  gate.slots = proto.slots();
  gate.required = proto.required();
  gate.guard = proto.guard();
  gate.guard_floor = proto.guard_floor();
  gate.automatic_return = proto.automatic_return();
  for (const double value : {gate.floor, gate.min_effective_samples, gate.guard_floor}) RETURN_IF_ERROR(CheckFinite(value, "gate"));
  return gate;
}

v1::ReleaseGate GateToProto(const ReleaseGate& gate) {
  v1::ReleaseGate proto;
  proto.set_estimator(gate.snips ? v1::ReleaseGate::SNIPS : v1::ReleaseGate::IPS);
  proto.set_floor(gate.floor);
  proto.set_min_effective_samples(gate.min_effective_samples);
  proto.set_slots(gate.slots);
  proto.set_required(gate.required);
  proto.set_guard(gate.guard);
  proto.set_guard_floor(gate.guard_floor);
  proto.set_automatic_return(gate.automatic_return);
  return proto;
}

absl::StatusOr<SlateRules> RulesFromProto(const v1::SlateRules& proto) {
  SlateRules rules;
  rules.max_per_category = proto.max_per_category();
  rules.max_per_brand = proto.max_per_brand();
  rules.cannibalisation = proto.cannibalisation();
  rules.cannibalisation_table = proto.cannibalisation_table();
  rules.diversity = proto.diversity();
  for (const double value : {rules.cannibalisation, rules.diversity}) RETURN_IF_ERROR(CheckFinite(value, "rules"));
  for (const v1::SlateRules::Pin& pin : proto.pins()) rules.pins.push_back({pin.offer_id(), pin.slot()});
  for (const v1::SlateRules::FrequencyCap& cap : proto.frequency_caps()) {
    if (!v1::SlateRules::FrequencyCap::Period_IsValid(cap.period())) return Wrong("rules.frequency_caps.period", "is unknown");
    rules.frequency_caps.push_back({static_cast<FrequencyCap::Period>(cap.period()), cap.count()});  // the same numbers
  }
  return rules;
}

v1::SlateRules RulesToProto(const SlateRules& rules) {
  v1::SlateRules proto;
  proto.set_max_per_category(rules.max_per_category);
  proto.set_max_per_brand(rules.max_per_brand);
  proto.set_cannibalisation(rules.cannibalisation);
  proto.set_cannibalisation_table(rules.cannibalisation_table);
  proto.set_diversity(rules.diversity);
  for (const Pin& pin : rules.pins) {
    proto.add_pins()->set_offer_id(pin.offer_id);
    proto.mutable_pins()->rbegin()->set_slot(pin.slot);
  }
  for (const FrequencyCap& cap : rules.frequency_caps) {
    proto.add_frequency_caps()->set_period(static_cast<v1::SlateRules::FrequencyCap::Period>(cap.period));
    proto.mutable_frequency_caps()->rbegin()->set_count(cap.count);
  }
  return proto;
}

}  // namespace offerd
