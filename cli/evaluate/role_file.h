#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cli/evaluate/file_report.h"
#include "cli/evaluate/rows.h"

namespace offerd::evaluate {

struct FileOptions {
  char delimiter = ',';
  std::map<std::string, std::string> columns;  // what each role is called in the header
};

// "role=name" entries of --columns; "role=" is a column of that name. InvalidArgument for an unknown, doubled or missing role.
absl::StatusOr<std::map<std::string, std::string>> ParseColumns(absl::Span<const std::string> declarations,
                                                                absl::Span<const char* const> required,
                                                                absl::Span<const char* const> optional);

// The lines of a file with a header, by role.
//
// Errors  Open: the file cannot be read, is empty, or its header lacks a column or has it twice. Later trouble is counted in
//         the report, and reading goes on; where it cannot (a cut file), `cut` says why.
class RoleFile {
 public:
  static absl::StatusOr<std::unique_ptr<RoleFile>> Open(const std::string& path, const FileOptions& options,
                                                        std::vector<std::string> roles, FileReport* report);

  bool Next();  // the next line with as many cells as the header; false = the end
  // Of the role with that place in `roles`; empty where the role is not mapped.
  absl::string_view Get(size_t role) const {
    return places_[role] < 0 ? absl::string_view() : reader_.cells()[static_cast<size_t>(places_[role])];
  }
  bool Has(size_t role) const { return places_[role] >= 0; }
  int64_t line() const { return reader_.line(); }

 private:
  RoleFile(std::unique_ptr<cli::InputFile> file, char delimiter, FileReport* report)
      : reader_(std::move(file), delimiter), report_(report) {}
  absl::Status Bind(const FileOptions& options, const std::vector<std::string>& roles);

  RowReader reader_;
  FileReport* const report_;
  size_t width_ = 0;
  std::vector<int> places_;
};

}  // namespace offerd::evaluate
