#include "cli/text.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/cells.h"
#include "cli/input_file.h"
#include "core/status_macros.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/timestamp.pb.h"

namespace offerd::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

Json EnumName(const FieldDescriptor* field, int number) {
  const auto* value = field->enum_type()->FindValueByNumber(number);
  return value != nullptr ? Json(value->name()) : Json(number);
}

// index < 0: a single field.
Json FieldToJson(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* reflection = message.GetReflection();
  const bool single = index < 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return single ? reflection->GetInt32(message, field) : reflection->GetRepeatedInt32(message, field, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return single ? reflection->GetInt64(message, field) : reflection->GetRepeatedInt64(message, field, index);
    case FieldDescriptor::CPPTYPE_UINT32:
      return single ? reflection->GetUInt32(message, field) : reflection->GetRepeatedUInt32(message, field, index);
    case FieldDescriptor::CPPTYPE_UINT64:
      return single ? reflection->GetUInt64(message, field) : reflection->GetRepeatedUInt64(message, field, index);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return single ? reflection->GetDouble(message, field) : reflection->GetRepeatedDouble(message, field, index);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return single ? reflection->GetFloat(message, field) : reflection->GetRepeatedFloat(message, field, index);
    case FieldDescriptor::CPPTYPE_BOOL:
      return single ? reflection->GetBool(message, field) : reflection->GetRepeatedBool(message, field, index);
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumName(field, single ? reflection->GetEnumValue(message, field) : reflection->GetRepeatedEnumValue(message, field, index));
    case FieldDescriptor::CPPTYPE_STRING:
      return single ? reflection->GetString(message, field) : reflection->GetRepeatedString(message, field, index);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToJson(single ? reflection->GetMessage(message, field) : reflection->GetRepeatedMessage(message, field, index));
  }
  return nullptr;
}

class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (text_.empty()) text_ = absl::StrCat(line + 1, ":", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

bool LooksNumeric(const std::string& text) {
  return text.empty() || text == "-" || absl::ascii_isdigit(static_cast<unsigned char>(text[0])) ||
         (text.size() > 1 && (text[0] == '-' || text[0] == '+') && absl::ascii_isdigit(static_cast<unsigned char>(text[1])));
}

// Letters, not bytes, so that a table with other than ASCII names stays straight.
size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

Json ToJson(const Message& message) {
  if (message.GetDescriptor() == google::protobuf::Timestamp::descriptor()) {
    google::protobuf::Timestamp timestamp;
    timestamp.CopyFrom(message);
    return FormatTime(timestamp);
  }
  Json json = Json::object();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->is_repeated()) {
      Json list = Json::array();
      for (int j = 0; j < message.GetReflection()->FieldSize(message, field); ++j) list.push_back(FieldToJson(message, field, j));
      json[field->name()] = std::move(list);
    } else if (!field->has_presence() || message.GetReflection()->HasField(message, field)) {
      json[field->name()] = FieldToJson(message, field, -1);
    }
  }
  return json;
}

std::string Dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string FormatTable(const std::vector<std::vector<std::string>>& rows) {
  std::string text;
  if (rows.empty()) return text;
  const size_t columns = rows.front().size();
  std::vector<size_t> widths(columns, 0);
  std::vector<bool> numeric(columns, rows.size() > 1);
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t c = 0; c < columns; ++c) {
      widths[c] = std::max(widths[c], Width(rows[r][c]));
      if (r > 0 && !LooksNumeric(rows[r][c])) numeric[c] = false;
    }
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < columns; ++c) {
      const std::string padding(widths[c] - Width(row[c]), ' ');
      absl::StrAppend(&line, c == 0 ? "" : "  ", numeric[c] ? padding : "", row[c], numeric[c] ? "" : padding);
    }
    absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return text;
}

std::string FormatCount(int64_t count) {
  std::string digits = absl::StrCat(count);
  const int first = count < 0 ? 1 : 0;
  for (int i = static_cast<int>(digits.size()) - 3; i > first; i -= 3) digits.insert(static_cast<size_t>(i), 1, ',');
  return digits;
}

std::string FormatNumber(double value) { return std::isfinite(value) ? absl::StrFormat("%.4f", value) : "-"; }

const char* ReasonInWords(v1::RankOffersResponse::Reason reason) {
  switch (reason) {
    case v1::RankOffersResponse::BEST_ESTIMATE:
      return "expected to earn most";
    case v1::RankOffersResponse::EXPLORATION:
      return "tried in order to learn";
    case v1::RankOffersResponse::FIXED_ORDER:
      return "the shop's fixed order";
    case v1::RankOffersResponse::RANDOM:
      return "drawn at random";
    default:
      return "no reason given";
  }
}

std::string NoteInWords(const v1::RankOffersResponse& response, int note) {
  switch (note) {
    case v1::RankOffersResponse::UNKNOWN_CUSTOMER:
      return "nothing is known of this customer: what describes the person is missing";
    case v1::RankOffersResponse::UNKNOWN_OFFERS:
      return absl::StrCat("not in the catalogue, ranked by the features given with them: ", absl::StrJoin(response.unknown_offers(), ", "));
    case v1::RankOffersResponse::NO_CANDIDATES:
      return "no offer may be shown";
    case v1::RankOffersResponse::FEWER_THAN_ASKED:
      return "fewer offers may be shown than were asked for";
    case v1::RankOffersResponse::SLATE_SIZE_COERCED:
      return "asked for more slots than the placement has";
    case v1::RankOffersResponse::AS_OF_IGNORED:
      return "the server uses its own clock: the time given was ignored";
    case v1::RankOffersResponse::PREFILTERED:
      return "more live offers than can be scored: the best of the fixed order were";
    case v1::RankOffersResponse::NOTHING_PUBLISHED:
      return "the model has not learned anything yet: the fixed policy answered";
    case v1::RankOffersResponse::REPEATED:
      return "the stored answer of this request id";
    case v1::RankOffersResponse::CONSENT_DENIED_NOTE:
      return "decided without the customer's profile, for lack of consent";
    case v1::RankOffersResponse::DUPLICATE_CANDIDATES:
      return "candidates named twice were taken once";
    default:
      return absl::StrCat("note ", note, " (unknown to this offerctl)");
  }
}

std::string ModeName(v1::Mode mode) { return absl::AsciiStrToLower(v1::Mode_Name(mode)); }

absl::Status ReadTextProto(const std::string& path, Message* message) {
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
  google::protobuf::TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  if (parser.ParseFromString(text, message)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, ":", error.text()));
}

}  // namespace offerd::cli
