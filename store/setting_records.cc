#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "store/list_records.h"
#include "store/placement_parts.h"
#include "store/record_parts.h"
#include "store/records.h"

// Placements and policies, both ways.
namespace offerd {
namespace {

using record_parts::CheckFinite;
using record_parts::CopyStrings;
using record_parts::ToEventKind;
using record_parts::ToStrings;
using record_parts::Wrong;

absl::StatusOr<Transform> ToTransform(v1::Feature::Transform transform, absl::string_view feature) {
  switch (transform) {
    case v1::Feature::IDENTITY:
      return Transform::kIdentity;
    case v1::Feature::LOG1P:
      return Transform::kLog1p;
    case v1::Feature::SQRT:
      return Transform::kSqrt;
    case v1::Feature::EXP_DECAY:
      return Transform::kExpDecay;
    default:
      return Wrong(absl::StrCat("feature ", feature, " transform"), "is unknown");
  }
}

v1::Feature::Transform ToProtoTransform(Transform transform) {
  switch (transform) {
    case Transform::kIdentity:
      return v1::Feature::IDENTITY;
    case Transform::kLog1p:
      return v1::Feature::LOG1P;
    case Transform::kSqrt:
      return v1::Feature::SQRT;
    case Transform::kExpDecay:
      return v1::Feature::EXP_DECAY;
  }
  return v1::Feature::IDENTITY;
}

absl::Status ReadNumeric(const v1::Feature::Numeric& proto, Feature& feature) {
  feature.kind = Feature::Kind::kNumeric;
  ASSIGN_OR_RETURN(feature.fact, ParseFactName(proto.fact()));
  ASSIGN_OR_RETURN(feature.transform, ToTransform(proto.transform(), feature.name));
  if (proto.scale() != 0) feature.scale = proto.scale();
  if (proto.has_multiplier()) feature.multiplier = proto.multiplier();
  if (proto.has_minimum()) feature.min = proto.minimum();
  if (proto.has_maximum()) feature.max = proto.maximum();
  feature.missing_value = proto.missing_value();
  for (const double value :
       {proto.scale(), proto.multiplier(), proto.minimum(), proto.maximum(), proto.missing_value()}) {
    RETURN_IF_ERROR(CheckFinite(value, absl::StrCat("feature ", feature.name)));
  }
  return absl::OkStatus();
}

absl::StatusOr<Feature> ToFeature(const v1::Feature& proto) {
  Feature feature;
  feature.name = proto.name();
  feature.only_in_crosses = proto.only_in_crosses();
  switch (proto.kind_case()) {
    case v1::Feature::kConstant:
      feature.kind = Feature::Kind::kConstant;
      break;
    case v1::Feature::kNumeric:
      RETURN_IF_ERROR(ReadNumeric(proto.numeric(), feature));
      break;
    case v1::Feature::kOneHot: {
      feature.kind = Feature::Kind::kOneHot;
      ASSIGN_OR_RETURN(feature.fact, ParseFactName(proto.one_hot().fact()));
      feature.values = ToStrings(proto.one_hot().values());
      break;
    }
    case v1::Feature::kBucket: {
      feature.kind = Feature::Kind::kBucket;
      ASSIGN_OR_RETURN(feature.fact, ParseFactName(proto.bucket().fact()));
      feature.boundaries.assign(proto.bucket().boundaries().begin(), proto.bucket().boundaries().end());
      for (const double value : feature.boundaries)
        RETURN_IF_ERROR(CheckFinite(value, absl::StrCat("feature ", feature.name)));
      break;
    }
    case v1::Feature::kCross:
      feature.kind = Feature::Kind::kCross;
      feature.left = proto.cross().left();
      feature.right = proto.cross().right();
      break;
    case v1::Feature::KIND_NOT_SET:
      return Wrong(absl::StrCat("feature ", proto.name(), " kind"), "is not set");
  }
  return feature;
}

v1::Feature ToProtoFeature(const Feature& feature) {
  v1::Feature proto;
  proto.set_name(feature.name);
  proto.set_only_in_crosses(feature.only_in_crosses);
  switch (feature.kind) {
    case Feature::Kind::kConstant:
      proto.mutable_constant();
      break;
    case Feature::Kind::kNumeric: {
      v1::Feature::Numeric& numeric = *proto.mutable_numeric();
      numeric.set_fact(FactNameText(feature.fact));
      numeric.set_transform(ToProtoTransform(feature.transform));
      numeric.set_scale(feature.scale);
      numeric.set_multiplier(feature.multiplier);
      if (std::isfinite(feature.min)) numeric.set_minimum(feature.min);
      if (std::isfinite(feature.max)) numeric.set_maximum(feature.max);
      numeric.set_missing_value(feature.missing_value);
      break;
    }
    case Feature::Kind::kOneHot:
      proto.mutable_one_hot()->set_fact(FactNameText(feature.fact));
      CopyStrings(feature.values, *proto.mutable_one_hot()->mutable_values());
      break;
    case Feature::Kind::kBucket:
      proto.mutable_bucket()->set_fact(FactNameText(feature.fact));
      proto.mutable_bucket()->mutable_boundaries()->Assign(feature.boundaries.begin(), feature.boundaries.end());
      break;
    case Feature::Kind::kCross:
      proto.mutable_cross()->set_left(feature.left);
      proto.mutable_cross()->set_right(feature.right);
      break;
  }
  return proto;
}

absl::StatusOr<RandomKind> ToRandomKind(v1::RandomisedShare::Kind kind, absl::string_view field) {
  switch (kind) {
    case v1::RandomisedShare::UNIFORM:
      return RandomKind::kUniform;
    case v1::RandomisedShare::KIND_UNSPECIFIED:
    case v1::RandomisedShare::BOUNDED:
      return RandomKind::kBounded;
    default:
      return Wrong(field, "is unknown");
  }
}

v1::RandomisedShare::Kind ToProtoRandomKind(RandomKind kind) {
  return kind == RandomKind::kUniform ? v1::RandomisedShare::UNIFORM : v1::RandomisedShare::BOUNDED;
}

absl::Status ReadShare(const v1::RandomisedShare& proto, Placement& placement) {
  RandomShare& share = placement.randomised_share;
  share = RandomShare{0.05, RandomKind::kBounded, 3};
  if (proto.has_share()) share.share = proto.share();
  RETURN_IF_ERROR(CheckFinite(share.share, "randomised_share.share"));
  ASSIGN_OR_RETURN(share.kind, ToRandomKind(proto.kind(), "randomised_share.kind"));
  if (proto.has_reach()) share.reach = proto.reach();
  switch (proto.base()) {
    case v1::RandomisedShare::BASE_UNSPECIFIED:
    case v1::RandomisedShare::POLICY:
      placement.share_on_fixed_order = false;
      break;
    case v1::RandomisedShare::FIXED:
      placement.share_on_fixed_order = true;
      break;
    default:
      return Wrong("randomised_share.base", "is unknown");
  }
  return absl::OkStatus();
}

// After ReadShare: the default epsilon depends on the share.
absl::Status ReadExplorer(const v1::Explorer& proto, Placement& placement) {
  ExplorerSpec& explorer = placement.explorer;
  placement.epsilon_set = proto.has_epsilon();
  placement.strength_set = proto.has_strength();
  explorer.epsilon = placement.randomised_share.share > 0 ? 0 : 0.005;
  switch (proto.kind()) {
    case v1::Explorer::KIND_UNSPECIFIED:
    case v1::Explorer::THOMPSON:
      explorer.kind = ExplorerKind::kThompson;
      break;
    case v1::Explorer::EPSILON_GREEDY:
      explorer.kind = ExplorerKind::kEpsilonGreedy;
      explorer.epsilon = 0.05;
      break;
    case v1::Explorer::GREEDY:  // has no epsilon to speak of
      explorer.kind = ExplorerKind::kGreedy;
      explorer.epsilon = 0;
      break;
    case v1::Explorer::SOFTMAX:
      explorer.kind = ExplorerKind::kSoftmax;
      explorer.strength = kDefaultTemperature;
      explorer.epsilon = 0;
      break;
    case v1::Explorer::INVERSE_GAP:
      explorer.kind = ExplorerKind::kInverseGap;
      explorer.strength = kDefaultGap;
      explorer.epsilon = 0;
      break;
    case v1::Explorer::UPPER_BOUND:
      explorer.kind = ExplorerKind::kUpperBound;
      explorer.strength = kDefaultBonus;
      break;
    case v1::Explorer::BOUNDED_SHUFFLE:
      explorer.kind = ExplorerKind::kBoundedShuffle;
      explorer.epsilon = 0;
      break;
    default:
      return Wrong("explorer.kind", "is unknown");
  }
  if (proto.has_epsilon()) explorer.epsilon = proto.epsilon();
  if (proto.has_strength()) explorer.strength = proto.strength();
  if (proto.has_reach()) explorer.reach = proto.reach();
  RETURN_IF_ERROR(CheckFinite(explorer.epsilon, "explorer.epsilon"));
  return CheckFinite(explorer.strength, "explorer.strength");
}

v1::Explorer::Kind ToProtoExplorerKind(ExplorerKind kind) {
  switch (kind) {
    case ExplorerKind::kGreedy:
      return v1::Explorer::GREEDY;
    case ExplorerKind::kEpsilonGreedy:
      return v1::Explorer::EPSILON_GREEDY;
    case ExplorerKind::kThompson:
      return v1::Explorer::THOMPSON;
    case ExplorerKind::kSoftmax:
      return v1::Explorer::SOFTMAX;
    case ExplorerKind::kInverseGap:
      return v1::Explorer::INVERSE_GAP;
    case ExplorerKind::kUpperBound:
      return v1::Explorer::UPPER_BOUND;
    case ExplorerKind::kBoundedShuffle:
      return v1::Explorer::BOUNDED_SHUFFLE;
  }
  return v1::Explorer::THOMPSON;
}

absl::StatusOr<RewardSpec> ToReward(const v1::Reward& proto) {
  RewardSpec reward;
  switch (proto.value()) {
    case v1::Reward::BY_KIND:
      reward.value = RewardSpec::Value::kByKind;
      break;
    case v1::Reward::REVENUE:
      reward.value = RewardSpec::Value::kRevenue;
      break;
    case v1::Reward::MARGIN:
      reward.value = RewardSpec::Value::kMargin;
      break;
    default:
      return Wrong("reward.value", "is unknown");
  }
  switch (proto.aggregation()) {
    case v1::Reward::SUM:
      reward.aggregation = RewardSpec::Aggregation::kSum;
      break;
    case v1::Reward::MAX:
      reward.aggregation = RewardSpec::Aggregation::kMax;
      break;
    case v1::Reward::EARLIEST:
      reward.aggregation = RewardSpec::Aggregation::kEarliest;
      break;
    default:
      return Wrong("reward.aggregation", "is unknown");
  }
  if (!v1::Reward::Attribution_IsValid(proto.attribution())) return Wrong("reward.attribution", "is unknown");
  reward.attribution = static_cast<RewardSpec::Attribution>(proto.attribution());  // the same numbers
  if (!v1::Reward::LatePolicy_IsValid(proto.late_policy())) return Wrong("reward.late_policy", "is unknown");
  reward.late_policy = static_cast<RewardSpec::LatePolicy>(proto.late_policy());  // the same numbers
  reward.currency = proto.currency();
  reward.customer_weight = proto.customer_weight();
  for (const v1::Reward::KindWeight& weight : proto.weights()) {
    ASSIGN_OR_RETURN(const EventKind kind, ToEventKind(weight.kind(), "reward.weights.kind"));
    RETURN_IF_ERROR(CheckFinite(weight.weight(), "reward.weights.weight"));
    reward.weights[static_cast<int>(kind)] = weight.weight();
    reward.counts[static_cast<int>(kind)] = true;
  }
  if (proto.weights().empty()) {
    reward.weights[static_cast<int>(EventKind::kPurchase)] = 1;
    reward.counts[static_cast<int>(EventKind::kPurchase)] = true;
  }
  reward.default_reward = proto.default_reward();
  reward.value_cap = proto.value_cap();
  if (proto.largest() != 0) reward.largest = proto.largest();
  for (const double value : {reward.default_reward, reward.value_cap, reward.largest}) {
    RETURN_IF_ERROR(CheckFinite(value, "reward"));
  }
  return reward;
}

v1::Reward ToProtoReward(const RewardSpec& reward) {
  v1::Reward proto;
  proto.set_value(static_cast<v1::Reward::Value>(reward.value));  // the same numbers, as the two below
  proto.set_aggregation(static_cast<v1::Reward::Aggregation>(reward.aggregation));
  proto.set_attribution(static_cast<v1::Reward::Attribution>(reward.attribution));
  proto.set_late_policy(static_cast<v1::Reward::LatePolicy>(reward.late_policy));
  proto.set_currency(reward.currency);
  proto.set_customer_weight(reward.customer_weight);
  for (int kind = 0; kind < kNumEventKinds; ++kind) {
    if (!reward.counts[kind]) continue;
    v1::Reward::KindWeight& weight = *proto.add_weights();
    weight.set_kind(static_cast<v1::EventKind>(kind));
    weight.set_weight(reward.weights[kind]);
  }
  proto.set_default_reward(reward.default_reward);
  proto.set_value_cap(reward.value_cap);
  proto.set_largest(reward.largest);
  return proto;
}

}  // namespace

absl::StatusOr<FeatureList> FromProto(const v1::FeatureList& proto) {
  FeatureList list;
  for (const v1::Feature& feature_proto : proto.features()) {
    ASSIGN_OR_RETURN(Feature feature, ToFeature(feature_proto));
    list.features.push_back(std::move(feature));
  }
  return list;
}

absl::StatusOr<Policy> FromProto(const v1::Policy& proto) {
  Policy policy;
  policy.name = proto.name();
  switch (proto.kind_case()) {
    case v1::Policy::kFixed:
      policy.kind = PolicyKind::kFixed;
      policy.order = ToStrings(proto.fixed().order());
      break;
    case v1::Policy::kRandom: {
      policy.kind = PolicyKind::kRandom;
      ASSIGN_OR_RETURN(policy.random_kind, ToRandomKind(proto.random().kind(), "random.kind"));
      if (proto.random().has_reach()) policy.reach = proto.random().reach();
      break;
    }
    case v1::Policy::kLinear: {
      const v1::Policy::Linear& linear = proto.linear();
      policy.kind = PolicyKind::kLinear;
      ASSIGN_OR_RETURN(policy.features, FromProto(linear.features()));
      policy.ridge_set = linear.has_ridge();
      if (linear.has_ridge()) policy.ridge = linear.ridge();
      policy.half_life_days = linear.half_life_days();
      if (linear.has_bag_size()) policy.bag_size = linear.bag_size();
      if (linear.has_scale()) policy.scale = linear.scale();
      if (linear.has_publish_every_ms()) policy.publish_every_ms = linear.publish_every_ms();
      for (const double value : {policy.ridge, policy.half_life_days, policy.scale}) {
        RETURN_IF_ERROR(CheckFinite(value, "linear"));
      }
      break;
    }
    case v1::Policy::KIND_NOT_SET:
      return Wrong("policy kind", "is not set");
  }
  return policy;
}

absl::StatusOr<Placement> FromProto(const v1::Placement& proto) {
  Placement placement;
  placement.name = proto.name();
  placement.policy = proto.policy();
  placement.fixed_policy = proto.fixed_policy();
  switch (proto.mode()) {
    case v1::MODE_UNSPECIFIED:
      placement.mode = Mode::kUnspecified;
      break;
    case v1::LIVE:
      placement.mode = Mode::kLive;
      break;
    case v1::APPRENTICE:
      placement.mode = Mode::kApprentice;
      break;
    case v1::LOG_ONLY:
      placement.mode = Mode::kLogOnly;
      break;
    default:
      return Wrong("placement mode", "is unknown");
  }
  if (proto.slate_size() != 0) placement.slate_size = proto.slate_size();
  RETURN_IF_ERROR(ReadShare(proto.randomised_share(), placement));
  RETURN_IF_ERROR(ReadExplorer(proto.explorer(), placement));
  ASSIGN_OR_RETURN(placement.reward, ToReward(proto.reward()));
  if (proto.window_seconds() != 0) placement.window_seconds = proto.window_seconds();
  if (proto.max_lateness_seconds() != 0) placement.max_lateness_seconds = proto.max_lateness_seconds();
  placement.settle_after_seconds = proto.settle_after_seconds();
  placement.examination.assign(proto.examination().begin(), proto.examination().end());
  for (const double weight : placement.examination) RETURN_IF_ERROR(CheckFinite(weight, "examination"));
  placement.estimate_examination = proto.estimate_examination();
  if (proto.has_matrix_share()) placement.matrix_share = proto.matrix_share();
  RETURN_IF_ERROR(CheckFinite(placement.matrix_share, "matrix_share"));
  placement.campaigns = ToStrings(proto.campaigns());
  if (proto.has_lists()) {
    ASSIGN_OR_RETURN(placement.lists, ListsFromProto(proto.lists()));
  }
  if (proto.has_rules()) {
    ASSIGN_OR_RETURN(placement.rules, RulesFromProto(proto.rules()));
  }
  placement.cart_table = proto.cart_table();
  placement.has_gate = proto.has_gate();
  if (proto.has_gate()) {
    ASSIGN_OR_RETURN(placement.gate, GateFromProto(proto.gate()));
  }
  return placement;
}

v1::FeatureList ToProto(const FeatureList& features) {
  v1::FeatureList proto;
  for (const Feature& feature : features.features) *proto.add_features() = ToProtoFeature(feature);
  return proto;
}

v1::Policy ToProto(const Policy& policy) {
  v1::Policy proto;
  proto.set_name(policy.name);
  switch (policy.kind) {
    case PolicyKind::kFixed:
      CopyStrings(policy.order, *proto.mutable_fixed()->mutable_order());
      break;
    case PolicyKind::kRandom:
      proto.mutable_random()->set_kind(ToProtoRandomKind(policy.random_kind));
      proto.mutable_random()->set_reach(policy.reach);
      break;
    case PolicyKind::kLinear: {
      v1::Policy::Linear& linear = *proto.mutable_linear();
      *linear.mutable_features() = ToProto(policy.features);
      if (policy.ridge_set) linear.set_ridge(policy.ridge);
      linear.set_half_life_days(policy.half_life_days);
      linear.set_bag_size(policy.bag_size);
      linear.set_scale(policy.scale);
      linear.set_publish_every_ms(policy.publish_every_ms);
      break;
    }
  }
  return proto;
}

v1::Placement ToProto(const Placement& placement) {
  v1::Placement proto;
  proto.set_name(placement.name);
  proto.set_policy(placement.policy);
  proto.set_fixed_policy(placement.fixed_policy);
  proto.set_mode(static_cast<v1::Mode>(placement.mode));  // the same numbers
  proto.set_slate_size(placement.slate_size);
  proto.mutable_explorer()->set_kind(ToProtoExplorerKind(placement.explorer.kind));
  if (placement.epsilon_set) proto.mutable_explorer()->set_epsilon(placement.explorer.epsilon);
  if (placement.strength_set) proto.mutable_explorer()->set_strength(placement.explorer.strength);
  if (placement.explorer.kind == ExplorerKind::kBoundedShuffle) proto.mutable_explorer()->set_reach(placement.explorer.reach);
  v1::RandomisedShare& share = *proto.mutable_randomised_share();
  share.set_share(placement.randomised_share.share);
  share.set_kind(ToProtoRandomKind(placement.randomised_share.kind));
  share.set_reach(placement.randomised_share.reach);
  share.set_base(placement.share_on_fixed_order ? v1::RandomisedShare::FIXED : v1::RandomisedShare::POLICY);
  *proto.mutable_reward() = ToProtoReward(placement.reward);
  proto.set_window_seconds(placement.window_seconds);
  proto.set_max_lateness_seconds(placement.max_lateness_seconds);
  proto.set_settle_after_seconds(placement.settle_after_seconds);
  proto.mutable_examination()->Assign(placement.examination.begin(), placement.examination.end());
  proto.set_estimate_examination(placement.estimate_examination);
  proto.set_matrix_share(placement.matrix_share);
  CopyStrings(placement.campaigns, *proto.mutable_campaigns());
  if (placement.lists.has_value()) *proto.mutable_lists() = ListsToProto(*placement.lists);
  if (placement.rules.AreInDraw() || !placement.rules.frequency_caps.empty()) *proto.mutable_rules() = RulesToProto(placement.rules);
  proto.set_cart_table(placement.cart_table);
  if (placement.has_gate) *proto.mutable_gate() = GateToProto(placement.gate);
  return proto;
}

}  // namespace offerd
