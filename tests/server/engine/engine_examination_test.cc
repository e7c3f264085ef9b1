// Estimated examination in the server: what GetStatus says of it, and that a restart changes nothing.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/server/engine/shop.h"

namespace offerd {
namespace {

v1::Placement EstimatingPlacement() {
  v1::Placement placement = Shop::MakePlacement();
  placement.set_estimate_examination(true);
  placement.mutable_randomised_share()->set_share(0.5);
  placement.mutable_randomised_share()->set_kind(v1::RandomisedShare::UNIFORM);
  placement.mutable_reward()->add_weights()->set_kind(v1::CLICK);
  placement.mutable_reward()->mutable_weights(0)->set_weight(1);
  return placement;
}

// Everybody clicks on the first slot, nobody on the others.
void Visit(Shop& shop, int from, int to) {
  for (int i = from; i < to; ++i) {
    shop.wall += 2'000'000;  // so that the policy is published
    const std::string id = absl::StrCat("r", i);
    const TimeMicros now = kOpening + i * kMinute;
    const auto decision = shop.Rank(id, "ann", now);
    ASSERT_EQ(decision.slots_size(), 3);
    v1::Event click = Shop::Purchase(id, "ann", decision, now);
    click.set_kind(v1::CLICK);
    click.set_offer_id(decision.slots(0).offer_id());
    ASSERT_EQ(shop.Send(click).fate(), v1::APPLIED);
  }
}

TEST(EngineExaminationTest, StatusSaysWhatTheShareHasShown) {
  Shop shop;
  shop.OpenFurnished();
  EXPECT_EQ(shop.Status().examinations_size(), 0) << "nobody asked for it";
  v1::Placement set;
  ASSERT_OK(shop.SetPlacement(EstimatingPlacement(), &set));
  EXPECT_TRUE(set.estimate_examination());
  ASSERT_EQ(shop.Status().examinations_size(), 1);
  EXPECT_EQ(shop.Status().examinations(0).placement(), "home");
  EXPECT_THAT(shop.Status().examinations(0).weights(), ::testing::ElementsAre(1, 1, 1));
  Visit(shop, 0, 300);
  const v1::ExaminationStatus examination = shop.Status().examinations(0);
  EXPECT_GT(examination.rewards(), 50);
  ASSERT_EQ(examination.weights_size(), 3);
  EXPECT_EQ(examination.weights(0), 1);
  EXPECT_LT(examination.weights(1), 0.5);
  EXPECT_LT(examination.weights(2), 0.5);
  v1::DeletePlacementRequest request;
  request.set_name("home");
  v1::DeletePlacementResponse response;
  ASSERT_OK(shop.Call(&Engine::DeletePlacement, request, &response));
  EXPECT_EQ(shop.Status().examinations_size(), 0);
}

TEST(EngineExaminationTest, ARestartChangesNotABitFromABaseAndFromTheLog) {
  Shop shop;
  shop.OpenFurnished();
  ASSERT_OK(shop.SetPlacement(EstimatingPlacement()));
  Visit(shop, 0, 60);
  for (int round = 1; round <= 3; ++round) {
    if (round > 1) ASSERT_OK(shop.Snapshot());
    Visit(shop, 60 * round, 60 * round + (round == 2 ? 0 : 40));  // the second time nothing comes after the base
    const v1::ExaminationStatus before = shop.Status().examinations(0);
    EXPECT_LT(before.weights(1), 1);
    shop.Crash();
    {
      Recovery recovery;
      ReplayReport report;
      ASSERT_NO_FATAL_FAILURE(shop.RecoverAndReplay(&recovery, &report));
      const ExaminationSums* sums = recovery.fold->state().examinations.Find("home");
      ASSERT_NE(sums, nullptr);
      EXPECT_EQ(sums->slots().size(), 3u);
      EXPECT_GT(sums->first_squared(), 0);
    }
    shop.Open();
    EXPECT_EQ(shop.Status().examinations(0).SerializeAsString(), before.SerializeAsString());
  }
}

// A place that a rule gave away was not drawn.
TEST(EngineExaminationTest, APinnedSlotSaysNothing) {
  Shop shop;
  shop.OpenFurnished();
  v1::Placement placement = EstimatingPlacement();
  v1::SlateRules::Pin& pin = *placement.mutable_rules()->add_pins();
  pin.set_offer_id("o1");
  pin.set_slot(0);
  ASSERT_OK(shop.SetPlacement(placement));
  Visit(shop, 0, 30);
  EXPECT_EQ(shop.Status().examinations(0).rewards(), 0);
  shop.Crash();
  const auto recovery = Recover(*shop.OpenStore());
  ASSERT_OK(recovery);
  const auto& slots = recovery->fold->state().examinations.Find("home")->slots();
  ASSERT_EQ(slots.size(), 3u);
  EXPECT_EQ(slots[0].estimate, 0);
  EXPECT_NE(slots[1].estimate, 0);
}

TEST(EngineExaminationTest, WithoutARandomisedShareItIsRefusedByTheNameOfItsField) {
  Shop shop;
  shop.OpenFurnished();
  v1::Placement placement = EstimatingPlacement();
  placement.mutable_randomised_share()->set_share(0);
  EXPECT_THAT(shop.SetPlacement(placement), StatusIs(absl::StatusCode::kInvalidArgument, "estimate_examination"));
  placement.clear_randomised_share();
  EXPECT_OK(shop.SetPlacement(placement)) << "the default share is above 0";
}

}  // namespace
}  // namespace offerd
