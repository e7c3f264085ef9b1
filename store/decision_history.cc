#include "store/decision_history.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "core/learn/fold.h"
#include "core/status_macros.h"
#include "store/records.h"

namespace offerd {
namespace {

constexpr double SlotValues::* kValues[] = {&SlotValues::reward, &SlotValues::revenue, &SlotValues::margin};
constexpr RewardSpec::Value kMoney[] = {RewardSpec::Value::kByKind, RewardSpec::Value::kRevenue, RewardSpec::Value::kMargin};

class Walker {
 public:
  Walker(const Store& store, const State& state, const HistoryRange& range, DecisionVisitor& visitor)
      : store_(store), state_(state), range_(range), visitor_(visitor), num_folds_(range.with_money ? 3 : 1) {}

  absl::StatusOr<HistoryCounts> Run() {
    if (state_.FindPlacement(range_.placement) == nullptr) {
      return absl::NotFoundError(absl::StrCat("placement: no placement named '", range_.placement, "'"));
    }
    for (int k = 0; k < num_folds_; ++k) RETURN_IF_ERROR(StartFold(k));
    Sequence first = std::max(store_.first_sequence(), range_.after + 1);
    if (range_.from > INT64_MIN) {
      ASSIGN_OR_RETURN(const Sequence since, store_.FirstSince(range_.from));
      first = std::max(first, since);
    }
    const Sequence last = store_.last_sequence();
    if (first <= last) {
      RETURN_IF_ERROR(store_.ReadLog(first, last, [this](const v1::stored::LogRecord& record) { return Step(record); }));
    }
    RETURN_IF_ERROR(ApplyToAll(Activation{}, std::max(newest_, state_.now)));  // closes what is over by now
    counts_.open = static_cast<int64_t>(pending_.size());
    return counts_;
  }

 private:
  struct Pending {
    Sequence sequence = 0;
    std::vector<SlotValues> slots;
    int closed = 0;  // by so many folds
    bool is_early = false;
  };

  absl::Status StartFold(int k) {
    Fold& fold = folds_[static_cast<size_t>(k)];
    fold.RestoreLimits({FoldLimits().profile_bytes, INT64_MAX});
    fold.OnClosed([this, k](const std::string& id, const OpenDecision& open, bool early) { Close(k, id, open, early); });
    ItemsUpserted items;
    OffersUpserted offers;
    absl::flat_hash_set<ItemIndex> added;
    for (const OfferIndex index : state_.catalogue.offer_table().by_id) {
      const CatalogueOffer& offer = state_.catalogue.OfferAt(index);
      if (offer.offer == nullptr) continue;
      offers.offers.push_back(*offer.offer);
      for (const ItemIndex item : offer.items) {
        const CatalogueItem& known = state_.catalogue.ItemAt(item);
        if (known.item != nullptr && added.insert(item).second) items.items.push_back(*known.item);
      }
    }
    RETURN_IF_ERROR(Apply(fold, std::move(items), 0));
    RETURN_IF_ERROR(Apply(fold, std::move(offers), 0));
    absl::Status status;
    state_.placements.ForEach([&](absl::string_view, const std::shared_ptr<const PlacementState>& kept) {
      Placement placement = kept->placement;
      placement.rules.frequency_caps.clear();  // nobody is shown anything here
      has_weights_ |= !placement.reward.customer_weight.empty();
      if (k > 0) ValueInMoney(kMoney[k], placement.reward);
      if (status.ok()) status = Apply(fold, PlacementSet{std::move(placement)}, 0);
    });
    return status;
  }

  static void ValueInMoney(RewardSpec::Value value, RewardSpec& reward) {
    RewardSpec money;
    money.value = value;
    money.weights[static_cast<size_t>(EventKind::kPurchase)] = 1;
    money.counts[static_cast<size_t>(EventKind::kPurchase)] = true;
    money.attribution = reward.attribution;
    money.currency = reward.currency;
    reward = std::move(money);
  }

  template <typename AnyChange>
  static absl::Status Apply(Fold& fold, AnyChange change, TimeMicros time) {
    return fold.Apply(LogEntry{fold.state().sequence + 1, time, false, Change(std::move(change))});
  }

  template <typename AnyChange>
  absl::Status ApplyToAll(const AnyChange& change, TimeMicros time) {
    for (int k = 0; k < num_folds_; ++k) RETURN_IF_ERROR(Apply(folds_[static_cast<size_t>(k)], change, time));
    for (const std::string& id : closed_) {
      const auto found = pending_.find(id);
      if (!found->second.is_early) visitor_.End(found->second.sequence, found->second.slots);
      counts_.early += found->second.is_early ? 1 : 0;
      pending_.erase(found);
    }
    closed_.clear();
    return absl::OkStatus();
  }

  void Close(int k, const std::string& id, const OpenDecision& open, bool early) {
    const auto found = pending_.find(id);
    if (found == pending_.end()) return;
    Pending& pending = found->second;
    for (size_t i = 0; i < pending.slots.size() && i < open.slots.size(); ++i) pending.slots[i].*kValues[k] = open.slots[i].earned;
    pending.is_early |= early;
    if (++pending.closed == num_folds_) closed_.push_back(id);
  }

  absl::Status Step(const v1::stored::LogRecord& record) {
    newest_ = std::max(newest_, record.time_micros());
    switch (record.change_case()) {
      case v1::stored::LogRecord::kDecision: return StepDecision(record);
      case v1::stored::LogRecord::kEvent:
      case v1::stored::LogRecord::kActivation:
      case v1::stored::LogRecord::kCustomersMerged: break;
      default: return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const LogEntry entry, FromProto(record));
    if (const Event* event = std::get_if<Event>(&entry.change); event != nullptr && event->history) return absl::OkStatus();
    return std::visit([this, &record](const auto& change) { return ApplyToAll(change, record.time_micros()); }, entry.change);
  }

  absl::Status StepDecision(const v1::stored::LogRecord& record) {
    const v1::stored::Decision& decision = record.decision();
    RETURN_IF_ERROR(RememberWeight(decision.customer_id()));
    const bool is_in_range = decision.placement() == range_.placement && record.time_micros() >= range_.from &&
                             record.time_micros() <= range_.to && record.sequence() > range_.after;
    if (is_in_range && visitor_.Begin(record)) {
      Pending& pending = pending_[decision.decision_id()];
      pending.sequence = record.sequence();
      pending.slots.resize(static_cast<size_t>(decision.slots_size()));
    }
    DecisionChange change;  // without features: nothing is learned
    change.id = DecisionId(decision.decision_id());
    change.customer_id = CustomerId(decision.customer_id());
    change.placement = decision.placement();
    change.deferred = decision.deferred();
    for (const v1::stored::Decision::Slot& slot : decision.slots()) change.slots.push_back({OfferId(slot.offer_id()), {}, 0});
    return ApplyToAll(change, record.time_micros());
  }

  // Rewards may be weighed by an attribute of the customer: as it is now.
  absl::Status RememberWeight(const std::string& customer_id) {
    if (!has_weights_ || customer_id.empty() || !weighed_.insert(customer_id).second) return absl::OkStatus();
    const Profile* profile = state_.customers.Find(customer_id);
    if (profile == nullptr) return absl::OkStatus();
    return ApplyToAll(CustomersUpserted{{profile->customer}}, 0);
  }

  const Store& store_;
  const State& state_;
  const HistoryRange& range_;
  DecisionVisitor& visitor_;
  const int num_folds_;
  std::array<Fold, 3> folds_;
  absl::flat_hash_map<std::string, Pending> pending_;  // by decision id
  std::vector<std::string> closed_;
  absl::flat_hash_set<std::string> weighed_;
  bool has_weights_ = false;
  TimeMicros newest_ = 0;
  HistoryCounts counts_;
};

}  // namespace

absl::StatusOr<HistoryCounts> WalkDecisions(const Store& store, const State& state, const HistoryRange& range, DecisionVisitor& visitor) {
  return Walker(store, state, range, visitor).Run();
}

}  // namespace offerd
