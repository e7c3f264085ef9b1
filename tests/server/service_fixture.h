#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "offerd/v1/admin_service.grpc.pb.h"
#include "offerd/v1/catalog_service.grpc.pb.h"
#include "offerd/v1/customer_service.grpc.pb.h"
#include "offerd/v1/feedback_service.grpc.pb.h"
#include "offerd/v1/offer_service.grpc.pb.h"
#include "server/bad_request.h"
#include "server/rpc.h"
#include "server/service.h"
#include "tests/server/fake_handlers.h"
#include "tests/server/test_certificate.h"
#include "tests/support/status_matchers.h"

// What the tests of the service share: a service on a port of its own over handlers that answer everything.
namespace offerd {

using grpc::StatusCode;
using FeedbackStream = grpc::ClientReaderWriter<v1::FeedbackBatch, v1::FeedbackAcknowledgement>;

inline constexpr char kFrontendToken[] = "frontend-token-0123";
inline constexpr char kFeedbackToken[] = "feedback-token-0123";
inline constexpr char kCatalogueToken[] = "catalogue-token-0123";
inline constexpr char kAdminToken[] = "admin-token-0123456";

inline std::vector<RoleToken> AllTokens() {
  return {{Role::kFrontend, kFrontendToken}, {Role::kFeedback, kFeedbackToken}, {Role::kCatalogue, kCatalogueToken},
          {Role::kAdmin, kAdminToken}};
}

// A unary call in bytes, for what no generated client would send and for services whose types we do not have.
inline grpc::Status CallBytes(std::shared_ptr<grpc::Channel> channel, const std::string& method, const std::string& request,
                       std::string* response) {
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  const grpc::Slice slice(request);
  auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  std::vector<grpc::Slice> slices;
  if (status.ok() && answer.Dump(&slices).ok()) {
    for (const grpc::Slice& part : slices) response->append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  return status;
}

// grpc.health.v1.Health/Watch, in bytes, one step at a time.
class Watcher {
 public:
  Watcher(std::shared_ptr<grpc::Channel> channel, const std::string& service) : stub_(channel) {
    stream_ = stub_.PrepareCall(&context_, "/grpc.health.v1.Health/Watch", &queue_);
    stream_->StartCall(nullptr);
    Next();
    const grpc::Slice slice(service.empty() ? "" : absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service));
    stream_->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
    Next();
  }
  ~Watcher() {
    queue_.Shutdown();
    while (Next()) {
    }
  }
  int Read() {  // the next status, -1 at the end
    grpc::ByteBuffer answer;
    stream_->Read(&answer, nullptr);
    std::vector<grpc::Slice> slices;
    if (!Next() || !answer.Dump(&slices).ok() || slices.empty() || slices[0].size() != 2) return -1;
    return slices[0].begin()[1];
  }
  grpc::Status Finish() {
    grpc::Status status;
    stream_->Finish(&status, nullptr);
    Next();
    return status;
  }
  void Cancel() { context_.TryCancel(); }

 private:
  bool Next() {
    void* tag;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

class ServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    config_.listen = "127.0.0.1:0";
    metrics_ = std::make_unique<Metrics>("test", [] { return int64_t{1}; });
  }
  void TearDown() override { handlers_.ReleaseAll(); }

  void Start() {
    auto service = Service::Start(config_, &handlers_, metrics_.get(), [this] { return now_micros_.fetch_add(clock_step_micros_); });
    ASSERT_OK(service);
    service_ = *std::move(service);
    channel_ = NewChannel();
  }
  std::shared_ptr<grpc::Channel> NewChannel() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", service_->port()), grpc::InsecureChannelCredentials(), arguments);
  }
  // Stops the service, so that every call has been counted.
  void Drain() { service_->Drain(absl::InfiniteFuture()); }

  grpc::Status Activate() {
    grpc::ClientContext context;
    v1::ActivateResponse response;
    return v1::OfferService::NewStub(channel_)->Activate(&context, {}, &response);
  }
  grpc::Status RankOffers(const v1::RankOffersRequest& request, v1::RankOffersResponse* response,
                          absl::Duration within = absl::InfiniteDuration()) {
    grpc::ClientContext context;
    if (within != absl::InfiniteDuration()) context.set_deadline(absl::ToChronoTime(absl::Now() + within));
    return v1::OfferService::NewStub(channel_)->RankOffers(&context, request, response);
  }
  grpc::Status RankOffers() {
    v1::RankOffersResponse response;
    return RankOffers({}, &response);
  }
  // 1 SERVING, 2 NOT_SERVING, -1 no answer.
  int Health(const std::string& service = "") {
    std::string response;
    const std::string request = service.empty() ? "" : absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service);
    const grpc::Status status = CallBytes(NewChannel(), "/grpc.health.v1.Health/Check", request, &response);
    return status.ok() && response.size() == 2 && response[0] == 8 ? response[1] : -1;
  }
  void ExpectNothingOpen() {
    service_->CollectMetrics();
    EXPECT_EQ(metrics_->gauge(Gauge::kRequestsInFlight), 0);
    EXPECT_EQ(metrics_->gauge(Gauge::kOpenStreams), 0);
  }

  ServerConfig config_;
  FakeHandlers handlers_;
  std::atomic<int64_t> now_micros_{1'000'000'000};
  std::atomic<int64_t> clock_step_micros_{0};  // the clock moves so far each time it is read
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<Service> service_;
  std::shared_ptr<grpc::Channel> channel_;
};

inline v1::FeedbackBatch BatchOf(int64_t number, const std::vector<std::string>& events) {
  v1::FeedbackBatch batch;
  batch.set_client_sequence(number);
  for (const std::string& event : events) batch.add_events()->set_event_id(event);
  return batch;
}

}  // namespace offerd
