#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/records.h"
#include "offerd/v1/feedback_service.pb.h"

// What records.cc and setting_records.cc share.
namespace offerd::record_parts {

inline absl::Status Wrong(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

inline absl::Status CheckFinite(double value, absl::string_view field) {
  return std::isfinite(value) ? absl::OkStatus() : Wrong(field, "is not finite");
}

inline std::vector<std::string> ToStrings(const google::protobuf::RepeatedPtrField<std::string>& strings) {
  return {strings.begin(), strings.end()};
}

inline void CopyStrings(const std::vector<std::string>& strings, google::protobuf::RepeatedPtrField<std::string>& to) {
  to.Assign(strings.begin(), strings.end());
}

inline absl::StatusOr<EventKind> ToEventKind(v1::EventKind kind, absl::string_view field) {
  if (kind < 0 || kind >= kNumEventKinds) return Wrong(field, "is unknown");
  return static_cast<EventKind>(kind);
}

}  // namespace offerd::record_parts
