// Built tables: list, show, diff and verify work on their folder, publish and rollback on a server.
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/cells.h"
#include "cli/commands.h"
#include "cli/tables/inspect.h"
#include "cli/text.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

using tables::TableReference;

struct TableOptions {
  std::string root;
  std::string name;
  uint64_t version = 0;
  std::string item;
  std::string older, newer;
  size_t k = 10;
};

evaluate::Output To(Session& session) { return {session.out, session.err, session.err_is_terminal, session.json}; }

// Of a server.
absl::Status ListPublished(Session& session) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::ListTablesResponse response;
  RETURN_IF_ERROR(
      client->CallPatiently(client->admin(), &v1::AdminService::Stub::ListTables, v1::ListTablesRequest(), &response));
  if (session.json) {
    session.out << Dump(ToJson(response));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows = {{"table", "in force", "kind", "items", "entries", "bytes", "created",
                                                 "checksum", "loaded", "before", "available"}};
  for (const v1::TableStatus& table : response.tables()) {
    const bool is_in_force = table.version() != 0;
    rows.push_back({table.name(), is_in_force ? absl::StrCat(table.version()) : "-", table.kind(),
                    FormatCount(table.items()), FormatCount(table.entries()), FormatCount(table.bytes()),
                    table.has_created() ? FormatTime(table.created()) : "-", table.checksum(),
                    table.is_loaded() ? "yes"
                    : is_in_force     ? "NO"
                                      : "-",
                    absl::StrJoin(table.previous_versions(), " "), absl::StrJoin(table.available_versions(), " ")});
  }
  session.out << (rows.size() > 1 ? FormatTable(rows) : "no tables\n");
  return absl::OkStatus();
}

void PrintInForce(Session& session, const v1::TableStatus& table, const char* what) {
  if (session.json) {
    session.out << Dump(ToJson(table));
    return;
  }
  session.out << "table " << table.name() << " (" << table.kind() << "): " << what << ", version " << table.version()
              << ", " << FormatCount(table.items()) << " items, " << FormatCount(table.entries())
              << " entries, checksum " << table.checksum() << "\n";
}

absl::Status Publish(Session& session, const TableOptions& options) {
  v1::PublishTableRequest request;
  request.set_name(options.name);
  request.set_version(options.version);
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::TableStatus table;
  RETURN_IF_ERROR(client->Call(client->admin(), &v1::AdminService::Stub::PublishTable, request, &table));
  PrintInForce(session, table, "published");
  return absl::OkStatus();
}

absl::Status RollBack(Session& session, const TableOptions& options) {
  v1::RollBackTableRequest request;
  request.set_name(options.name);
  request.set_version(options.version);
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::TableStatus table;
  RETURN_IF_ERROR(client->Call(client->admin(), &v1::AdminService::Stub::RollBackTable, request, &table));
  PrintInForce(session, table, "rolled back");
  return absl::OkStatus();
}

absl::Status Diff(Session& session, const TableOptions& options) {
  const absl::StatusOr<TableReference> older = tables::ParseTableReference(options.older, options.name);
  if (!older.ok()) return UsageError(older.status().message());
  const absl::StatusOr<TableReference> newer = tables::ParseTableReference(options.newer, options.name);
  if (!newer.ok()) return UsageError(newer.status().message());
  return tables::RunDiff(options.root, *older, *newer, options.k, To(session));
}

using Options = std::shared_ptr<TableOptions>;

CLI::App* AddOnFolder(CLI::App* parent, Session& session, const char* name, const char* description,
                      const Options& options, std::function<absl::Status()> run) {
  CLI::App* command = AddCommand(*parent, name, description, session, std::move(run));
  command->add_option("--tables", options->root, "folder of the tables (tables_path of the configuration)")->required();
  return command;
}

void AddVersion(CLI::App* command, const Options& options, const char* zero) {
  command->add_option("--version", options->version, absl::StrCat("0 = ", zero))->capture_default_str();
}

void AddCutoff(CLI::App* command, const Options& options) {
  command->add_option("--k", options->k, "entries of a list")
      ->capture_default_str()
      ->check(CLI::Range(size_t{1}, size_t{1'000'000}));
}

void AddFolderCommands(CLI::App* table, Session& session, const Options& options) {
  CLI::App* show = AddOnFolder(table, session, "show", "Print an item's neighbours", options, [&session, options] {
    return tables::RunShow(options->root, {options->name, options->version}, options->item, options->k, To(session));
  });
  show->add_option("item", options->item, "id of the item")->required();
  show->add_option("--table", options->name, "name of the table")->required();
  AddVersion(show, options, "the newest");
  AddCutoff(show, options);

  CLI::App* diff = AddOnFolder(table, session, "diff", "Compare two versions: overlap, items gained and lost", options,
                               [&session, options] { return Diff(session, *options); });
  diff->add_option("old", options->older, "VERSION, or NAME/VERSION; 0 = the newest")->required();
  diff->add_option("new", options->newer, "the same")->required();
  diff->add_option("--table", options->name, "name of the table, where only versions are given");
  AddCutoff(diff, options);

  CLI::App* verify =
      AddOnFolder(table, session, "verify", "Read and check tables; exit code 1 unless all are sound", options,
                  [&session, options] {
                    return tables::RunVerify(options->root, {options->name, options->version}, To(session));
                  });
  CLI::Option* name = verify->add_option("--table", options->name, "name of the table; without it all");
  verify->add_option("--version", options->version, "0 = all")->capture_default_str()->needs(name);
}

void AddServerCommand(CLI::App* table, Session& session, const char* name, const char* description, const char* zero,
                      const Options& options, absl::Status (*run)(Session&, const TableOptions&)) {
  CLI::App* command =
      AddCommand(*table, name, description, session, [&session, options, run] { return run(session, *options); });
  command->add_option("name", options->name, "name of the table")->required();
  command->add_option("version", options->version, zero)->capture_default_str();
}

}  // namespace

void AddTable(CLI::App& app, Session& session) {
  CLI::App* table = app.add_subcommand("table", "Built tables: list, show, diff, verify, publish, rollback");
  table->require_subcommand(1);
  const auto options = std::make_shared<TableOptions>();
  CLI::App* list = AddCommand(*table, "list", "List tables and their versions", session, [&session, options] {
    return options->root.empty() ? ListPublished(session) : tables::RunList(options->root, To(session));
  });
  list->add_option("--tables", options->root, "folder of the tables; without it those of the server");
  AddFolderCommands(table, session, options);
  AddServerCommand(table, session, "publish", "Have the server load a version and put it in force", "0 = the newest",
                   options, Publish);
  AddServerCommand(table, session, "rollback", "Put a version that was in force before back",
                   "0 = the one in force before", options, RollBack);
}

}  // namespace offerd::cli
