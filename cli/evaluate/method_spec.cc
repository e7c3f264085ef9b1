#include "cli/evaluate/method_spec.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/check.h"
#include "core/status_macros.h"

namespace offerd::evaluate {
namespace {

constexpr unsigned Bit(Protocol protocol) { return 1u << static_cast<unsigned>(protocol); }
constexpr unsigned kSessionsOnly = Bit(Protocol::kSessions);
constexpr unsigned kBaskets = Bit(Protocol::kLeaveOneOut) | Bit(Protocol::kNextBasket);
constexpr unsigned kAll = kSessionsOnly | kBaskets | Bit(Protocol::kUsers);

constexpr double kMany = 1e9;
constexpr ParameterInfo kHalfLife = {"half_life", ParameterInfo::kReal, "0", 0, 1e6};

// The options that every pair table has, and some more. They are measured in baskets with long rows, so that the figures are those
// of the measure and not of the cut, and without pairs seen once, which are mostly chance.
std::vector<ParameterInfo> PairParameters(std::vector<ParameterInfo> more, ParameterInfo min_support) {
  std::vector<ParameterInfo> parameters = {{"k", ParameterInfo::kWhole, "100", 1, kMany, "", "500"},
                                           min_support,
                                           {"max_items", ParameterInfo::kWhole, "0", 0, kMany},
                                           kHalfLife,
                                           {"fill", ParameterInfo::kChoice, "popular", 0, 0, "popular|none", nullptr, true}};
  parameters.insert(parameters.begin(), more.begin(), more.end());
  return parameters;
}

constexpr ParameterInfo kMinSupport = {"min_support", ParameterInfo::kReal, "1", 1, kMany, "", "2"};
constexpr ParameterInfo kLiftSupport = {"min_support", ParameterInfo::kReal, "10", 1, kMany};
constexpr ParameterInfo kTies = {"ties", ParameterInfo::kChoice, "recent", 0, 0, "first|recent|popular"};
constexpr absl::string_view kAgeParameters[] = {"half_life", "table_half_life", "trend"};
constexpr absl::string_view kTables[] = {"ar", "sr", "count", "confidence", "cosine", "jaccard", "lift", "llr", "ease", "vmis"};
constexpr char kBlendTables[] = "auto|count|confidence|cosine|jaccard|lift|llr|ease";

// What the mix is made of. Its defaults were chosen on validation data: docs/quality.md says which.
std::vector<ParameterInfo> SessionBlend() {
  return {{"m", ParameterInfo::kWhole, "1500", 1, kMany},     {"k", ParameterInfo::kWhole, "300", 1, kMany},
          {"last", ParameterInfo::kWhole, "4", 1, kMany},     {"rules", ParameterInfo::kReal, "0.2", 0, 100},
          {"steps", ParameterInfo::kWhole, "10", 1, kMany},   {"popular", ParameterInfo::kReal, "0.001", 0, 100}};
}

std::vector<ParameterInfo> TableBlend(const char* table, const char* own, const char* half_life, const char* table_weight) {
  return {{"table", ParameterInfo::kChoice, table, 0, 0, kBlendTables},
          {"lambda", ParameterInfo::kReal, "100", 1e-9, 1e12},
          {"k", ParameterInfo::kWhole, "500", 1, kMany},
          {"min_support", ParameterInfo::kReal, "2", 1, kMany},
          {"table_weight", ParameterInfo::kReal, table_weight, 0, 100},
          {"own", ParameterInfo::kReal, own, 0, 100},
          {"half_life", ParameterInfo::kReal, half_life, 0, 1e6},
          {"popular", ParameterInfo::kReal, "0.01", 0, 100},
          {"taste", ParameterInfo::kReal, "0", 0, 100},
          {"table_half_life", ParameterInfo::kReal, "0", 0, 1e6},
          {"trend", ParameterInfo::kReal, "0", 0, 1e6}};
}

std::vector<ParameterInfo> UserBlend() {
  return {{"lambda", ParameterInfo::kReal, "500", 1e-9, 1e12}, {"k", ParameterInfo::kWhole, "200", 1, kMany}, {"shrink", ParameterInfo::kReal, "100", 0, kMany}};
}

std::vector<MethodInfo> MakeMethodInfos() {
  const char* const from_click = "it scores from the last click of a session; use count, cosine or jaccard for baskets and users";
  const char* const from_session = "it needs items in an order: sessions, or the cart of leave-one-out";
  const char* const own = "it ranks what a user bought before, which needs baskets with users";
  return {
      {"popular", kAll, "", {kHalfLife}},
      {"ar", kSessionsOnly, from_click, {{"keep", ParameterInfo::kWhole, "20", 0, kMany}}},
      {"sr", kSessionsOnly, from_click,
       {{"steps", ParameterInfo::kWhole, "10", 1, kMany},
        {"weight", ParameterInfo::kChoice, "inverse", 0, 0, "inverse|linear|quadratic|log"},
        {"keep", ParameterInfo::kWhole, "20", 0, kMany}}},
      {"count", kAll, "", PairParameters({}, kMinSupport)},
      {"confidence", kAll, "", PairParameters({{"damping", ParameterInfo::kReal, "0", 0, 1}}, kMinSupport)},
      {"cosine", kAll, "", PairParameters({{"shrink", ParameterInfo::kReal, "0", 0, kMany}}, kMinSupport)},
      {"jaccard", kAll, "", PairParameters({}, kMinSupport)},
      {"lift", kAll, "", PairParameters({}, kLiftSupport)},
      {"llr", kAll, "", PairParameters({}, kMinSupport)},
      {"ease", kAll, "", {{"lambda", ParameterInfo::kReal, "500", 1e-9, 1e12}}},
      {"vmis", kSessionsOnly | Bit(Protocol::kLeaveOneOut), from_session,
       {{"m", ParameterInfo::kWhole, "500", 1, kMany},
        {"k", ParameterInfo::kWhole, "50", 1, kMany},
        {"last", ParameterInfo::kWhole, "2", 1, kMany},
        {"keep_current", ParameterInfo::kFlag, "false"},
        {"idf", ParameterInfo::kReal, "1", 0, 100},
        {"quantile", ParameterInfo::kReal, "0.995", 0, 1}}},
      {"repeat", kBaskets, own, {kTies, kHalfLife}},
      {"repeat_popular", kBaskets, own, {kTies, kHalfLife}},
      {"blend", kSessionsOnly, "", SessionBlend()},
      {"blend", Bit(Protocol::kLeaveOneOut), "", TableBlend("auto", "1.25", "60", "1")},
      {"blend", Bit(Protocol::kNextBasket), "", TableBlend("jaccard", "1", "90", "0.1")},
      {"blend", Bit(Protocol::kUsers), "", UserBlend()},
  };
}

// All there are in a protocol, for messages.
std::string NamesIn(Protocol protocol) {
  std::vector<absl::string_view> names;
  for (const MethodInfo& info : MethodInfos()) {
    if (info.protocols & Bit(protocol)) names.push_back(info.name);
  }
  return absl::StrJoin(names, ", ");
}

absl::StatusOr<const MethodInfo*> FindMethod(absl::string_view name, Protocol protocol) {
  const MethodInfo* elsewhere = nullptr;
  for (const MethodInfo& info : MethodInfos()) {
    if (name != info.name) continue;
    if (info.protocols & Bit(protocol)) return &info;
    elsewhere = &info;
  }
  if (elsewhere != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("method ", name, " is not defined for ", ProtocolName(protocol), ": ", elsewhere->why_not));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no method \"", name, "\"; for ", ProtocolName(protocol), " there are ", NamesIn(protocol)));
}

absl::Status Wrong(const ParameterInfo& info, absl::string_view text, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(info.name, "=", text, ": expected ", expected));
}

absl::StatusOr<ParameterValue> ParseNumber(const ParameterInfo& info, absl::string_view text) {
  double value = 0;
  const bool is_number = absl::SimpleAtod(text, &value) && std::isfinite(value);
  const bool is_whole = info.kind == ParameterInfo::kWhole;
  if (!is_number || value < info.least || value > info.most || (is_whole && value != std::floor(value))) {
    return Wrong(info, text, absl::StrCat(is_whole ? "a whole number" : "a number", " from ", info.least, " to ", info.most));
  }
  if (is_whole) return ParameterValue(static_cast<int64_t>(value));
  return ParameterValue(value);
}

absl::StatusOr<ParameterValue> ParseValue(const ParameterInfo& info, absl::string_view text) {
  switch (info.kind) {
    case ParameterInfo::kWhole:
    case ParameterInfo::kReal:
      return ParseNumber(info, text);
    case ParameterInfo::kFlag:
      if (text != "true" && text != "false") return Wrong(info, text, "true or false");
      return ParameterValue(text == "true");
    case ParameterInfo::kChoice:
      const std::vector<std::string> choices = absl::StrSplit(info.choices, '|');
      if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
        return Wrong(info, text, absl::StrCat("one of ", absl::StrJoin(choices, ", ")));
      }
      return ParameterValue(std::string(text));
  }
  return absl::InternalError("a parameter of no kind");
}

// The parameters that a method has for a use, at their defaults.
void SetDefaults(const std::vector<const ParameterInfo*>& parameters, Protocol protocol, Use use, MethodSpec* spec) {
  const bool is_measured_in_baskets = use == Use::kMeasure && (Bit(protocol) & kBaskets) != 0;
  for (const ParameterInfo* parameter : parameters) {
    const bool is_other = is_measured_in_baskets && parameter->measured != nullptr;
    const absl::StatusOr<ParameterValue> fallback = ParseValue(*parameter, is_other ? parameter->measured : parameter->fallback);
    CHECK(fallback.ok());
    spec->parameters.emplace_back(parameter->name, *fallback);
  }
}

absl::Status SetParameters(const std::vector<const ParameterInfo*>& parameters, absl::string_view text, MethodSpec* spec) {
  std::vector<bool> is_given(parameters.size(), false);
  for (const absl::string_view entry : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(entry, absl::MaxSplits('=', 1));
    const auto found = std::find_if(parameters.begin(), parameters.end(),
                                    [&](const ParameterInfo* parameter) { return parts.first == parameter->name; });
    if (found == parameters.end()) {
      std::vector<absl::string_view> names;
      for (const ParameterInfo* parameter : parameters) names.push_back(parameter->name);
      return absl::InvalidArgumentError(absl::StrCat("no parameter \"", parts.first, "\"; there are ", absl::StrJoin(names, ", ")));
    }
    const auto place = static_cast<size_t>(found - parameters.begin());
    if (is_given[place]) return absl::InvalidArgumentError(absl::StrCat(parts.first, " is given twice"));
    is_given[place] = true;
    ASSIGN_OR_RETURN(spec->parameters[place].second, ParseValue(**found, parts.second));
  }
  return absl::OkStatus();
}

}  // namespace

const std::vector<MethodInfo>& MethodInfos() {
  static const auto* const infos = new std::vector<MethodInfo>(MakeMethodInfos());
  return *infos;
}

const char* ProtocolName(Protocol protocol) {
  switch (protocol) {
    case Protocol::kSessions:
      return "sessions";
    case Protocol::kLeaveOneOut:
      return "leave-one-out";
    case Protocol::kNextBasket:
      return "next-basket";
    case Protocol::kUsers:
      return "users";
  }
  return "";
}

const ParameterValue& MethodSpec::Get(absl::string_view parameter) const {
  const auto found = std::find_if(parameters.begin(), parameters.end(), [&](const auto& entry) { return entry.first == parameter; });
  CHECK(found != parameters.end());
  return found->second;
}

absl::StatusOr<MethodSpec> ParseMethodSpec(absl::string_view text, Protocol protocol, Use use) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  ASSIGN_OR_RETURN(const MethodInfo* const info, FindMethod(parts.first, protocol));
  MethodSpec spec;
  spec.name = info->name;
  spec.given = std::string(text);
  std::vector<const ParameterInfo*> parameters;
  for (const ParameterInfo& parameter : info->parameters) {
    if (use == Use::kMeasure || !parameter.is_of_answer) parameters.push_back(&parameter);
  }
  SetDefaults(parameters, protocol, use, &spec);
  if (const absl::Status status = SetParameters(parameters, parts.second, &spec); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--method ", text, ": ", status.message()));
  }
  return spec;
}

absl::Span<const absl::string_view> TableMethods() { return kTables; }

bool IsTableMethod(absl::string_view name) { return std::find(std::begin(kTables), std::end(kTables), name) != std::end(kTables); }

bool IsAgeParameter(absl::string_view name) {
  return std::find(std::begin(kAgeParameters), std::end(kAgeParameters), name) != std::end(kAgeParameters);
}

absl::Status DropAges(MethodSpec* spec) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(spec->given, absl::MaxSplits(':', 1));
  const std::vector<absl::string_view> given = absl::StrSplit(parts.second, ',');
  for (auto& [name, value] : spec->parameters) {
    if (!IsAgeParameter(name) || std::get<double>(value) == 0) continue;
    const std::string prefix = absl::StrCat(name, "=");
    if (std::any_of(given.begin(), given.end(), [&prefix](absl::string_view entry) { return absl::StartsWith(entry, prefix); })) {
      return absl::InvalidArgumentError(absl::StrCat("--method ", spec->given, ": ", name,
                                                     " needs times, which these data lack: --columns time=NAME (a file of one basket a line has none)"));
    }
    value = 0.0;
  }
  return absl::OkStatus();
}

std::string SpecText(const MethodSpec& spec) {
  std::vector<std::string> entries;
  for (const auto& [name, value] : spec.parameters) {
    const std::string text = std::holds_alternative<int64_t>(value)  ? absl::StrCat(std::get<int64_t>(value))
                             : std::holds_alternative<double>(value) ? absl::StrCat(std::get<double>(value))
                             : std::holds_alternative<bool>(value)   ? (std::get<bool>(value) ? "true" : "false")
                                                                     : std::get<std::string>(value);
    entries.push_back(absl::StrCat(name, "=", text));
  }
  return entries.empty() ? spec.name : absl::StrCat(spec.name, ":", absl::StrJoin(entries, ","));
}

}  // namespace offerd::evaluate
