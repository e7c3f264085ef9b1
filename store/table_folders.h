#pragma once
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/similarity/list_table.h"  // MarketTableName

// Names of tables and where they lie: ROOT/NAME/VERSION/.
namespace offerd {

// 1 to 64 of a-z, A-Z, 0-9, _ . and -, not beginning with a dot and without "..": so no name leads out of the root.
bool IsTableName(absl::string_view name);

absl::Status CheckTableName(absl::string_view name);

std::string TableFolder(const std::string& root, absl::string_view name);
std::string VersionFolder(const std::string& root, absl::string_view name, uint64_t version);

struct TableVersions {
  std::string name;
  std::vector<uint64_t> versions;  // ascending, at least one
};

// The tables below a root, by name; none where there is no root. What is there is not verified.
absl::StatusOr<std::vector<TableVersions>> ListTables(const std::string& root);

// Of one table, ascending; empty where there is none.
absl::StatusOr<std::vector<uint64_t>> ListTableVersions(const std::string& root, absl::string_view name);

absl::StatusOr<uint64_t> NewestTableVersion(const std::string& root,
                                            absl::string_view name);  // NotFound where there is none

absl::Status FileSystemStatus(const std::error_code& error, absl::string_view what, const std::string& path);

}  // namespace offerd
