#include "cli/learn/stream.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/decide.h"
#include "core/status_macros.h"

namespace offerd::learn {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr size_t kMaxIdBytes = 256;
constexpr size_t kMaxFeatures = 512;
constexpr double kLargestFeature = 1e15;
constexpr double kLargestReward = 9e12;
constexpr double kMaxSeconds = 7'258'118'400;  // the year 2200

absl::Status Wrong(absl::string_view field, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": expected ", expected));
}

// simdjson's views are those of std.
absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::Status ReadNumber(ondemand::value value, absl::string_view field, double lowest, double highest, double* number) {
  if (value.get_double().get(*number) != simdjson::SUCCESS || !(*number >= lowest && *number <= highest)) {
    return Wrong(field, absl::StrCat("a number of ", lowest, " to ", highest));
  }
  return absl::OkStatus();
}

absl::Status ReadId(ondemand::value value, absl::string_view field, std::string* id) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS || text.empty() || text.size() > kMaxIdBytes) {
    return Wrong(field, absl::StrCat("a text of 1 to ", kMaxIdBytes, " bytes"));
  }
  id->assign(text);
  return absl::OkStatus();
}

absl::Status ReadFeature(ondemand::value value, absl::string_view field, NamedValue* feature, bool* is_missing) {
  ondemand::json_type type{};
  *is_missing = false;
  feature->is_text = false;
  if (value.type().get(type) != simdjson::SUCCESS) return Wrong(field, "a number or a text");
  switch (type) {
    case ondemand::json_type::null:
      *is_missing = true;
      return absl::OkStatus();
    case ondemand::json_type::boolean: {
      bool flag = false;
      if (value.get_bool().get(flag) != simdjson::SUCCESS) return Wrong(field, "true or false");
      feature->number = flag ? 1 : 0;
      return absl::OkStatus();
    }
    case ondemand::json_type::number:
      if (value.get_double().get(feature->number) != simdjson::SUCCESS || !std::isfinite(feature->number)) {
        return Wrong(field, "a finite number");
      }
      feature->number = std::clamp(feature->number, -kLargestFeature, kLargestFeature);
      return absl::OkStatus();
    case ondemand::json_type::string: {
      std::string_view text;
      if (value.get_string().get(text) != simdjson::SUCCESS || text.size() > kMaxIdBytes) {
        return Wrong(field, absl::StrCat("a text of at most ", kMaxIdBytes, " bytes"));
      }
      feature->is_text = true;
      feature->text.assign(text);
      return absl::OkStatus();
    }
    default:
      return Wrong(field, "a number or a text");
  }
}

absl::Status ReadFeatures(ondemand::value value, absl::string_view field, std::vector<NamedValue>* features) {
  ondemand::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) return Wrong(field, "an object of numbers and texts");
  features->clear();
  for (auto entry : object) {
    std::string_view key;
    ondemand::value at;
    if (entry.unescaped_key().get(key) != simdjson::SUCCESS || entry.value().get(at) != simdjson::SUCCESS) {
      return Wrong(field, "an object of numbers and texts");
    }
    NamedValue feature;
    feature.name = FactNameFor(View(key));
    bool is_missing = false;
    RETURN_IF_ERROR(ReadFeature(at, absl::StrCat(field, ".", View(key)), &feature, &is_missing));
    if (!is_missing) features->push_back(std::move(feature));
    if (features->size() > kMaxFeatures) return Wrong(field, absl::StrCat("at most ", kMaxFeatures, " features"));
  }
  return absl::OkStatus();
}

absl::Status ReadCandidate(ondemand::value value, absl::string_view field, StreamDecision::Candidate* candidate) {
  ondemand::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) return Wrong(field, "an object");
  candidate->id.clear();
  candidate->features.clear();
  candidate->reward.reset();
  for (auto entry : object) {
    std::string_view key;
    ondemand::value at;
    if (entry.unescaped_key().get(key) != simdjson::SUCCESS || entry.value().get(at) != simdjson::SUCCESS) {
      return Wrong(field, "an object");
    }
    if (key == "id") {
      RETURN_IF_ERROR(ReadId(at, absl::StrCat(field, ".id"), &candidate->id));
    } else if (key == "features") {
      RETURN_IF_ERROR(ReadFeatures(at, absl::StrCat(field, ".features"), &candidate->features));
    } else if (key == "reward") {
      double reward = 0;
      RETURN_IF_ERROR(ReadNumber(at, absl::StrCat(field, ".reward"), -kLargestReward, kLargestReward, &reward));
      candidate->reward = reward;
    }
  }
  if (candidate->id.empty()) return Wrong(absl::StrCat(field, ".id"), "a text; it is missing");
  return absl::OkStatus();
}

absl::Status ReadCandidates(ondemand::value value, std::vector<StreamDecision::Candidate>* candidates) {
  ondemand::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) return Wrong("candidates", "an array");
  size_t size = 0;
  for (auto element : array) {
    ondemand::value at;
    if (element.get(at) != simdjson::SUCCESS) return Wrong("candidates", "an array of objects");
    if (size == candidates->size()) candidates->emplace_back();
    RETURN_IF_ERROR(ReadCandidate(at, absl::StrCat("candidates[", size, "]"), &(*candidates)[size]));
    if (++size > static_cast<size_t>(kMaxCandidates)) return Wrong("candidates", absl::StrCat("at most ", kMaxCandidates));
  }
  candidates->resize(size);
  return absl::OkStatus();
}

absl::Status ReadLogged(ondemand::value value, std::optional<StreamDecision::Logged>* logged) {
  ondemand::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) return Wrong("logged", "an object");
  StreamDecision::Logged found;
  for (auto entry : object) {
    std::string_view key;
    ondemand::value at;
    if (entry.unescaped_key().get(key) != simdjson::SUCCESS || entry.value().get(at) != simdjson::SUCCESS) {
      return Wrong("logged", "an object");
    }
    if (key == "id") RETURN_IF_ERROR(ReadId(at, "logged.id", &found.id));
    if (key == "probability") RETURN_IF_ERROR(ReadNumber(at, "logged.probability", 1e-12, 1, &found.probability));
    if (key == "reward") RETURN_IF_ERROR(ReadNumber(at, "logged.reward", -kLargestReward, kLargestReward, &found.reward));
  }
  if (found.id.empty()) return Wrong("logged.id", "a text; it is missing");
  *logged = std::move(found);
  return absl::OkStatus();
}

absl::Status CheckWhole(const StreamDecision& decision) {
  if (decision.candidates.empty()) return Wrong("candidates", "at least one");
  absl::flat_hash_set<absl::string_view> ids;
  for (size_t i = 0; i < decision.candidates.size(); ++i) {
    const StreamDecision::Candidate& candidate = decision.candidates[i];
    if (!ids.insert(candidate.id).second) return Wrong(absl::StrCat("candidates[", i, "].id"), "an id that no other candidate has");
    if (candidate.reward.has_value() != decision.is_full_information()) {
      return Wrong(absl::StrCat("candidates[", i, "].reward"), "a reward for every candidate or for none");
    }
  }
  if (decision.is_full_information()) return absl::OkStatus();
  if (!decision.logged.has_value()) return Wrong("logged", "what was chosen and earned, since candidates have no rewards");
  if (ids.count(decision.logged->id) == 0) return Wrong("logged.id", "the id of a candidate");
  return absl::OkStatus();
}

absl::Status ReadTime(ondemand::value value, TimeMicros* time) {
  double seconds = 0;
  RETURN_IF_ERROR(ReadNumber(value, "time", 0, kMaxSeconds, &seconds));
  *time = static_cast<TimeMicros>(std::llround(seconds * 1e6));
  return absl::OkStatus();
}

}  // namespace

struct StreamReader::State {
  explicit State(std::unique_ptr<cli::InputFile> file) : lines(std::move(file)) {}
  cli::LineReader lines;
  ondemand::parser parser;
  std::string line;
  TimeMicros last_time = 0;

  absl::Status Parse(StreamDecision* decision) {
    line.reserve(line.size() + simdjson::SIMDJSON_PADDING);
    ondemand::document document;
    ondemand::object object;
    if (parser.iterate(simdjson::padded_string_view(line.data(), line.size(), line.capacity())).get(document) != simdjson::SUCCESS ||
        document.get_object().get(object) != simdjson::SUCCESS) {
      return Wrong("line", "a JSON object");
    }
    decision->time = last_time;
    decision->customer.clear();
    decision->context.clear();
    decision->logged.reset();
    bool has_candidates = false;
    for (auto entry : object) {
      std::string_view key;
      ondemand::value at;
      if (entry.unescaped_key().get(key) != simdjson::SUCCESS || entry.value().get(at) != simdjson::SUCCESS) {
        return Wrong("line", "a JSON object");
      }
      if (key == "time") {
        RETURN_IF_ERROR(ReadTime(at, &decision->time));
      } else if (key == "customer") {
        RETURN_IF_ERROR(ReadId(at, "customer", &decision->customer));
      } else if (key == "context") {
        RETURN_IF_ERROR(ReadFeatures(at, "context", &decision->context));
      } else if (key == "candidates") {
        has_candidates = true;
        RETURN_IF_ERROR(ReadCandidates(at, &decision->candidates));
      } else if (key == "logged") {
        RETURN_IF_ERROR(ReadLogged(at, &decision->logged));
      }
    }
    const char* rest = nullptr;
    if (document.current_location().get(rest) == simdjson::SUCCESS) return Wrong("line", "one JSON object and nothing after it");
    if (!has_candidates) decision->candidates.clear();
    last_time = decision->time;
    return CheckWhole(*decision);
  }
};

StreamReader::StreamReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
StreamReader::~StreamReader() = default;
StreamReader::StreamReader(StreamReader&&) noexcept = default;
StreamReader& StreamReader::operator=(StreamReader&&) noexcept = default;

absl::StatusOr<StreamReader> StreamReader::Open(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<cli::InputFile> file, cli::InputFile::Open(path));
  return StreamReader(std::make_unique<State>(std::move(file)));
}

int64_t StreamReader::line_number() const { return state_->lines.line_number(); }

absl::StatusOr<bool> StreamReader::Next(StreamDecision* decision) {
  while (true) {
    ASSIGN_OR_RETURN(const bool any, state_->lines.Next(&state_->line));
    if (!any) return false;
    if (absl::StripAsciiWhitespace(state_->line).empty()) continue;
    const absl::Status status = state_->Parse(decision);
    if (status.ok()) return true;
    return absl::Status(status.code(), absl::StrCat("line ", line_number(), ": ", status.message()));
  }
}

std::string FactNameFor(absl::string_view name) {
  std::string fact;
  for (const char c : name) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.' || c == ':') {
      fact.push_back(c);
    } else {
      absl::StrAppendFormat(&fact, ":%02x", static_cast<unsigned char>(c));
    }
  }
  if (fact.empty() || !absl::ascii_isalnum(static_cast<unsigned char>(fact[0]))) fact.insert(0, "x");
  if (fact.size() > 128) fact.resize(128);
  return fact;
}

}  // namespace offerd::learn
