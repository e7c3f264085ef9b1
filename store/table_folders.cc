#include "store/table_folders.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace offerd {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxNameBytes = 64;

bool IsNameByte(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
}

// 0 = the name of no version.
uint64_t VersionOf(const std::string& folder) {
  uint64_t version = 0;
  return absl::SimpleAtoi(folder, &version) && absl::StrCat(version) == folder ? version : 0;
}

// Folders in a folder, by name; none where it does not exist.
absl::StatusOr<std::vector<std::string>> FoldersIn(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(path, error);
  for (const fs::directory_iterator end; !error && entry != end; entry.increment(error)) {
    std::error_code vanished;
    if (entry->is_directory(vanished)) names.push_back(entry->path().filename().string());
  }
  if (error == std::errc::no_such_file_or_directory) return std::vector<std::string>();
  if (error) return FileSystemStatus(error, "cannot list", path);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

bool IsTableName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name[0] != '.' &&
         name.find("..") == absl::string_view::npos && std::all_of(name.begin(), name.end(), IsNameByte);
}

absl::Status CheckTableName(absl::string_view name) {
  if (IsTableName(name)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "'", absl::CHexEscape(name.substr(0, 2 * kMaxNameBytes)), "' is no name of a table: expected 1 to ",
      kMaxNameBytes, " letters, digits, _ . and -, not beginning with a dot and without two dots in a row"));
}

absl::Status FileSystemStatus(const std::error_code& error, absl::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(error.value(), absl::StrCat(what, " '", path, "'"));
}

std::string TableFolder(const std::string& root, absl::string_view name) { return absl::StrCat(root, "/", name); }
std::string VersionFolder(const std::string& root, absl::string_view name, uint64_t version) {
  return absl::StrCat(root, "/", name, "/", version);
}

absl::StatusOr<uint64_t> NewestTableVersion(const std::string& root, absl::string_view name) {
  ASSIGN_OR_RETURN(const std::vector<uint64_t> versions, ListTableVersions(root, name));
  if (versions.empty()) return absl::NotFoundError(absl::StrCat("no table ", name, " in '", root, "'"));
  return versions.back();
}

absl::StatusOr<std::vector<TableVersions>> ListTables(const std::string& root) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, FoldersIn(root));
  std::vector<TableVersions> tables;
  for (const std::string& name : names) {
    if (!IsTableName(name)) continue;
    ASSIGN_OR_RETURN(std::vector<uint64_t> versions, ListTableVersions(root, name));
    if (!versions.empty()) tables.push_back({name, std::move(versions)});
  }
  return tables;
}

absl::StatusOr<std::vector<uint64_t>> ListTableVersions(const std::string& root, absl::string_view name) {
  RETURN_IF_ERROR(CheckTableName(name));
  ASSIGN_OR_RETURN(const std::vector<std::string> folders, FoldersIn(TableFolder(root, name)));
  std::vector<uint64_t> versions;
  for (const std::string& folder : folders) {
    if (const uint64_t version = VersionOf(folder); version != 0) versions.push_back(version);
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

}  // namespace offerd
