#include "core/learn/slot_reward.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace offerd {
namespace {

// The amount of an event that refunds have left of it; a refund moves towards 0 and never past it.
double AmountLeft(const SlotEvent& event, const std::vector<SlotEvent>& events) {
  double left = event.amount;
  for (const SlotEvent& refund : events) {
    if (refund.reverses != event.id) continue;
    if (refund.takes_all) return 0;
    const double taken = std::abs(refund.amount);
    left = left > 0 ? std::max(0.0, left - taken) : std::min(0.0, left + taken);
  }
  return left;
}

}  // namespace

std::optional<double> SlotReward(const RewardSpec& spec, const std::vector<SlotEvent>& events) {
  std::vector<const SlotEvent*> order;
  for (const SlotEvent& event : events) {
    if (event.reverses == 0) order.push_back(&event);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const SlotEvent* a, const SlotEvent* b) { return std::tie(a->time, a->id) < std::tie(b->time, b->id); });
  std::optional<double> earned;
  for (const SlotEvent* event : order) {
    const auto names_it = [event](const SlotEvent& refund) { return refund.reverses == event->id; };
    const bool is_refunded = std::any_of(events.begin(), events.end(), names_it);
    double amount = is_refunded ? AmountLeft(*event, events) : event->amount;
    if (is_refunded && amount == 0) continue;
    if (spec.value != RewardSpec::Value::kByKind && spec.value_cap > 0) amount = std::min(amount, spec.value_cap);
    const double worth = event->weight * amount;
    if (!earned.has_value()) {
      earned = worth;
    } else if (spec.aggregation == RewardSpec::Aggregation::kSum) {
      *earned += worth;
    } else if (spec.aggregation == RewardSpec::Aggregation::kMax) {
      earned = std::max(*earned, worth);
    }
  }
  return earned;
}

}  // namespace offerd
