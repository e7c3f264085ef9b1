#include "cli/tables/build_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/evaluate/methods/families.h"
#include "cli/format.h"
#include "core/similarity/ease.h"
#include "core/similarity/pair_table.h"
#include "core/similarity/sequential_rules.h"
#include "core/status_macros.h"

namespace offerd::tables {
namespace {

using evaluate::MethodSpec;

bool IsRules(absl::string_view kind) { return kind == "ar" || kind == "sr"; }
bool IsPairs(absl::string_view kind) { return !IsRules(kind) && kind != "ease" && kind != "vmis"; }

absl::Status CheckKind(absl::string_view kind) {
  if (evaluate::IsTableMethod(kind)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("\"", kind, "\" is no kind of a table; there are ", absl::StrJoin(TableKinds(), ", ")));
}

// {"kind": "cosine", "parameters": {"k": 100}}, as `offerctl tune` writes it beside what it says of itself.
absl::Status ParseConfig(const std::string& text, std::string* kind, std::vector<std::string>* parameters,
                         std::vector<std::string>* warnings) {
  const cli::Json json = cli::Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("--config: expected a JSON object");
  for (const auto& [key, value] : json.items()) {
    if (key == "kind" && value.is_string()) {
      *kind = value.get<std::string>();
    } else if (key == "parameters" && value.is_object()) {
      for (const auto& [name, parameter] : value.items()) {
        if (parameter.is_structured() || parameter.is_null()) {
          return absl::InvalidArgumentError(
              absl::StrCat("--config: parameter ", name, " is neither a number, a text nor true or false"));
        }
        parameters->push_back(
            absl::StrCat(name, "=", parameter.is_string() ? parameter.get<std::string>() : parameter.dump()));
      }
    } else if (key == "warnings" && value.is_array()) {
      for (const cli::Json& warning : value) {
        if (warning.is_string()) warnings->push_back(absl::StrCat("--config was tuned on ", warning.get<std::string>()));
      }
    } else if (key != "tuned") {
      return absl::InvalidArgumentError(absl::StrCat(
          "--config: expected \"kind\" (text), \"parameters\" (object) and perhaps \"warnings\" (list) and \"tuned\", found \"",
          key, "\""));
    }
  }
  if (kind->empty()) return absl::InvalidArgumentError("--config: \"kind\" is missing");
  return absl::OkStatus();
}

// Takes the whole number of a key out of "key=value" entries.
absl::Status TakeKeep(std::vector<std::string>* parameters, std::optional<int64_t>* keep) {
  for (auto it = parameters->begin(); it != parameters->end();) {
    if (!absl::StartsWith(*it, "keep=")) {
      ++it;
      continue;
    }
    if (*keep) return absl::InvalidArgumentError("keep is given twice");
    int64_t value = 0;
    if (!absl::SimpleAtoi(it->substr(5), &value))
      return absl::InvalidArgumentError(absl::StrCat(*it, ": expected a whole number"));
    *keep = value;
    it = parameters->erase(it);
  }
  return absl::OkStatus();
}

std::string ValueText(const evaluate::ParameterValue& value) {
  if (const auto* whole = std::get_if<int64_t>(&value)) return absl::StrCat(*whole);
  if (const auto* real = std::get_if<double>(&value)) return cli::Json(*real).dump();
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  return std::get<std::string>(value);
}

PairMeasure MeasureOf(absl::string_view kind) {
  if (kind == "count") return PairMeasure::kCount;
  if (kind == "confidence") return PairMeasure::kConfidence;
  if (kind == "jaccard") return PairMeasure::kJaccard;
  if (kind == "lift") return PairMeasure::kLift;
  if (kind == "llr") return PairMeasure::kLogLikelihoodRatio;
  return PairMeasure::kCosine;
}

DistanceWeight WeightOf(absl::string_view name) {
  if (name == "linear") return DistanceWeight::kLinear;
  if (name == "quadratic") return DistanceWeight::kQuadratic;
  if (name == "log") return DistanceWeight::kLog;
  return DistanceWeight::kInverse;
}

absl::Status BuildPairs(const MethodSpec& method, const Baskets& rows, const evaluate::Workers& workers,
                        BuiltTable* built) {
  PairTableOptions options;
  options.measure = MeasureOf(method.name);
  options.keep = static_cast<size_t>(method.Whole("k"));
  options.min_support = method.Real("min_support");
  options.max_basket_items = static_cast<size_t>(method.Whole("max_items"));
  if (method.name == "cosine") options.shrink = method.Real("shrink");
  if (method.name == "confidence") options.damping = method.Real("damping");
  PairTableStats stats;
  ASSIGN_OR_RETURN(built->rows, BuildPairTable(rows, options, workers, &stats));
  built->num_rows = stats.baskets;
  built->num_pairs = stats.pairs;
  built->left_out = stats.baskets_too_long;
  return absl::OkStatus();
}

absl::Status BuildRules(const MethodSpec& method, const Baskets& rows, const evaluate::Workers& workers,
                        BuiltTable* built) {
  SequentialRulesOptions options;
  options.in_order = method.name == "sr";
  options.keep = static_cast<size_t>(method.Whole("keep"));
  if (options.in_order) {
    options.steps = static_cast<size_t>(method.Whole("steps"));
    options.weight = WeightOf(method.Text("weight"));
  }
  ASSIGN_OR_RETURN(built->rows, BuildSequentialRules(rows, options, workers));
  return absl::OkStatus();
}

absl::Status BuildEase(const TableSpec& spec, const Baskets& rows, const evaluate::Workers& workers,
                       BuiltTable* built) {
  EaseOptions options;
  options.lambda = spec.method.Real("lambda");
  options.memory_bytes = spec.memory_bytes;
  ASSIGN_OR_RETURN(const RowMatrix weights, EaseWeights(rows, options, workers));
  built->rows = EaseTable(weights, spec.keep);
  return absl::OkStatus();
}

absl::Status BuildSessions(const MethodSpec& method, const evaluate::Training& training, BuiltTable* built) {
  SessionIndexOptions options;
  options.sessions_per_item = static_cast<size_t>(method.Whole("m"));
  options.length_quantile = method.Real("quantile");
  built->query.neighbours = static_cast<size_t>(method.Whole("k"));
  built->query.last_items = static_cast<size_t>(method.Whole("last"));
  built->query.idf_weight = method.Real("idf");
  built->query.keep_current = method.Flag("keep_current");
  ASSIGN_OR_RETURN(built->sessions, SessionIndex::Build(training.rows, training.times, options));
  built->left_out = built->sessions->sessions_too_long();
  built->num_rows = training.rows.size() - built->left_out;
  return absl::OkStatus();
}

}  // namespace

absl::Span<const absl::string_view> TableKinds() { return evaluate::TableMethods(); }

absl::StatusOr<TableSpec> ParseTableSpec(const TableArguments& arguments, evaluate::Protocol protocol) {
  TableSpec spec;
  std::string kind = arguments.kind;
  std::vector<std::string> parameters = arguments.parameters;
  if (!arguments.config.empty()) {
    if (!kind.empty() || !parameters.empty())
      return absl::InvalidArgumentError("--config stands for --kind and --parameters: leave those out");
    RETURN_IF_ERROR(ParseConfig(arguments.config, &kind, &parameters, &spec.warnings));
  }
  if (kind.empty()) return absl::InvalidArgumentError("--kind or --config is missing");
  RETURN_IF_ERROR(CheckKind(kind));
  std::optional<int64_t> keep = arguments.keep;
  if (keep && *keep < 1) return absl::InvalidArgumentError("--keep: expected 1 or more");
  if (kind == "vmis" && keep)
    return absl::InvalidArgumentError("--keep: vmis has no neighbours to keep; its size is that of m");
  if (kind == "vmis" && arguments.half_life_days)
    return absl::InvalidArgumentError("--half-life: vmis prefers recent sessions by itself");
  if (kind == "ease") {
    RETURN_IF_ERROR(TakeKeep(&parameters, &keep));
    if (keep && *keep < 1) return absl::InvalidArgumentError("--keep: expected 1 or more");
    if (keep) spec.keep = static_cast<size_t>(*keep);
  } else if (keep) {
    parameters.push_back(absl::StrCat(IsRules(kind) ? "keep=" : "k=", *keep));
  }
  if (arguments.min_support)
    parameters.push_back(absl::StrCat("min_support=", cli::Json(*arguments.min_support).dump()));
  if (arguments.half_life_days) {
    if (!(*arguments.half_life_days > 0)) return absl::InvalidArgumentError("--half-life: expected days above 0");
    spec.half_life_days = *arguments.half_life_days;
    if (IsPairs(kind)) parameters.push_back(absl::StrCat("half_life=", cli::Json(spec.half_life_days).dump()));
  }
  absl::StatusOr<MethodSpec> method =
      evaluate::ParseMethodSpec(absl::StrCat(kind, ":", absl::StrJoin(parameters, ",")), protocol);
  if (!method.ok()) {
    return absl::InvalidArgumentError(
        absl::StrReplaceAll(method.status().message(), {{"--method ", "--parameters of "}}));
  }
  spec.method = *std::move(method);
  if (IsPairs(kind)) spec.half_life_days = spec.method.Real("half_life");
  return spec;
}

std::map<std::string, std::string> ParameterTexts(const TableSpec& spec) {
  std::map<std::string, std::string> texts;
  for (const auto& [name, value] : spec.method.parameters) texts[name] = ValueText(value);
  if (spec.method.name == "ease") texts["keep"] = absl::StrCat(spec.keep);
  if (spec.half_life_days > 0) texts["half_life"] = cli::Json(spec.half_life_days).dump();
  return texts;
}

absl::StatusOr<BuiltTable> BuildTable(const TableSpec& spec, const evaluate::Training& training,
                                      const evaluate::Workers& workers) {
  if (training.rows.size() == 0 || training.num_items() == 0)
    return absl::InvalidArgumentError("there is nothing to build from");
  BuiltTable built;
  built.num_rows = training.rows.size();
  if (spec.method.name == "vmis") {
    RETURN_IF_ERROR(BuildSessions(spec.method, training, &built));
    return built;
  }
  Baskets weighted;  // a copy, where rows have weights
  if (spec.half_life_days > 0) {
    weighted = training.rows;
    weighted.weights = evaluate::RecencyWeights(training, spec.half_life_days);
  }
  const Baskets& rows = spec.half_life_days > 0 ? weighted : training.rows;
  if (spec.method.name == "ease") {
    RETURN_IF_ERROR(BuildEase(spec, rows, workers, &built));
  } else if (IsRules(spec.method.name)) {
    RETURN_IF_ERROR(BuildRules(spec.method, rows, workers, &built));
  } else {
    RETURN_IF_ERROR(BuildPairs(spec.method, rows, workers, &built));
  }
  return built;
}

}  // namespace offerd::tables
