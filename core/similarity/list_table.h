#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

#include "core/similarity/item_ids.h"
#include "core/similarity/item_table.h"
#include "core/similarity/session_neighbours.h"

namespace offerd {

// A published table as requests read it: one artefact, whole and verified.
//
// Threads  Immutable.
struct ListTable {
  std::string name;      // may end in ".MARKET"
  uint64_t version = 0;
  uint64_t checksum = 0;  // of the manifest
  std::string kind;       // ar, sr, cosine, ... as in the manifest
  ItemIdsView ids;
  ItemTableView rows;         // empty for kind vmis
  SessionIndexView sessions;  // empty for all others
  SessionQueryOptions query;  // kind vmis: how it is asked
  std::shared_ptr<const void> bytes;  // what the views point into

  bool has_sessions() const { return kind == "vmis"; }
};

// The name of the table of one market: NAME.MARKET, where bytes of the market other than letters, digits and - are
// written as _ and two hexadecimal digits, so that two markets never share a name. It may be too long to be one.
std::string MarketTableName(absl::string_view name, absl::string_view market);

}  // namespace offerd
