#include <algorithm>
#include <filesystem>
#include <system_error>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "store/table_artefact.h"
#include "store/table_checks.h"
#include "store/table_manifest.h"
#include "store/table_shards.h"

namespace offerd {
namespace {

namespace fs = std::filesystem;

constexpr char kBuilding[] = ".building";

absl::Status CheckContent(const TableContent& content) {
  if (!IsTableName(content.kind))
    return absl::InvalidArgumentError(absl::StrCat("'", content.kind, "' is no kind of a table"));
  for (const auto& [key, value] : content.parameters) {
    const std::string both = key + value;
    const bool is_text = std::all_of(both.begin(), both.end(), [](char c) { return c >= ' ' && c <= '~'; });
    if (key.empty() || !is_text) return absl::InvalidArgumentError("a parameter without name, or not of ASCII");
  }
  RETURN_IF_ERROR(CheckIds(content.ids));
  if (!content.has_sessions()) return CheckRows(content.rows, content.ids.size());
  RETURN_IF_ERROR(CheckSessions(content.sessions, content.ids.size()));
  return CheckSessionQuery(content.query);
}

v1::TableManifest Describe(absl::string_view name, uint64_t version, const TableContent& content, TimeMicros created) {
  v1::TableManifest manifest;
  manifest.set_format(kTableFormat);
  manifest.set_format_version(kTableFormatVersion);
  manifest.set_name(std::string(name));
  manifest.set_version(version);
  manifest.set_kind(content.kind);
  for (const auto& [key, value] : content.parameters) (*manifest.mutable_parameters())[key] = value;
  manifest.mutable_counts()->set_items(static_cast<uint32_t>(content.ids.size()));
  manifest.mutable_counts()->set_baskets(content.num_baskets);
  manifest.mutable_counts()->set_pairs(content.num_pairs);
  manifest.mutable_counts()->set_entries(content.has_sessions() ? content.sessions.session_items.size()
                                                                : content.rows.neighbours.size());
  manifest.mutable_created()->set_seconds(created / kMicrosPerSecond);
  manifest.mutable_created()->set_nanos(static_cast<int32_t>(created % kMicrosPerSecond * 1000));
  if (content.has_sessions()) {
    v1::TableManifest::Sessions& query = *manifest.mutable_sessions();
    query.set_neighbours(static_cast<uint32_t>(content.query.neighbours));
    query.set_last_items(static_cast<uint32_t>(content.query.last_items));
    query.set_idf_weight(content.query.idf_weight);
    query.set_keep_current(content.query.keep_current);
    query.set_count(static_cast<uint32_t>(content.query.count));
    query.set_sessions_per_item(content.sessions.sessions_per_item);
  }
  return manifest;
}

absl::Status WriteFiles(const std::string& folder, const TableContent& content, v1::TableManifest manifest) {
  std::error_code error;
  fs::create_directory(folder, error);
  if (error) return FileSystemStatus(error, "cannot create", folder);
  absl::Status status;
  ForEachShard(content, [&](absl::string_view name, const auto& array) {
    if (!status.ok()) return;
    v1::TableManifest::Shard& shard = *manifest.add_shards();
    shard.set_file(ShardFile(name, array));
    shard.set_element(std::string(ElementName(typename std::decay_t<decltype(array)>::value_type())));
    shard.set_count(array.size());
    shard.set_bytes(BytesOf(array).size());
    shard.set_checksum(ChecksumText(BytesOf(array)));
    status = WriteFileDurably(absl::StrCat(folder, "/", shard.file()), BytesOf(array));
  });
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(WriteManifest(folder, manifest));
  return SyncDirectory(folder);
}

}  // namespace

absl::StatusOr<uint64_t> WriteTable(const std::string& root, absl::string_view name, const TableContent& content,
                                    TimeMicros created) {
  RETURN_IF_ERROR(CheckTableName(name));
  RETURN_IF_ERROR(CheckContent(content));
  const std::string folder = TableFolder(root, name);
  const std::string building = absl::StrCat(folder, "/", kBuilding);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return FileSystemStatus(error, "cannot create", folder);
  ASSIGN_OR_RETURN(const DirectoryClaim claim, DirectoryClaim::Wait(folder));
  fs::remove_all(building, error);  // of a writer that died
  if (error) return FileSystemStatus(error, "cannot remove", building);
  ASSIGN_OR_RETURN(const std::vector<uint64_t> versions, ListTableVersions(root, name));
  const uint64_t version = versions.empty() ? 1 : versions.back() + 1;
  absl::Status status = WriteFiles(building, content, Describe(name, version, content, created));
  if (status.ok()) {
    fs::rename(building, VersionFolder(root, name, version), error);
    if (error) status = FileSystemStatus(error, "cannot rename", building);
  }
  if (!status.ok()) {
    fs::remove_all(building, error);
    return status;
  }
  RETURN_IF_ERROR(SyncDirectory(folder));
  RETURN_IF_ERROR(SyncDirectory(root));
  return version;
}

}  // namespace offerd
