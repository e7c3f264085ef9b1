#include "cli/evaluate/instant.h"

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/time/civil_time.h"

namespace offerd::evaluate {
namespace {

constexpr double kMaxSeconds = 9e12;  // in micros it still fits
constexpr TimeMicros kEndOfYears = 7'289'654'400 * kMicrosPerSecond;  // 2201-01-01

// Takes exactly `count` digits off the front.
bool TakeDigits(absl::string_view* text, size_t count, int* value) {
  if (text->size() < count) return false;
  *value = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>((*text)[i]))) return false;
    *value = *value * 10 + ((*text)[i] - '0');
  }
  text->remove_prefix(count);
  return true;
}

bool TakeOneOf(absl::string_view* text, absl::string_view choices) {
  if (text->empty() || choices.find(text->front()) == absl::string_view::npos) return false;
  text->remove_prefix(1);
  return true;
}

// ".25" to 250000; digits behind the sixth are dropped.
int64_t TakeFraction(absl::string_view* text) {
  if (!TakeOneOf(text, ".")) return 0;
  int64_t micros = 0;
  int64_t unit = kMicrosPerSecond / 10;
  for (; !text->empty() && absl::ascii_isdigit(static_cast<unsigned char>(text->front())); text->remove_prefix(1)) {
    micros += unit * (text->front() - '0');
    unit /= 10;
  }
  return micros;
}

// "+02:00", "+0200", "+02", "Z" or nothing, in seconds.
std::optional<int64_t> TakeOffset(absl::string_view* text) {
  if (text->empty()) return 0;
  if (TakeOneOf(text, "Zz")) return 0;
  const int64_t sign = text->front() == '-' ? -1 : 1;
  int hours = 0, minutes = 0;
  if (!TakeOneOf(text, "+-") || !TakeDigits(text, 2, &hours)) return std::nullopt;
  TakeOneOf(text, ":");
  if (!text->empty() && !TakeDigits(text, 2, &minutes)) return std::nullopt;
  if (hours > 23 || minutes > 59) return std::nullopt;
  return sign * (hours * 3600 + minutes * 60);
}

std::optional<TimeMicros> ParseCalendar(absl::string_view text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (!TakeDigits(&text, 4, &year) || !TakeOneOf(&text, "-") || !TakeDigits(&text, 2, &month) || !TakeOneOf(&text, "-") ||
      !TakeDigits(&text, 2, &day)) {
    return std::nullopt;
  }
  int64_t micros = 0;
  if (TakeOneOf(&text, "T ")) {
    if (!TakeDigits(&text, 2, &hour) || !TakeOneOf(&text, ":") || !TakeDigits(&text, 2, &minute)) return std::nullopt;
    if (TakeOneOf(&text, ":") && !TakeDigits(&text, 2, &second)) return std::nullopt;
    micros = TakeFraction(&text);
  }
  const std::optional<int64_t> offset = TakeOffset(&text);
  if (!offset || !text.empty() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const absl::CivilDay date(year, month, day);
  if (date.month() != month || date.day() != day) return std::nullopt;  // the 31st of June
  const int64_t days = date - absl::CivilDay(1970, 1, 1);
  return ((days * 24 + hour) * 3600 + minute * 60 + second - *offset) * kMicrosPerSecond + micros;
}

// The usual spelling, without a detour over double.
std::optional<TimeMicros> ParsePlainSeconds(absl::string_view text) {
  int64_t seconds = 0;
  size_t digits = 0;
  for (; !text.empty() && absl::ascii_isdigit(static_cast<unsigned char>(text.front())); text.remove_prefix(1)) {
    seconds = seconds * 10 + (text.front() - '0');
    if (++digits > 13) return std::nullopt;
  }
  if (digits == 0 || static_cast<double>(seconds) > kMaxSeconds) return std::nullopt;
  const int64_t micros = TakeFraction(&text);
  if (!text.empty()) return std::nullopt;
  return seconds * kMicrosPerSecond + micros;
}

std::optional<TimeMicros> ParseAnyYear(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (const auto plain = ParsePlainSeconds(text)) return plain;
  if (const auto calendar = ParseCalendar(text)) return calendar;
  double seconds = 0;
  if (!absl::SimpleAtod(text, &seconds) || !(std::abs(seconds) <= kMaxSeconds)) return std::nullopt;
  return static_cast<TimeMicros>(std::llround(seconds * static_cast<double>(kMicrosPerSecond)));
}

bool IsWithinYears(TimeMicros time) { return time >= 0 && time < kEndOfYears; }

}  // namespace

std::optional<TimeMicros> ParseInstant(absl::string_view text) {
  const std::optional<TimeMicros> time = ParseAnyYear(text);
  return time && IsWithinYears(*time) ? time : std::nullopt;
}

bool IsBeyondYears(absl::string_view text) {
  double seconds = 0;
  if (absl::SimpleAtod(text, &seconds) && std::isfinite(seconds)) return seconds < 0 || seconds >= static_cast<double>(kEndOfYears / kMicrosPerSecond);
  const std::optional<TimeMicros> time = ParseAnyYear(text);
  return time && !IsWithinYears(*time);
}

}  // namespace offerd::evaluate
