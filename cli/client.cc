#include "cli/client.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/input_file.h"
#include "core/status_macros.h"
#include "google/rpc/error.pb.h"

namespace offerd::cli {
namespace {

constexpr char kFromServer[] = "offerd/answer-of-the-server";

// What `message` does not say already.
std::string FieldViolations(const std::string& message, const std::string& details) {
  google::rpc::Status status;
  std::string text;
  if (!status.ParseFromString(details)) return text;
  for (const auto& detail : status.details()) {
    google::rpc::BadRequest bad_request;
    if (!detail.Is<google::rpc::BadRequest>() || !detail.UnpackTo(&bad_request)) continue;
    for (const auto& violation : bad_request.field_violations()) {
      const std::string said = absl::StrCat(violation.field(), ": ", violation.description());
      if (!absl::StrContains(message, said)) absl::StrAppend(&text, "; ", said);
    }
  }
  return text;
}

// gRPC ends the process over a header value that HTTP/2 does not allow.
absl::Status CheckToken(const std::string& token, const std::string& where) {
  const auto is_printable = [](char c) { return absl::ascii_isprint(static_cast<unsigned char>(c)); };
  if (std::all_of(token.begin(), token.end(), is_printable)) return absl::OkStatus();
  const bool has_mark = absl::StartsWith(token, "\xef\xbb\xbf");
  return absl::InvalidArgumentError(absl::StrCat(where, ": a token is of printable ASCII characters, this one has others",
                                                 has_mark ? " (a byte order mark at its beginning)" : ""));
}

absl::StatusOr<std::string> ReadToken(const ConnectionOptions& options) {
  std::string token = options.token;
  if (token.empty() && !options.token_file.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(options.token_file));
    token = std::string(absl::StripAsciiWhitespace(text.substr(0, text.find('\n'))));
    if (token.empty()) return absl::InvalidArgumentError(absl::StrCat(options.token_file, ": the first line is empty, expected a token"));
  }
  RETURN_IF_ERROR(CheckToken(token, options.token.empty() ? options.token_file : "--token"));
  return token;
}

absl::StatusOr<std::string> ReadPem(const std::string& path, absl::string_view kind) {
  if (path.empty()) return std::string();
  ASSIGN_OR_RETURN(std::string text, ReadWholeFile(path));
  if (absl::StrContains(text, "-----BEGIN ") && absl::StrContains(text, absl::StrCat(kind, "-----"))) return text;
  return absl::InvalidArgumentError(absl::StrCat(path, ": expected PEM with a block ", kind));
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ReadCredentials(const ConnectionOptions& options) {
  if (options.tls_ca.empty()) {
    if (options.tls_cert.empty() && options.tls_key.empty()) return grpc::InsecureChannelCredentials();
    return absl::InvalidArgumentError("--tls-cert and --tls-key need --tls-ca");
  }
  if (options.tls_cert.empty() != options.tls_key.empty()) return absl::InvalidArgumentError("--tls-cert and --tls-key need each other");
  grpc::SslCredentialsOptions tls;
  ASSIGN_OR_RETURN(tls.pem_root_certs, ReadPem(options.tls_ca, "CERTIFICATE"));
  ASSIGN_OR_RETURN(tls.pem_cert_chain, ReadPem(options.tls_cert, "CERTIFICATE"));
  ASSIGN_OR_RETURN(tls.pem_private_key, ReadPem(options.tls_key, "PRIVATE KEY"));
  return grpc::SslCredentials(tls);
}

// Whether "host:port" is this machine.
bool IsLoopback(absl::string_view server) {
  for (const absl::string_view prefix : {"ipv4:", "ipv6:", "dns:///", "dns:"}) {
    if (absl::ConsumePrefix(&server, prefix)) break;
  }
  return absl::StartsWith(server, "unix:") || absl::StartsWith(server, "127.") || absl::StartsWith(server, "[::1]") || server == "localhost" ||
         absl::StartsWith(server, "localhost:");
}

}  // namespace

std::string ConnectionWarning(const ConnectionOptions& options) {
  const bool has_token = !options.token.empty() || !options.token_file.empty();
  if (!has_token || !options.tls_ca.empty() || IsLoopback(options.server)) return "";
  return absl::StrCat("the token goes to ", options.server, " in plain text: give --tls-ca");
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat(status.error_message(), FieldViolations(status.error_message(), status.error_details())));
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
  ASSIGN_OR_RETURN(std::string token, ReadToken(options));
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ChannelCredentials> credentials, ReadCredentials(options));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // the server keeps its answers small; a long list must not fail here
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);  // a restarting server is found within a second
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  const std::chrono::microseconds timeout(static_cast<int64_t>(options.timeout_seconds * 1e6));
  return std::unique_ptr<Client>(
      new Client(grpc::CreateCustomChannel(options.server, credentials, arguments), std::move(token), !options.tls_ca.empty(), timeout));
}

Client::Client(const std::shared_ptr<grpc::Channel>& channel, std::string token, bool has_tls, std::chrono::microseconds timeout)
    : token_(std::move(token)),
      has_tls_(has_tls),
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

absl::Status Client::Explain(absl::Status status) const {
  // What gRPC says when the other side hangs up on the first bytes, as a TLS server does.
  static constexpr absl::string_view kHungUp[] = {"Socket closed", "Connection reset", "Broken pipe"};
  if (has_tls_ || !absl::IsUnavailable(status)) return status;
  for (const absl::string_view text : kHungUp) {
    if (!absl::StrContains(status.message(), text)) continue;
    absl::Status explained(status.code(), absl::StrCat(status.message(), "; if the server uses TLS, give --tls-ca"));
    explained.SetPayload(kFromServer, absl::Cord());
    return explained;
  }
  return status;
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
