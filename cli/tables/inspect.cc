#include "cli/tables/inspect.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "cli/format.h"
#include "cli/tables/table_diff.h"
#include "cli/tables/table_lists.h"
#include "core/status_macros.h"
#include "store/table_artefact.h"

namespace offerd::tables {
namespace {

using cli::FormatCount;
using cli::Json;
using evaluate::Output;

constexpr size_t kMaxNamed = 20;  // items named in the text of a diff

std::string CreatedText(const v1::TableManifest& manifest) {
  const absl::Time time =
      absl::FromUnixSeconds(manifest.created().seconds()) + absl::Nanoseconds(manifest.created().nanos());
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

Json Describe(const TableInfo& info) {
  const v1::TableManifest& manifest = info.manifest;
  return {{"kind", manifest.kind()},
          {"items", manifest.counts().items()},
          {"baskets", manifest.counts().baskets()},
          {"entries", manifest.counts().entries()},
          {"bytes", info.bytes},
          {"created", CreatedText(manifest)},
          {"checksum", absl::StrFormat("%016x", info.checksum)}};
}

absl::StatusOr<std::vector<TableReference>> VersionsIn(const std::string& root, const TableReference& table) {
  std::error_code error;
  if (!std::filesystem::is_directory(root, error)) return absl::NotFoundError(absl::StrCat("--tables: there is no folder '", root, "'"));
  std::vector<TableReference> versions;
  if (table.version != 0) return std::vector<TableReference>{table};
  ASSIGN_OR_RETURN(const std::vector<TableVersions> tables, ListTables(root));
  for (const TableVersions& found : tables) {
    if (!table.name.empty() && found.name != table.name) continue;
    for (const uint64_t version : found.versions) versions.push_back({found.name, version});
  }
  if (versions.empty() && !table.name.empty())
    return absl::NotFoundError(absl::StrCat("no table ", table.name, " in '", root, "'"));
  return versions;
}

std::string NamedItems(const std::vector<std::string>& items) {
  if (items.empty()) return "0";
  const auto end = items.begin() + static_cast<std::ptrdiff_t>(std::min(items.size(), kMaxNamed));
  return absl::StrCat(FormatCount(static_cast<int64_t>(items.size())), ": ", absl::StrJoin(items.begin(), end, ", "),
                      end == items.end() ? "" : ", ...");
}

std::string Percent(double share) { return absl::StrFormat("%.2f %%", 100 * share); }

void PrintDiff(const TableDiff& diff, size_t k, const std::string& older, const std::string& newer, std::ostream& out) {
  const auto count = [](uint64_t value) { return FormatCount(static_cast<int64_t>(value)); };
  out << cli::FormatTable({{"", older, newer}, {"items", count(diff.old_items), count(diff.new_items)}});
  out << "items gained  " << NamedItems(diff.gained) << "\nitems lost    " << NamedItems(diff.lost) << "\n";
  out << "compared      " << count(diff.compared) << " items of both\n";
  out << "overlap at " << k << "  " << Percent(diff.overlap) << "\n";
  out << "equal at " << k << "    " << Percent(diff.equal_lists) << " (same items in the same order)\n";
  out << "equal rows    " << Percent(diff.equal_rows) << " (scores included)\n";
}

}  // namespace

absl::StatusOr<TableReference> ParseTableReference(const std::string& text, const std::string& default_name) {
  const size_t slash = text.find('/');
  TableReference table{slash == std::string::npos ? default_name : text.substr(0, slash), 0};
  const std::string version = slash == std::string::npos ? text : text.substr(slash + 1);
  if (!absl::SimpleAtoi(version, &table.version)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is neither VERSION nor NAME/VERSION"));
  }
  if (table.name.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("version ", text, " of which table? Give --table NAME, or NAME/VERSION"));
  return table;
}

absl::Status RunList(const std::string& root, const Output& output) {
  ASSIGN_OR_RETURN(const std::vector<TableReference> versions, VersionsIn(root, {}));
  Json json = Json::array();
  std::vector<std::vector<std::string>> rows = {
      {"table", "version", "kind", "items", "baskets", "entries", "bytes", "created", "checksum"}};
  for (const TableReference& version : versions) {
    Json entry = {{"name", version.name}, {"version", version.version}};
    rows.push_back({version.name, absl::StrCat(version.version)});
    const absl::StatusOr<TableInfo> info = ReadTableInfo(root, version.name, version.version);
    if (info.ok()) {
      const Json described = Describe(*info);
      entry.update(described);
      for (const Json& value : described)
        rows.back().push_back(value.is_number() ? FormatCount(value.get<int64_t>()) : value.get<std::string>());
    } else {
      entry["error"] = std::string(info.status().message());
      rows.back().insert(rows.back().end(),
                         {"-", "-", "-", "-", "-", "-", absl::StrCat("cannot be read: ", info.status().message())});
    }
    json.push_back(std::move(entry));
  }
  if (output.json) {
    output.out << cli::Dump({{"tables", std::move(json)}});
  } else {
    output.out << (versions.empty() ? absl::StrCat("no tables in ", root, "\n") : cli::FormatTable(rows));
  }
  return absl::OkStatus();
}

absl::Status RunShow(const std::string& root, const TableReference& reference, const std::string& item, size_t count,
                     const Output& output) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const ListTable> table,
                   LoadTable(root, reference.name, reference.version, TableMemory::kMapped));
  const std::optional<TableItem> number = table->ids.Find(item);
  if (!number)
    return absl::NotFoundError(
        absl::StrCat("version ", table->version, " of table ", table->name, " does not know item \"", item, "\""));
  std::vector<ScoredItem> list;
  TableLists(*table).Get(*number, count, &list);
  Json json = Json::array();
  std::vector<std::vector<std::string>> rows = {{"rank", "item", "score"}};
  for (const ScoredItem& entry : list) {
    const std::string id(table->ids.IdOf(entry.item));
    rows.push_back({absl::StrCat(rows.size()), id, absl::StrFormat("%.6g", entry.score)});
    json.push_back({{"item", id}, {"score", entry.score}});
  }
  if (output.json) {
    output.out << cli::Dump({{"name", table->name},
                             {"version", table->version},
                             {"kind", table->kind},
                             {"item", item},
                             {"neighbours", std::move(json)}});
  } else {
    output.out << table->name << " version " << table->version << " (" << table->kind << "), item " << item << "\n"
               << (list.empty() ? "no neighbours\n" : cli::FormatTable(rows));
  }
  return absl::OkStatus();
}

absl::Status RunDiff(const std::string& root, const TableReference& older, const TableReference& newer, size_t k,
                     const Output& output) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const ListTable> first,
                   LoadTable(root, older.name, older.version, TableMemory::kMapped));
  ASSIGN_OR_RETURN(const std::shared_ptr<const ListTable> second,
                   LoadTable(root, newer.name, newer.version, TableMemory::kMapped));
  const TableDiff diff = Compare(*first, *second, k);
  if (!output.json) {
    PrintDiff(diff, k, absl::StrCat(first->name, "/", first->version), absl::StrCat(second->name, "/", second->version),
              output.out);
    return absl::OkStatus();
  }
  output.out << cli::Dump({{"old", {{"name", first->name}, {"version", first->version}, {"items", diff.old_items}}},
                           {"new", {{"name", second->name}, {"version", second->version}, {"items", diff.new_items}}},
                           {"k", k},
                           {"items_gained", diff.gained.size()},
                           {"items_lost", diff.lost.size()},
                           {"gained", diff.gained},
                           {"lost", diff.lost},
                           {"compared", diff.compared},
                           {"overlap", diff.overlap},
                           {"equal_lists", diff.equal_lists},
                           {"equal_rows", diff.equal_rows}});
  return absl::OkStatus();
}

absl::Status RunVerify(const std::string& root, const TableReference& reference, const Output& output) {
  ASSIGN_OR_RETURN(const std::vector<TableReference> versions, VersionsIn(root, reference));
  Json json = Json::array();
  std::vector<std::vector<std::string>> rows = {{"table", "version", "state", "detail"}};
  size_t damaged = 0;
  for (const TableReference& version : versions) {
    const absl::Status status = LoadTable(root, version.name, version.version, TableMemory::kMapped).status();
    if (absl::IsNotFound(status)) return status;
    damaged += status.ok() ? 0 : 1;
    const std::string detail(status.message());
    rows.push_back({version.name, absl::StrCat(version.version), status.ok() ? "sound" : "damaged", detail});
    json.push_back(
        {{"name", version.name}, {"version", version.version}, {"state", rows.back()[2]}, {"detail", detail}});
  }
  if (output.json) {
    output.out << cli::Dump({{"tables", std::move(json)}});
  } else {
    output.out << (versions.empty() ? absl::StrCat("no tables in ", root, "\n") : cli::FormatTable(rows));
  }
  if (damaged == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(damaged, " of ", versions.size(), " cannot be used"));
}

}  // namespace offerd::tables
