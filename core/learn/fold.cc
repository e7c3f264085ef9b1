#include "core/learn/fold.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/hash.h"

namespace offerd {
namespace {

// t0 moves once the newest weight has grown past 2^kHalfLivesBeforeMove.
constexpr double kHalfLivesBeforeMove = 64;
constexpr double kMostHalfLives = 1e15;  // since the first impression; a count beyond would not be exact

double HalfLivesSince(const PolicyLearning& learning, double half_life_days, TimeMicros time) {
  return static_cast<double>(time - learning.epoch) / (half_life_days * static_cast<double>(kMicrosPerDay));
}

// Counts a slot's weight in half-lives of t0, moving t0 when it has fallen far behind.
double Forgetting(PolicyLearning& learning, double half_life_days, TimeMicros time) {
  learning.newest = learning.has_epoch ? std::max(learning.newest, time) : time;
  if (!learning.has_epoch) {
    learning.epoch = time;
    learning.has_epoch = true;
  }
  if (half_life_days <= 0) return 1;
  const double since_epoch = HalfLivesSince(learning, half_life_days, time);
  if (since_epoch > kMostHalfLives) return std::numeric_limits<double>::infinity();  // the statistics refuse it
  const double half_lives = since_epoch - static_cast<double>(learning.half_lives);
  if (half_lives > kHalfLivesBeforeMove) {
    const double move = std::floor(half_lives);
    learning.statistics.ScaleByPowerOfTwo(-static_cast<int>(std::min(move, 4000.0)));  // by then all sums are 0
    learning.half_lives += static_cast<int64_t>(move);
    return std::exp2(half_lives - move);
  }
  return std::exp2(half_lives);
}

// An event's lines that the slot's offer covers. Lines of an item with the offer's own id count too, for callers without a
// catalogue.
bool CoversLine(const Catalogue& catalogue, const CatalogueOffer* offer, const OfferId& id, const EventLine& line) {
  if (line.item_id == id.value()) return true;
  if (offer == nullptr) return false;
  const ItemIndex* item = catalogue.FindItem(line.item_id);
  return item != nullptr && std::binary_search(offer->items.begin(), offer->items.end(), *item);
}

struct Match {
  bool matches = false;
  double revenue = 0;  // of the lines that count, major units
};

Match MatchSlot(const Catalogue& catalogue, const OpenSlot& slot, const Event& event, bool only_slot) {
  Match match;
  const OfferIndex index = catalogue.FindOffer(slot.offer_id.value());
  const CatalogueOffer* offer = index == kNoOffer ? nullptr : &catalogue.OfferAt(index);
  bool any_covered = false;
  double all_revenue = 0;
  for (const EventLine& line : event.lines) {
    const double revenue = static_cast<double>(line.revenue_micros) * 1e-6;
    all_revenue += revenue;
    if (!CoversLine(catalogue, offer, slot.offer_id, line)) continue;
    any_covered = true;
    match.revenue += revenue;
  }
  if (!event.offer_id.empty()) {
    match.matches = event.offer_id == slot.offer_id;
    if (!any_covered) match.revenue = all_revenue;  // the caller says what the lines are for
  } else {
    match.matches = any_covered || (event.lines.empty() && only_slot);
  }
  return match;
}

}  // namespace

absl::Status Fold::Apply(const LogEntry& entry) {
  if (entry.sequence != state_.sequence + 1) {
    return absl::DataLossError(
        absl::StrCat("log record out of order: expected sequence ", state_.sequence + 1, ", found ", entry.sequence));
  }
  state_.now = std::max(state_.now, entry.time);
  Close(state_.now);
  std::visit([this, &entry](const auto& change) { FoldIn(change, entry); }, entry.change);
  state_.sequence = entry.sequence;
  state_.num_open = static_cast<int64_t>(open_.size());
  if (prepared_ != nullptr && prepared_->record.included_sequence != state_.sequence) prepared_ = nullptr;
  return absl::OkStatus();
}

Fate Fold::Classify(const Event& event, TimeMicros log_time, bool knows_decision) const {
  if (event.history || event.decision_id.empty()) return Fate::kApplied;
  if (const OpenDecision* open = FindOpen(event.decision_id)) {
    return open->IsClosedBy(log_time) ? Fate::kLate : Fate::kApplied;
  }
  return knows_decision ? Fate::kLate : Fate::kOrphan;
}

void Fold::Close(TimeMicros now) {
  while (!closing_.empty() && closing_.begin()->first < now) {
    open_.Erase(closing_.begin()->second);
    closing_.erase(closing_.begin());
    ++state_.counters.closed;
  }
}

PolicyLearning* Fold::LearningOf(const OpenDecision& open) {
  const PolicyState* policy = state_.FindPolicy(open.learner);
  if (policy == nullptr || policy->encoder == nullptr || policy->model_sequence != open.learner_sequence) return nullptr;
  const auto found = learning_.find(open.learner);
  return found == learning_.end() ? nullptr : &found->second;
}

void Fold::ActivateSlot(OpenDecision& open, OpenSlot& slot, TimeMicros time) {
  slot.is_active = true;
  if (slot.x.size() == 0) return;
  PolicyLearning* learning = LearningOf(open);
  if (learning == nullptr) return;
  slot.weight.forgetting = Forgetting(*learning, state_.FindPolicy(open.learner)->policy.half_life_days, time);
  slot.half_lives = learning->half_lives;
  if (learning->statistics.AddShown(slot.x, slot.weight, open.placement->placement.reward.default_reward).ok()) {
    learning->has_news = true;
  } else {
    slot.x.resize(0);  // rewards of what was not added are not added either
    ++state_.counters.refused_updates;
  }
}

void Fold::SetEarned(OpenDecision& open, OpenSlot& slot, double earned) {
  const double before = slot.is_rewarded ? slot.earned : open.placement->placement.reward.default_reward;
  PolicyLearning* learning = slot.x.size() == 0 ? nullptr : LearningOf(open);
  if (learning != nullptr && before != earned) {
    SlotWeight weight = slot.weight;
    const int64_t moved = std::min<int64_t>(learning->half_lives - slot.half_lives, 4000);
    weight.forgetting = std::ldexp(weight.forgetting, -static_cast<int>(moved));
    if (weight.forgetting > 0) {  // else so old that nothing of it is left
      if (!learning->statistics.ApplyReward(slot.x, weight, before, earned).ok()) {
        ++state_.counters.refused_updates;
        return;  // what a slot earned is what the sums hold, so that the next difference is right
      }
      learning->has_news = true;
    }
  }
  slot.is_rewarded = true;
  slot.earned = earned;
  ++state_.counters.rewarded;
}

void Fold::FoldIn(const DecisionChange& change, const LogEntry& entry) {
  ++state_.counters.decisions;
  const auto* placement = state_.placements.Find(change.placement);
  if (placement == nullptr || open_.Find(change.id.value()) != nullptr) return;
  OpenDecision open;
  open.placement = *placement;
  open.learner = change.learner;
  open.learner_sequence = change.learner_sequence;
  open.time = entry.time;
  open.window_end = entry.time + open.placement->placement.window_seconds * kMicrosPerSecond;
  open.close_time = open.window_end + open.placement->placement.max_lateness_seconds * kMicrosPerSecond;
  open.sequence = entry.sequence;
  PolicyLearning* learning = change.learner.empty() ? nullptr : LearningOf(open);
  if (learning != nullptr && change.has_agreement) {
    ++learning->apprentice_decisions;
    if (change.agreed) ++learning->apprentice_agreements;
  }
  for (const DecisionChange::Slot& slot : change.slots) {
    OpenSlot added;
    added.offer_id = slot.offer_id;
    if (learning != nullptr && slot.x.size() == learning->statistics.dim()) added.x = slot.x;
    if (!change.deferred) ActivateSlot(open, added, entry.time);
    open.slots.push_back(std::move(added));
  }
  RestoreOpen(change.id, std::move(open));
  while (static_cast<int64_t>(open_.size()) > limits_.max_open_decisions) {
    open_.Erase(closing_.begin()->second);
    closing_.erase(closing_.begin());
    ++state_.counters.closed_early;
  }
}

void Fold::RestoreOpen(const DecisionId& id, OpenDecision decision) {
  closing_.emplace(decision.close_time, id.value());
  open_.Mutate(id.value()) = std::move(decision);
  state_.num_open = static_cast<int64_t>(open_.size());
}

void Fold::FoldIn(const Activation& activation, const LogEntry& entry) {
  if (open_.Find(activation.decision_id.value()) == nullptr) return;
  ++state_.counters.activations;
  OpenDecision& open = open_.Mutate(activation.decision_id.value());
  for (size_t i = 0; i < open.slots.size(); ++i) {
    const bool named = activation.slots.empty() ||
                       std::find(activation.slots.begin(), activation.slots.end(), static_cast<int>(i)) != activation.slots.end();
    if (named && !open.slots[i].is_active) ActivateSlot(open, open.slots[i], entry.time);
  }
}

void Fold::FoldIn(const Event& event, const LogEntry& entry) {
  ++state_.counters.events[static_cast<size_t>(event.kind)][static_cast<size_t>(event.fate)];
  if (event.fate != Fate::kApplied && event.fate != Fate::kOrphan) return;
  if (event.kind == EventKind::kPurchase && !event.lines.empty()) AddToProfile(event, entry.sequence);
  AddInterests(event);
  if (event.history || event.fate != Fate::kApplied || event.decision_id.empty()) return;
  const OpenDecision* open = open_.Find(event.decision_id.value());
  if (open == nullptr) return;
  if (event.time > open->window_end) {
    ++state_.counters.outside_window;
    return;
  }
  Reward(open_.Mutate(event.decision_id.value()), event);
}

void Fold::AddToProfile(const Event& event, Sequence sequence) {
  items_.clear();
  for (const EventLine& line : event.lines) items_.push_back(state_.catalogue.InternItem(line.item_id));
  const uint64_t order = event.order_id.empty() ? 0 : StableHash(event.order_id) | 1;
  held_.clear();
  bool begins = true;
  TimeMicros time = event.time;  // of the visit: where its first lines were
  if (event.customer_id.empty()) {
    touched_ = items_;
  } else {
    Profile& profile = state_.customers.Mutate(event.customer_id.value());
    if (profile.customer.id.empty()) profile.customer.id = event.customer_id;
    if (order != 0 && !profile.visits().empty() && profile.visits().back().order == order) {
      const auto items = profile.items();
      held_.assign(items.end() - profile.visits().back().num_items, items.end());
    }
    begins = profile.AddVisit(event.time, order, items_, state_.catalogue, sequence, limits_.profile_bytes, touched_);
    time = profile.visits().back().time;
  }
  state_.population.AddVisit(time, begins, touched_, held_, state_.catalogue);
  std::sort(touched_.begin(), touched_.end());  // an order of nobody known may name an item twice
  touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
  state_.demand.AddOrder(event.market, time, begins, touched_);
}

void Fold::AddInterests(const Event& event) {
  switch (event.kind) {
    case EventKind::kClick:
    case EventKind::kAddToCart:
    case EventKind::kView:
    case EventKind::kSearch:
    case EventKind::kWishlist: break;
    default: return;
  }
  if (event.customer_id.empty() || event.lines.empty()) return;
  Profile& profile = state_.customers.Mutate(event.customer_id.value());
  if (profile.customer.id.empty()) profile.customer.id = event.customer_id;
  for (const EventLine& line : event.lines) profile.AddInterest(event.time, event.kind, state_.catalogue.InternItem(line.item_id));
}

// A line redeems one offer: the first shown that covers it. Stock and budget of the others are not touched, though they too may be
// rewarded for it.
bool Fold::UseLines(const OpenSlot& slot, const Event& event) {
  if (!event.offer_id.empty() || event.lines.empty()) return true;
  const OfferIndex index = state_.catalogue.FindOffer(slot.offer_id.value());
  const CatalogueOffer* offer = index == kNoOffer ? nullptr : &state_.catalogue.OfferAt(index);
  bool any = false;
  for (size_t i = 0; i < event.lines.size(); ++i) {
    if (used_lines_[i] || !CoversLine(state_.catalogue, offer, slot.offer_id, event.lines[i])) continue;
    used_lines_[i] = true;
    any = true;
  }
  return any;
}

void Fold::Reward(OpenDecision& open, const Event& event) {
  const RewardSpec& reward = open.placement->placement.reward;
  const size_t kind = static_cast<size_t>(event.kind);
  bool matched = false;
  used_lines_.assign(event.lines.size(), false);
  for (OpenSlot& slot : open.slots) {
    if (!slot.is_active) continue;
    const Match match = MatchSlot(state_.catalogue, slot, event, open.slots.size() == 1);
    if (!match.matches) continue;
    matched = true;
    if (event.kind == EventKind::kPurchase && UseLines(slot, event)) {
      const OfferIndex index = state_.catalogue.FindOffer(slot.offer_id.value());
      if (index != kNoOffer) {
        OfferUse& use = state_.catalogue.MutateUse(index);
        ++use.redemptions;
        use.spent_micros += state_.catalogue.OfferAt(index).offer->cost_micros;
      }
    }
    if (!reward.counts[kind]) continue;
    double worth = reward.weights[kind];
    if (reward.value == RewardSpec::Value::kRevenue) {
      worth *= reward.value_cap > 0 ? std::min(match.revenue, reward.value_cap) : match.revenue;
    }
    double earned = worth;
    if (slot.is_rewarded) {
      earned = reward.aggregation == RewardSpec::Aggregation::kSum ? slot.earned + worth : std::max(slot.earned, worth);
    }
    SetEarned(open, slot, earned);
  }
  if (!matched) ++state_.counters.unmatched;
}

void Fold::FoldIn(const ItemsUpserted& change, const LogEntry&) {
  for (const Item& item : change.items) state_.catalogue.UpsertItem(item, std::max<TimeMicros>(1, state_.now));
}

void Fold::FoldIn(const OffersUpserted& change, const LogEntry& entry) {
  const std::vector<OfferIndex> changed = state_.catalogue.UpsertOffers(change.offers, entry.sequence);
  state_.population.RecountOffers(changed, state_.catalogue, state_.customers);
}

void Fold::FoldIn(const ItemDeleted& change, const LogEntry&) { state_.catalogue.DeleteItem(change.id); }
void Fold::FoldIn(const OfferDeleted& change, const LogEntry&) { state_.catalogue.DeleteOffer(change.id); }

void Fold::FoldIn(const CustomersUpserted& change, const LogEntry&) {
  for (const Customer& customer : change.customers) {
    Profile& profile = state_.customers.Mutate(customer.id.value());
    profile.customer = customer;
    profile.registered = true;
  }
}

void Fold::FoldIn(const CustomerErased& change, const LogEntry&) { state_.customers.Erase(change.id.value()); }

void Fold::FoldIn(const PlacementSet& change, const LogEntry& entry) {
  auto placement = std::make_shared<PlacementState>();
  placement->placement = change.placement;
  placement->sequence = entry.sequence;
  state_.placements.Mutate(change.placement.name) = std::move(placement);
  DeclareLargestRewards();
}

void Fold::FoldIn(const PlacementDeleted& change, const LogEntry&) {
  state_.placements.Erase(change.name);
  DeclareLargestRewards();
}

void Fold::DeclareLargestRewards() {
  for (auto& [name, learning] : learning_) {
    double largest = 0;
    state_.placements.ForEach([&, policy = name](absl::string_view, const std::shared_ptr<const PlacementState>& placement) {
      if (placement->placement.policy == policy) largest = std::max(largest, placement->placement.reward.largest);
    });
    if (largest == 0) largest = 1;
    if (largest != learning.largest_reward) {
      learning.largest_reward = largest;
      learning.has_news = true;
    }
  }
}

PolicyState* Fold::MutatePolicy(absl::string_view name) {
  const auto* found = state_.policies.Find(name);
  if (found == nullptr) return nullptr;
  auto copy = std::make_shared<PolicyState>(**found);
  PolicyState* raw = copy.get();
  state_.policies.Mutate(name) = std::move(copy);
  return raw;
}

void Fold::FoldIn(const PolicySet& change, const LogEntry& entry) {
  const PolicyState* before = state_.FindPolicy(change.policy.name);
  auto policy = std::make_shared<PolicyState>();
  if (before != nullptr) *policy = *before;
  policy->policy = change.policy;
  if (change.policy.kind != PolicyKind::kLinear) {
    policy->encoder = nullptr;
    policy->plan = nullptr;
    policy->in_force = nullptr;
    policy->kept.clear();
    policy->model_sequence = entry.sequence;
    learning_.erase(change.policy.name);
    state_.policies.Mutate(change.policy.name) = std::move(policy);
    return;
  }
  auto encoder = Encoder::Make(change.policy.features);
  if (!encoder.ok()) return;  // checked before it was logged
  auto plan = FactPlan::Make(encoder->facts());
  if (!plan.ok()) return;
  const bool same_model = before != nullptr && before->encoder != nullptr &&
                          before->encoder->fingerprint() == encoder->fingerprint() &&
                          before->policy.half_life_days == change.policy.half_life_days;
  if (same_model) {
    learning_.at(change.policy.name).has_news = true;
    state_.policies.Mutate(change.policy.name) = std::move(policy);
    return;
  }
  policy->encoder = std::make_shared<Encoder>(*std::move(encoder));
  policy->plan = std::make_shared<FactPlan>(*std::move(plan));
  policy->model_sequence = entry.sequence;
  policy->in_force = nullptr;  // its numbers belong to other columns
  policy->kept.clear();
  policy->is_pinned = false;
  PolicyLearning learning;
  learning.statistics = LinearStatistics(policy->encoder->dim());
  learning_.insert_or_assign(change.policy.name, std::move(learning));
  state_.policies.Mutate(change.policy.name) = policy;
  DeclareLargestRewards();
  // An empty model explores at once.
  Publication record;
  record.policy = change.policy.name;
  record.version = policy->newest_version + 1;
  record.included_sequence = entry.sequence;
  record.lambda = change.policy.ridge;
  record.bag_size = change.policy.bag_size;
  record.scale = change.policy.scale;
  record.bag_seed = BagSeed(record.policy, record.version);
  auto published = MakePublication(*policy, record);
  if (!published.ok()) {
    ++state_.counters.failed_publications;
    return;
  }
  policy->newest_version = record.version;
  policy->in_force = std::make_shared<PublishedPolicy>(*std::move(published));
}

absl::StatusOr<PublishedPolicy> Fold::MakePublication(const PolicyState& policy, Publication record) const {
  const PolicyLearning& learning = learning_.at(record.policy);
  PublicationParameters parameters;
  parameters.policy = record.policy;
  parameters.version = record.version;
  parameters.lambda = record.lambda;
  parameters.bag_size = record.bag_size;
  parameters.scale = record.scale;
  parameters.prior_deviation = learning.largest_reward / 2;
  parameters.bag_seed = record.bag_seed;
  const double half_life_days = policy.policy.half_life_days;
  if (half_life_days > 0 && learning.has_epoch) {
    parameters.forgetting_to_T =
        std::exp2(static_cast<double>(learning.half_lives) - HalfLivesSince(learning, half_life_days, learning.newest));
  }
  auto published = LinearPolicy::Publish(learning.statistics, parameters);
  if (!published.ok()) return published.status();
  record.sigma = published->sigma();
  return PublishedPolicy{std::move(record), *std::move(published)};
}

bool Fold::HasNews(const std::string& policy) const {
  const auto it = learning_.find(policy);
  return it != learning_.end() && it->second.has_news;
}

absl::StatusOr<Publication> Fold::Prepare(const std::string& name, bool kept) {
  const PolicyState* policy = state_.FindPolicy(name);
  if (policy == nullptr) return absl::NotFoundError(absl::StrCat("no policy named '", name, "'"));
  if (policy->encoder == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("policy '", name, "' learns nothing: there is nothing to publish"));
  }
  Publication record;
  record.policy = name;
  record.version = policy->newest_version + 1;
  record.included_sequence = state_.sequence;
  record.reference_micros = learning_.at(name).newest;
  record.lambda = policy->policy.ridge;
  record.bag_size = policy->policy.bag_size;
  record.scale = policy->policy.scale;
  record.bag_seed = BagSeed(name, record.version);
  record.kept = kept;
  auto published = MakePublication(*policy, record);
  if (!published.ok()) return published.status();
  record.sigma = published->record.sigma;
  prepared_ = std::make_shared<PublishedPolicy>(*std::move(published));
  return record;
}

void Fold::FoldIn(const Publication& publication, const LogEntry&) {
  const PolicyState* found = state_.FindPolicy(publication.policy);
  if (found == nullptr || found->encoder == nullptr) return;
  std::shared_ptr<const PublishedPolicy> published = std::move(prepared_);
  prepared_ = nullptr;
  if (published == nullptr || published->record.policy != publication.policy ||
      published->record.version != publication.version || published->record.kept != publication.kept) {
    auto made = MakePublication(*found, publication);
    if (!made.ok()) {
      ++state_.counters.failed_publications;
      return;
    }
    published = std::make_shared<PublishedPolicy>(*std::move(made));
  }
  PolicyState& policy = *MutatePolicy(publication.policy);
  policy.newest_version = publication.version;
  if (publication.kept) {
    policy.is_pinned = false;
    policy.kept.push_back(published);
    if (policy.kept.size() > PolicyState::kMaxKept) policy.kept.erase(policy.kept.begin());
  }
  if (!policy.is_pinned) policy.in_force = std::move(published);
  if (const auto learning = learning_.find(publication.policy); learning != learning_.end()) learning->second.has_news = false;
}

void Fold::FoldIn(const FoldLimits& limits, const LogEntry&) { limits_ = limits; }

// Versions stand in the order in which they came into force; a roll back forgets those after the one it goes back to.
void Fold::FoldIn(const TablePublished& published, const LogEntry&) {
  const TableState* before = state_.tables.Find(published.name);
  std::vector<TablePublished> versions;
  if (before != nullptr) versions = before->versions;
  const auto is_same = [&published](const TablePublished& version) { return version.IsSameTable(published); };
  const auto known = std::find_if(versions.begin(), versions.end(), is_same);
  if (known == versions.end()) {
    versions.push_back({published.name, published.version, published.checksum});
  } else if (published.rolled_back) {
    versions.erase(known + 1, versions.end());
  } else {
    std::rotate(known, known + 1, versions.end());
  }
  if (versions.size() > TableState::kMaxKept) versions.erase(versions.begin());
  RestoreTable(published.name, std::move(versions));
}

void Fold::RestoreTable(const std::string& name, std::vector<TablePublished> versions) {
  TableState& state = state_.tables.Mutate(name);
  state.table = table_source_ == nullptr || versions.empty() ? nullptr : table_source_(versions.back());
  state.versions = std::move(versions);
}

void Fold::FoldIn(const RollBack& roll_back, const LogEntry&) {
  PolicyState* policy = MutatePolicy(roll_back.policy);
  if (policy == nullptr) return;
  for (const auto& kept : policy->kept) {
    if (kept->record.version != roll_back.version) continue;
    policy->in_force = kept;
    policy->is_pinned = true;
    return;
  }
}

}  // namespace offerd
