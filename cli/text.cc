#include "cli/text.h"

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
      if (response.unknown_keys_size() > 0) return absl::StrCat("candidates whose key no offer has were left out: ", response.unknown_keys_size());
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
