#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/server/service_fixture.h"

// More calls than can be answered at once.
namespace offerd {
namespace {

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

// The clock jumps while calls wait for the thread: those are refused without work, later ones are answered again.
TEST_F(ServiceTest, ACallThatWaitedTooLongForItsTurnIsShed) {
  config_.max_turn_wait_ms = 50;
  clock_step_micros_ = 50'001;  // between a call's arrival and its turn
  Start();
  for (int i = 0; i < 5; ++i) {
    const grpc::Status status = RankOffers();
    EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_THAT(status.error_message(), ::testing::HasSubstr("waited 50 ms for its turn, the most is 50"));
  }
  EXPECT_EQ(handlers_.calls("RankOffers"), 0);
  clock_step_micros_ = 50'000;
  EXPECT_TRUE(RankOffers().ok());
  Drain();
  EXPECT_EQ(metrics_->shed(ShedReason::kTurnWait), 5u);
  EXPECT_EQ(metrics_->requests(Method::kRankOffers, 8), 5u);
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

}  // namespace
}  // namespace offerd
