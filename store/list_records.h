#pragma once
#include "absl/status/statusor.h"
#include "core/records.h"
#include "offerd/v1/types.pb.h"

namespace offerd {

// How a placement answers the list calls, both ways. Errors: InvalidArgument names an unknown kind or a number that is not finite.
absl::StatusOr<Lists> ListsFromProto(const v1::Lists& proto);
v1::Lists ListsToProto(const Lists& lists);

}  // namespace offerd
