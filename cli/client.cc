#include "cli/client.h"

#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cli/input_file.h"
#include "core/status_macros.h"
#include "google/rpc/error.pb.h"

namespace offerd::cli {
namespace {

constexpr char kFromServer[] = "offerd/answer-of-the-server";

std::string FieldViolations(const std::string& details) {
  google::rpc::Status status;
  std::string text;
  if (!status.ParseFromString(details)) return text;
  for (const auto& detail : status.details()) {
    google::rpc::BadRequest bad_request;
    if (!detail.Is<google::rpc::BadRequest>() || !detail.UnpackTo(&bad_request)) continue;
    for (const auto& violation : bad_request.field_violations()) {
      absl::StrAppend(&text, "; ", violation.field(), ": ", violation.description());
    }
  }
  return text;
}

}  // namespace

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat(status.error_message(), FieldViolations(status.error_details())));
  result.SetPayload(kFromServer, absl::Cord());
  return result;
}

bool IsFromServer(const absl::Status& status) { return status.GetPayload(kFromServer).has_value(); }

bool IsRetryable(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) || absl::IsDeadlineExceeded(status);
}

std::chrono::milliseconds Backoff(int repeat) {
  return std::chrono::milliseconds(repeat >= 6 ? 5000 : 100 << repeat);
}

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const ConnectionOptions& options) {
  std::string token = options.token;
  if (token.empty() && !options.token_file.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(options.token_file));
    token = std::string(absl::StripAsciiWhitespace(text.substr(0, text.find('\n'))));
    if (token.empty()) return absl::InvalidArgumentError(absl::StrCat(options.token_file, ": the first line is empty, expected a token"));
  }
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!options.tls_ca.empty()) {
    grpc::SslCredentialsOptions tls;
    ASSIGN_OR_RETURN(tls.pem_root_certs, ReadWholeFile(options.tls_ca));
    credentials = grpc::SslCredentials(tls);
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // the server keeps its answers small; a long list must not fail here
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);  // a restarting server is found within a second
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  const std::chrono::microseconds timeout(static_cast<int64_t>(options.timeout_seconds * 1e6));
  return std::unique_ptr<Client>(
      new Client(grpc::CreateCustomChannel(options.server, credentials, arguments), std::move(token), timeout));
}

Client::Client(const std::shared_ptr<grpc::Channel>& channel, std::string token, std::chrono::microseconds timeout)
    : token_(std::move(token)),
      timeout_(timeout),
      offers_(v1::OfferService::NewStub(channel)),
      feedback_(v1::FeedbackService::NewStub(channel)),
      catalog_(v1::CatalogService::NewStub(channel)),
      customers_(v1::CustomerService::NewStub(channel)),
      admin_(v1::AdminService::NewStub(channel)) {}

void Client::Prepare(grpc::ClientContext& context) const {
  PrepareStream(context);
  context.set_deadline(std::chrono::system_clock::now() + timeout_);
}

void Client::PrepareStream(grpc::ClientContext& context) const {
  if (!token_.empty()) context.AddMetadata("authorization", absl::StrCat("Bearer ", token_));
}

absl::Status Client::Repeat(const std::function<absl::Status()>& call) {
  for (int repeat = 0;; ++repeat) {
    absl::Status status = call();
    const bool not_taken = absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
    if (!not_taken || repeat == kRepeats) return status;
    std::this_thread::sleep_for(Backoff(repeat));
  }
}

}  // namespace offerd::cli
