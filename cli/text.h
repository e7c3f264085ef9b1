#pragma once
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cli/format.h"
#include "google/protobuf/message.h"
#include "offerd/v1/offer_service.pb.h"
#include "offerd/v1/types.pb.h"

// What people and programs get to read.
namespace offerd::cli {

// Fields by their proto names, all of them where they have a default; whole numbers as numbers, enumerations by name, times as
// ISO 8601. Unset messages and members of a oneof are left out.
Json ToJson(const google::protobuf::Message& message);

const char* ReasonInWords(v1::RankOffersResponse::Reason reason);
std::string NoteInWords(const v1::RankOffersResponse& response, int note);
std::string ModeName(v1::Mode mode);  // "live"

// A protobuf text file; an error names file, line and column.
absl::Status ReadTextProto(const std::string& path, google::protobuf::Message* message);

}  // namespace offerd::cli
