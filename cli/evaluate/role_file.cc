#include "cli/evaluate/role_file.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "core/status_macros.h"

namespace offerd::evaluate {
namespace {

constexpr size_t kMaxHeaderShown = 200;

bool IsOneOf(absl::Span<const char* const> roles, absl::string_view role) {
  return std::any_of(roles.begin(), roles.end(), [role](const char* name) { return role == name; });
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> ParseColumns(absl::Span<const std::string> declarations,
                                                                absl::Span<const char* const> required,
                                                                absl::Span<const char* const> optional) {
  std::map<std::string, std::string> columns;
  for (const std::string& declaration : declarations) {
    const size_t equals = declaration.find('=');
    const std::string role = declaration.substr(0, equals);
    if (!IsOneOf(required, role) && !IsOneOf(optional, role)) {
      return absl::InvalidArgumentError(absl::StrCat("--columns: \"", role, "\" is no role here; roles: ", absl::StrJoin(required, ", "),
                                                     optional.empty() ? "" : ", ", absl::StrJoin(optional, ", ")));
    }
    if (equals == std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat("--columns: \"", declaration, "\" is not role=name"));
    }
    const std::string name = declaration.substr(equals + 1);
    if (!columns.emplace(role, name.empty() ? role : name).second) {
      return absl::InvalidArgumentError(absl::StrCat("--columns: role ", role, " is given twice"));
    }
  }
  for (const char* role : required) {
    if (columns.count(role) == 0) return absl::InvalidArgumentError(absl::StrCat("--columns: role ", role, " is missing"));
  }
  return columns;
}

absl::StatusOr<std::unique_ptr<RoleFile>> RoleFile::Open(const std::string& path, const FileOptions& options,
                                                         std::vector<std::string> roles, FileReport* report) {
  report->file = path;
  ASSIGN_OR_RETURN(std::unique_ptr<cli::InputFile> input, cli::InputFile::Open(path));
  std::unique_ptr<RoleFile> file(new RoleFile(std::move(input), options.delimiter, report));
  if (absl::Status status = file->Bind(options, roles); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  }
  return file;
}

absl::Status RoleFile::Bind(const FileOptions& options, const std::vector<std::string>& roles) {
  ASSIGN_OR_RETURN(const bool has_header, reader_.Next());
  if (!has_header) return absl::InvalidArgumentError("empty; expected a header line");
  if (reader_.is_damaged()) return absl::InvalidArgumentError("the header has a quote in the wrong place");
  const auto header = reader_.cells();
  width_ = header.size();
  for (const std::string& role : roles) {
    places_.push_back(-1);
    const auto column = options.columns.find(role);
    if (column == options.columns.end()) continue;
    const auto found = std::find(header.begin(), header.end(), column->second);
    if (found == header.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("no column \"", column->second, "\"; the header has: ", cli::Shortened(absl::StrJoin(header, ", "), kMaxHeaderShown)));
    }
    if (std::count(header.begin(), header.end(), column->second) > 1) {
      return absl::InvalidArgumentError(absl::StrCat("two columns are called \"", column->second, "\""));
    }
    places_.back() = static_cast<int>(found - header.begin());
  }
  return absl::OkStatus();
}

bool RoleFile::Next() {
  while (true) {
    const absl::StatusOr<bool> has_row = reader_.Next();
    if (!has_row.ok()) report_->cut = std::string(has_row.status().message());
    if (!has_row.ok() || !*has_row) return false;
    ++report_->lines;
    report_->ends_damaged = reader_.is_damaged() || reader_.cells().size() != width_;
    if (!report_->ends_damaged) return true;
    report_->AddDamaged(line(), reader_.is_damaged() ? std::string("a quote in the wrong place")
                                                     : absl::StrCat(reader_.cells().size(), " cells, the header has ", width_));
  }
}

}  // namespace offerd::evaluate
