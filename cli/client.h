#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "offerd/v1/admin_service.grpc.pb.h"
#include "offerd/v1/catalog_service.grpc.pb.h"
#include "offerd/v1/customer_service.grpc.pb.h"
#include "offerd/v1/feedback_service.grpc.pb.h"
#include "offerd/v1/offer_service.grpc.pb.h"

namespace offerd::cli {

struct ConnectionOptions {
  std::string server = "127.0.0.1:7070";
  std::string token;       // sent as "authorization: Bearer TOKEN"
  std::string token_file;  // its first line, where `token` is empty
  std::string tls_ca;      // PEM file; empty = no TLS
  std::string tls_cert;    // PEM file of the client's own certificate, for servers that ask for one; needs tls_key and tls_ca
  std::string tls_key;     // PEM file of its key
  double timeout_seconds = 10;
};

// What a user should know of the connection before it is made: a token that would travel in plain text to another machine. Empty:
// nothing.
std::string ConnectionWarning(const ConnectionOptions& options);

// The code stays; the message gets the field violations of a google.rpc.BadRequest in grpc-status-details-bin behind it, those that
// it does not hold already.
// The result is marked as an answer of the server, so that it is printed with its code.
absl::Status FromGrpc(const grpc::Status& status);
bool IsFromServer(const absl::Status& status);

// Unavailable, ResourceExhausted and DeadlineExceeded, nothing else.
bool IsRetryable(const absl::Status& status);

// Waits before the nth repeat (from 0): 100 ms, doubled up to 5 s.
std::chrono::milliseconds Backoff(int repeat);

// The services of one server.
//
// Threads  Safe; the stubs are.
// Errors   Connect fails for files that cannot be read or do not hold what they should, and for a token that no header can carry; the
//          message has nothing of the token. A server that is not there shows in the first call.
class Client {
 public:
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const ConnectionOptions& options);

  // One call within the timeout.
  template <typename Stub, typename Request, typename Response>
  absl::Status Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    Prepare(context);
    response->Clear();
    return Explain(FromGrpc((stub.*method)(&context, request, response)));
  }

  // Repeats a call that was not taken (Unavailable, ResourceExhausted) up to kRepeats times. For idempotent calls only.
  template <typename Stub, typename Request, typename Response>
  absl::Status CallPatiently(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                             const Request& request, Response* response) {
    return Repeat([&] { return Call(stub, method, request, response); });
  }

  // Token and deadline of one unary call; without the deadline for streams.
  void Prepare(grpc::ClientContext& context) const;
  void PrepareStream(grpc::ClientContext& context) const;

  v1::OfferService::Stub& offers() { return *offers_; }
  v1::FeedbackService::Stub& feedback() { return *feedback_; }
  v1::CatalogService::Stub& catalog() { return *catalog_; }
  v1::CustomerService::Stub& customers() { return *customers_; }
  v1::AdminService::Stub& admin() { return *admin_; }
  std::chrono::microseconds timeout() const { return timeout_; }

  // Adds what to do about it to the message of a failed call, where that is known: a TLS server that is spoken to in plain text.
  absl::Status Explain(absl::Status status) const;

  static constexpr int kRepeats = 8;

 private:
  Client(const std::shared_ptr<grpc::Channel>& channel, std::string token, bool has_tls, std::chrono::microseconds timeout);
  static absl::Status Repeat(const std::function<absl::Status()>& call);

  const std::string token_;
  const bool has_tls_;
  const std::chrono::microseconds timeout_;
  std::unique_ptr<v1::OfferService::Stub> offers_;
  std::unique_ptr<v1::FeedbackService::Stub> feedback_;
  std::unique_ptr<v1::CatalogService::Stub> catalog_;
  std::unique_ptr<v1::CustomerService::Stub> customers_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

}  // namespace offerd::cli
