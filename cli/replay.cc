// Works on the files of a store, stopped or running: what was written before it began.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "core/status_macros.h"
#include "store/recovery.h"
#include "store/store.h"
#include "store/table_shelf.h"

namespace offerd::cli {
namespace {

Json ToJson(const ReplayReport& report) {
  Json policies = Json::array();
  for (const auto& [name, checksum] : report.policies) {
    policies.push_back({{"name", name}, {"state_checksum", absl::StrFormat("%016x", checksum)}});
  }
  return {{"base", report.base},
          {"last_sequence", report.last},
          {"records", report.records},
          {"decisions", report.decisions},
          {"skipped", report.skipped},
          {"publications", report.publications},
          {"differences", report.differences},
          {"examples", report.examples},
          {"policies", std::move(policies)},
          {"state_digest", absl::StrFormat("%016x", report.state_digest)}};
}

void Print(const ReplayReport& report, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {
      {"log", absl::StrCat(FormatCount(report.records), " records, from ",
                           report.base == 0 ? std::string("the beginning") : absl::StrCat("the base at ", report.base), " to ", report.last)},
      {"decisions", absl::StrCat(FormatCount(report.decisions), " recomputed, ", FormatCount(report.skipped), " skipped")},
      {"publications", absl::StrCat(FormatCount(report.publications), " made again")},
      {"differences", FormatCount(report.differences)},
      {"state digest", absl::StrFormat("%016x", report.state_digest)}};
  for (const auto& [name, checksum] : report.policies) rows.push_back({absl::StrCat("policy ", name), absl::StrFormat("%016x", checksum)});
  out << FormatTable(rows);
  for (const std::string& example : report.examples) out << "  " << example << "\n";
}

absl::Status RunReplay(Session& session, const std::string& path, const std::string& tables) {
  StoreOptions options;
  options.read_only = true;
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::OpenAt(path, options));
  TableShelf shelf(tables.empty() ? absl::StrCat(path, "/tables") : tables);
  const Sequence last = store->last_sequence();
  const auto progress = [&session, last](Sequence sequence) {
    if (session.err_is_terminal) session.err << "\rreplay: " << sequence << " of " << last << std::flush;
  };
  ASSIGN_OR_RETURN(const ReplayReport report, Replay(*store, progress, shelf.Source()));
  if (session.err_is_terminal) session.err << "\r\n";
  if (session.json) {
    session.out << Dump(ToJson(report));
  } else {
    Print(report, session.out);
  }
  if (report.differences > 0) {
    return absl::DataLossError(absl::StrCat("replay found ", report.differences, " differences"));
  }
  return absl::OkStatus();
}

}  // namespace

void AddReplay(CLI::App& app, Session& session) {
  auto path = std::make_shared<std::string>();
  auto tables = std::make_shared<std::string>();
  CLI::App* command =
      AddCommand(app, "replay", "Recompute every recorded decision and publication from the log and compare byte for byte; exit 1 on any difference",
                 session, [&session, path, tables] { return RunReplay(session, *path, *tables); });
  command->add_option("--store", *path, "folder of the store")->required();
  command->add_option("--tables", *tables, "folder of the tables that decisions read; without it \"tables\" in the store's folder");
}

}  // namespace offerd::cli
