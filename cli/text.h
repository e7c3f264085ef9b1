#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "offerd/v1/offer_service.pb.h"
#include "offerd/v1/types.pb.h"

// What people and programs get to read.
namespace offerd::cli {

using Json = nlohmann::ordered_json;

// Fields by their proto names, all of them where they have a default; whole numbers as numbers, enumerations by name, times as
// ISO 8601. Unset messages and members of a oneof are left out.
Json ToJson(const google::protobuf::Message& message);
std::string Dump(const Json& json);  // two spaces, a new line at the end; bytes that are no UTF-8 are replaced

// Rows of equal length under their first; columns of numbers to the right. Empty without rows.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows);

std::string FormatCount(int64_t count);  // "1,234,567"
std::string FormatNumber(double value);  // up to four significant decimals

const char* ReasonInWords(v1::RankOffersResponse::Reason reason);
std::string NoteInWords(const v1::RankOffersResponse& response, int note);
std::string ModeName(v1::Mode mode);  // "live"

// A protobuf text file; an error names file, line and column.
absl::Status ReadTextProto(const std::string& path, google::protobuf::Message* message);

}  // namespace offerd::cli
