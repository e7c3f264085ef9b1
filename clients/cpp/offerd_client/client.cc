#include "offerd_client/client.h"

#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>
#include <utility>

namespace offerd::client {
namespace {

Outcome ReadPem(const std::string& path, std::string* text) {
  if (path.empty()) return {};
  std::ifstream in(path, std::ios::binary);
  std::ostringstream whole;
  whole << in.rdbuf();
  if (!in) return Failure(grpc::StatusCode::INVALID_ARGUMENT, path + ": cannot be read");
  *text = whole.str();
  return {};
}

Outcome ReadCredentials(const Options& options, std::shared_ptr<grpc::ChannelCredentials>* credentials) {
  if (options.tls_ca.empty()) {
    if (!options.tls_cert.empty() || !options.tls_key.empty()) {
      return Failure(grpc::StatusCode::INVALID_ARGUMENT, "tls_cert and tls_key need tls_ca");
    }
    *credentials = grpc::InsecureChannelCredentials();
    return {};
  }
  grpc::SslCredentialsOptions tls;
  for (const auto& [path, text] : {std::pair(&options.tls_ca, &tls.pem_root_certs), std::pair(&options.tls_cert, &tls.pem_cert_chain),
                                   std::pair(&options.tls_key, &tls.pem_private_key)}) {
    if (Outcome outcome = ReadPem(*path, text); !outcome.ok()) return outcome;
  }
  *credentials = grpc::SslCredentials(tls);
  return {};
}

std::string RandomId() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 4; ++i) {
    char word[9];
    std::snprintf(word, sizeof(word), "%08x", random());
    id += word;
  }
  return id;
}

}  // namespace

Outcome Client::Connect(Options options, std::unique_ptr<Client>* client) {
  // gRPC ends the process over a header value that HTTP/2 does not allow.
  for (const char c : options.token) {
    if (c < 0x20 || c > 0x7e) return Failure(grpc::StatusCode::INVALID_ARGUMENT, "token: expected printable ASCII characters");
  }
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (Outcome outcome = ReadCredentials(options, &credentials); !outcome.ok()) return outcome;
  grpc::ChannelArguments arguments;
  // A server that restarts is found again within a second; gRPC's own pauses grow to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  const auto channel = grpc::CreateCustomChannel(options.server, credentials, arguments);
  client->reset(new Client(std::move(options), channel));
  return {};
}

Client::Client(Options options, const std::shared_ptr<grpc::Channel>& channel)
    : options_(std::move(options)), offers_(v1::OfferService::NewStub(channel)), feedback_(v1::FeedbackService::NewStub(channel)) {}

template <typename Stub, typename Request, typename Response>
Outcome Client::Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*), const Request& request,
                     Response* response) {
  const auto deadline = std::chrono::system_clock::now() + options_.timeout;
  for (int attempt = 1;; ++attempt) {
    grpc::ClientContext context;
    context.set_deadline(deadline);
    if (!options_.token.empty()) context.AddMetadata("authorization", "Bearer " + options_.token);
    response->Clear();
    Outcome outcome = FromGrpc((stub.*method)(&context, request, response), attempt);
    if (!outcome.IsRetryable() || attempt >= options_.max_attempts) return outcome;
    const auto pause = Pause(options_, attempt, outcome.retry_delay);
    // Waiting past the deadline would only replace this error by a less telling one.
    if (std::chrono::system_clock::now() + pause >= deadline) return outcome;
    std::this_thread::sleep_for(pause);
  }
}

Outcome Client::RankOffers(v1::RankOffersRequest request, v1::RankOffersResponse* response) {
  if (request.request_id().empty()) request.set_request_id(RandomId());
  return Call(*offers_, &v1::OfferService::Stub::RankOffers, request, response);
}

Outcome Client::Activate(const v1::ActivateRequest& request, v1::ActivateResponse* response) {
  return Call(*offers_, &v1::OfferService::Stub::Activate, request, response);
}

Outcome Client::CrossSell(const v1::CrossSellRequest& request, v1::ItemList* response) {
  return Call(*offers_, &v1::OfferService::Stub::CrossSell, request, response);
}

Outcome Client::SimilarItems(const v1::SimilarItemsRequest& request, v1::ItemList* response) {
  return Call(*offers_, &v1::OfferService::Stub::SimilarItems, request, response);
}

Outcome Client::RecommendItems(const v1::RecommendItemsRequest& request, v1::ItemList* response) {
  return Call(*offers_, &v1::OfferService::Stub::RecommendItems, request, response);
}

Outcome Client::RecommendNext(const v1::RecommendNextRequest& request, v1::ItemList* response) {
  return Call(*offers_, &v1::OfferService::Stub::RecommendNext, request, response);
}

Outcome Client::SendFeedback(const v1::SendFeedbackRequest& request, v1::SendFeedbackResponse* response) {
  return Call(*feedback_, &v1::FeedbackService::Stub::SendFeedback, request, response);
}

std::unique_ptr<FeedbackStream> Client::OpenFeedbackStream(FeedbackStream::Acknowledged acknowledged) {
  return std::make_unique<FeedbackStream>(*feedback_, options_, std::move(acknowledged));
}

}  // namespace offerd::client
