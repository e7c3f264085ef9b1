#include "cli/evaluate/tune_command.h"

#include <algorithm>
#include <fstream>
#include <ostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/evaluate/peak_memory.h"
#include "cli/evaluate/report.h"
#include "cli/evaluate/search_space.h"
#include "core/status_macros.h"

namespace offerd::evaluate {
namespace {

using cli::Json;

Protocol ProtocolOf(const Plan& plan) { return plan.subject == Subject::kSessions ? Protocol::kSessions : plan.split.protocol; }

absl::StatusOr<Metric> ParseMetric(const std::string& name, Protocol protocol) {
  if (name.empty()) return protocol == Protocol::kSessions ? kMrr : protocol == Protocol::kLeaveOneOut ? kHitRate : kRecall;
  for (int metric = 0; metric < kPopularity; ++metric) {
    if (name == kMetricNames[metric]) return static_cast<Metric>(metric);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--metric: \"", name, "\" is none of ", absl::StrJoin(kMetricNames, kMetricNames + kPopularity, ", ")));
}

// A table as `offerctl build` reads it: without what only says how a list is answered.
Json Parameters(const MethodSpec& spec) {
  Json json = ToJson(spec);
  json.erase("fill");
  return json;
}

Json ToJson(const Trial& trial) {
  return {{"parameters", Parameters(trial.spec)},
          {"value", trial.value},
          {"interval", trial.interval ? Json({trial.interval->first, trial.interval->second}) : Json(nullptr)},
          {"cases", trial.cases}};
}

Json ToJson(const MethodTuning& tuning) {
  if (!tuning.status.ok()) return {{"name", tuning.start.spec.name}, {"error", std::string(tuning.status.message())}};
  return {{"name", tuning.start.spec.name}, {"best", ToJson(tuning.best)},       {"start", ToJson(tuning.start)},
          {"trials", tuning.trials},        {"seconds", tuning.seconds},         {"cut_short_by_budget", tuning.is_cut_short}};
}

// The best of all, or of those that are tables; nothing where none of them could be built.
const MethodTuning* Best(const std::vector<MethodTuning>& tunings, bool tables_only) {
  const MethodTuning* best = nullptr;
  for (const MethodTuning& tuning : tunings) {
    if (!tuning.status.ok() || (tables_only && !IsTableMethod(tuning.start.spec.name))) continue;
    if (best == nullptr || tuning.best.value > best->best.value) best = &tuning;
  }
  return best;
}

// What the config names: the best table, or the best of all where there is no table.
const MethodTuning& Named(const std::vector<MethodTuning>& tunings) {
  const MethodTuning* const table = Best(tunings, /*tables_only=*/true);
  return table != nullptr ? *table : *Best(tunings, /*tables_only=*/false);
}

Json Config(const TunePlan& plan, const Dataset& data, const std::vector<MethodTuning>& tunings) {
  const Trial& named = Named(tunings).best;
  const Trial& winner = Best(tunings, /*tables_only=*/false)->best;
  Json methods = Json::array();
  for (const MethodTuning& tuning : tunings) methods.push_back(ToJson(tuning));
  Json files = Json::array();
  for (const FileReport& report : data.reports) files.push_back(report.file);
  return {{"kind", named.spec.name},
          {"parameters", Parameters(named.spec)},
          {"warnings", Warnings(data.reports)},
          {"tuned",
           {{"protocol", ProtocolName(data.training.protocol)},
            {"metric", kMetricNames[plan.options.metric]},
            {"k", plan.options.cutoff},
            {"value", named.value},
            {"interval", named.interval ? Json({named.interval->first, named.interval->second}) : Json(nullptr)},
            {"winner", {{"name", winner.spec.name}, {"parameters", Parameters(winner.spec)}, {"value", winner.value}}},
            {"files", std::move(files)},
            {"validation", data.reports.size() > 1 ? Json("a file of its own") : Json(absl::StrFormat("last %g of the rows by time", plan.valid_share))},
            {"validation_cases", named.cases},
            {"seed", plan.options.seed},
            {"methods", std::move(methods)}}}};
}

std::string FormatTunings(const TunePlan& plan, const std::vector<MethodTuning>& tunings) {
  std::vector<std::vector<std::string>> rows = {{absl::StrCat(kMetricNames[plan.options.metric], " at ", plan.options.cutoff), "start", "best", "95 %",
                                                 "trials", "seconds", "with"}};
  for (const MethodTuning& tuning : tunings) {
    if (!tuning.status.ok()) {
      rows.push_back({tuning.start.spec.name, "-", "-", "-", "-", "-", std::string(tuning.status.message())});
      continue;
    }
    const auto& interval = tuning.best.interval;
    rows.push_back({tuning.start.spec.name, absl::StrFormat("%.4f", tuning.start.value), absl::StrFormat("%.4f", tuning.best.value),
                    interval ? absl::StrFormat("%.4f to %.4f", interval->first, interval->second) : "-",
                    absl::StrCat(tuning.trials, tuning.is_cut_short ? " (budget)" : ""), absl::StrFormat("%.1f", tuning.seconds),
                    SpecText(tuning.best.spec)});
  }
  return cli::FormatTable(rows);
}

// What stands under the table: what wins and is no table, what the file holds, and what was wrong with the data.
void PrintEnd(const TunePlan& plan, const std::vector<MethodTuning>& tunings, const std::vector<std::string>& warnings, std::ostream& out) {
  const MethodTuning& winner = *Best(tunings, /*tables_only=*/false);
  const MethodTuning* const table = Best(tunings, /*tables_only=*/true);
  if (!IsTableMethod(winner.start.spec.name)) {
    out << "best of all: " << SpecText(winner.best.spec) << ", which is no table: a placement serves it by its strategies (docs/lists.md)\n";
  }
  if (!plan.output.empty() && table != nullptr) out << plan.output << ": " << SpecText(table->best.spec) << "\n";
  PrintWarnings(warnings, out);
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  return file.good() ? absl::OkStatus() : absl::UnavailableError(absl::StrCat(path, ": cannot be written"));
}

absl::StatusOr<Dataset> ReadForTuning(const TunePlan& plan) {
  ASSIGN_OR_RETURN(Dataset data, ReadDataset(plan.data));
  if (plan.data.subject == Subject::kSessions && plan.data.test.empty()) SplitSessions(plan.valid_share, &data);
  return data;
}

}  // namespace

absl::StatusOr<TunePlan> MakeTunePlan(const TuneArguments& arguments) {
  TunePlan plan;
  Arguments data = arguments.data;
  const std::string end = std::exchange(data.test_from, "");
  if (data.subject == Subject::kBaskets) {
    if (!end.empty() && data.basket_lines) return absl::InvalidArgumentError("--test-from needs times, which a file of one basket a line has not");
    data.test_to = end;
    data.test_every = 2;  // stands in for a split until the share below is set
  }
  absl::StatusOr<Plan> of_data = MakePlan(data);
  if (!of_data.ok()) return absl::InvalidArgumentError(absl::StrReplaceAll(of_data.status().message(), {{"--test-to", "--test-from"}}));
  plan.data = *std::move(of_data);
  if (!(arguments.valid_share > 0 && arguments.valid_share < 1)) return absl::InvalidArgumentError("--valid-share: expected a number between 0 and 1");
  plan.valid_share = arguments.valid_share;
  plan.data.split.test_every = 0;
  plan.data.split.test_share = arguments.valid_share;
  const Protocol protocol = ProtocolOf(plan.data);
  if (plan.data.methods.empty()) {
    for (const std::string& name : TunedMethods(protocol)) {
      ASSIGN_OR_RETURN(MethodSpec spec, ParseMethodSpec(name, protocol, Use::kMeasure));
      if (!plan.data.has_times) RETURN_IF_ERROR(DropAges(&spec));
      plan.data.methods.push_back(std::move(spec));
    }
  }
  ASSIGN_OR_RETURN(plan.options.metric, ParseMetric(arguments.metric, protocol));
  if (arguments.cutoff < 1 || arguments.trials < 1 || !(arguments.budget_seconds > 0)) {
    return absl::InvalidArgumentError("--k and --trials must be 1 or more, --budget above 0");
  }
  plan.options.cutoff = static_cast<size_t>(arguments.cutoff);
  plan.options.trials = arguments.trials;
  plan.options.budget_seconds = arguments.budget_seconds;
  plan.options.seed = arguments.seed;
  plan.options.min_prefix = plan.data.evaluate.min_prefix;
  plan.options.memory_bytes = plan.data.evaluate.memory_bytes;
  plan.output = arguments.output;
  const auto is_table = [](const MethodSpec& spec) { return IsTableMethod(spec.name); };
  if (!plan.output.empty() && std::none_of(plan.data.methods.begin(), plan.data.methods.end(), is_table)) {
    return absl::InvalidArgumentError(absl::StrCat("--output: the file is for `offerctl build`, and none of the methods is a table; tables are ",
                                                   absl::StrJoin(TableMethods(), ", ")));
  }
  return plan;
}

absl::Status RunTune(const TunePlan& plan, const Output& output) {
  ASSIGN_OR_RETURN(const Dataset data, ReadForTuning(plan));
  for (const std::string& note : Notes(data)) output.err << note << "\n";
  const std::vector<std::string> warnings = Warnings(data.reports);
  PrintWarnings(warnings, output.err);
  std::vector<MethodSpec> methods = plan.data.methods;
  RETURN_IF_ERROR(CheckData(data, plan.data, &methods));
  TuneOptions options = plan.options;
  if (options.memory_bytes == 0) options.memory_bytes = DefaultMemoryBytes();
  if (output.err_is_terminal) {
    options.progress = [&output](const std::string& line) { output.err << "\r\033[K" << line << std::flush; };
  }
  const std::vector<MethodTuning> tunings = Tune(data, methods, options, Workers());
  if (output.err_is_terminal) output.err << "\r\033[K" << std::flush;
  const MethodTuning* const winner = Best(tunings, /*tables_only=*/false);
  if (winner == nullptr) return absl::FailedPreconditionError(absl::StrCat("no method could be built: ", tunings[0].status.message()));
  const Json config = Config(plan, data, tunings);
  output.out << (output.json ? cli::Dump(config) : FormatTunings(plan, tunings));
  if (!output.json) PrintEnd(plan, tunings, warnings, output.out);
  if (plan.output.empty()) return absl::OkStatus();
  if (Best(tunings, /*tables_only=*/true) == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("no method that is a table could be built: ", plan.output, " is not written"));
  }
  return WriteFile(plan.output, cli::Dump(config));
}

}  // namespace offerd::evaluate
