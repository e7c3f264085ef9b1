#include "cli/cells.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"

namespace offerd::cli {
namespace {

constexpr int64_t kMicros = 1'000'000;
constexpr TimeMicros kLatest = 7'289'654'400 * kMicrosPerSecond;  // 2201-01-01

absl::Status Bad(absl::string_view text, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat("\"", text.substr(0, 80), "\" is not ", expected));
}

// Fixed-point decimal to millionths. False: not one, or too large, or finer than that.
bool ParseMillionths(absl::string_view text, int64_t* result) {
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  int64_t value = 0;
  int decimals = -1;  // before the point
  int digits = 0;
  for (const char c : text) {
    if (c == '.' && decimals < 0) {
      decimals = 0;
      continue;
    }
    if (c < '0' || c > '9') return false;
    ++digits;
    if (decimals >= 6) {
      if (c != '0') return false;
      continue;
    }
    if (decimals >= 0) ++decimals;
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, c - '0', &value)) return false;
  }
  if (digits == 0) return false;
  for (int i = decimals < 0 ? 0 : decimals; i < 6; ++i) {
    if (__builtin_mul_overflow(value, 10, &value)) return false;
  }
  *result = negative ? -value : value;
  return true;
}

bool ParseFinite(absl::string_view text, double* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(*value);
}

}  // namespace

absl::StatusOr<int64_t> ParseMoneyMicros(absl::string_view text) {
  int64_t micros = 0;
  if (!ParseMillionths(text, &micros)) return Bad(text, "an amount such as 12.34 with at most six decimals");
  return micros;
}

absl::StatusOr<TimeMicros> ParseTimeMicros(absl::string_view text) {
  int64_t micros = 0;
  bool known = ParseMillionths(text, &micros);
  for (const char* format : {absl::RFC3339_full, "%Y-%m-%d%ET%H:%M:%E*S", "%Y-%m-%d %H:%M:%E*S%Ez", "%Y-%m-%d %H:%M:%E*S",
                             "%Y-%m-%d%ET%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
    absl::Time time;
    if (known) break;
    known = absl::ParseTime(format, text, &time, nullptr);
    if (known) micros = absl::ToUnixMicros(time);
  }
  if (!known) return Bad(text, "a time: seconds since 1970, or such as 2017-11-06T05:00:00Z");
  if (micros < 0 || micros >= kLatest) return Bad(text, "a time in the years 1970 to 2200");
  return micros;
}

absl::StatusOr<int64_t> ParseWholeNumber(absl::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return Bad(text, "a whole number");
  return value;
}

absl::StatusOr<bool> ParseYesNo(absl::string_view text) {
  const std::string word = absl::AsciiStrToLower(text);
  if (word == "yes" || word == "true" || word == "1") return true;
  if (word == "no" || word == "false" || word == "0") return false;
  return Bad(text, "yes or no");
}

absl::StatusOr<v1::EventKind> ParseEventKind(absl::string_view text) {
  v1::EventKind kind = v1::EVENT_KIND_UNSPECIFIED;
  if (!v1::EventKind_Parse(absl::AsciiStrToUpper(text), &kind) || kind == v1::EVENT_KIND_UNSPECIFIED) {
    return Bad(text, "an event kind: impression, click, add_to_cart, purchase, refund, dismiss, view, search or wishlist");
  }
  return kind;
}

absl::StatusOr<v1::Consent> ParseConsent(absl::string_view text) {
  const std::string word = absl::AsciiStrToLower(text);
  if (word.empty()) return v1::CONSENT_UNSPECIFIED;
  if (word == "granted") return v1::CONSENT_GRANTED;
  if (word == "denied") return v1::CONSENT_DENIED;
  const absl::StatusOr<bool> yes = ParseYesNo(text);
  if (!yes.ok()) return Bad(text, "a consent: granted or denied");
  return *yes ? v1::CONSENT_GRANTED : v1::CONSENT_DENIED;
}

std::vector<std::string> SplitList(absl::string_view text, char separator) {
  std::vector<std::string> parts;
  for (const absl::string_view part : absl::StrSplit(text, separator)) {
    const absl::string_view trimmed = absl::StripAsciiWhitespace(part);
    if (!trimmed.empty()) parts.emplace_back(trimmed);
  }
  return parts;
}

v1::NamedValue MakeNamedValue(absl::string_view name, absl::string_view text) {
  v1::NamedValue value;
  value.set_name(std::string(name));
  double number = 0;
  if (ParseFinite(text, &number)) {
    value.set_number(number);
  } else {
    value.set_text(std::string(text));
  }
  return value;
}

google::protobuf::Timestamp ToTimestamp(TimeMicros time) {
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(time / kMicrosPerSecond);
  timestamp.set_nanos(static_cast<int32_t>(time % kMicrosPerSecond * 1000));
  return timestamp;
}

TimeMicros FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  return timestamp.seconds() * kMicrosPerSecond + timestamp.nanos() / 1000;
}

std::string FormatTime(const google::protobuf::Timestamp& timestamp) {
  const absl::Time time = absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone());
}

std::string FormatMoney(int64_t micros) {
  const int64_t cents = std::llabs(micros) / (kMicros / 100);
  return absl::StrFormat("%s%d.%02d", micros < 0 ? "-" : "", cents / 100, cents % 100);
}

}  // namespace offerd::cli
