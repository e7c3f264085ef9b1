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

// Counts a slot's weight in half-lives of t0, moving t0 when it has fallen far behind.
double Forgetting(PolicyLearning& learning, double half_life_days, TimeMicros time) {
  learning.newest = learning.has_epoch ? std::max(learning.newest, time) : time;
  if (!learning.has_epoch) {
    learning.epoch = time;
    learning.has_epoch = true;
  }
  if (half_life_days <= 0) return 1;
  const double since_epoch = learning.HalfLivesSince(half_life_days, time);
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

}  // namespace offerd
