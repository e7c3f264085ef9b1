#include "server/service.h"

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
#include "tests/server/fake_handlers.h"
#include "tests/server/test_certificate.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

using grpc::StatusCode;
using FeedbackStream = grpc::ClientReaderWriter<v1::FeedbackBatch, v1::FeedbackAcknowledgement>;

constexpr char kFrontendToken[] = "frontend-token-0123";
constexpr char kFeedbackToken[] = "feedback-token-0123";
constexpr char kCatalogueToken[] = "catalogue-token-0123";
constexpr char kAdminToken[] = "admin-token-0123456";

std::vector<RoleToken> AllTokens() {
  return {{Role::kFrontend, kFrontendToken}, {Role::kFeedback, kFeedbackToken}, {Role::kCatalogue, kCatalogueToken},
          {Role::kAdmin, kAdminToken}};
}

// One call of a method with an empty request.
struct Call {
  Method method;
  Access access;
  std::function<grpc::Status(std::shared_ptr<grpc::Channel>, grpc::ClientContext*)> run;
};

template <typename Service, typename Stub, typename Request, typename Response>
Call MakeCall(Method method, Access access, grpc::Status (Stub::*call)(grpc::ClientContext*, const Request&, Response*)) {
  return {method, access, [call](std::shared_ptr<grpc::Channel> channel, grpc::ClientContext* context) {
            Response response;
            return (Service::NewStub(channel).get()->*call)(context, Request(), &response);
          }};
}

std::vector<Call> AllUnaryCalls() {
  using O = v1::OfferService;
  using F = v1::FeedbackService;
  using C = v1::CatalogService;
  using U = v1::CustomerService;
  using A = v1::AdminService;
  const Access c = Access::kCatalogue, a = Access::kAdmin;
  return {
      MakeCall<O>(Method::kRankOffers, Access::kFrontend, &O::Stub::RankOffers),
      MakeCall<O>(Method::kActivate, Access::kFrontend, &O::Stub::Activate),
      MakeCall<O>(Method::kCrossSell, Access::kFrontend, &O::Stub::CrossSell),
      MakeCall<O>(Method::kSimilarItems, Access::kFrontend, &O::Stub::SimilarItems),
      MakeCall<O>(Method::kRecommendItems, Access::kFrontend, &O::Stub::RecommendItems),
      MakeCall<O>(Method::kRecommendNext, Access::kFrontend, &O::Stub::RecommendNext),
      MakeCall<F>(Method::kSendFeedback, Access::kFeedback, &F::Stub::SendFeedback),
      MakeCall<C>(Method::kUpsertItems, c, &C::Stub::UpsertItems),
      MakeCall<C>(Method::kUpsertOffers, c, &C::Stub::UpsertOffers),
      MakeCall<C>(Method::kGetItem, c, &C::Stub::GetItem),
      MakeCall<C>(Method::kGetOffer, c, &C::Stub::GetOffer),
      MakeCall<C>(Method::kListItems, c, &C::Stub::ListItems),
      MakeCall<C>(Method::kListOffers, c, &C::Stub::ListOffers),
      MakeCall<C>(Method::kDeleteItem, c, &C::Stub::DeleteItem),
      MakeCall<C>(Method::kDeleteOffer, c, &C::Stub::DeleteOffer),
      MakeCall<U>(Method::kUpsertCustomers, c, &U::Stub::UpsertCustomers),
      MakeCall<U>(Method::kGetCustomer, c, &U::Stub::GetCustomer),
      MakeCall<U>(Method::kEraseCustomer, c, &U::Stub::EraseCustomer),
      MakeCall<A>(Method::kSetPlacement, a, &A::Stub::SetPlacement),
      MakeCall<A>(Method::kListPlacements, a, &A::Stub::ListPlacements),
      MakeCall<A>(Method::kDeletePlacement, a, &A::Stub::DeletePlacement),
      MakeCall<A>(Method::kSetPolicy, a, &A::Stub::SetPolicy),
      MakeCall<A>(Method::kListPolicies, a, &A::Stub::ListPolicies),
      MakeCall<A>(Method::kPublishPolicy, a, &A::Stub::PublishPolicy),
      MakeCall<A>(Method::kRollBackPolicy, a, &A::Stub::RollBackPolicy),
      MakeCall<A>(Method::kPublishTable, a, &A::Stub::PublishTable),
      MakeCall<A>(Method::kRollBackTable, a, &A::Stub::RollBackTable),
      MakeCall<A>(Method::kListTables, a, &A::Stub::ListTables),
      MakeCall<A>(Method::kCreateSnapshot, a, &A::Stub::CreateSnapshot),
      MakeCall<A>(Method::kListSnapshots, a, &A::Stub::ListSnapshots),
      MakeCall<A>(Method::kVerifySnapshot, a, &A::Stub::VerifySnapshot),
      MakeCall<A>(Method::kGetStatus, a, &A::Stub::GetStatus),
      MakeCall<A>(Method::kGetLimits, Access::kAny, &A::Stub::GetLimits),
  };
}

// A unary call in bytes, for what no generated client would send and for services whose types we do not have.
grpc::Status CallBytes(std::shared_ptr<grpc::Channel> channel, const std::string& method, const std::string& request,
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
    auto service = Service::Start(config_, &handlers_, metrics_.get(), [this] { return now_micros_.load(); });
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
  grpc::Status RankOffers(const v1::RankOffersRequest& request, v1::RankOffersResponse* response) {
    grpc::ClientContext context;
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
    EXPECT_EQ(metrics_->gauge(Gauge::kRequestsInFlight), 0);
    EXPECT_EQ(metrics_->gauge(Gauge::kOpenStreams), 0);
  }

  ServerConfig config_;
  FakeHandlers handlers_;
  std::atomic<int64_t> now_micros_{1'000'000'000};
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<Service> service_;
  std::shared_ptr<grpc::Channel> channel_;
};

v1::FeedbackBatch BatchOf(int64_t number, const std::vector<std::string>& events) {
  v1::FeedbackBatch batch;
  batch.set_client_sequence(number);
  for (const std::string& event : events) batch.add_events()->set_event_id(event);
  return batch;
}

TEST_F(ServiceTest, EveryMethodOfEveryServiceAnswersAndIsCounted) {
  Start();
  std::set<std::string> covered = {"StreamFeedback"};
  for (const Call& call : AllUnaryCalls()) {
    const std::string name(MethodText(call.method));
    grpc::ClientContext context;
    EXPECT_TRUE(call.run(channel_, &context).ok()) << name;
    EXPECT_EQ(handlers_.calls(name), 1) << name;
    covered.insert(name);
  }
  std::set<std::string> declared;
  for (const auto* message : {v1::RankOffersRequest::descriptor(), v1::SendFeedbackRequest::descriptor(), v1::UpsertItemsRequest::descriptor(),
                              v1::UpsertCustomersRequest::descriptor(), v1::GetStatusRequest::descriptor()}) {
    const auto* service = message->file()->service(0);
    for (int i = 0; i < service->method_count(); ++i) declared.insert(service->method(i)->name());
  }
  EXPECT_EQ(covered, declared);
  EXPECT_EQ(declared.size(), static_cast<size_t>(kNumMethods));
  Drain();
  for (const Call& call : AllUnaryCalls()) EXPECT_EQ(metrics_->requests(call.method, 0), 1u) << MethodText(call.method);
  ExpectNothingOpen();
}

TEST_F(ServiceTest, RequestAndResponseArriveWholeOverAndOver) {
  Start();
  for (int round = 0; round < 200; ++round) {  // recycled messages keep nothing of the call before
    v1::RankOffersRequest request;
    for (int i = 0; i < round % 70; ++i) request.add_candidates()->set_offer_id(absl::StrCat("offer", round, "-", i));
    v1::RankOffersResponse response;
    ASSERT_TRUE(RankOffers(request, &response).ok());
    ASSERT_EQ(response.slots_size(), request.candidates_size());
    for (int i = 0; i < response.slots_size(); ++i) ASSERT_EQ(response.slots(i).offer_id(), request.candidates(i).offer_id());
  }
}

TEST_F(ServiceTest, LargeMessagesComeAndGoAmongSmallOnes) {
  Start();
  for (int round = 0; round < 6; ++round) {
    v1::RankOffersRequest request;
    const int n = round % 2 == 0 ? 3 : 20'000;
    for (int i = 0; i < n; ++i) request.add_candidates()->set_offer_id(absl::StrCat("a rather long name of an offer ", i));
    v1::RankOffersResponse response;
    ASSERT_TRUE(RankOffers(request, &response).ok());
    ASSERT_EQ(response.slots_size(), n);
  }
}

TEST_F(ServiceTest, ErrorDetailsArriveAsBadRequest) {
  handlers_.rank_offers = [](const v1::RankOffersRequest&, v1::RankOffersResponse*) {
    FieldErrors errors;
    errors.Add("candidates[3].offer_id", "expected 1 to 256 bytes, found 0");
    errors.Add("slate_size", "expected 0 or more");
    return errors.ToStatus();
  };
  Start();
  const grpc::Status status = RankOffers();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "candidates[3].offer_id: expected 1 to 256 bytes, found 0 (2 problems)");
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), 3);
  ASSERT_EQ(details.details_size(), 1);
  google::rpc::BadRequest bad_request;
  ASSERT_TRUE(details.details(0).UnpackTo(&bad_request));
  ASSERT_EQ(bad_request.field_violations_size(), 2);
  EXPECT_EQ(bad_request.field_violations(0).field(), "candidates[3].offer_id");
}

TEST_F(ServiceTest, TheLargestErrorFitsTheHeaders) {
  handlers_.rank_offers = [](const v1::RankOffersRequest&, v1::RankOffersResponse*) {
    FieldErrors errors;
    for (int i = 0; i < 1000; ++i) errors.Add(std::string(500, 'x'), std::string(500, '\xff'));
    return errors.ToStatus();
  };
  Start();
  EXPECT_EQ(RankOffers().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServiceTest, EveryCodeArrivesAndIsCounted) {
  Start();
  for (int code = 1; code <= 16; ++code) {
    handlers_.rank_offers = [code](const v1::RankOffersRequest&, v1::RankOffersResponse*) {
      return absl::Status(static_cast<absl::StatusCode>(code), "why");
    };
    const grpc::Status status = RankOffers();
    EXPECT_EQ(static_cast<int>(status.error_code()), code);
    EXPECT_EQ(status.error_message(), "why");
    EXPECT_TRUE(status.error_details().empty());
  }
  Drain();
  for (int code = 1; code <= 16; ++code) EXPECT_EQ(metrics_->requests(Method::kRankOffers, code), 1u);
}

TEST_F(ServiceTest, BytesThatDoNotParseAreInvalidArgument) {
  Start();
  std::string response;
  const grpc::Status status = CallBytes(channel_, "/offerd.v1.OfferService/RankOffers", "\xff\xff\xff", &response);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("offerd.v1.RankOffersRequest"));
  EXPECT_EQ(CallBytes(channel_, "/offerd.v1.OfferService/RankOffers", "\x0a\x01\xff", &response).error_code(),
            StatusCode::INVALID_ARGUMENT);  // a text that is none
  EXPECT_EQ(CallBytes(channel_, "/offerd.v1.OfferService/NoSuchMethod", "", &response).error_code(), StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(handlers_.calls("RankOffers"), 0);
  Drain();
  EXPECT_EQ(metrics_->requests(Method::kRankOffers, 3), 2u);
}

TEST_F(ServiceTest, AMessageThatIsTooLargeIsRefusedAndTheConnectionLives) {
  Start();
  v1::RankOffersRequest request;
  request.set_customer_id(std::string(4 << 20, 'x'));
  v1::RankOffersResponse response;
  EXPECT_EQ(RankOffers(request, &response).error_code(), StatusCode::RESOURCE_EXHAUSTED);
  request.set_customer_id(std::string((4 << 20) - 100, 'x'));
  EXPECT_TRUE(RankOffers(request, &response).ok());
  EXPECT_EQ(handlers_.calls("RankOffers"), 1);
}

TEST_F(ServiceTest, MoreInFlightThanAllowedIsShedAndThereIsRoomAgainAfterwards) {
  config_.max_in_flight = 2;
  Start();
  handlers_.Hold();
  std::vector<std::thread> waiting;
  for (int i = 0; i < 2; ++i) waiting.emplace_back([this] { EXPECT_TRUE(Activate().ok()); });
  handlers_.WaitForHeld(2);
  for (int i = 0; i < 20; ++i) {
    const grpc::Status status = Activate();
    EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_THAT(status.error_message(), ::testing::HasSubstr("too many calls in flight"));
  }
  EXPECT_EQ(handlers_.num_held(), 2u);
  handlers_.ReleaseAll();
  for (std::thread& thread : waiting) thread.join();
  Drain();
  EXPECT_EQ(metrics_->shed(ShedReason::kInFlight), 20u);
  EXPECT_EQ(metrics_->requests(Method::kActivate, 0), 2u);
  EXPECT_EQ(metrics_->requests(Method::kActivate, 8), 20u);
  ExpectNothingOpen();
}

TEST_F(ServiceTest, ManySlowCallsDoNotHoldUpFastOnes) {
  Start();
  handlers_.Hold();
  std::vector<std::thread> waiting;
  for (int i = 0; i < 40; ++i) waiting.emplace_back([this] { EXPECT_TRUE(Activate().ok()); });
  handlers_.WaitForHeld(40);  // far more than the calls that wait from the start
  EXPECT_TRUE(RankOffers().ok());
  handlers_.ReleaseAll();
  for (std::thread& thread : waiting) thread.join();
}

TEST_F(ServiceTest, AuthenticationMatrix) {
  config_.tokens = AllTokens();
  Start();
  const struct { std::string header; int role; } kCallers[] = {
      {"", -1}, {"Bearer wrong-token-0123456789", -1}, {"Basic x", -1},
      {absl::StrCat("Bearer ", kFrontendToken), 0}, {absl::StrCat("Bearer ", kFeedbackToken), 1},
      {absl::StrCat("Bearer ", kCatalogueToken), 2}, {absl::StrCat("bearer ", kAdminToken), 3}};
  for (const Call& call : AllUnaryCalls()) {
    for (const auto& caller : kCallers) {
      grpc::ClientContext context;
      if (!caller.header.empty()) context.AddMetadata("authorization", caller.header);
      const StatusCode expected = caller.role < 0 ? StatusCode::UNAUTHENTICATED
                                  : Authorize(static_cast<Role>(caller.role), call.access).ok() ? StatusCode::OK
                                                                                                : StatusCode::PERMISSION_DENIED;
      EXPECT_EQ(call.run(channel_, &context).error_code(), expected) << MethodText(call.method) << " " << caller.header;
    }
  }
  for (const auto& caller : kCallers) {
    grpc::ClientContext context;
    if (!caller.header.empty()) context.AddMetadata("authorization", caller.header);
    auto stream = v1::FeedbackService::NewStub(channel_)->StreamFeedback(&context);
    stream->WritesDone();
    v1::FeedbackAcknowledgement acknowledgement;
    EXPECT_FALSE(stream->Read(&acknowledgement));
    const StatusCode expected = caller.role < 0 ? StatusCode::UNAUTHENTICATED
                                : caller.role == 1 || caller.role == 3 ? StatusCode::OK
                                                                       : StatusCode::PERMISSION_DENIED;
    EXPECT_EQ(stream->Finish().error_code(), expected) << caller.header;
  }
  EXPECT_EQ(Health(), 2);  // without a token
  Drain();
  EXPECT_EQ(metrics_->shed(ShedReason::kUnauthenticated), 3u * kNumMethods);
  ExpectNothingOpen();
}

TEST_F(ServiceTest, RateLimitsAreByRole) {
  config_.tokens = AllTokens();
  config_.rate_limits = {{Role::kFrontend, 1, 2}};
  Start();
  const auto call = [this](const char* token) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
    v1::RankOffersResponse response;
    return v1::OfferService::NewStub(channel_)->RankOffers(&context, {}, &response).error_code();
  };
  EXPECT_EQ(call(kFrontendToken), StatusCode::OK);
  EXPECT_EQ(call(kFrontendToken), StatusCode::OK);
  EXPECT_EQ(call(kFrontendToken), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(call(kAdminToken), StatusCode::OK);
  now_micros_ += 1'000'000;
  EXPECT_EQ(call(kFrontendToken), StatusCode::OK);
  EXPECT_EQ(call(kFrontendToken), StatusCode::RESOURCE_EXHAUSTED);
  Drain();
  EXPECT_EQ(metrics_->shed(ShedReason::kRateLimit), 2u);
}

TEST_F(ServiceTest, WithoutTokensTheLimitIsThatOfTheMethodsRole) {
  config_.rate_limits = {{Role::kFrontend, 1, 1}};
  Start();
  EXPECT_TRUE(RankOffers().ok());
  EXPECT_EQ(RankOffers().error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Activate().error_code(), StatusCode::RESOURCE_EXHAUSTED);
  std::string response;
  EXPECT_TRUE(CallBytes(channel_, "/offerd.v1.FeedbackService/SendFeedback", "", &response).ok());
}

// gRPC counts a deadline from the moment it has read the call, so whether one has passed when the queue's thread comes to it
// depends on who read it when. Tried until it has happened; each try is right either way.
TEST_F(ServiceTest, ACallPastItsDeadlineDoesNoWork) {
  bool was_refused = false;
  for (int i = 0; i < 200 && !was_refused; ++i) {
    absl::Mutex mu;
    bool may_go = false;
    handlers_.rank_offers = [&](const v1::RankOffersRequest&, v1::RankOffersResponse*) {
      absl::MutexLock lock(&mu);
      mu.Await(absl::Condition(&may_go));  // the queue's thread is busy
      return absl::OkStatus();
    };
    const int calls_before = handlers_.calls("RankOffers");
    metrics_ = std::make_unique<Metrics>("test", [] { return int64_t{1}; });
    Start();
    std::thread first([this] { EXPECT_TRUE(RankOffers().ok()); });
    handlers_.WaitForCalls("RankOffers", calls_before + 1);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(20));
    v1::RankOffersResponse response;
    EXPECT_EQ(v1::OfferService::NewStub(channel_)->RankOffers(&context, {}, &response).error_code(), StatusCode::DEADLINE_EXCEEDED);
    {
      absl::MutexLock lock(&mu);
      may_go = true;
    }
    first.join();
    Drain();
    was_refused = handlers_.calls("RankOffers") == calls_before + 1 && metrics_->requests(Method::kRankOffers, 4) == 1;
    ExpectNothingOpen();
    service_.reset();
  }
  EXPECT_TRUE(was_refused);
}

TEST_F(ServiceTest, ACallerThatGoesAwayIsCountedOnceTheHandlerIsDone) {
  Start();
  handlers_.Hold();
  grpc::ClientContext context;
  std::thread caller([&] {
    v1::ActivateResponse response;
    EXPECT_EQ(v1::OfferService::NewStub(channel_)->Activate(&context, {}, &response).error_code(), StatusCode::CANCELLED);
  });
  handlers_.WaitForHeld(1);
  context.TryCancel();
  caller.join();
  handlers_.ReleaseAll();
  Drain();
  uint64_t counted = 0;
  for (int code = 0; code < kNumRpcCodes; ++code) counted += metrics_->requests(Method::kActivate, code);
  EXPECT_EQ(counted, 1u);
  ExpectNothingOpen();
}

TEST_F(ServiceTest, StreamAcknowledgesInOrderWhateverFinishesFirst) {
  Start();
  handlers_.Hold();
  grpc::ClientContext context;
  auto stream = v1::FeedbackService::NewStub(channel_)->StreamFeedback(&context);
  constexpr int kBatches = 20;
  for (int i = 0; i < kBatches; ++i) {
    ASSERT_TRUE(stream->Write(BatchOf(100 + i, {absl::StrCat("e", i), absl::StrCat("late", i)})));
  }
  handlers_.WaitForHeld(kBatches);
  for (int i = kBatches - 1; i >= 0; --i) handlers_.Release(static_cast<size_t>(i));  // the last first
  for (int i = 0; i < kBatches; ++i) {
    v1::FeedbackAcknowledgement acknowledgement;
    ASSERT_TRUE(stream->Read(&acknowledgement));
    EXPECT_EQ(acknowledgement.client_sequence(), 100 + i);
    EXPECT_EQ(acknowledgement.applied(), 1);
    ASSERT_EQ(acknowledgement.others_size(), 1);
    EXPECT_EQ(acknowledgement.others(0).event_id(), absl::StrCat("late", i));
    EXPECT_EQ(acknowledgement.others(0).fate(), v1::LATE);
  }
  stream->WritesDone();
  v1::FeedbackAcknowledgement none;
  EXPECT_FALSE(stream->Read(&none));
  EXPECT_TRUE(stream->Finish().ok());
  Drain();
  EXPECT_EQ(metrics_->requests(Method::kStreamFeedback, 0), 1u);
  ExpectNothingOpen();
}

TEST_F(ServiceTest, StreamKeepsAtMost64BatchesWithTheHandlers) {
  Start();
  handlers_.Hold();
  grpc::ClientContext context;
  auto stream = v1::FeedbackService::NewStub(channel_)->StreamFeedback(&context);
  constexpr int kBatches = 200;
  for (int i = 0; i < kBatches; ++i) ASSERT_TRUE(stream->Write(BatchOf(i, {"e"})));
  handlers_.WaitForHeld(64);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(RankOffers().ok());  // the queue's thread has had every chance to read on
  EXPECT_EQ(handlers_.num_held(), 64u);
  handlers_.Release(0);
  v1::FeedbackAcknowledgement acknowledgement;
  ASSERT_TRUE(stream->Read(&acknowledgement));
  EXPECT_EQ(acknowledgement.client_sequence(), 0);
  handlers_.WaitForHeld(64);
  handlers_.ReleaseAll();
  for (int i = 1; i < kBatches; ++i) {
    ASSERT_TRUE(stream->Read(&acknowledgement));
    ASSERT_EQ(acknowledgement.client_sequence(), i);
  }
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&acknowledgement));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ServiceTest, HalfCloseWaitsForTheBatchesThatAreOut) {
  Start();
  handlers_.Hold();
  grpc::ClientContext context;
  auto stream = v1::FeedbackService::NewStub(channel_)->StreamFeedback(&context);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(stream->Write(BatchOf(i, {"e"})));
  stream->WritesDone();
  handlers_.WaitForHeld(3);
  handlers_.ReleaseAll();
  v1::FeedbackAcknowledgement acknowledgement;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream->Read(&acknowledgement));
    EXPECT_EQ(acknowledgement.client_sequence(), i);
  }
  EXPECT_FALSE(stream->Read(&acknowledgement));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ServiceTest, ABatchThatFailsEndsTheStreamAfterTheOnesBeforeIt) {
  handlers_.feedback_status = [](const v1::SendFeedbackRequest& request) {
    return request.events(0).event_id() == "bad" ? absl::UnavailableError("the store fails") : absl::OkStatus();
  };
  Start();
  handlers_.Hold();
  grpc::ClientContext context;
  auto stream = v1::FeedbackService::NewStub(channel_)->StreamFeedback(&context);
  ASSERT_TRUE(stream->Write(BatchOf(1, {"e"})));
  handlers_.WaitForHeld(1);
  ASSERT_TRUE(stream->Write(BatchOf(2, {"bad"})));
  stream->Write(BatchOf(3, {"e"}));
  handlers_.WaitForHeld(2);  // the third is with the handlers as well
  handlers_.ReleaseAll();
  v1::FeedbackAcknowledgement acknowledgement;
  ASSERT_TRUE(stream->Read(&acknowledgement));
  EXPECT_EQ(acknowledgement.client_sequence(), 1);
  EXPECT_FALSE(stream->Read(&acknowledgement));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "the store fails");
  Drain();
  EXPECT_EQ(metrics_->requests(Method::kStreamFeedback, 14), 1u);
  ExpectNothingOpen();
}

TEST_F(ServiceTest, ABrokenStreamWaitsForItsBatchesAndLeavesNothing) {
  Start();
  for (int round = 0; round < 20; ++round) {
    handlers_.Hold();
    grpc::ClientContext context;
    auto stream = v1::FeedbackService::NewStub(channel_)->StreamFeedback(&context);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(stream->Write(BatchOf(i, {"e"})));
    handlers_.WaitForHeld(5);
    if (round % 2 == 0) handlers_.Release(2);
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), StatusCode::CANCELLED);
    handlers_.ReleaseAll();
  }
  EXPECT_TRUE(RankOffers().ok());
  Drain();
  uint64_t counted = 0;
  for (int code = 0; code < kNumRpcCodes; ++code) counted += metrics_->requests(Method::kStreamFeedback, code);
  EXPECT_EQ(counted, 20u);
  ExpectNothingOpen();
}

TEST_F(ServiceTest, AConnectionThatDiesTakesItsStreamsWithIt) {
  Start();
  handlers_.Hold();
  {
    auto channel = NewChannel();
    auto context = std::make_unique<grpc::ClientContext>();
    auto stream = v1::FeedbackService::NewStub(channel)->StreamFeedback(context.get());
    ASSERT_TRUE(stream->Write(BatchOf(1, {"e"})));
    handlers_.WaitForHeld(1);
    context->TryCancel();
    stream->Finish();
  }
  std::thread drain([this] { Drain(); });  // waits for the handler
  handlers_.ReleaseAll();
  drain.join();
  ExpectNothingOpen();
}

TEST_F(ServiceTest, StreamBatchesThatDoNotParseOrFindNoRoomEndIt) {
  config_.rate_limits = {{Role::kFeedback, 1, 3}};  // the stream itself takes one
  Start();
  grpc::ClientContext context;
  auto stream = v1::FeedbackService::NewStub(channel_)->StreamFeedback(&context);
  for (int i = 0; i < 3; ++i) stream->Write(BatchOf(i, {"e"}));
  v1::FeedbackAcknowledgement acknowledgement;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(stream->Read(&acknowledgement));
    EXPECT_EQ(acknowledgement.client_sequence(), i);
  }
  EXPECT_FALSE(stream->Read(&acknowledgement));
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::RESOURCE_EXHAUSTED);
  now_micros_ += 10'000'000;
  std::string response;
  EXPECT_EQ(CallBytes(channel_, "/offerd.v1.FeedbackService/StreamFeedback", "\xff\xff", &response).error_code(),
            StatusCode::INVALID_ARGUMENT);
  Drain();
  ExpectNothingOpen();
}

TEST_F(ServiceTest, ManyStreamsFromManyThreadsLoseNothing) {
  config_.completion_queues = 2;
  Start();
  handlers_.Hold();
  std::atomic<bool> is_over{false};
  std::thread releaser([&] {  // results come from another thread, in any order
    uint32_t n = 0;
    while (!is_over) {
      const size_t held = handlers_.num_held();
      if (held > 0) handlers_.Release(++n % held);
      else std::this_thread::yield();
    }
  });
  std::vector<std::thread> clients;
  for (int t = 0; t < 4; ++t) {
    clients.emplace_back([this] {
      for (int round = 0; round < 5; ++round) {
        grpc::ClientContext context;
        auto stream = v1::FeedbackService::NewStub(NewChannel())->StreamFeedback(&context);
        std::thread writer([&stream] {
          for (int i = 0; i < 300; ++i) stream->Write(BatchOf(i, {"e"}));
          stream->WritesDone();
        });
        v1::FeedbackAcknowledgement acknowledgement;
        for (int i = 0; i < 300; ++i) {
          ASSERT_TRUE(stream->Read(&acknowledgement));
          ASSERT_EQ(acknowledgement.client_sequence(), i);
          ASSERT_EQ(acknowledgement.applied(), 1);
        }
        EXPECT_FALSE(stream->Read(&acknowledgement));
        writer.join();
        EXPECT_TRUE(stream->Finish().ok());
      }
    });
  }
  for (std::thread& client : clients) client.join();
  is_over = true;
  releaser.join();
  Drain();
  EXPECT_EQ(metrics_->requests(Method::kStreamFeedback, 0), 20u);
  ExpectNothingOpen();
}

TEST_F(ServiceTest, ManyCallsOnManyQueuesAreAllCounted) {
  config_.completion_queues = 3;
  Start();
  std::vector<std::thread> clients;
  for (int t = 0; t < 6; ++t) {
    clients.emplace_back([this] {
      auto stub = v1::OfferService::NewStub(NewChannel());
      for (int i = 0; i < 200; ++i) {
        grpc::ClientContext context;
        v1::RankOffersResponse response;
        ASSERT_TRUE(stub->RankOffers(&context, {}, &response).ok());
      }
    });
  }
  for (std::thread& client : clients) client.join();
  Drain();
  EXPECT_EQ(metrics_->requests(Method::kRankOffers, 0), 1200u);
  ExpectNothingOpen();
}

TEST_F(ServiceTest, DrainLetsCallsInFlightFinish) {
  Start();
  service_->SetReady(true);
  EXPECT_EQ(Health(), 1);
  handlers_.Hold();
  std::thread caller([this] { EXPECT_TRUE(Activate().ok()); });
  handlers_.WaitForHeld(1);
  std::thread drain([this] { Drain(); });
  while (RankOffers().ok()) {  // until the server takes no more
  }
  handlers_.ReleaseAll();
  caller.join();
  drain.join();
  EXPECT_EQ(metrics_->requests(Method::kActivate, 0), 1u);
  ExpectNothingOpen();
}

TEST_F(ServiceTest, DrainCancelsWhatLastsBeyondItsDeadlineAndWaitsForTheHandler) {
  Start();
  handlers_.Hold();
  std::thread caller([this] { EXPECT_FALSE(Activate().ok()); });
  handlers_.WaitForHeld(1);
  std::atomic<bool> is_drained{false};
  std::thread drain([&] {
    service_->Drain(absl::Now());
    is_drained = true;
  });
  caller.join();  // has been told
  EXPECT_FALSE(is_drained);
  handlers_.ReleaseAll();
  drain.join();
  ExpectNothingOpen();
}

TEST_F(ServiceTest, DrainEndsStreamsOnceTheirBatchesAreAcknowledged) {
  Start();
  handlers_.Hold();
  grpc::ClientContext idle_context, busy_context;
  auto stub = v1::FeedbackService::NewStub(channel_);
  auto idle = stub->StreamFeedback(&idle_context);
  auto busy = stub->StreamFeedback(&busy_context);
  ASSERT_TRUE(idle->Write(BatchOf(1, {"e"})));
  handlers_.WaitForHeld(1);
  handlers_.Release(0);
  v1::FeedbackAcknowledgement acknowledgement;
  ASSERT_TRUE(idle->Read(&acknowledgement));
  ASSERT_TRUE(busy->Write(BatchOf(5, {"e"})));
  handlers_.WaitForHeld(1);
  std::thread drain([this] { Drain(); });
  EXPECT_FALSE(idle->Read(&acknowledgement));
  const grpc::Status status = idle->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("first unacknowledged batch"));
  handlers_.ReleaseAll();
  ASSERT_TRUE(busy->Read(&acknowledgement));
  EXPECT_EQ(acknowledgement.client_sequence(), 5);
  EXPECT_FALSE(busy->Read(&acknowledgement));
  EXPECT_EQ(busy->Finish().error_code(), StatusCode::UNAVAILABLE);
  drain.join();
  ExpectNothingOpen();
}

TEST_F(ServiceTest, HealthFollowsReadiness) {
  Start();
  EXPECT_EQ(Health(), 2);
  service_->SetReady(true);
  EXPECT_EQ(Health(), 1);
  EXPECT_EQ(Health("offerd.v1.OfferService"), 1);
  EXPECT_EQ(Health("offerd.v1.AdminService"), 1);
  EXPECT_EQ(Health("no.such.Service"), -1);
  service_->SetReady(false);
  EXPECT_EQ(Health(), 2);
  EXPECT_EQ(Health("offerd.v1.OfferService"), 2);
}

TEST_F(ServiceTest, HealthCanBeWatched) {
  config_.completion_queues = 2;
  Start();
  Watcher all(NewChannel(), ""), one(NewChannel(), "offerd.v1.OfferService"), unknown(NewChannel(), "no.such.Service");
  EXPECT_EQ(all.Read(), 2);
  EXPECT_EQ(one.Read(), 2);
  EXPECT_EQ(unknown.Read(), 3);
  for (int i = 0; i < 20; ++i) {
    service_->SetReady(i % 2 == 0);
    EXPECT_EQ(all.Read(), i % 2 == 0 ? 1 : 2);
    EXPECT_EQ(one.Read(), i % 2 == 0 ? 1 : 2);
  }
  service_->SetReady(true);
  EXPECT_EQ(all.Read(), 1);
  {
    Watcher gone(NewChannel(), "");
    EXPECT_EQ(gone.Read(), 1);
    gone.Cancel();
    EXPECT_EQ(gone.Finish().error_code(), StatusCode::CANCELLED);
  }
  std::thread drain([this] { Drain(); });  // nobody who watches holds it up
  EXPECT_EQ(all.Read(), 2);
  EXPECT_EQ(all.Read(), -1);
  EXPECT_EQ(all.Finish().error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(unknown.Read(), -1);
  drain.join();
}

TEST_F(ServiceTest, ProbesAreAnsweredUnderLoadAndNotCounted) {
  config_.max_in_flight = 1;
  config_.tokens = AllTokens();
  Start();
  service_->SetReady(true);
  handlers_.Hold();
  std::thread caller([this] {
    grpc::ClientContext context;
    context.AddMetadata("authorization", absl::StrCat("Bearer ", kAdminToken));
    v1::ActivateResponse response;
    EXPECT_TRUE(v1::OfferService::NewStub(channel_)->Activate(&context, {}, &response).ok());
  });
  handlers_.WaitForHeld(1);
  EXPECT_EQ(Health(), 1);
  handlers_.ReleaseAll();
  caller.join();
  Drain();
  EXPECT_EQ(metrics_->requests(Method::kRankOffers, 0), 0u);
  EXPECT_EQ(metrics_->shed(ShedReason::kInFlight), 0u);
}

TEST_F(ServiceTest, ReflectionListsTheServices) {
  Start();
  std::string response;
  // ServerReflectionRequest{list_services: "*"}; a stream of one request and one answer.
  EXPECT_TRUE(CallBytes(channel_, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "\x3a\x01*", &response).ok());
  for (const char* name : {"OfferService", "FeedbackService", "CatalogService", "CustomerService", "AdminService"}) {
    EXPECT_THAT(response, ::testing::HasSubstr(absl::StrCat("offerd.v1.", name)));
  }
}

TEST_F(ServiceTest, ATakenPortIsAClearError) {
  Start();
  ServerConfig second = config_;
  second.listen = absl::StrCat("127.0.0.1:", service_->port());
  EXPECT_THAT(Service::Start(second, &handlers_, metrics_.get(), [] { return int64_t{0}; }),
              StatusIs(absl::StatusCode::kUnavailable, second.listen));
  EXPECT_TRUE(RankOffers().ok());
}

TEST_F(ServiceTest, StartsAndStopsWithoutACall) {
  for (int i = 0; i < 5; ++i) {
    config_.completion_queues = i + 1;
    Start();
    Drain();
    Drain();
    service_.reset();
  }
}

TEST_F(ServiceTest, TlsWithAClientCertificate) {
  config_.tls = ServerConfig::Tls{kTestCertificate, kTestKey, kTestCertificate};
  Start();
  const auto call = [this](const grpc::SslCredentialsOptions& options) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto channel = grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", service_->port()), grpc::SslCredentials(options), arguments);
    grpc::ClientContext context;
    v1::RankOffersResponse response;
    return v1::OfferService::NewStub(channel)->RankOffers(&context, {}, &response).ok();
  };
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = kTestCertificate;
  EXPECT_FALSE(call(options));  // no certificate of its own
  options.pem_cert_chain = kTestCertificate;
  options.pem_private_key = kTestKey;
  EXPECT_TRUE(call(options));
  EXPECT_FALSE(RankOffers().ok());  // plain text
}

TEST_F(ServiceTest, ACertificateThatDoesNotFitIsAClearError) {
  config_.tls = ServerConfig::Tls{kTestCertificate, "-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n", ""};
  EXPECT_THAT(Service::Start(config_, &handlers_, metrics_.get(), [] { return int64_t{0}; }),
              StatusIs(absl::StatusCode::kUnavailable, "certificate"));
}

TEST(ToGrpcStatusTest, CarriesDetailsOnlyWhereThereAreSome) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  const grpc::Status plain = ToGrpcStatus(absl::NotFoundError("no such placement"));
  EXPECT_EQ(plain.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(plain.error_message(), "no such placement");
  EXPECT_TRUE(plain.error_details().empty());
  EXPECT_FALSE(ToGrpcStatus(BadRequest("a", "b")).error_details().empty());
}

}  // namespace
}  // namespace offerd
