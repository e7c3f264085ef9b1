#include "cli/tables/build_command.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/evaluate/peak_memory.h"
#include "cli/evaluate/report.h"
#include "cli/input_file.h"
#include "core/similarity/item_ids.h"
#include "core/status_macros.h"
#include "store/table_artefact.h"

namespace offerd::tables {
namespace {

using cli::FormatCount;
using cli::Json;
using evaluate::Dataset;
using evaluate::Protocol;

constexpr double kShareOfFreeMemory = 0.8;

class Stopwatch {
 public:
  double Seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// One line that says what goes on, on a terminal.
void Progress(const evaluate::Output& output, absl::string_view what) {
  if (output.err_is_terminal) output.err << "\r\033[K" << what << std::flush;
}

// One table that was written.
struct Written {
  TableInfo info;
  double build_seconds = 0;
  double write_seconds = 0;
  uint64_t left_out = 0;
};

absl::StatusOr<Written> BuildAndWrite(const BuildPlan& plan, const std::string& name, const Dataset& data,
                                      const evaluate::Workers& workers) {
  Written written;
  const Stopwatch build;
  ASSIGN_OR_RETURN(const BuiltTable built, BuildTable(plan.table, data.training, workers));
  written.build_seconds = build.Seconds();
  written.left_out = built.left_out;

  const Stopwatch write;
  const ItemIds ids(data.item_ids);
  TableContent content;
  content.kind = plan.table.method.name;
  content.parameters = ParameterTexts(plan.table);
  if (plan.file.max_length > 0) content.parameters["max_length"] = absl::StrCat(plan.file.max_length);
  if (plan.file.min_item_support > 1) content.parameters["min_item_support"] = absl::StrCat(plan.file.min_item_support);
  content.num_baskets = built.num_rows;
  content.num_pairs = built.num_pairs;
  content.ids = ids.view();
  content.rows = built.rows.view();
  if (built.sessions) content.sessions = built.sessions->view();
  content.query = built.query;
  ASSIGN_OR_RETURN(const uint64_t version, WriteTable(plan.root, name, content, absl::ToUnixMicros(absl::Now())));
  ASSIGN_OR_RETURN(written.info, ReadTableInfo(plan.root, name, version));
  written.write_seconds = write.Seconds();
  return written;
}

Json ToJson(const Written& written) {
  const v1::TableManifest& manifest = written.info.manifest;
  Json parameters = Json::object();
  const std::map<std::string, std::string> sorted(manifest.parameters().begin(), manifest.parameters().end());
  for (const auto& [name, value] : sorted) parameters[name] = value;
  return {{"name", manifest.name()},
          {"version", manifest.version()},
          {"kind", manifest.kind()},
          {"parameters", std::move(parameters)},
          {"items", manifest.counts().items()},
          {"baskets", manifest.counts().baskets()},
          {"entries", manifest.counts().entries()},
          {"pairs", manifest.counts().pairs()},
          {"left_out_for_length", written.left_out},
          {"bytes", written.info.bytes},
          {"checksum", absl::StrFormat("%016x", written.info.checksum)},
          {"build_seconds", written.build_seconds},
          {"write_seconds", written.write_seconds}};
}

std::vector<std::string> ToRow(const Written& written) {
  const auto count = [](uint64_t value) { return FormatCount(static_cast<int64_t>(value)); };
  const v1::TableManifest& manifest = written.info.manifest;
  return {manifest.name(),
          absl::StrCat(manifest.version()),
          manifest.kind(),
          count(manifest.counts().items()),
          count(manifest.counts().baskets()),
          count(manifest.counts().entries()),
          count(manifest.counts().pairs()),
          count(written.left_out),
          count(written.info.bytes),
          absl::StrFormat("%.2f", written.build_seconds),
          absl::StrFormat("%.2f", written.write_seconds)};
}

std::vector<std::string> WarningsOf(const BuildPlan& plan, const BuildInput& input, const std::vector<Written>& tables) {
  std::vector<std::string> warnings = plan.table.warnings;
  for (const std::string& warning : evaluate::Warnings(input.data.reports)) warnings.push_back(warning);
  for (const Written& written : tables) {
    if (written.info.manifest.counts().entries() > 0) continue;
    warnings.push_back(absl::StrCat("table ", written.info.manifest.name(), " has 0 entries: no item has a neighbour in it"));
  }
  return warnings;
}

void Print(const BuildInput& input, const std::vector<Written>& tables, const std::vector<std::string>& warnings,
           double read_seconds, uint64_t peak_bytes, const evaluate::Output& output) {
  if (output.json) {
    Json json = {{"tables", Json::array()}, {"warnings", warnings}, {"data", evaluate::ToJson(input.data, {}, {})["data"]}};
    for (const Written& written : tables) json["tables"].push_back(ToJson(written));
    json["read_seconds"] = read_seconds;
    json["peak_bytes"] = peak_bytes;
    output.out << cli::Dump(json);
    return;
  }
  const bool is_sessions = input.data.training.protocol == Protocol::kSessions;
  std::vector<std::vector<std::string>> rows = {{"table", "version", "kind", "items",
                                                 is_sessions ? "sessions" : "baskets", "entries", "pairs", "too long",
                                                 "bytes", "build s", "write s"}};
  for (const Written& written : tables) rows.push_back(ToRow(written));
  output.out << cli::FormatTable(rows)
             << absl::StrFormat("read in %.2f s, peak memory %.0f MiB\n", read_seconds,
                                static_cast<double>(peak_bytes) / (1 << 20));
  evaluate::PrintWarnings(warnings, output.out);
}

// The tables of the markets. A market whose name does not fit into that of a table is counted and goes without.
absl::Status BuildMarkets(const BuildPlan& plan, const evaluate::Workers& workers, const evaluate::Output& output,
                          BuildInput& input, std::vector<Written>* tables) {
  int64_t without_table = 0;
  for (uint32_t market = 0; market < input.market_names.size(); ++market) {
    const std::string name = MarketTableName(plan.name, input.market_names[market]);
    const Dataset data = OfMarket(input, market);
    if (!IsTableName(name) || data.training.num_items() == 0) {
      ++without_table;
      continue;
    }
    Progress(output, absl::StrCat("building ", name));
    absl::StatusOr<Written> written = BuildAndWrite(plan, name, data, workers);
    if (!written.ok())
      return absl::Status(written.status().code(), absl::StrCat(name, ": ", written.status().message()));
    tables->push_back(*std::move(written));
  }
  input.data.counts.emplace_back("markets_without_a_table", without_table);
  return absl::OkStatus();
}

absl::Status BuildAll(const BuildPlan& plan, const evaluate::Output& output, BuildInput& input,
                      std::vector<Written>* tables) {
  const evaluate::Workers workers(plan.threads);
  Progress(output, absl::StrCat("building ", plan.name));
  ASSIGN_OR_RETURN(Written all, BuildAndWrite(plan, plan.name, input.data, workers));
  tables->push_back(std::move(all));
  return BuildMarkets(plan, workers, output, input, tables);
}

absl::StatusOr<evaluate::FileOptions> ParseFileOptions(const BuildArguments& arguments, Protocol* protocol) {
  static constexpr const char* kSessionRoles[] = {"session", "item"};
  static constexpr const char* kBasketRoles[] = {"basket", "item"};
  static constexpr const char* kMore[] = {"time", "market", "user"};
  evaluate::FileOptions options;
  ASSIGN_OR_RETURN(options.delimiter, evaluate::ParseDelimiter(arguments.delimiter));
  *protocol = Protocol::kLeaveOneOut;
  if (arguments.basket_lines) {
    if (arguments.columns.empty()) return options;
    return absl::InvalidArgumentError("--basket-lines: such a file has no columns; leave --columns out");
  }
  for (const std::string& column : arguments.columns) {
    if (column.rfind("session=", 0) == 0) *protocol = Protocol::kSessions;
  }
  ASSIGN_OR_RETURN(options.columns,
                   evaluate::ParseColumns(arguments.columns,
                                          *protocol == Protocol::kSessions ? kSessionRoles : kBasketRoles, kMore));
  return options;
}

}  // namespace

absl::StatusOr<BuildPlan> MakeBuildPlan(const BuildArguments& arguments) {
  BuildPlan plan;
  plan.name = arguments.name;
  plan.root = arguments.root;
  RETURN_IF_ERROR(CheckTableName(plan.name));
  if (arguments.max_length < 0) return absl::InvalidArgumentError("--max-length: expected 0 or more");
  if (arguments.min_item_support < 1) return absl::InvalidArgumentError("--min-item-support: expected 1 or more");
  if (arguments.threads < 0 || arguments.threads > 1024)
    return absl::InvalidArgumentError("--threads: expected 0 to 1024");
  plan.threads = static_cast<size_t>(arguments.threads);
  plan.file.path = arguments.input;
  plan.file.one_basket_a_line = arguments.basket_lines;
  plan.file.max_length = static_cast<size_t>(arguments.max_length);
  plan.file.min_item_support = static_cast<size_t>(arguments.min_item_support);
  ASSIGN_OR_RETURN(plan.file.options, ParseFileOptions(arguments, &plan.file.protocol));
  TableArguments table = arguments.table;
  if (!arguments.config_file.empty()) {
    ASSIGN_OR_RETURN(table.config, cli::ReadWholeFile(arguments.config_file));
    if (table.config.empty())
      return absl::InvalidArgumentError(absl::StrCat("--config: ", arguments.config_file, " is empty"));
  }
  ASSIGN_OR_RETURN(plan.table, ParseTableSpec(table, plan.file.protocol));
  if (plan.table.half_life_days > 0 && !arguments.basket_lines && plan.file.options.columns.count("time") == 0) {
    return absl::InvalidArgumentError("--half-life needs times: --columns time=NAME");
  }
  if (plan.table.half_life_days > 0 && arguments.basket_lines)
    return absl::InvalidArgumentError("--half-life: a file of one basket a line has no times");
  plan.table.memory_bytes = arguments.memory_bytes;
  return plan;
}

absl::Status RunBuild(const BuildPlan& given, const evaluate::Output& output) {
  const evaluate::PeakMemory peak;
  const Stopwatch read;
  Progress(output, "reading");
  absl::StatusOr<BuildInput> input = ReadBuildInput(given.file);
  Progress(output, "");
  RETURN_IF_ERROR(input.status());
  const double read_seconds = read.Seconds();
  if (given.table.half_life_days > 0 && input->data.reports[0].times == 0) {
    for (const std::string& note : evaluate::Notes(input->data)) output.err << note << "\n";
    evaluate::PrintWarnings(evaluate::Warnings(input->data.reports), output.err);
    return absl::InvalidArgumentError("--half-life: no line has a time that can be read");
  }

  BuildPlan plan = given;
  if (plan.table.memory_bytes == 0) {
    plan.table.memory_bytes =
        static_cast<uint64_t>(kShareOfFreeMemory * static_cast<double>(evaluate::AvailableMemoryBytes()));
  }
  std::vector<Written> tables;
  const absl::Status status = BuildAll(plan, output, *input, &tables);
  Progress(output, "");
  for (const std::string& note : evaluate::Notes(input->data)) output.err << note << "\n";
  const std::vector<std::string> warnings = WarningsOf(plan, *input, tables);
  evaluate::PrintWarnings(warnings, output.err);
  if (status.ok() || !tables.empty()) Print(*input, tables, warnings, read_seconds, peak.Read(), output);
  return status;
}

}  // namespace offerd::tables
