#pragma once
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/support/status.h>

#include "offerd_client/options.h"

namespace offerd::client {

// How a call ended. A failure is final: what could be repeated was.
struct [[nodiscard]] Outcome {
  struct Violation {
    std::string field;  // path from the request
    std::string description;
  };
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string message;
  int attempts = 0;  // 0: nothing was sent
  std::vector<Violation> violations;
  std::chrono::milliseconds retry_delay{0};  // that the server asked to wait
  bool is_buffer_full = false;               // of FeedbackStream::Send: nothing was taken

  bool ok() const { return code == grpc::StatusCode::OK; }
  bool IsRetryable() const { return code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::RESOURCE_EXHAUSTED; }
  std::string ToString() const;  // "OK", or code, message and attempts
};

std::string CodeName(grpc::StatusCode code);
Outcome Failure(grpc::StatusCode code, std::string message);
// With what the server sent in grpc-status-details-bin.
Outcome FromGrpc(const grpc::Status& status, int attempts);

// The pause after the nth failure in a row: doubled each time, somewhere between half and all of it so that callers that failed
// together do not come back together; never shorter than the server asked for.
std::chrono::milliseconds Pause(const Options& options, int failures, std::chrono::milliseconds retry_delay);

}  // namespace offerd::client
