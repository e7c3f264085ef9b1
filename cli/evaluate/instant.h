#pragma once
#include <optional>

#include "absl/strings/string_view.h"
#include "core/types.h"

namespace offerd::evaluate {

// Seconds since 1970 (a fraction is allowed: "1590883200.0"), or ISO 8601 in UTC: "2017-11-06" (midnight),
// "2017-11-06 05:00", "2017-11-06T05:00:00.250Z", or with an offset such as +02:00. Nothing where the text is neither, or lies
// outside of the years 1970 to 2200: milliseconds would be in the year 52,000.
std::optional<TimeMicros> ParseInstant(absl::string_view text);

bool IsBeyondYears(absl::string_view text);  // a time but for the year

}  // namespace offerd::evaluate
