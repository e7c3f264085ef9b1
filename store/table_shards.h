#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/hash.h"

// The arrays of a table as files: one list for writing and reading.
namespace offerd {

constexpr absl::string_view ElementName(uint64_t) { return "u64"; }
constexpr absl::string_view ElementName(uint32_t) { return "u32"; }
constexpr absl::string_view ElementName(float) { return "f32"; }
constexpr absl::string_view ElementName(double) { return "f64"; }
constexpr absl::string_view ElementName(char) { return "u8"; }

template <typename T>
absl::string_view BytesOf(absl::Span<const T> array) {
  return {reinterpret_cast<const char*>(array.data()), array.size() * sizeof(T)};
}
inline absl::string_view BytesOf(absl::string_view array) { return array; }

// Calls visit(name, array) for every array of a table (TableContent or ListTable): a reference to its Span or
// string_view.
template <typename Table, typename Visit>
void ForEachShard(Table& table, Visit visit) {
  visit("id_bytes", table.ids.bytes);
  visit("id_offsets", table.ids.offsets);
  visit("id_slots", table.ids.slots);
  if (table.has_sessions()) {
    visit("item_offsets", table.sessions.item_offsets);
    visit("item_sessions", table.sessions.item_sessions);
    visit("item_idf", table.sessions.idf);
    visit("session_offsets", table.sessions.session_offsets);
    visit("session_items", table.sessions.session_items);
  } else {
    visit("row_offsets", table.rows.offsets);
    visit("row_neighbours", table.rows.neighbours);
    visit("row_scores", table.rows.scores);
  }
}

template <typename Array>
std::string ShardFile(absl::string_view name, const Array&) {
  return absl::StrCat(name, ".", ElementName(typename Array::value_type()));
}

// 16 hexadecimal digits.
inline std::string ChecksumText(absl::string_view bytes) {
  return absl::StrCat(absl::Hex(StableHash(bytes), absl::kZeroPad16));
}

}  // namespace offerd
