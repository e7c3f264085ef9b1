#include <string>

#include "gtest/gtest.h"
#include "tests/server/engine/shop.h"

namespace offerd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Policy Publish(Shop& shop, const std::string& name = "learn") {
  v1::PublishPolicyRequest request;
  request.set_name(name);
  v1::Policy policy;
  EXPECT_OK(shop.Call(&Engine::PublishPolicy, request, &policy));
  return policy;
}

absl::Status RollBack(Shop& shop, uint64_t version, v1::Policy* policy) {
  v1::RollBackPolicyRequest request;
  request.set_name("learn");
  request.set_version(version);
  return shop.Call(&Engine::RollBackPolicy, request, policy);
}

TEST(EngineAdminTest, OtherFeaturesOrHalfLifeNeedAnotherName) {
  Shop shop;
  shop.OpenFurnished();
  v1::Policy other = Shop::MakePolicy("learn");
  other.mutable_linear()->mutable_features()->mutable_features()->RemoveLast();
  EXPECT_THAT(shop.SetPolicy(other), StatusIs(absl::StatusCode::kFailedPrecondition, "new name"));
  v1::Policy fading = Shop::MakePolicy("learn");
  fading.mutable_linear()->set_half_life_days(7);
  EXPECT_THAT(shop.SetPolicy(fading), StatusIs(absl::StatusCode::kFailedPrecondition, "new name"));
  other.set_name("learn2");
  EXPECT_OK(shop.SetPolicy(other));
}

TEST(EngineAdminTest, AnotherKindUnderTheSameNameWouldEraseWhatWasLearned) {
  Shop shop;
  shop.OpenFurnished();
  (void)shop.Rank("r", "ann", kOpening);
  v1::Policy random;
  random.set_name("learn");
  random.mutable_random();
  EXPECT_THAT(shop.SetPolicy(random), StatusIs(absl::StatusCode::kFailedPrecondition, "new name"));
  EXPECT_EQ(shop.Learned().shown(), 3);
  random.set_name("other");
  EXPECT_OK(shop.SetPolicy(random));
}

TEST(EngineAdminTest, SettingTheSameModelKeepsWhatItLearned) {
  Shop shop;
  shop.OpenFurnished();
  (void)shop.Rank("r", "ann", kOpening);
  const std::string learned = shop.Learned().state_checksum();
  v1::Policy policy = Shop::MakePolicy("learn");
  policy.mutable_linear()->set_ridge(7);
  EXPECT_OK(shop.SetPolicy(policy));
  EXPECT_EQ(shop.Learned().state_checksum(), learned);
  EXPECT_EQ(shop.Learned().shown(), 3);
}

TEST(EngineAdminTest, UnknownComputedFactIsNamed) {
  Shop shop;
  shop.OpenFurnished();
  v1::Policy policy = Shop::MakePolicy("other");
  policy.mutable_linear()->mutable_features()->mutable_features(1)->mutable_numeric()->set_fact("computed.shoe_size");
  EXPECT_THAT(shop.SetPolicy(policy), StatusIs(absl::StatusCode::kInvalidArgument, "shoe_size"));
  EXPECT_THAT(shop.SetPolicy(policy), StatusIs(absl::StatusCode::kInvalidArgument, "policy.linear.features"));
}

TEST(EngineAdminTest, PopularityCannotBeSet) {
  Shop shop;
  shop.OpenFurnished();
  v1::Policy policy;
  policy.set_name("popularity");
  policy.mutable_fixed();
  EXPECT_THAT(shop.SetPolicy(policy), StatusIs(absl::StatusCode::kInvalidArgument, "name"));
}

TEST(EngineAdminTest, PublishRollBackAndPin) {
  Shop shop;
  shop.OpenFurnished();
  (void)shop.Rank("r0", "ann", kOpening);
  const v1::Policy first = Publish(shop);
  EXPECT_GT(first.version(), 0u);
  const auto decision = shop.Rank("r1", "ann", kOpening);
  ASSERT_EQ(shop.Send(Shop::Purchase("e", "ann", decision, kOpening)).fate(), v1::APPLIED);
  const v1::Policy second = Publish(shop);
  EXPECT_GT(second.version(), first.version());
  EXPECT_FALSE(second.pinned());
  EXPECT_THAT(shop.Learned().kept_versions(), ElementsAre(first.version(), second.version()));

  v1::Policy policy;
  EXPECT_THAT(RollBack(shop, 9999, &policy), StatusIs(absl::StatusCode::kNotFound, "version"));
  ASSERT_OK(RollBack(shop, 0, &policy));
  EXPECT_EQ(policy.version(), first.version());
  EXPECT_TRUE(policy.pinned());
  EXPECT_EQ(shop.Rank("r2", "ann", kOpening).model_version(), first.version());

  // Learning goes on, publishing does not, also after a restart.
  const int64_t shown = shop.Learned().shown();
  shop.Crash();
  shop.Open();
  shop.wall += kMicrosPerDay;
  (void)shop.Rank("r3", "ann", kOpening);
  EXPECT_EQ(shop.Learned().shown(), shown + 3);
  EXPECT_EQ(shop.Learned().policy().version(), first.version());
  EXPECT_TRUE(shop.Learned().policy().pinned());

  const v1::Policy third = Publish(shop);
  EXPECT_GT(third.version(), second.version());
  EXPECT_FALSE(third.pinned());
}

TEST(EngineAdminTest, PublishingNeedsAModel) {
  Shop shop;
  shop.OpenFurnished();
  v1::PublishPolicyRequest request;
  v1::Policy policy;
  request.set_name("nobody");
  EXPECT_THAT(shop.Call(&Engine::PublishPolicy, request, &policy), StatusIs(absl::StatusCode::kNotFound, "nobody"));
  v1::Policy fixed;
  fixed.set_name("rules");
  fixed.mutable_fixed()->add_order("o3");
  ASSERT_OK(shop.SetPolicy(fixed));
  request.set_name("rules");
  EXPECT_THAT(shop.Call(&Engine::PublishPolicy, request, &policy), StatusIs(absl::StatusCode::kFailedPrecondition, "rules"));
}

TEST(EngineAdminTest, NewsArePublishedByThemselvesOnceDue) {
  Shop shop;
  shop.OpenFurnished();
  const uint64_t before = shop.Learned().policy().version();
  (void)shop.Rank("r", "ann", kOpening);
  (void)shop.Status();
  shop.wall += 10 * kMicrosPerSecond;
  (void)shop.Status();
  EXPECT_GT(shop.Learned().policy().version(), before);
}

TEST(EngineAdminTest, PolicyThatHasSeenNothingStartsAsApprentice) {
  Shop shop;
  shop.OpenFurnished();
  v1::Placement placement = Shop::MakePlacement();
  placement.set_name("cart");
  placement.clear_mode();
  v1::Placement set;
  ASSERT_OK(shop.SetPlacement(placement, &set));
  EXPECT_EQ(set.mode(), v1::APPRENTICE);
  v1::RankOffersRequest request = Shop::RankRequestOf("r", "ann", kOpening);
  request.set_placement("cart");
  const auto decision = shop.Rank(request);
  EXPECT_EQ(decision.policy(), "popularity");
  EXPECT_EQ(decision.arm(), "apprentice");
  EXPECT_EQ(shop.Learned().shown(), 3);
  EXPECT_EQ(shop.Learned().apprentice_decisions(), 1);
  // As it was, now that it has seen something; a placement that never was goes live.
  ASSERT_OK(shop.SetPlacement(placement, &set));
  EXPECT_EQ(set.mode(), v1::APPRENTICE);
  placement.set_name("email");
  ASSERT_OK(shop.SetPlacement(placement, &set));
  EXPECT_EQ(set.mode(), v1::LIVE);
}

TEST(EngineAdminTest, PlacementNeedsAPolicyThatWasSet) {
  Shop shop;
  shop.OpenFurnished();
  v1::Placement placement = Shop::MakePlacement();
  placement.set_policy("nobody");
  EXPECT_THAT(shop.SetPlacement(placement), StatusIs(absl::StatusCode::kInvalidArgument, "placement.policy"));
  placement.set_policy("learn");
  placement.set_fixed_policy("learn");
  EXPECT_THAT(shop.SetPlacement(placement), StatusIs(absl::StatusCode::kInvalidArgument, "placement.fixed_policy"));
}

TEST(EngineAdminTest, SnapshotIsSoundAndListed) {
  Shop shop;
  shop.OpenFurnished();
  const auto sequence = shop.Snapshot();
  ASSERT_OK(sequence);
  v1::VerifySnapshotResponse verified;
  ASSERT_OK(shop.Call(&Engine::VerifySnapshot, v1::VerifySnapshotRequest(), &verified));
  EXPECT_EQ(verified.snapshot().state(), "sound");
  EXPECT_EQ(verified.snapshot().sequence(), *sequence);
  EXPECT_OK(shop.Snapshot()) << "nothing new: the same again";
  v1::ListSnapshotsResponse listed;
  ASSERT_OK(shop.Call(&Engine::ListSnapshots, v1::ListSnapshotsRequest(), &listed));
  EXPECT_EQ(listed.snapshots_size(), 1);
  v1::VerifySnapshotRequest none;
  none.set_sequence(99999);
  EXPECT_THAT(shop.Call(&Engine::VerifySnapshot, none, &verified), StatusIs(absl::StatusCode::kNotFound, "99999"));
}

}  // namespace
}  // namespace offerd
