#include "server/service.h"

#include <gtest/gtest.h>

#include "tests/server/service_fixture.h"

namespace offerd {
namespace {

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
      MakeCall<U>(Method::kMerge, c, &U::Stub::Merge),
      MakeCall<U>(Method::kEraseCustomer, c, &U::Stub::EraseCustomer),
      MakeCall<A>(Method::kSetPlacement, a, &A::Stub::SetPlacement),
      MakeCall<A>(Method::kListPlacements, a, &A::Stub::ListPlacements),
      MakeCall<A>(Method::kDeletePlacement, a, &A::Stub::DeletePlacement),
      MakeCall<A>(Method::kSetPolicy, a, &A::Stub::SetPolicy),
      MakeCall<A>(Method::kListPolicies, a, &A::Stub::ListPolicies),
      MakeCall<A>(Method::kPublishPolicy, a, &A::Stub::PublishPolicy),
      MakeCall<A>(Method::kRollBackPolicy, a, &A::Stub::RollBackPolicy),
      MakeCall<A>(Method::kEvaluatePolicy, a, &A::Stub::EvaluatePolicy),
      MakeCall<A>(Method::kPromotePolicy, a, &A::Stub::PromotePolicy),
      MakeCall<A>(Method::kListReleases, a, &A::Stub::ListReleases),
      MakeCall<A>(Method::kRollBackPlacement, a, &A::Stub::RollBackPlacement),
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
  // Until the server takes no more. A call that crosses the shutdown on its way is answered by nobody before the drain ends.
  v1::RankOffersResponse response;
  while (RankOffers({}, &response, absl::Seconds(1)).ok()) {
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
