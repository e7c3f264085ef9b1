#pragma once
#include <cstdint>
#include <memory>
#include <string>

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

}  // namespace offerd
