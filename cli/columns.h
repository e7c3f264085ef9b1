#pragma once
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/csv_reader.h"

namespace offerd::cli {

// What a file of one kind may hold, in the words of --columns.
struct ImportKind {
  std::string name;                   // items, offers, customers, events
  std::vector<std::string> roles;     // in the order of the help
  std::vector<std::string> required;
  bool has_attributes = false;        // attribute.NAME as well
};
const std::vector<ImportKind>& ImportKinds();
const ImportKind* FindImportKind(absl::string_view name);

// Where one role takes its value from: a column, or a constant for every row ("kind=:purchase").
struct Binding {
  std::string role;
  std::string column;
  std::string constant;
  int index = -1;  // of the column once bound; -1: the constant

  const std::string& Cell(const CsvRow& row) const { return index < 0 ? constant : row.cells[static_cast<size_t>(index)]; }
};

// The declared mapping of --columns, checked against the roles of a kind and then against the header of a file.
class ColumnMapping {
 public:
  // Each declaration is "role=column" or "role=:constant". UsageError for an unknown, doubled or missing role.
  static absl::StatusOr<ColumnMapping> Parse(const ImportKind& kind, const std::vector<std::string>& declarations);

  // Finds the columns. InvalidArgument names a column the header does not have, or has twice. Unmapped columns are fine.
  absl::Status Bind(const std::vector<std::string>& header);

  bool Has(absl::string_view role) const;
  // The cell of a role; empty where the role is not mapped.
  const std::string& Get(absl::string_view role, const CsvRow& row) const;
  // attribute.NAME: the name and where it comes from.
  const std::vector<std::pair<std::string, Binding>>& attributes() const { return attributes_; }

 private:
  std::vector<Binding> bindings_;
  std::vector<std::pair<std::string, Binding>> attributes_;
};

}  // namespace offerd::cli
