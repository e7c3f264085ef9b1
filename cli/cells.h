#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/types.h"
#include "google/protobuf/timestamp.pb.h"
#include "offerd/v1/types.pb.h"

// Text of people and files into typed values. Errors are InvalidArgument, quote the text and say what was expected.
namespace offerd::cli {

// Decimal major units ("-12.34") to micros, exactly: no binary fraction in between. More than six decimals are an error
// unless the rest is zeros; so are exponents, signs of currencies and group separators.
absl::StatusOr<int64_t> ParseMoneyMicros(absl::string_view text);

// Seconds since 1970 (with at most six decimals), or ISO 8601: "2017-11-06", "2017-11-06 05:00:00", with "T", with "Z" or an offset; UTC
// where none is given. Years 1970 to 2200.
absl::StatusOr<TimeMicros> ParseTimeMicros(absl::string_view text);

absl::StatusOr<int64_t> ParseWholeNumber(absl::string_view text);
absl::StatusOr<bool> ParseYesNo(absl::string_view text);  // yes, true, 1, no, false, 0
absl::StatusOr<v1::EventKind> ParseEventKind(absl::string_view text);  // "purchase", "add_to_cart", in any case
absl::StatusOr<v1::Consent> ParseConsent(absl::string_view text);      // granted, denied or as ParseYesNo

// "a|b" to its parts; empty parts are dropped.
std::vector<std::string> SplitList(absl::string_view text, char separator);

// A number where the whole text is a finite one, else a text.
v1::NamedValue MakeNamedValue(absl::string_view name, absl::string_view text);

google::protobuf::Timestamp ToTimestamp(TimeMicros time);
TimeMicros FromTimestamp(const google::protobuf::Timestamp& timestamp);
std::string FormatTime(const google::protobuf::Timestamp& timestamp);  // "2017-11-06T05:00:00Z"
std::string FormatMoney(int64_t micros);                               // "12.34"

}  // namespace offerd::cli
