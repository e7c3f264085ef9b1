#include "cli/learn/trainer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/learn/default_features.h"
#include "core/hash.h"
#include "core/status_macros.h"

namespace offerd::learn {
namespace {

constexpr char kPolicy[] = "learned";
constexpr char kPlacement[] = "stream";
constexpr int64_t kPublishAlways = 1000;
constexpr int64_t kPublishThen = 50;
constexpr int64_t kMostHeldBack = 200'000;  // open decisions, as the server has by default; of more the oldest count early
constexpr int64_t kWindowSeconds = 250 * int64_t{31'536'000};  // nothing closes but for lack of room

Fact FactOf(const NamedValue& value) { return value.is_text ? Fact::Text(value.text) : Fact::Number(value.number); }

int64_t ToRevenueMicros(double reward) { return std::llround(reward * 1e6); }

}  // namespace

Trainer::Trainer(TrainerOptions options)
    : options_(std::move(options)), fold_(FoldLimits{16'384, std::max<int64_t>(options_.settle_after_seconds > 0 ? kMostHeldBack : 1000, options_.reward_delay + 2)}) {}

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Make(TrainerOptions options) {
  std::unique_ptr<Trainer> trainer(new Trainer(std::move(options)));
  RETURN_IF_ERROR(trainer->Start());
  return trainer;
}

absl::Status Trainer::Start() {
  Policy policy;
  policy.name = kPolicy;
  if (options_.policy == "random") {
    policy.kind = PolicyKind::kRandom;
  } else if (options_.policy == "linear") {
    policy.kind = PolicyKind::kLinear;
    policy.features = options_.features;
    policy.ridge_set = options_.ridge > 0;
    if (policy.ridge_set) policy.ridge = options_.ridge;
    policy.half_life_days = options_.half_life_days;
    policy.bag_size = options_.explorer.bag_size;
    policy.scale = options_.explorer.scale;
    RETURN_IF_ERROR(Encoder::Make(policy.features).status());
  } else {
    return absl::InvalidArgumentError(absl::StrCat("--policy: expected linear or random, found \"", options_.policy, "\""));
  }
  Placement placement;
  placement.name = kPlacement;
  placement.policy = kPolicy;
  placement.mode = Mode::kLive;
  placement.slate_size = options_.slots;
  placement.explorer = options_.explorer.spec;
  placement.randomised_share.share = 0;
  placement.matrix_share = 0;
  // An event says what a slot earned in money: any number, and the same path as a purchase's revenue.
  placement.reward.value = RewardSpec::Value::kRevenue;
  placement.reward.weights[static_cast<int>(EventKind::kClick)] = 1;
  placement.reward.counts[static_cast<int>(EventKind::kClick)] = true;
  placement.reward.largest = options_.largest_reward;
  placement.window_seconds = kWindowSeconds;
  placement.max_lateness_seconds = 0;
  placement.settle_after_seconds = options_.settle_after_seconds;
  RETURN_IF_ERROR(Write(0, PolicySet{std::move(policy)}));
  RETURN_IF_ERROR(Write(0, PlacementSet{std::move(placement)}));
  request_.placement = kPlacement;
  return absl::OkStatus();
}

absl::Status Trainer::Write(TimeMicros time, Change change) {
  return fold_.Apply({fold_.state().sequence + 1, time, false, std::move(change)});
}

const LinearPolicy* Trainer::model() const {
  const PolicyState* policy = fold_.state().FindPolicy(kPolicy);
  return policy == nullptr || policy->in_force == nullptr ? nullptr : &policy->in_force->policy;
}

int Trainer::columns() const {
  const PolicyState* policy = fold_.state().FindPolicy(kPolicy);
  return policy == nullptr || policy->encoder == nullptr ? 0 : policy->encoder->dim();
}

void Trainer::MakeRequest(const StreamDecision& decision) {
  request_.context.clear();
  for (const NamedValue& value : decision.context) request_.context.push_back({value.name, FactOf(value)});
  size_t facts = 0;
  for (const auto& candidate : decision.candidates) facts += std::max<size_t>(1, candidate.features.size());
  request_.candidate_facts.clear();
  request_.candidate_facts.reserve(facts);  // spans into it stay
  request_.candidates.clear();
  for (const auto& candidate : decision.candidates) {
    const size_t begin = request_.candidate_facts.size();
    for (const NamedValue& value : candidate.features) request_.candidate_facts.push_back({value.name, FactOf(value)});
    if (candidate.features.empty()) request_.candidate_facts.push_back({kIdFact, Fact::Text(candidate.id)});
    request_.candidates.push_back({candidate.id, absl::MakeConstSpan(request_.candidate_facts).subspan(begin)});
  }
}

Outcome Trainer::Judge(const StreamDecision& decision) const {
  Outcome outcome;
  outcome.probability = decision_.slots[0].probability;
  outcome.shown = decision_.slots[0].candidate;
  const std::vector<double>& mean = scratch_.policy.mean;
  const auto better = [this, &mean](size_t a, size_t b) {
    return mean[a] != mean[b] ? mean[a] > mean[b] : scratch_.tie_rank[a] < scratch_.tie_rank[b];
  };
  std::vector<size_t> order(decision.candidates.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const size_t shown = std::min(decision_.slots.size(), order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(shown), order.end(), better);
  if (decision.is_full_information()) {
    outcome.is_counted = true;
    for (const DecidedSlot& slot : decision_.slots) outcome.reward += *decision.candidates[static_cast<size_t>(slot.candidate)].reward;
    for (size_t i = 0; i < shown; ++i) outcome.greedy_reward += *decision.candidates[order[i]].reward;
  } else {
    outcome.is_counted = decision_.slots[0].offer_id == decision.logged->id;
    outcome.reward = decision.logged->reward;
    outcome.greedy_reward = mean[order[0]];
    outcome.expected_reward = mean[static_cast<size_t>(decision_.slots[0].candidate)];
  }
  return outcome;
}

absl::StatusOr<Outcome> Trainer::Step(const StreamDecision& decision) {
  while (!held_.empty() && held_.begin()->first <= number_) {
    RETURN_IF_ERROR(Pay(held_.begin()->second));
    held_.erase(held_.begin());
  }
  RETURN_IF_ERROR(Publish());
  now_ = std::max(now_, decision.time);
  MakeRequest(decision);
  RETURN_IF_ERROR(Decide(fold_.state(), request_, MixHash(options_.seed, static_cast<uint64_t>(number_)), now_, scratch_, decision_));
  if (decision_.slots.empty()) return absl::InternalError("a decision without a slot");
  const Outcome outcome = Judge(decision);
  if (outcome.is_counted) RETURN_IF_ERROR(Learn(decision, outcome));
  ++number_;
  ++since_publication_;
  return outcome;
}

absl::Status Trainer::Learn(const StreamDecision& decision, const Outcome& outcome) {
  DecisionChange change;
  change.id = DecisionId(absl::StrCat(number_));
  change.placement = kPlacement;
  change.learner = decision_.learner;
  change.learner_sequence = decision_.learner_sequence;
  change.policy = decision_.policy;
  Reward reward;
  reward.number = number_;
  reward.due = number_ + 1 + (decision.delay >= 0 ? decision.delay : options_.reward_delay);
  reward.time = now_;
  const size_t teaching = decision.is_full_information() ? decision_.slots.size() : 1;
  for (size_t i = 0; i < teaching; ++i) {
    const DecidedSlot& slot = decision_.slots[i];
    DecisionChange::Slot shown;
    shown.offer_id = OfferId(slot.offer_id);
    if (decision_.features.cols() > 0) shown.x = decision_.features.row(slot.candidate).transpose();
    change.slots.push_back(std::move(shown));
    const double earned =
        decision.is_full_information() ? *decision.candidates[static_cast<size_t>(slot.candidate)].reward : outcome.reward;
    if (earned != 0) reward.slots.emplace_back(slot.offer_id, earned);
  }
  RETURN_IF_ERROR(Write(now_, std::move(change)));
  held_.emplace(reward.due, std::move(reward));
  return absl::OkStatus();
}

absl::Status Trainer::Pay(const Reward& reward) {
  for (const auto& [id, earned] : reward.slots) {
    Event event;
    event.kind = EventKind::kClick;
    event.decision_id = DecisionId(absl::StrCat(reward.number));
    event.id = EventId(absl::StrCat(reward.number, "/", id));
    event.offer_id = OfferId(id);
    event.time = reward.time;
    event.lines.push_back({id, 1, ToRevenueMicros(earned)});
    event.fate = Fate::kApplied;
    Rng chance(MixHash(options_.seed ^ 0x5eed, static_cast<uint64_t>(reward.number)));
    const bool is_repeated = chance.NextUniform() < options_.duplicate_share;
    const bool is_refunded = chance.NextUniform() < options_.refund_share;
    RETURN_IF_ERROR(Write(now_, event));
    if (is_repeated) {
      event.fate = Fate::kDuplicate;  // as the server says before it logs
      RETURN_IF_ERROR(Write(now_, event));
    }
    if (!is_refunded) continue;
    Event refund = event;
    refund.kind = EventKind::kRefund;
    refund.fate = Fate::kApplied;
    refund.reverses_event_id = event.id;
    refund.id = EventId(absl::StrCat(reward.number, "/", id, "/refund"));
    refund.lines.clear();
    RETURN_IF_ERROR(Write(now_, std::move(refund)));
  }
  return absl::OkStatus();
}

absl::Status Trainer::Publish() {
  const int64_t every = options_.publish_every > 0 ? options_.publish_every : number_ <= kPublishAlways ? 1 : kPublishThen;
  if (since_publication_ < every || !fold_.HasNews(kPolicy)) return absl::OkStatus();
  since_publication_ = 0;
  ASSIGN_OR_RETURN(Publication publication, fold_.Prepare(kPolicy, false));
  return Write(now_, std::move(publication));
}

absl::Status Trainer::Finish() {
  for (const auto& [due, reward] : held_) RETURN_IF_ERROR(Pay(reward));
  held_.clear();
  since_publication_ = std::max<int64_t>(kPublishThen, options_.publish_every);
  return Publish();
}

}  // namespace offerd::learn
