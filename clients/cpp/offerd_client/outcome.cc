#include "offerd_client/outcome.h"

#include <algorithm>
#include <cstdint>
#include <random>

#include "google/rpc/error.pb.h"
#include "retry_info.pb.h"

namespace offerd::client {
namespace {

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Details are a courtesy: damaged ones change nothing.
void ReadDetails(const std::string& bytes, Outcome* outcome) {
  google::rpc::Status status;
  if (!status.ParseFromString(bytes)) return;
  for (const google::protobuf::Any& detail : status.details()) {
    google::rpc::BadRequest bad_request;
    RetryInfo retry_info;
    if (EndsWith(detail.type_url(), "/google.rpc.BadRequest") && bad_request.ParseFromString(detail.value())) {
      for (const auto& violation : bad_request.field_violations()) {
        outcome->violations.push_back({violation.field(), violation.description()});
      }
    } else if (EndsWith(detail.type_url(), "/google.rpc.RetryInfo") && retry_info.ParseFromString(detail.value())) {
      const auto& delay = retry_info.retry_delay();
      const int64_t seconds = std::clamp<int64_t>(delay.seconds(), 0, 86'400);
      outcome->retry_delay = std::chrono::milliseconds(seconds * 1000 + std::clamp(delay.nanos(), 0, 999'999'999) / 1'000'000);
    }
  }
}

}  // namespace

std::string CodeName(grpc::StatusCode code) {
  static constexpr const char* kNames[] = {
      "OK",           "CANCELLED",          "UNKNOWN",          "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
      "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",        "OUT_OF_RANGE",
      "UNIMPLEMENTED", "INTERNAL",          "UNAVAILABLE",      "DATA_LOSS",        "UNAUTHENTICATED"};
  return code >= 0 && code <= 16 ? kNames[code] : "UNKNOWN";
}

std::string Outcome::ToString() const {
  if (ok()) return "OK";
  return CodeName(code) + ": " + message + (attempts > 0 ? " (attempts: " + std::to_string(attempts) + ")" : "");
}

Outcome Failure(grpc::StatusCode code, std::string message) {
  Outcome outcome;
  outcome.code = code;
  outcome.message = std::move(message);
  return outcome;
}

Outcome FromGrpc(const grpc::Status& status, int attempts) {
  Outcome outcome = Failure(status.error_code(), status.error_message());
  outcome.attempts = attempts;
  if (!status.ok()) ReadDetails(status.error_details(), &outcome);
  return outcome;
}

std::chrono::milliseconds Pause(const Options& options, int failures, std::chrono::milliseconds retry_delay) {
  thread_local std::mt19937_64 random{std::random_device{}()};
  const double longest = std::min(static_cast<double>(options.max_backoff.count()),
                                  static_cast<double>(options.first_backoff.count()) * static_cast<double>(1LL << std::min(failures - 1, 30)));
  const double pause = longest * std::uniform_real_distribution<double>(0.5, 1.0)(random);
  return std::max(std::chrono::milliseconds(static_cast<int64_t>(pause)), retry_delay);
}

}  // namespace offerd::client
