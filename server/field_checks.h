#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/hash.h"
#include "server/bad_request.h"
#include "server/utf8.h"
#include "server/validation.h"

// What validation.cc and list_validation.cc share: where in a message something stands, and the checks of single fields.
namespace offerd::field_checks {

inline constexpr int64_t kEndOfTimeSeconds = 7'289'654'400;          // 2201-01-01
inline constexpr int64_t kMaxMicros = 1'000'000'000'000'000;         // a billion major units: sums of a batch stay far from overflow
inline constexpr int64_t kMaxQuantity = 1'000'000;
inline constexpr int kMaxNames = 1000;                               // markets, audiences, campaigns of one thing
inline constexpr int kMaxPathDepth = 64;
inline constexpr double kLargestReward = 1e12;                        // squares of sums of it stay finite
inline constexpr double kLargest = std::numeric_limits<double>::max();
inline constexpr int64_t kYearSeconds = 31'536'000;
inline constexpr int64_t kDefaultWindowSeconds = 604'800;
inline constexpr int64_t kDefaultLatenessSeconds = 86'400;

// Where in the message we are; lives on the stack and becomes text only for an error.
class Path {
 public:
  explicit Path(absl::string_view name, int index = -1) : name_(name), index_(index) {}
  Path(const Path& parent, absl::string_view name, int index = -1) : parent_(&parent), name_(name), index_(index) {}

  std::string Text() const {
    std::string text = parent_ == nullptr ? std::string() : parent_->Text();
    if (!text.empty() && !name_.empty()) text.push_back('.');
    absl::StrAppend(&text, name_);
    if (index_ >= 0) absl::StrAppend(&text, "[", index_, "]");
    return text;
  }

 private:
  const Path* parent_ = nullptr;
  absl::string_view name_;
  int index_;
};

// Whether two of up to 256 texts are equal, without allocation: open addressing over their numbers.
template <typename TextOf>
int FirstRepeat(int n, const TextOf& text_of) {
  constexpr int kSlots = 512;
  if (n < 2 || n > kSlots / 2) return -1;
  if (n <= 12) {
    for (int i = 1; i < n; ++i) {
      const std::string& text = text_of(i);
      for (int j = 0; j < i; ++j) {
        if (text_of(j) == text) return i;
      }
    }
    return -1;
  }
  uint16_t slots[kSlots];  // number + 1; 0 = free
  std::memset(slots, 0, sizeof(slots));
  for (int i = 0; i < n; ++i) {
    const std::string& text = text_of(i);
    uint64_t at = StableHash(absl::string_view(text)) % kSlots;
    while (slots[at] != 0) {
      if (text_of(slots[at] - 1) == text) return i;
      at = (at + 1) % kSlots;
    }
    slots[at] = static_cast<uint16_t>(i + 1);
  }
  return -1;
}

class Checker {
 public:
  explicit Checker(const Limits& limits) : limits_(limits) {}

  absl::Status Done() const { return errors_.ToStatus(); }

  void Refuse(const Path& path, std::string description) { errors_.Add(path.Text(), std::move(description)); }

  void Text(const Path& path, const std::string& text, size_t min_bytes) {
    const size_t max_bytes = static_cast<size_t>(limits_.max_id_bytes);
    if (text.size() < min_bytes || text.size() > max_bytes) {
      Refuse(path, absl::StrCat("expected ", min_bytes, " to ", max_bytes, " bytes, found ", text.size()));
    } else if (!IsValidUtf8(text)) {
      Refuse(path, "expected valid UTF-8, found other bytes");
    }
  }
  void Id(const Path& path, const std::string& id) { Text(path, id, 1); }
  void OptionalText(const Path& path, const std::string& text) {
    if (!text.empty()) Text(path, text, 0);
  }

  // False when there are too many to look at.
  bool Size(const Path& path, int size, int max_size) {
    if (size <= max_size) return true;
    Refuse(path, absl::StrCat("expected at most ", max_size, " elements, found ", size));
    return false;
  }

  template <typename Texts>
  void EachId(absl::string_view name, const Texts& texts, int max_size) {
    if (!Size(Path(name), texts.size(), max_size)) return;
    for (int i = 0; i < texts.size(); ++i) Id(Path(name, i), texts.Get(i));
  }

  void Finite(const Path& path, double value) { Within(path, value, -kLargest, kLargest); }
  void Within(const Path& path, double value, double low, double high) {
    if (value >= low && value <= high) return;  // false for what is not a number
    if (!std::isfinite(value)) {
      Refuse(path, "expected a finite number");
    } else if (high == kLargest) {
      Refuse(path, absl::StrCat("expected ", low, " or more, found ", value));
    } else {
      Refuse(path, absl::StrCat("expected ", low, " to ", high, ", found ", value));
    }
  }
  void AtLeastZero(const Path& path, double value) { Within(path, value, 0, kLargest); }
  void Whole(const Path& path, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high) Refuse(path, absl::StrCat("expected ", low, " to ", high, ", found ", value));
  }
  void Money(const Path& path, int64_t micros) { Whole(path, micros, 0, kMaxMicros); }

  void Currency(const Path& path, const std::string& currency) {
    if (currency.empty()) return;
    bool is_right = currency.size() == 3;
    for (const char c : currency) is_right = is_right && c >= 'A' && c <= 'Z';
    if (!is_right) Refuse(path, "expected three capital letters of ISO 4217");
  }

  bool Time(const Path& path, const google::protobuf::Timestamp& time) {
    if (time.seconds() >= 0 && time.seconds() < kEndOfTimeSeconds && time.nanos() >= 0 && time.nanos() < 1'000'000'000) return true;
    Refuse(path, "expected a time in the years 1970 to 2200 with 0 to 999999999 nanos");
    return false;
  }

  void Enum(const Path& path, bool is_known, int value) {
    if (!is_known) Refuse(path, absl::StrCat("expected a value of the enumeration, found ", value));
  }
  void Consent(v1::Consent consent) { Enum(Path("consent"), v1::Consent_IsValid(consent), consent); }

  void NamedValues(const Path* parent, absl::string_view name, const google::protobuf::RepeatedPtrField<v1::NamedValue>& values,
                   int max_size) {
    const auto at = [&](int i) { return parent == nullptr ? Path(name, i) : Path(*parent, name, i); };
    if (!Size(at(-1), values.size(), max_size)) return;
    for (int i = 0; i < values.size(); ++i) {
      const v1::NamedValue& value = values.Get(i);
      const Path path = at(i);
      Id(Path(path, "name"), value.name());
      switch (value.value_case()) {
        case v1::NamedValue::kNumber: Finite(Path(path, "number"), value.number()); break;
        case v1::NamedValue::kText: OptionalText(Path(path, "text"), value.text()); break;
        case v1::NamedValue::VALUE_NOT_SET: Refuse(path, "expected a number or a text, found neither"); break;
      }
    }
    const int repeat = FirstRepeat(values.size(), [&](int i) -> const std::string& { return values.Get(i).name(); });
    if (repeat >= 0) Refuse(Path(at(repeat), "name"), "expected a name of its own, found one used before in this list");
  }
  void Attributes(const google::protobuf::RepeatedPtrField<v1::NamedValue>& values) {
    NamedValues(nullptr, "attributes", values, limits_.max_attributes);
  }

  const Limits& limits() const { return limits_; }

 private:
  const Limits& limits_;
  FieldErrors errors_;
};

}  // namespace offerd::field_checks
