#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "core/types.h"
#include "store/kv.h"

// Keys of the families. Numbers are eight big-endian bytes, so that byte order is number order.
//   log                          sequence
//   decisions, seen              the id
//   policies, profiles, catalog  sequence of the base, number of the record within it
//   meta                         a name, or a prefix below and a sequence
namespace offerd {

inline constexpr absl::string_view kFormatKey = "format";
inline constexpr absl::string_view kFirstSequenceKey = "first_sequence";
inline constexpr absl::string_view kBasePrefix = "base/";             // manifests
inline constexpr absl::string_view kBaseStatePrefix = "base_state/";  // what verification found
inline constexpr absl::string_view kErasurePrefix = "erasure/";       // sequence, then the customer's id

std::string NumberKey(uint64_t number);
std::string NumberKey(absl::string_view prefix, uint64_t number);
std::string BaseKey(Sequence base, uint64_t number);
// The number at the front of a key. Empty where the key is shorter.
std::optional<uint64_t> ReadNumber(absl::string_view key);
// The smallest key above all keys with this prefix; empty = there is none.
std::string AfterPrefix(absl::string_view prefix);

// For people: "record 17", "base 17 record 3", or the key with unprintable bytes escaped.
std::string KeyText(Family family, absl::string_view key);

}  // namespace offerd
