#pragma once
#include "absl/status/statusor.h"
#include "core/records.h"
#include "offerd/v1/types.pb.h"

namespace offerd {

// Rules and gate of a placement, both ways. Errors: InvalidArgument names an unknown kind or a number that is not finite.
absl::StatusOr<SlateRules> RulesFromProto(const v1::SlateRules& proto);
v1::SlateRules RulesToProto(const SlateRules& rules);
absl::StatusOr<ReleaseGate> GateFromProto(const v1::ReleaseGate& proto);
v1::ReleaseGate GateToProto(const ReleaseGate& gate);

}  // namespace offerd
