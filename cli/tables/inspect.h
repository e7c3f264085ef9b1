#pragma once
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "cli/evaluate/command.h"

// What `offerctl table` does with a folder of tables; no server is asked and nothing is changed. A folder that does not exist is
// NotFound.
namespace offerd::tables {

// One version: VERSION of the table that is named elsewhere, or NAME/VERSION. 0 = the newest.
struct TableReference {
  std::string name;
  uint64_t version = 0;
};
// Errors: InvalidArgument for what is neither.
absl::StatusOr<TableReference> ParseTableReference(const std::string& text, const std::string& default_name);

// Every version by its manifest; one that cannot be read is in the list, with the reason.
absl::Status RunList(const std::string& root, const evaluate::Output& output);

// The first `count` entries of one item's list. NotFound: the table does not know the item.
absl::Status RunShow(const std::string& root, const TableReference& table, const std::string& item, size_t count,
                     const evaluate::Output& output);

absl::Status RunDiff(const std::string& root, const TableReference& older, const TableReference& newer, size_t k,
                     const evaluate::Output& output);

// Reads and checks one version, every version of a table (version 0), or everything (no name). DataLoss where one is
// not sound.
absl::Status RunVerify(const std::string& root, const TableReference& table, const evaluate::Output& output);

}  // namespace offerd::tables
