#pragma once
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "core/similarity/item_ids.h"
#include "core/similarity/item_table.h"
#include "core/similarity/session_neighbours.h"

// Whether the arrays of a table hang together: after these no reader can leave them or search for ever, whoever wrote
// them.
//
// Errors  InvalidArgument names the array, by its file in an artefact, and the first thing that is wrong.
// Cost    One pass over each array; ids also one search each.
namespace offerd {

// 1 to 256 bytes of UTF-8.
bool IsTableId(absl::string_view id);

// All of them IsTableId, all distinct, each found by Find.
absl::Status CheckIds(const ItemIdsView& ids);

// One row an item; neighbours are items, none twice in a row; scores are finite and in descending order. A score may be
// one step of float above the one before it: order is decided before rounding.
absl::Status CheckRows(const ItemTableView& rows, size_t num_items);

// One list and one idf an item; every number in range, lists of sessions ascending and not longer than m, no item twice
// in a session.
absl::Status CheckSessions(const SessionIndexView& sessions, size_t num_items);

absl::Status CheckSessionQuery(const SessionQueryOptions& query);

}  // namespace offerd
