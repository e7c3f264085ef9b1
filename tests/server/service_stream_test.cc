#include "server/service.h"

#include <gtest/gtest.h>

#include "tests/server/service_fixture.h"

namespace offerd {
namespace {

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

}  // namespace
}  // namespace offerd
