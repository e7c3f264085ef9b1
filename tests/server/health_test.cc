#include "server/service.h"

#include <gtest/gtest.h>

#include "tests/server/service_fixture.h"

namespace offerd {
namespace {

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

TEST_F(ServiceTest, AFailingStoreTakesTheServicesThatWriteOutOfService) {
  config_.completion_queues = 2;
  Start();
  service_->SetReady(true);
  Watcher offers(NewChannel(), "offerd.v1.OfferService"), feedback(NewChannel(), "offerd.v1.FeedbackService");
  EXPECT_EQ(offers.Read(), 1);
  EXPECT_EQ(feedback.Read(), 1);
  service_->SetStoreFailing(true);
  EXPECT_EQ(feedback.Read(), 2);
  for (const char* name : {"offerd.v1.FeedbackService", "offerd.v1.CatalogService", "offerd.v1.CustomerService"}) {
    EXPECT_EQ(Health(name), 2) << name;
  }
  for (const char* name : {"", "offerd.v1.OfferService", "offerd.v1.AdminService"}) EXPECT_EQ(Health(name), 1) << name;
  service_->SetStoreFailing(false);
  EXPECT_EQ(feedback.Read(), 1);
  EXPECT_EQ(Health("offerd.v1.CatalogService"), 1);
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

}  // namespace
}  // namespace offerd
