#pragma once
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/rpc/error.pb.h"

namespace offerd {

inline constexpr absl::string_view kBadRequestUrl = "type.googleapis.com/google.rpc.BadRequest";

// Collects what is wrong with a message. Paths are those of the request: "candidates[3].features[0].number". Descriptions
// say what was expected and never repeat what a caller sent.
//
// Cost  Nothing until the first Add.
class FieldErrors {
 public:
  void Add(std::string field, std::string description);
  bool empty() const { return count_ == 0; }
  int count() const { return count_; }

  // OK when empty; else InvalidArgument whose message is the first problem and their number, with a google.rpc.BadRequest
  // as payload. Only the first problems that fit a header of 2 kB are listed.
  absl::Status ToStatus() const;

 private:
  struct Violation {
    std::string field;
    std::string description;
  };
  std::vector<Violation> kept_;
  size_t kept_bytes_ = 0;
  int count_ = 0;
};

// One problem.
absl::Status BadRequest(std::string field, std::string description);

// The one map from our statuses to codes on the wire, which are those of google.rpc.Code and of gRPC.
int RpcCode(absl::StatusCode code);

// With code, message (valid UTF-8, at most 600 bytes) and the payloads as details.
google::rpc::Status ToRpcStatus(const absl::Status& status);

}  // namespace offerd
