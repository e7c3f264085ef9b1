#include "cli/evaluate/report.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace offerd::evaluate {
namespace {

using cli::FormatCount;
using cli::Json;

Json ToJson(const FileReport& report) {
  return {{"file", report.file},
          {"lines", report.lines},
          {"damaged", report.damaged},
          {"without_id", report.without_id},
          {"without_time", report.without_time},
          {"unreadable_time", report.unreadable_time},
          {"beyond_years", report.beyond_years},
          {"out_of_order", report.out_of_order},
          {"repeats", report.repeats},
          {"single", report.single},
          {"cut", report.cut.empty() ? Json(nullptr) : Json(report.cut)},
          {"examples", report.examples}};
}

Json DataJson(const Dataset& data) {
  Json files = Json::array();
  for (const FileReport& report : data.reports) files.push_back(ToJson(report));
  Json json = {{"files", std::move(files)},
               {"training_rows", data.training.rows.size()},
               {"training_entries", data.training.rows.items.size()},
               {"training_items", data.training.num_items()},
               {"test_rows", data.test.rows.size()}};
  for (const auto& [name, count] : data.counts) json[name] = count;
  return json;
}

Json ToJson(const MethodResult& result, const std::vector<size_t>& cutoffs) {
  Json json = {{"name", result.spec.name}, {"parameters", ToJson(result.spec)}};
  if (!result.status.ok()) {
    json["error"] = std::string(result.status.message());
    return json;
  }
  json["cases"] = result.sums.num_cases();
  Json intervals = Json::object();
  for (size_t metric = 0; metric < kNumMetrics; ++metric) {
    Json means = Json::object(), bounds = Json::object();
    for (size_t i = 0; i < cutoffs.size(); ++i) {
      const auto interval = result.sums.Interval(i, static_cast<Metric>(metric));
      means[absl::StrCat(cutoffs[i])] = result.sums.Mean(i, static_cast<Metric>(metric));
      bounds[absl::StrCat(cutoffs[i])] = interval ? Json({interval->first, interval->second}) : Json(nullptr);
    }
    if (metric == kPopularity) {
      Json coverage = Json::object();
      for (size_t i = 0; i < cutoffs.size(); ++i) coverage[absl::StrCat(cutoffs[i])] = result.coverage[i];
      json["coverage"] = std::move(coverage);
    }
    json[kMetricNames[metric]] = std::move(means);
    intervals[kMetricNames[metric]] = std::move(bounds);
  }
  json["interval"] = std::move(intervals);
  json["clusters"] = result.sums.num_clusters();
  json["queries"] = result.queries;
  json["build_seconds"] = result.build_seconds;
  json["query_p50_us"] = result.query_p50_us;
  json["query_p90_us"] = result.query_p90_us;
  json["peak_bytes"] = result.peak_bytes;
  return json;
}

std::vector<std::string> TableRow(const MethodResult& result, size_t cutoff) {
  const MetricSums& sums = result.sums;
  std::vector<std::string> row = {result.spec.given};
  for (const Metric metric : {kHitRate, kMrr, kNdcg, kRecall, kPrecision, kMap}) {
    row.push_back(absl::StrFormat("%.4f", sums.Mean(cutoff, metric)));
    if (metric != kHitRate) continue;
    const auto interval = sums.Interval(cutoff, metric);
    row.push_back(interval ? absl::StrFormat("%.4f to %.4f", interval->first, interval->second) : "-");
  }
  row.push_back(absl::StrFormat("%.3f", result.coverage[cutoff]));
  row.push_back(absl::StrFormat("%.3f", sums.Mean(cutoff, kPopularity)));
  return row;
}

std::vector<std::string> CostRow(const MethodResult& result) {
  return {result.spec.given,
          FormatCount(result.queries),
          absl::StrFormat("%.2f", result.build_seconds),
          absl::StrFormat("%.1f", result.query_p50_us),
          absl::StrFormat("%.1f", result.query_p90_us),
          absl::StrFormat("%.0f", static_cast<double>(result.peak_bytes) / (1 << 20))};
}

std::string Note(const FileReport& report) {
  std::vector<std::string> parts = {absl::StrCat(FormatCount(report.lines), " lines")};
  const auto add = [&parts](int64_t count, const char* what) {
    if (count > 0) parts.push_back(absl::StrCat(FormatCount(count), " ", what));
  };
  add(report.damaged, "damaged and left out");
  add(report.without_id, "lack an id and are left out");  // lines, or cells of a basket line
  add(report.without_time, "lack a time");
  add(report.unreadable_time, report.beyond_years > 0 ? "have a time that cannot be read (not from 1970 to 2200: milliseconds?)"
                                                      : "have a time that cannot be read");
  add(report.out_of_order, "out of the order of time, put in order");
  add(report.repeats, "repeat an item of their group");
  add(report.single, "groups of one item");
  std::string note = absl::StrCat(report.file, ": ", absl::StrJoin(parts, ", "));
  for (const std::string& example : report.examples) absl::StrAppend(&note, "; ", example);
  if (!report.cut.empty()) absl::StrAppend(&note, "; READ IN PART ONLY: ", report.cut);
  return note;
}

}  // namespace

Json ToJson(const MethodSpec& spec) {
  Json json = Json::object();
  for (const auto& [name, value] : spec.parameters) {
    std::visit([&json, &parameter = name](const auto& held) { json[parameter] = held; }, value);
  }
  return json;
}

Json ToJson(const Dataset& data, const std::vector<MethodResult>& results, const EvaluateOptions& options) {
  Json methods = Json::array();
  for (const MethodResult& result : results) methods.push_back(ToJson(result, options.cutoffs));
  return {{"methods", std::move(methods)},
          {"protocol", ProtocolName(data.training.protocol)},
          {"warnings", Warnings(data.reports)},
          {"data", DataJson(data)}};
}

std::string FormatResults(const Dataset& data, const std::vector<MethodResult>& results, const EvaluateOptions& options) {
  std::vector<const MethodResult*> evaluated;
  for (const MethodResult& result : results) {
    if (result.status.ok()) evaluated.push_back(&result);
  }
  std::string text = absl::StrCat(ProtocolName(data.training.protocol), ": ", FormatCount(static_cast<int64_t>(data.training.rows.size())),
                                  " training rows, ", FormatCount(static_cast<int64_t>(data.training.num_items())), " items, ",
                                  FormatCount(evaluated.empty() ? 0 : evaluated[0]->sums.num_cases()), " test cases\n");
  for (size_t i = 0; i < options.cutoffs.size() && !evaluated.empty(); ++i) {
    std::vector<std::vector<std::string>> rows = {
        {absl::StrCat("at ", options.cutoffs[i]), "hit rate", "95 %", "MRR", "NDCG", "recall", "precision", "MAP", "coverage", "popularity"}};
    for (const MethodResult* result : evaluated) rows.push_back(TableRow(*result, i));
    absl::StrAppend(&text, "\n", cli::FormatTable(rows));
  }
  std::vector<std::vector<std::string>> costs = {{"cost", "queries", "build s", "p50 us", "p90 us", "peak MiB"}};
  for (const MethodResult* result : evaluated) costs.push_back(CostRow(*result));
  if (!evaluated.empty()) absl::StrAppend(&text, "\n", cli::FormatTable(costs));
  for (const MethodResult& result : results) {
    if (!result.status.ok()) absl::StrAppend(&text, "\n", result.spec.given, ": ", result.status.message(), "\n");
  }
  return text;
}

std::vector<std::string> Notes(const Dataset& data) {
  std::vector<std::string> notes;
  for (const FileReport& report : data.reports) notes.push_back(Note(report));
  for (const auto& [name, count] : data.counts) {
    if (count > 0) notes.push_back(absl::StrCat(FormatCount(count), " ", absl::StrReplaceAll(name, {{"_", " "}})));
  }
  return notes;
}

}  // namespace offerd::evaluate
