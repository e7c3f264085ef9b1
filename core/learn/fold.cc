#include "core/learn/fold.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/hash.h"

namespace offerd {
absl::Status Fold::Apply(const LogEntry& entry) {
  if (entry.sequence != state_.sequence + 1) {
    return absl::DataLossError(
        absl::StrCat("log record out of order: expected sequence ", state_.sequence + 1, ", found ", entry.sequence));
  }
  state_.now = std::max(state_.now, entry.time);
  SettleUntil(state_.now);
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
    if (!open->IsClosedBy(std::max(log_time, state_.now))) return Fate::kApplied;
    const PlacementState* now = state_.FindPlacement(open->placement->placement.name);
    return now == nullptr ? Fate::kLate : FateOfLate(now->placement.reward.late_policy);
  }
  return knows_decision ? Fate::kLate : Fate::kOrphan;
}

void Fold::Close(TimeMicros now) {
  while (!closing_.empty() && closing_.begin()->first < now) {
    Forget(closing_.begin()->second, false);
    ++state_.counters.closed;
  }
}

// A decision that leaves: held back slots are counted first, with what they have earned.
void Fold::Forget(std::string id, bool early) {
  OpenDecision& open = open_.Mutate(id);
  Settle(open);
  if (open.is_guarded && !early) Guard(open);
  if (on_closed_) on_closed_(id, open, early);
  settling_.erase({open.settle_time, id});
  closing_.erase({open.close_time, id});
  for (const OpenSlot& slot : open.slots) {
    for (const SlotEvent& event : slot.events) {
      if (event.reverses == 0) event_decisions_.erase(event.id);
    }
  }
  if (const auto shown = shown_to_.find(open.customer_id); shown != shown_to_.end()) {
    shown->second.erase(std::remove(shown->second.begin(), shown->second.end(), id), shown->second.end());
    if (shown->second.empty()) shown_to_.erase(shown);
  }
  open_.Erase(id);
}

PolicyLearning* Fold::LearningOf(const OpenDecision& open) {
  const PolicyState* policy = state_.FindPolicy(open.learner);
  if (policy == nullptr || policy->encoder == nullptr || policy->model_sequence != open.learner_sequence) return nullptr;
  const auto found = learning_.find(open.learner);
  return found == learning_.end() ? nullptr : &found->second;
}

void Fold::FoldIn(const DecisionChange& change, const LogEntry& entry) {
  ++state_.counters.decisions;
  const auto* placement = state_.placements.Find(change.placement);
  if (placement == nullptr || open_.Find(change.id.value()) != nullptr) return;
  OpenDecision open;
  open.placement = *placement;
  open.learner = change.learner;
  open.learner_sequence = change.learner_sequence;
  open.customer_id = change.customer_id.value();
  open.time = entry.time;
  open.window_end = entry.time + open.placement->placement.window_seconds * kMicrosPerSecond;
  open.close_time = open.window_end + open.placement->placement.max_lateness_seconds * kMicrosPerSecond;
  const Placement& rules = open.placement->placement;
  open.settle_time = std::min(open.close_time, entry.time + rules.settle_after_seconds * kMicrosPerSecond);
  open.is_settled = rules.settle_after_seconds == 0;
  open.sequence = entry.sequence;
  open.is_guarded = change.is_guarded;
  PolicyLearning* learning = change.learner.empty() ? nullptr : LearningOf(open);
  if (learning != nullptr && change.has_agreement) {
    ++learning->apprentice_decisions;
    if (change.agreed) ++learning->apprentice_agreements;
  }
  const std::vector<double> examination = ExaminationNow(rules, change.slots.size());
  const bool is_estimated = rules.estimate_examination && change.placement_sequence == open.placement->sequence;
  for (const DecisionChange::Slot& slot : change.slots) {
    OpenSlot added;
    added.offer_id = slot.offer_id;
    added.earned = rules.reward.default_reward;
    added.fixed_ratio = slot.fixed_ratio;
    added.weight.examination = examination[open.slots.size()];
    if (is_estimated && slot.explorer_ratio.has_value()) {
      added.share_weight = std::clamp(1 - (1 - rules.randomised_share.share) * *slot.explorer_ratio, 0.0, 1.0);
    }
    if (learning != nullptr && slot.x.size() == learning->statistics.dim()) added.x = slot.x;
    if (!change.deferred) ActivateSlot(open, added, entry.time);
    open.slots.push_back(std::move(added));
  }
  if (open.is_settled) CountSlots(open);
  RestoreOpen(change.id, std::move(open));
  while (static_cast<int64_t>(open_.size()) > limits_.max_open_decisions) {
    Forget(closing_.begin()->second, true);
    ++state_.counters.closed_early;
  }
}

void Fold::RestoreOpen(const DecisionId& id, OpenDecision decision) {
  closing_.emplace(decision.close_time, id.value());
  if (!decision.is_settled) settling_.emplace(decision.settle_time, id.value());
  if (!decision.customer_id.empty()) shown_to_[decision.customer_id].push_back(id.value());
  for (const OpenSlot& slot : decision.slots) {
    for (const SlotEvent& event : slot.events) {
      if (event.reverses == 0) event_decisions_[event.id] = id.value();
    }
  }
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
  if (open.is_settled) CountSlots(open);
}

void Fold::FoldIn(const Event& event, const LogEntry& entry) {
  ++state_.counters.events[static_cast<size_t>(event.kind)][static_cast<size_t>(event.fate)];
  if (event.fate != Fate::kApplied && event.fate != Fate::kOrphan) return;
  if (event.kind == EventKind::kPurchase && !event.lines.empty()) AddToProfile(event, entry.sequence);
  AddInterests(event);
  if (event.history || event.fate != Fate::kApplied) return;
  if (const std::string id = DecisionOf(event); !id.empty()) Reward(id, event);
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

}  // namespace offerd
