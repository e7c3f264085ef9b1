#pragma once
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "core/records.h"
#include "tests/support/reference/linear_reference.h"

namespace offerd {

// The slow twin of what Fold learns for one placement: a plain join of decisions, activations and events, made when asked.
// Items are covered by the offers that `covers` says.
struct JoinReference {
  struct Slot {
    OfferId offer;
    Eigen::VectorXf x;
    bool is_shown = false;
    TimeMicros shown = 0;
    std::vector<double> worths;  // of the events that count
  };
  struct Decision {
    TimeMicros time = 0;
    std::vector<Slot> slots;
  };
  Placement placement;
  double half_life_days = 0;
  std::map<std::string, std::vector<std::string>> covers;  // offer -> items
  std::map<std::string, Decision> decisions;

  TimeMicros WindowEnd(const Decision& d) const { return d.time + placement.window_seconds * kMicrosPerSecond; }
  bool IsOpen(const std::string& id, TimeMicros log_time) const {
    const auto it = decisions.find(id);
    return it != decisions.end() && log_time <= WindowEnd(it->second) + placement.max_lateness_seconds * kMicrosPerSecond;
  }

  void Decide(const DecisionChange& change, TimeMicros time) {
    Decision& decision = decisions[change.id.value()];
    decision.time = time;
    for (const DecisionChange::Slot& slot : change.slots) {
      decision.slots.push_back({slot.offer_id, slot.x, !change.deferred, time, {}});
    }
  }
  void Activate(const Activation& activation, TimeMicros time) {
    if (!IsOpen(activation.decision_id.value(), time)) return;
    Decision& decision = decisions[activation.decision_id.value()];
    for (int i = 0; i < static_cast<int>(decision.slots.size()); ++i) {
      const auto& named = activation.slots;
      if (!named.empty() && std::find(named.begin(), named.end(), i) == named.end()) continue;
      Slot& slot = decision.slots[static_cast<size_t>(i)];
      if (slot.is_shown) continue;
      slot.is_shown = true;
      slot.shown = time;
    }
  }
  void Happen(const Event& event, TimeMicros log_time) {
    const std::string& id = event.decision_id.value();
    if (!IsOpen(id, log_time) || event.time > WindowEnd(decisions[id])) return;
    const RewardSpec& reward = placement.reward;
    const size_t kind = static_cast<size_t>(event.kind);
    if (!reward.counts[kind]) return;
    for (Slot& slot : decisions[id].slots) {
      if (!slot.is_shown) continue;
      double all = 0, covered = 0;
      bool any = false;
      for (const EventLine& line : event.lines) {
        const std::vector<std::string>& items = covers[slot.offer.value()];
        const double money = static_cast<double>(line.revenue_micros) / 1e6;
        all += money;
        if (std::find(items.begin(), items.end(), line.item_id) == items.end()) continue;
        any = true;
        covered += money;
      }
      if (event.offer_id.empty() ? !any && !(event.lines.empty() && decisions[id].slots.size() == 1) : !(event.offer_id == slot.offer)) {
        continue;
      }
      double worth = reward.weights[kind];
      if (reward.value == RewardSpec::Value::kRevenue) {
        const double money = any ? covered : all;
        worth *= reward.value_cap > 0 ? std::min(money, reward.value_cap) : money;
      }
      slot.worths.push_back(worth);
    }
  }

  double RewardOf(const Slot& slot) const {
    if (slot.worths.empty()) return placement.reward.default_reward;
    if (placement.reward.aggregation == RewardSpec::Aggregation::kMax) return *std::max_element(slot.worths.begin(), slot.worths.end());
    double sum = 0;
    for (const double worth : slot.worths) sum += worth;
    return sum;
  }

  TimeMicros Newest() const {
    TimeMicros newest = INT64_MIN;
    for (const auto& [id, decision] : decisions) {
      for (const Slot& slot : decision.slots) {
        if (slot.is_shown) newest = std::max(newest, slot.shown);
      }
    }
    return newest;
  }
  // All shown slots with their last reward, weighted as of the newest impression.
  LinearReference Slots() const {
    LinearReference all;
    const TimeMicros newest = Newest();
    for (const auto& [id, decision] : decisions) {
      for (const Slot& slot : decision.slots) {
        if (!slot.is_shown) continue;
        SlotWeight weight;
        if (half_life_days > 0) {
          weight.forgetting = std::exp2(static_cast<double>(slot.shown - newest) / (half_life_days * static_cast<double>(kMicrosPerDay)));
        }
        all.slots.push_back({slot.x, weight, RewardOf(slot)});
      }
    }
    return all;
  }
};

}  // namespace offerd
