#include "server/bad_request.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "server/utf8.h"

namespace offerd {
namespace {

// Details travel as a header, in base 64, and clients take 8 kB of headers by default.
constexpr size_t kMaxKeptBytes = 2000;
constexpr size_t kMaxFieldBytes = 200;
constexpr size_t kMaxDescriptionBytes = 300;
constexpr size_t kMaxMessageBytes = 600;
constexpr size_t kMaxDetailsBytes = 3000;

}  // namespace

void FieldErrors::Add(std::string field, std::string description) {
  ++count_;
  if (kept_bytes_ >= kMaxKeptBytes) return;
  kept_.push_back({CutUtf8(field, kMaxFieldBytes), CutUtf8(description, kMaxDescriptionBytes)});
  kept_bytes_ += kept_.back().field.size() + kept_.back().description.size() + 6;
}

absl::Status FieldErrors::ToStatus() const {
  if (empty()) return absl::OkStatus();
  std::string message = absl::StrCat(kept_[0].field, ": ", kept_[0].description);
  if (count_ > 1) absl::StrAppend(&message, " (", count_, " problems)");
  absl::Status status = absl::InvalidArgumentError(message);
  google::rpc::BadRequest details;
  for (const Violation& violation : kept_) {
    auto* added = details.add_field_violations();
    added->set_field(violation.field);
    added->set_description(violation.description);
  }
  status.SetPayload(kBadRequestUrl, absl::Cord(details.SerializeAsString()));
  return status;
}

absl::Status BadRequest(std::string field, std::string description) {
  FieldErrors errors;
  errors.Add(std::move(field), std::move(description));
  return errors.ToStatus();
}

int RpcCode(absl::StatusCode code) {
  const int value = static_cast<int>(code);  // Abseil took its numbers from google.rpc.Code
  return value >= 0 && value <= 16 ? value : static_cast<int>(absl::StatusCode::kUnknown);
}

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  google::rpc::Status out;
  out.set_code(RpcCode(status.code()));
  out.set_message(CutUtf8(status.message(), kMaxMessageBytes));
  size_t details_bytes = 0;
  status.ForEachPayload([&](absl::string_view type_url, const absl::Cord& payload) {
    details_bytes += type_url.size() + payload.size();
    if (details_bytes > kMaxDetailsBytes || !IsValidUtf8(type_url)) return;
    auto* any = out.add_details();
    any->set_type_url(std::string(type_url));
    any->set_value(std::string(payload));
  });
  return out;
}

}  // namespace offerd
