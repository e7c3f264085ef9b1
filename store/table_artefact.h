#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/similarity/list_table.h"
#include "core/types.h"
#include "offerd/v1/table_manifest.pb.h"
#include "store/file_bytes.h"
#include "store/table_folders.h"

// Built tables on disk: ROOT/NAME/VERSION/ holds one of them, a manifest and its arrays. docs/tables.md has the format.
//
// Errors   NotFound: no such table or version. DataLoss: bytes that are missing, cut or not those that were written.
//          InvalidArgument: another format, a name that is none, or arrays that do not hang together. Unavailable and
//          others as the system says. The message names the file and what is wrong with it.
// Threads  Safe, also between processes: one writer a name at a time, the next one waits; readers see whole versions
// only.
namespace offerd {

// What goes into a version. Arrays of somebody else.
struct TableContent {
  std::string kind;  // 1 to 64 of the characters of a name; vmis has sessions, every other kind rows
  std::map<std::string, std::string> parameters;
  uint64_t num_baskets = 0;  // or sessions, counted
  uint64_t num_pairs = 0;    // unordered pairs seen together; 0 where the builder does not count them
  ItemIdsView ids;
  ItemTableView rows;
  SessionIndexView sessions;
  SessionQueryOptions query;

  bool has_sessions() const { return kind == "vmis"; }
};

// Writes the next version and returns its number, once it is on disk. The content is checked first as when it is
// loaded. Nothing is left behind by a failure or a crash but a folder .building, which readers ignore and the next
// write removes.
absl::StatusOr<uint64_t> WriteTable(const std::string& root, absl::string_view name, const TableContent& content,
                                    TimeMicros created);

// Everything verified: the manifest, each array's size and checksum, and that the arrays hang together. Version 0 = the
// newest.
absl::StatusOr<std::shared_ptr<const ListTable>> LoadTable(const std::string& root, absl::string_view name,
                                                           uint64_t version, TableMemory memory = TableMemory::kCopied);

// What a version says of itself.
struct TableInfo {
  v1::TableManifest manifest;
  uint64_t checksum = 0;  // of the manifest's bytes
  uint64_t bytes = 0;     // of all arrays
};

// The manifest alone, verified; the arrays are not looked at. Version 0 = the newest.
absl::StatusOr<TableInfo> ReadTableInfo(const std::string& root, absl::string_view name, uint64_t version);

}  // namespace offerd
