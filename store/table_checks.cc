#include "store/table_checks.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace offerd {
namespace {

constexpr size_t kMaxIdBytes = 256;  // as everywhere in offerd
constexpr size_t kMaxQueryNumber = 1'000'000'000;
constexpr double kLargestNumber = 1e18;  // of a score or weight: sums and products of them stay far from the end of a float
constexpr size_t kMaxItems = std::numeric_limits<uint32_t>::max() - 1;  // slots hold number + 1

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// num_rows + 1 of them, from 0 to num_entries, never descending.
absl::Status CheckOffsets(absl::string_view file, absl::Span<const uint64_t> offsets, size_t num_rows,
                          size_t num_entries) {
  if (offsets.size() != num_rows + 1) return Wrong(file, ": ", offsets.size(), " offsets, expected ", num_rows + 1);
  if (offsets.front() != 0) return Wrong(file, ": begins with ", offsets.front(), ", expected 0");
  for (size_t i = 1; i < offsets.size(); ++i) {
    if (offsets[i] < offsets[i - 1]) return Wrong(file, ": offset ", i, " is less than the one before");
  }
  if (offsets.back() != num_entries) {
    return Wrong(file, ": ends with ", offsets.back(), ", but there are ", num_entries, " entries");
  }
  return absl::OkStatus();
}

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// Bytes of the valid character at the beginning of `text`, which is not empty; 0 when there is none.
size_t CharacterBytes(absl::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  uint32_t character = first & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if (!IsContinuation(text[i])) return 0;
    character = character << 6 | (static_cast<unsigned char>(text[i]) & 0x3fu);
  }
  const bool is_overlong = (length == 3 && character < 0x800) || (length == 4 && character < 0x10000);
  const bool is_surrogate = character >= 0xd800 && character < 0xe000;
  return is_overlong || is_surrogate || character > 0x10ffff ? 0 : length;
}

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    const size_t length = CharacterBytes(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// Enough to search in: a power of two, at most half full, numbers in range.
absl::Status CheckSlots(absl::Span<const uint32_t> slots, size_t num_items) {
  const size_t size = slots.size();
  if ((size & (size - 1)) != 0 || size < 2 || size < 2 * num_items) {
    return Wrong("id_slots.u32: ", size, " slots for ", num_items,
                 " ids, expected a power of two, at least twice as many");
  }
  size_t used = 0;
  for (const uint32_t slot : slots) {
    if (slot > num_items) return Wrong("id_slots.u32: number ", slot - 1, " of ", num_items, " ids");
    used += slot != 0 ? 1 : 0;
  }
  if (used != num_items) return Wrong("id_slots.u32: ", used, " slots are used by ", num_items, " ids");
  return absl::OkStatus();
}

bool MayFollow(float score, float before) {
  return score <= before || score == std::nextafter(before, std::numeric_limits<float>::infinity());
}

// A bit an item, all clear between two rows: 125 kB for a million items stay in the cache, where numbers would not.
class SeenItems {
 public:
  explicit SeenItems(size_t num_items) : words_(num_items / 64 + 1, 0) {}
  // Whether it was there already.
  bool Add(TableItem item) {
    uint64_t& word = words_[item / 64];
    const bool was_there = (word >> item % 64 & 1) != 0;
    word |= uint64_t{1} << item % 64;
    return was_there;
  }
  void Remove(absl::Span<const TableItem> items) {
    for (const TableItem item : items) words_[item / 64] = 0;
  }

 private:
  std::vector<uint64_t> words_;
};

// Without looking for what is wrong, and false also for scores that ascend by no more than a rounding.
bool IsPlainRow(absl::Span<const TableItem> neighbours, absl::Span<const float> scores, size_t num_items, SeenItems& seen) {
  TableItem largest = 0;
  for (const TableItem neighbour : neighbours) largest = std::max(largest, neighbour);
  if (largest >= num_items) return false;
  uint32_t wrong = 0;
  for (const float score : scores) wrong |= std::abs(score) <= static_cast<float>(kLargestNumber) ? 0 : 1;
  for (size_t i = 1; i < scores.size(); ++i) wrong |= scores[i] <= scores[i - 1] ? 0 : 1;
  bool has_twice = false;
  for (const TableItem neighbour : neighbours) has_twice |= seen.Add(neighbour);
  seen.Remove(neighbours);
  return wrong == 0 && !has_twice;
}

absl::Status CheckRow(const ItemTableView& rows, TableItem item, size_t num_items, SeenItems& seen) {
  const auto neighbours = rows.Neighbours(item);
  const auto scores = rows.Scores(item);
  if (IsPlainRow(neighbours, scores, num_items, seen)) return absl::OkStatus();
  for (size_t i = 0; i < neighbours.size(); ++i) {
    const TableItem neighbour = neighbours[i];
    if (neighbour >= num_items) {
      return Wrong("row_neighbours.u32: item ", item, " has neighbour ", neighbour, " of ", num_items, " items");
    }
    if (seen.Add(neighbour)) {
      return Wrong("row_neighbours.u32: item ", item, " has neighbour ", neighbour, " twice");
    }
    if (!(std::abs(static_cast<double>(scores[i])) <= kLargestNumber)) {
      return Wrong("row_scores.f32: item ", item, " has a score that is not finite, or beyond ", kLargestNumber);
    }
    if (i > 0 && !MayFollow(scores[i], scores[i - 1])) {
      return Wrong("row_scores.f32: the row of item ", item, " is not in descending order");
    }
  }
  seen.Remove(neighbours);
  return absl::OkStatus();
}

// Up to m sessions of each item, ascending.
absl::Status CheckRemembered(const SessionIndexView& sessions, size_t num_sessions) {
  const auto& entries = sessions.item_sessions;
  for (size_t item = 0; item < sessions.num_items(); ++item) {
    const uint64_t begin = sessions.item_offsets[item], end = sessions.item_offsets[item + 1];
    if (end - begin > sessions.sessions_per_item) {
      return Wrong("item_sessions.u32: ", end - begin, " sessions of item ", item, ", of ", sessions.sessions_per_item);
    }
    for (uint64_t i = begin; i < end; ++i) {
      if (entries[i] >= num_sessions) {
        return Wrong("item_sessions.u32: item ", item, " has session ", entries[i], " of ", num_sessions);
      }
      if (i > begin && entries[i] <= entries[i - 1]) {
        return Wrong("item_sessions.u32: the sessions of item ", item, " are not ascending");
      }
    }
  }
  return absl::OkStatus();
}

// The items of each session, none twice.
absl::Status CheckDistinct(const SessionIndexView& sessions, size_t num_items) {
  std::vector<uint32_t> last_session(num_items, 0);  // by item: the last session + 1 that had it
  for (size_t session = 0; session < sessions.num_sessions(); ++session) {
    for (uint64_t i = sessions.session_offsets[session]; i < sessions.session_offsets[session + 1]; ++i) {
      const TableItem item = sessions.session_items[i];
      if (item >= num_items) {
        return Wrong("session_items.u32: session ", session, " has item ", item, " of ", num_items);
      }
      if (last_session[item] == session + 1) {
        return Wrong("session_items.u32: session ", session, " has item ", item, " twice");
      }
      last_session[item] = static_cast<uint32_t>(session + 1);
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool IsTableId(absl::string_view id) { return !id.empty() && id.size() <= kMaxIdBytes && IsUtf8(id); }

absl::Status CheckIds(const ItemIdsView& ids) {
  if (ids.offsets.empty() || ids.size() > kMaxItems) return Wrong("id_offsets.u64: ", ids.offsets.size(), " offsets");
  RETURN_IF_ERROR(CheckOffsets("id_offsets.u64", ids.offsets, ids.size(), ids.bytes.size()));
  RETURN_IF_ERROR(CheckSlots(ids.slots, ids.size()));
  for (TableItem item = 0; item < ids.size(); ++item) {
    const absl::string_view id = ids.IdOf(item);
    if (id.empty() || id.size() > kMaxIdBytes) {
      return Wrong("id_offsets.u64: id ", item, " has ", id.size(), " bytes, expected 1 to ", kMaxIdBytes);
    }
    if (!IsUtf8(id)) return Wrong("id_bytes.u8: id ", item, " is not UTF-8");
    const std::optional<TableItem> found = ids.Find(id);
    if (!found) return Wrong("id_slots.u32: id ", item, " is not found");
    if (*found != item) return Wrong("id_bytes.u8: ids ", *found, " and ", item, " are the same");
  }
  return absl::OkStatus();
}

absl::Status CheckRows(const ItemTableView& rows, size_t num_items) {
  RETURN_IF_ERROR(CheckOffsets("row_offsets.u64", rows.offsets, num_items, rows.neighbours.size()));
  if (rows.scores.size() != rows.neighbours.size()) {
    return Wrong("row_scores.f32: ", rows.scores.size(), " scores of ", rows.neighbours.size(), " neighbours");
  }
  SeenItems seen(num_items);
  for (size_t item = 0; item < num_items; ++item) {
    RETURN_IF_ERROR(CheckRow(rows, static_cast<TableItem>(item), num_items, seen));
  }
  return absl::OkStatus();
}

absl::Status CheckSessions(const SessionIndexView& sessions, size_t num_items) {
  if (sessions.session_offsets.empty() || sessions.num_sessions() > std::numeric_limits<uint32_t>::max()) {
    return Wrong("session_offsets.u64: ", sessions.session_offsets.size(), " offsets");
  }
  const size_t num_sessions = sessions.num_sessions();
  RETURN_IF_ERROR(CheckOffsets("item_offsets.u64", sessions.item_offsets, num_items, sessions.item_sessions.size()));
  RETURN_IF_ERROR(
      CheckOffsets("session_offsets.u64", sessions.session_offsets, num_sessions, sessions.session_items.size()));
  RETURN_IF_ERROR(CheckRemembered(sessions, num_sessions));
  RETURN_IF_ERROR(CheckDistinct(sessions, num_items));
  if (sessions.idf.size() != num_items) {
    return Wrong("item_idf.f64: ", sessions.idf.size(), " numbers for ", num_items, " items");
  }
  const auto is_wrong = [](double idf) { return !(idf >= 0 && idf <= kLargestNumber); };
  if (std::any_of(sessions.idf.begin(), sessions.idf.end(), is_wrong)) {
    return Wrong("item_idf.f64: a number that is not finite, below 0 or above ", kLargestNumber);
  }
  return absl::OkStatus();
}

absl::Status CheckSessionQuery(const SessionQueryOptions& query) {
  for (const size_t number : {query.neighbours, query.last_items, query.count}) {
    if (number < 1 || number > kMaxQueryNumber) {
      return Wrong("sessions: neighbours, last_items and count are 1 to ", kMaxQueryNumber);
    }
  }
  if (!(query.idf_weight >= 0 && query.idf_weight <= kLargestNumber)) {
    return Wrong("sessions: idf_weight is at least 0 and at most ", kLargestNumber);
  }
  return absl::OkStatus();
}

}  // namespace offerd
