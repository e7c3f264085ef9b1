#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/learn/fold.h"
#include "core/records.h"
#include "tests/support/status_matchers.h"

namespace offerd {

// A day well inside the range of time, at midnight UTC: a Thursday.
inline constexpr TimeMicros kDayZero = 20'006 * kMicrosPerDay;

inline Item MakeItem(const std::string& id, const std::string& category = "", const std::string& brand = "") {
  Item item;
  item.id = ItemId(id);
  if (!category.empty()) item.category_path = {"all", category};
  item.brand = brand;
  return item;
}

inline Offer MakeOffer(const std::string& id, std::vector<std::string> items = {}) {
  Offer offer;
  offer.id = OfferId(id);
  offer.item_ids = std::move(items);
  return offer;
}

inline Feature ConstantFeature() {
  Feature feature;
  feature.name = "one";
  return feature;
}

inline Feature NumericFeature(const std::string& name, FactName fact) {
  Feature feature;
  feature.kind = Feature::Kind::kNumeric;
  feature.name = name;
  feature.fact = std::move(fact);
  return feature;
}

// d = 3: a constant and the inline facts "a" and "b" of a candidate.
inline Policy MakeLinear(const std::string& name) {
  Policy policy;
  policy.name = name;
  policy.kind = PolicyKind::kLinear;
  policy.ridge = 1;
  policy.ridge_set = true;
  policy.features.features = {ConstantFeature(), NumericFeature("a", {FactScope::kCandidate, "a"}),
                              NumericFeature("b", {FactScope::kCandidate, "b"})};
  return policy;
}

inline Policy MakeFixed(const std::string& name, std::vector<std::string> order = {}) {
  Policy policy;
  policy.name = name;
  policy.order = std::move(order);
  return policy;
}

// Live, a click is worth 1, a purchase 5.
inline Placement MakePlacement(const std::string& name, const std::string& policy) {
  Placement placement;
  placement.name = name;
  placement.policy = policy;
  placement.mode = Mode::kLive;
  for (const auto& [kind, weight] : {std::pair(EventKind::kClick, 1.0), std::pair(EventKind::kPurchase, 5.0)}) {
    placement.reward.weights[static_cast<int>(kind)] = weight;
    placement.reward.counts[static_cast<int>(kind)] = true;
  }
  return placement;
}

inline Event MakeEvent(EventKind kind, TimeMicros time) {
  Event event;
  event.kind = kind;
  event.time = time;
  event.fate = Fate::kApplied;
  return event;
}

inline Event MakePurchase(const std::string& customer, TimeMicros time, const std::vector<std::string>& items,
                          const std::string& order = "") {
  Event event = MakeEvent(EventKind::kPurchase, time);
  event.customer_id = CustomerId(customer);
  event.order_id = order;
  for (const std::string& item : items) event.lines.push_back({item, 1, 0});
  return event;
}

// A log in memory and the fold that follows it.
class LogWriter {
 public:
  explicit LogWriter(FoldLimits limits = {}) : fold(limits) {}

  Sequence Write(TimeMicros time, Change change) {
    LogEntry entry;
    entry.sequence = fold.state().sequence + 1;
    entry.time = time;
    entry.change = std::move(change);
    EXPECT_OK(fold.Apply(entry));
    entries.push_back(entry);
    return entry.sequence;
  }
  const State& state() const { return fold.state(); }

  Fold fold;
  std::vector<LogEntry> entries;
};

}  // namespace offerd
