#pragma once
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/status_macros.h"
#include "core/types.h"
#include "store/frame.h"
#include "store/keys.h"

namespace offerd {

// Value of the families decisions and seen: where an id's record is, and its log time, by which ids are purged.
struct IndexEntry {
  Sequence sequence = 0;
  TimeMicros time_micros = 0;

  std::string ToPayload() const { return NumberKey(NumberKey(sequence), static_cast<uint64_t>(time_micros)); }

  static absl::StatusOr<IndexEntry> Read(Family family, absl::string_view id, absl::string_view framed) {
    ASSIGN_OR_RETURN(const absl::string_view payload, Unframe(family, id, framed));
    if (payload.size() != 16) {
      return absl::DataLossError(absl::StrCat(FamilyName(family), " ", KeyText(family, id), ": is no index entry"));
    }
    return IndexEntry{*ReadNumber(payload), static_cast<TimeMicros>(*ReadNumber(payload.substr(8)))};
  }
};

}  // namespace offerd
