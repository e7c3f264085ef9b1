#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/hash.h"
#include "core/learn/fold.h"

// The rest of fold.h: which slot an event belongs to, what it is worth, and when a slot counts.
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

constexpr TimeMicros kClockSkew = 5 * 60 * kMicrosPerSecond;  // of callers: so much before its decision an event still counts
constexpr double kLargestCustomerWeight = 1000;

// One that names no event is an event like others, worth what its kind is.
bool TakesBack(const Event& event) { return event.kind == EventKind::kRefund && !event.reverses_event_id.empty(); }

uint64_t EventHash(const EventId& id) { return StableHash(id.value()) | 1; }

// An event's lines that the slot's offer covers. Lines of an item with the offer's own id count too, for callers without a
// catalogue.
bool CoversLine(const Catalogue& catalogue, const CatalogueOffer* offer, const OfferId& id, const EventLine& line) {
  if (line.item_id == id.value()) return true;
  if (offer == nullptr) return false;
  const ItemIndex* item = catalogue.FindItem(line.item_id);
  return item != nullptr && std::binary_search(offer->items.begin(), offer->items.end(), *item);
}

const CatalogueOffer* FindOffer(const Catalogue& catalogue, const OfferId& id) {
  const OfferIndex index = catalogue.FindOffer(id.value());
  return index == kNoOffer ? nullptr : &catalogue.OfferAt(index);
}

// Of a line, major units: its revenue, or what is left of it after the items' cost. An item without a known cost has none.
double AmountOf(const Catalogue& catalogue, const EventLine& line, RewardSpec::Value value) {
  const double revenue = static_cast<double>(line.revenue_micros) * 1e-6;
  if (value != RewardSpec::Value::kMargin) return revenue;
  const ItemIndex* index = catalogue.FindItem(line.item_id);
  const Item* item = index == nullptr ? nullptr : catalogue.ItemAt(*index).item.get();
  return item == nullptr ? revenue : revenue - static_cast<double>(item->cost_micros) * static_cast<double>(line.quantity) * 1e-6;
}

struct Match {
  bool matches = false;
  double amount = 0;  // of the lines that count
};

Match MatchSlot(const Catalogue& catalogue, RewardSpec::Value value, const OpenSlot& slot, const Event& event, bool only_slot) {
  Match match;
  const CatalogueOffer* offer = FindOffer(catalogue, slot.offer_id);
  bool any_covered = false;
  double all = 0;
  for (const EventLine& line : event.lines) {
    const double amount = AmountOf(catalogue, line, value);
    all += amount;
    if (!CoversLine(catalogue, offer, slot.offer_id, line)) continue;
    any_covered = true;
    match.amount += amount;
  }
  if (!event.offer_id.empty()) {
    match.matches = event.offer_id == slot.offer_id;
    if (!any_covered) match.amount = all;  // the caller says what the lines are for
  } else {
    match.matches = any_covered || (event.lines.empty() && only_slot);
  }
  return match;
}

bool ShowsMatch(const Catalogue& catalogue, const OpenDecision& open, const Event& event) {
  return std::any_of(open.slots.begin(), open.slots.end(), [&](const OpenSlot& slot) {
    return slot.is_active && MatchSlot(catalogue, RewardSpec::Value::kByKind, slot, event, false).matches;
  });
}

size_t PlaceOf(const OpenDecision& open, const OpenSlot& slot) { return static_cast<size_t>(&slot - open.slots.data()); }

}  // namespace

// ---- when a slot counts ----

void Fold::ActivateSlot(OpenDecision& open, OpenSlot& slot, TimeMicros time) {
  slot.is_active = true;
  slot.shown_at = time;
  if (!open.customer_id.empty() && !open.placement->placement.rules.frequency_caps.empty()) {
    const OfferIndex index = state_.catalogue.FindOffer(slot.offer_id.value());
    Profile& profile = state_.customers.Mutate(open.customer_id);
    if (profile.customer.id.empty()) profile.customer.id = CustomerId(open.customer_id);
    if (index != kNoOffer) profile.AddExposure(time, index);
  }
}

// Those that are shown and not yet in the statistics; the ones shown at one time in one go.
void Fold::CountSlots(OpenDecision& open) {
  PolicyLearning* learning = LearningOf(open);
  counted_.clear();
  for (OpenSlot& slot : open.slots) {
    if (!slot.is_active || slot.is_counted || slot.x.size() == 0) continue;
    slot.is_counted = true;
    if (learning == nullptr) {
      slot.share_weight = 0;
      continue;
    }
    if (!counted_.empty() && counted_.back()->shown_at != slot.shown_at) AddCounted(open, *learning);
    counted_.push_back(&slot);
  }
  if (!counted_.empty()) AddCounted(open, *learning);
}

void Fold::AddCounted(const OpenDecision& open, PolicyLearning& learning) {
  const double forgetting = Forgetting(learning, state_.FindPolicy(open.learner)->policy.half_life_days, counted_.front()->shown_at);
  shown_.clear();
  for (OpenSlot* slot : counted_) {
    slot->weight.forgetting = forgetting;
    slot->half_lives = learning.half_lives;
    shown_.push_back({{slot->x.data(), static_cast<size_t>(slot->x.size())}, slot->weight, slot->earned});
  }
  learning.has_news |= learning.statistics.AddShown(shown_).ok() || AddOneByOne(learning);
  if (open.placement->placement.estimate_examination) AddToExamination(open);
  counted_.clear();
}

// The slots just counted that the share may have drawn, with what the model in force thinks of them. One that has learned nothing says
// nothing.
void Fold::AddToExamination(const OpenDecision& open) {
  const PolicyState* policy = state_.FindPolicy(open.learner);
  const PublishedPolicy* model = policy == nullptr ? nullptr : policy->in_force.get();
  const bool is_known = model != nullptr && model->policy.weight() > 0;
  ExaminationSums* sums = is_known ? ExaminationOf(open) : nullptr;
  for (OpenSlot* slot : counted_) {
    if (slot->share_weight == 0) continue;
    double estimate = std::numeric_limits<double>::quiet_NaN();
    if (sums != nullptr && model->policy.dim() == slot->x.size()) {
      estimate = 0;  // in index order: the same bits in every build
      for (Eigen::Index k = 0; k < slot->x.size(); ++k) estimate += static_cast<double>(slot->x[k]) * model->policy.theta()[k];
    }
    if (std::isfinite(estimate)) {
      sums->AddShown(PlaceOf(open, *slot), slot->share_weight, estimate, slot->earned);
    } else {
      slot->share_weight = 0;
    }
  }
}

std::vector<double> Fold::ExaminationNow(const Placement& placement, size_t slots) const {
  const ExaminationSums* sums = placement.estimate_examination ? state_.examinations.Find(placement.name) : nullptr;
  return (sums == nullptr ? ExaminationSums() : *sums).Weights(placement.examination, slots);
}

ExaminationSums* Fold::ExaminationOf(const OpenDecision& open) {
  const std::string& name = open.placement->placement.name;
  const ExaminationSums* sums = state_.examinations.Find(name);
  return sums == nullptr || open.placement->sequence < sums->begun() ? nullptr : &state_.examinations.Mutate(name);
}

// Where one of them cannot be added, the others are. False: none was.
bool Fold::AddOneByOne(PolicyLearning& learning) {
  bool any = false;
  for (size_t i = 0; i < shown_.size(); ++i) {
    if (learning.statistics.AddShown({&shown_[i], 1}).ok()) {
      any = true;
    } else {
      counted_[i]->x.resize(0);  // rewards of what was not added are not added either
      ++state_.counters.refused_updates;
    }
  }
  return any;
}

void Fold::Settle(OpenDecision& open) {
  if (open.is_settled) return;
  open.is_settled = true;
  CountSlots(open);
  for (const OpenSlot& slot : open.slots) state_.counters.settled += slot.is_active ? 1 : 0;
}

void Fold::SettleUntil(TimeMicros now) {
  while (!settling_.empty() && settling_.begin()->first < now) {
    Settle(open_.Mutate(settling_.begin()->second));
    settling_.erase(settling_.begin());
  }
}

// What a slot earned is what the sums hold, so that the next difference is right.
bool Fold::SetEarned(OpenDecision& open, OpenSlot& slot, double earned) {
  if (slot.earned == earned) return true;
  PolicyLearning* learning = slot.x.size() == 0 || !slot.is_counted ? nullptr : LearningOf(open);
  if (learning != nullptr) {
    SlotWeight weight = slot.weight;
    const int64_t moved = std::min<int64_t>(learning->half_lives - slot.half_lives, 4000);
    weight.forgetting = std::ldexp(weight.forgetting, -static_cast<int>(moved));
    if (weight.forgetting > 0) {  // else so old that nothing of it is left
      if (!learning->statistics.ApplyReward(slot.x, weight, slot.earned, earned).ok()) {
        ++state_.counters.refused_updates;
        return false;
      }
      learning->has_news = true;
    }
  }
  if (slot.is_counted && slot.x.size() > 0 && slot.share_weight > 0) {
    if (ExaminationSums* sums = ExaminationOf(open)) sums->ApplyReward(PlaceOf(open, slot), slot.share_weight, slot.earned, earned);
  }
  slot.earned = earned;
  return true;
}

// ---- which decision ----

// The one that the event names; of a refund without one that of the event it takes back; of a purchase without one the
// customer's last decision within its window that showed a matching offer. Empty: none that is open.
std::string Fold::DecisionOf(const Event& event) {
  if (!event.decision_id.empty()) return open_.Find(event.decision_id.value()) == nullptr ? "" : event.decision_id.value();
  if (TakesBack(event)) {
    const auto found = event_decisions_.find(EventHash(event.reverses_event_id));
    if (found != event_decisions_.end()) return found->second;
    ++state_.counters.unknown_refunds;
    return "";
  }
  if (event.kind != EventKind::kPurchase || event.customer_id.empty()) return "";
  const auto shown = shown_to_.find(event.customer_id.value());
  if (shown == shown_to_.end()) return "";
  const OpenDecision* best = nullptr;
  std::string best_id;
  for (const std::string& id : shown->second) {
    const OpenDecision& open = *open_.Find(id);
    if (event.time > open.window_end || event.time < open.time) continue;
    if (best != nullptr && std::pair(open.time, open.sequence) < std::pair(best->time, best->sequence)) continue;
    if (!ShowsMatch(state_.catalogue, open, event)) continue;
    best = &open;
    best_id = id;
  }
  if (best != nullptr) ++state_.counters.attributed;
  return best_id;
}

// ---- what it is worth ----

// A line redeems one offer: the first shown that covers it. Stock and budget of the others are not touched, though they too may be
// rewarded for it.
bool Fold::UseLines(const OpenSlot& slot, const Event& event) {
  if (!event.offer_id.empty() || event.lines.empty()) return true;
  const CatalogueOffer* offer = FindOffer(state_.catalogue, slot.offer_id);
  bool any = false;
  for (size_t i = 0; i < event.lines.size(); ++i) {
    if (used_lines_[i] || !CoversLine(state_.catalogue, offer, slot.offer_id, event.lines[i])) continue;
    used_lines_[i] = true;
    any = true;
  }
  return any;
}

void Fold::Redeem(const OpenSlot& slot, const Event& event) {
  if (event.kind != EventKind::kPurchase || !UseLines(slot, event)) return;
  const OfferIndex index = state_.catalogue.FindOffer(slot.offer_id.value());
  if (index == kNoOffer) return;
  OfferUse& use = state_.catalogue.MutateUse(index);
  ++use.redemptions;
  const int64_t cost = state_.catalogue.OfferAt(index).offer->cost_micros;
  use.spent_micros = cost > std::numeric_limits<int64_t>::max() - use.spent_micros ? std::numeric_limits<int64_t>::max() : use.spent_micros + cost;
}

double Fold::CustomerWeight(const OpenDecision& open, const std::string& attribute) const {
  const Profile* profile = attribute.empty() || open.customer_id.empty() ? nullptr : state_.customers.Find(open.customer_id);
  if (profile == nullptr) return 1;
  for (const NamedValue& value : profile->customer.attributes) {
    if (value.name == attribute && !value.is_text) return std::clamp(value.number, 0.0, kLargestCustomerWeight);
  }
  return 1;
}

bool Fold::MayEarn(const OpenDecision& open, const Event& event) {
  const RewardSpec& spec = open.placement->placement.reward;
  if (event.time > open.window_end && !TakesBack(event)) {
    ++state_.counters.outside_window;
    return false;
  }
  if (event.time < open.time - kClockSkew) {
    ++state_.counters.before_decision;
    return false;
  }
  if (!spec.currency.empty() && !event.currency.empty() && spec.currency != event.currency) {
    ++state_.counters.other_currency;
    return false;
  }
  return true;
}

void Fold::Keep(OpenDecision& open, const std::string& id, OpenSlot& slot, const SlotEvent& event) {
  if (slot.events.size() == kMaxSlotEvents) {
    ++state_.counters.overfull;
    return;
  }
  slot.events.push_back(event);
  const RewardSpec& spec = open.placement->placement.reward;
  if (!SetEarned(open, slot, SlotReward(spec, slot.events).value_or(spec.default_reward))) {
    slot.events.pop_back();  // what it would have earned cannot be learned: it has not happened
    return;
  }
  if (event.reverses == 0) event_decisions_[event.id] = id;
}

void Fold::Refund(OpenDecision& open, const std::string& id, const Event& event) {
  const RewardSpec& spec = open.placement->placement.reward;
  const uint64_t reversed = EventHash(event.reverses_event_id);
  bool is_known = false;
  for (OpenSlot& slot : open.slots) {
    if (!slot.is_active) continue;
    const auto names_it = [reversed](const SlotEvent& earlier) { return earlier.id == reversed && earlier.reverses == 0; };
    is_known |= std::any_of(slot.events.begin(), slot.events.end(), names_it);
    SlotEvent refund{EventHash(event.id), event.time, 0, 0, reversed, event.lines.empty()};
    if (!event.lines.empty()) {
      const Match match = MatchSlot(state_.catalogue, spec.value, slot, event, open.slots.size() == 1);
      if (!match.matches) continue;
      refund.amount = match.amount;
      refund.takes_all = spec.value == RewardSpec::Value::kByKind;
    }
    Keep(open, id, slot, refund);
  }
  ++(is_known ? state_.counters.refunds : state_.counters.unknown_refunds);
}

void Fold::Reward(const std::string& id, const Event& event) {
  OpenDecision& open = open_.Mutate(id);
  if (!MayEarn(open, event)) return;
  if (TakesBack(event)) {
    Refund(open, id, event);
    return;
  }
  const RewardSpec& spec = open.placement->placement.reward;
  const size_t kind = static_cast<size_t>(event.kind);
  used_lines_.assign(event.lines.size(), false);
  std::vector<std::pair<OpenSlot*, double>> matched;
  for (OpenSlot& slot : open.slots) {
    if (!slot.is_active) continue;
    const Match match = MatchSlot(state_.catalogue, spec.value, slot, event, open.slots.size() == 1);
    if (!match.matches) continue;
    matched.emplace_back(&slot, match.amount);
    Redeem(slot, event);
  }
  if (matched.empty()) ++state_.counters.unmatched;
  if (!spec.counts[kind] || matched.empty()) return;
  double weight = spec.weights[kind] * CustomerWeight(open, spec.customer_weight);
  if (spec.attribution == RewardSpec::Attribution::kFirstSlot) matched.resize(1);
  if (spec.attribution == RewardSpec::Attribution::kSplit) weight /= static_cast<double>(matched.size());
  for (const auto& [slot, amount] : matched) {
    Keep(open, id, *slot, {EventHash(event.id), event.time, weight, spec.value == RewardSpec::Value::kByKind ? 1 : amount, 0, false});
    ++state_.counters.rewarded;
  }
}

// ---- customers become one ----

void Fold::FoldIn(const CustomersMerged& change, const LogEntry&) {
  const Profile* from = state_.customers.Find(change.from.value());
  if (from == nullptr || change.from == change.to) return;
  Profile absorbed = *from;
  state_.customers.Erase(change.from.value());
  Profile& to = state_.customers.Mutate(change.to.value());
  if (to.customer.id.empty()) to.customer.id = change.to;
  to.Absorb(std::move(absorbed), state_.catalogue, limits_.profile_bytes);
  ++state_.counters.merged_customers;
  const auto shown = shown_to_.find(change.from.value());
  if (shown == shown_to_.end()) return;
  std::vector<std::string> ids = std::move(shown->second);
  shown_to_.erase(shown);
  for (std::string& id : ids) {
    open_.Mutate(id).customer_id = change.to.value();
    shown_to_[change.to.value()].push_back(std::move(id));
  }
}

void Fold::FoldIn(const CustomerErased& change, const LogEntry&) {
  state_.customers.Erase(change.id.value());
  const auto shown = shown_to_.find(change.id.value());
  if (shown == shown_to_.end()) return;
  for (const std::string& id : shown->second) open_.Mutate(id).customer_id.clear();
  shown_to_.erase(shown);
}

}  // namespace offerd
