#include "store/table_artefact.h"

#include <bit>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "store/table_checks.h"
#include "store/table_manifest.h"
#include "store/table_shards.h"

namespace offerd {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "arrays are used as they lie in the files");

// Files of a version on their way to a ListTable.
class ShardReader {
 public:
  ShardReader(std::string folder, const v1::TableManifest& manifest, TableMemory memory)
      : folder_(std::move(folder)), memory_(memory) {
    for (const v1::TableManifest::Shard& shard : manifest.shards())
      is_repeated_ |= !shards_.emplace(shard.file(), &shard).second;
  }

  template <typename Array>
  absl::Status Read(absl::string_view name, Array& array) {
    using Element = typename Array::value_type;
    const std::string file = ShardFile(name, array);
    const auto found = shards_.find(file);
    if (found == shards_.end())
      return absl::InvalidArgumentError(absl::StrCat("'", folder_, "': the manifest lacks ", file));
    const v1::TableManifest::Shard& shard = *found->second;
    shards_.erase(found);
    if (shard.element() != ElementName(Element()) || shard.bytes() % sizeof(Element) != 0 ||
        shard.count() != shard.bytes() / sizeof(Element)) {
      return absl::InvalidArgumentError(absl::StrCat("'", folder_, "': the manifest has ", file, " as ", shard.count(),
                                                     " ", shard.element(), " in ", shard.bytes(), " bytes"));
    }
    ASSIGN_OR_RETURN(const absl::string_view bytes, ReadVerified(shard));
    array = Array(reinterpret_cast<const Element*>(bytes.data()), bytes.size() / sizeof(Element));
    return absl::OkStatus();
  }

  absl::Status Finish() const {
    if (is_repeated_)
      return absl::InvalidArgumentError(absl::StrCat("'", folder_, "': the manifest names a file twice"));
    if (shards_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("'", folder_, "': the manifest has an unknown shard, ", absl::CHexEscape(shards_.begin()->first)));
  }

  std::shared_ptr<const void> bytes() const { return files_; }

 private:
  absl::StatusOr<absl::string_view> ReadVerified(const v1::TableManifest::Shard& shard) {
    const std::string path = absl::StrCat(folder_, "/", shard.file());
    absl::StatusOr<FileBytes> bytes = FileBytes::Read(path, memory_);
    if (absl::IsNotFound(bytes.status())) return absl::DataLossError(absl::StrCat("'", path, "' is missing"));
    RETURN_IF_ERROR(bytes.status());
    if (bytes->view().size() != shard.bytes()) {
      return absl::DataLossError(
          absl::StrCat("'", path, "' has ", bytes->view().size(), " bytes, the manifest says ", shard.bytes()));
    }
    if (ChecksumText(bytes->view()) != shard.checksum()) {
      return absl::DataLossError(absl::StrCat("'", path, "' is damaged: its checksum is not that of the manifest"));
    }
    files_->push_back(*std::move(bytes));
    return files_->back().view();
  }

  const std::string folder_;
  const TableMemory memory_;
  std::map<std::string, const v1::TableManifest::Shard*> shards_;  // not read yet
  bool is_repeated_ = false;
  std::shared_ptr<std::vector<FileBytes>> files_ = std::make_shared<std::vector<FileBytes>>();
};

absl::Status CheckLoaded(const ListTable& table, const v1::TableManifest& manifest) {
  const size_t num_items = table.ids.size();
  RETURN_IF_ERROR(CheckIds(table.ids));
  if (table.has_sessions()) {
    RETURN_IF_ERROR(CheckSessions(table.sessions, num_items));
    RETURN_IF_ERROR(CheckSessionQuery(table.query));
  } else {
    RETURN_IF_ERROR(CheckRows(table.rows, num_items));
  }
  const size_t num_entries = table.has_sessions() ? table.sessions.session_items.size() : table.rows.neighbours.size();
  if (manifest.counts().items() == num_items && manifest.counts().entries() == num_entries) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("manifest.json: counts say ", manifest.counts().items(), " items and ",
                                                 manifest.counts().entries(), " entries, there are ", num_items,
                                                 " and ", num_entries));
}

// How sessions are asked; what other kinds do not have.
absl::StatusOr<SessionQueryOptions> QueryOf(const v1::TableManifest& manifest, bool has_sessions) {
  if (manifest.has_sessions() != has_sessions) {
    return absl::InvalidArgumentError(
        absl::StrCat("manifest.json: kind ", manifest.kind(), has_sessions ? " without" : " with", " sessions"));
  }
  SessionQueryOptions query;
  if (!has_sessions) return query;
  query.neighbours = manifest.sessions().neighbours();
  query.last_items = manifest.sessions().last_items();
  query.idf_weight = manifest.sessions().idf_weight();
  query.keep_current = manifest.sessions().keep_current();
  query.count = manifest.sessions().count();
  return query;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ListTable>> LoadTable(const std::string& root, absl::string_view name,
                                                           uint64_t version, TableMemory memory) {
  ASSIGN_OR_RETURN(const TableInfo info, ReadTableInfo(root, name, version));
  auto table = std::make_shared<ListTable>();
  table->name = info.manifest.name();
  table->version = info.manifest.version();
  table->checksum = info.checksum;
  table->kind = info.manifest.kind();
  const std::string folder = VersionFolder(root, name, table->version);
  ShardReader reader(folder, info.manifest, memory);
  absl::Status status;
  ForEachShard(*table, [&](absl::string_view shard, auto& array) {
    if (status.ok()) status = reader.Read(shard, array);
  });
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(reader.Finish());
  ASSIGN_OR_RETURN(table->query, QueryOf(info.manifest, table->has_sessions()));
  table->sessions.sessions_per_item = info.manifest.sessions().sessions_per_item();
  if (status = CheckLoaded(*table, info.manifest); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat("'", folder, "': ", status.message()));
  }
  table->bytes = reader.bytes();
  return table;
}

absl::StatusOr<TableInfo> ReadTableInfo(const std::string& root, absl::string_view name, uint64_t version) {
  RETURN_IF_ERROR(CheckTableName(name));
  if (version == 0) {
    ASSIGN_OR_RETURN(version, NewestTableVersion(root, name));
  }
  const std::string folder = VersionFolder(root, name, version);
  std::error_code error;
  if (!fs::is_directory(folder, error))
    return absl::NotFoundError(absl::StrCat("no version ", version, " of table ", name, " in '", root, "'"));
  ASSIGN_OR_RETURN(ManifestFile file, ReadManifest(folder));
  if (file.manifest.name() != name || file.manifest.version() != version) {
    return absl::InvalidArgumentError(absl::StrCat("'", folder, "' holds version ", file.manifest.version(),
                                                   " of table ", absl::CHexEscape(file.manifest.name())));
  }
  TableInfo info{std::move(file.manifest), file.checksum, 0};
  for (const v1::TableManifest::Shard& shard : info.manifest.shards()) info.bytes += shard.bytes();
  return info;
}

}  // namespace offerd
