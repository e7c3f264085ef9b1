#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/learn/linear_statistics.h"
#include "core/learn/slot_reward.h"
#include "core/learn/state.h"
#include "core/persistent_map.h"
#include "core/policy/marginal_likelihood.h"
#include "core/records.h"
#include "core/types.h"

namespace offerd {

// A shown slot whose reward may still change.
struct OpenSlot {
  OfferId offer_id;
  Eigen::VectorXf x;  // empty: nothing learns from it
  SlotWeight weight;  // forgetting as of the half-life count below
  int64_t half_lives = 0;  // whole half-lives t0 had moved when it was added
  double fixed_ratio = 0;  // of a guarded decision
  double share_weight = 0;  // probability that the randomised share drew it; 0: not in the sums of examination
  bool is_active = false;  // shown
  bool is_counted = false;  // in the statistics, when there is x; not yet while its decision is held back
  TimeMicros shown_at = 0;
  double earned = 0;  // what events were worth so far, or the default reward: what the statistics hold
  std::vector<SlotEvent> events;
};

struct OpenDecision {
  std::shared_ptr<const PlacementState> placement;  // as it was when the decision was folded
  std::string learner;
  Sequence learner_sequence = 0;
  std::string customer_id;  // empty: unknown, erased, or consent denied
  TimeMicros time = 0;
  TimeMicros settle_time = 0;  // until then its slots are held back
  bool is_settled = true;
  bool is_guarded = false;
  TimeMicros window_end = 0;  // inclusive
  TimeMicros close_time = 0;  // window and lateness
  Sequence sequence = 0;
  std::vector<OpenSlot> slots;

  bool IsClosedBy(TimeMicros log_time) const { return close_time < log_time; }
};

// What one policy has learned, and where its clock stands.
struct PolicyLearning {
  LinearStatistics statistics{1};
  TimeMicros epoch = 0;       // t0 = epoch + half_lives whole half-lives
  int64_t half_lives = 0;
  bool has_epoch = false;
  TimeMicros newest = 0;      // T: the largest impression time included
  double largest_reward = 1;  // declared by a placement that uses it
  int64_t apprentice_decisions = 0;
  int64_t apprentice_agreements = 0;
  double ridge = kDefaultRidge;  // of the newest publication, where the policy leaves the choice to the statistics
  int64_t ridge_shown = 0;       // slots shown when it was chosen
  bool has_news = true;  // since the newest publication; says when to publish, never what

  // From the epoch to a time.
  double HalfLivesSince(double half_life_days, TimeMicros time) const {
    return static_cast<double>(time - epoch) / (half_life_days * static_cast<double>(kMicrosPerDay));
  }
};

// Finds the bytes of a published table, without waiting where the writer asks: null when they are missing or damaged.
using TableSource = std::function<std::shared_ptr<const ListTable>(const TablePublished&)>;

// A copy of the whole fold for a base. Give it back to the writer to be destroyed.
struct FoldImage {
  State state;
  std::map<std::string, PolicyLearning> learning;
  PersistentMap<OpenDecision> open;
  FoldLimits limits;
};

// Everything that follows from the log, and nothing else: state = fold over records. The server's learner, a restart and
// `offerctl replay` all run this one class, so they agree to the bit.
//
// Source   design.md sections 1 (idea 3) and 4.
// Threads  Not safe; one writer owns it. state() may be copied by the writer and handed to readers.
// Errors   Apply: DataLoss for a sequence out of order. Nothing else can fail: what a record asks for and cannot have is counted.
// Cost     A decision O(slots d^2), an event O(lines + slots d), the rest as the parts say.
class Fold {
 public:
  Fold() = default;
  explicit Fold(FoldLimits limits) : limits_(limits) {}  // until the log says otherwise
  // Without a source tables are in force by name only. What it gives is read by requests; nothing of the fold depends on it.
  explicit Fold(TableSource tables) : table_source_(std::move(tables)) {}

  absl::Status Apply(const LogEntry& entry);

  // What would become of an event logged at `log_time`: applied, or late or orphan because of its decision, which that very
  // record may close. `knows_decision`: the decision is in the log, perhaps closed. Decided before the event is logged, and
  // logged with it.
  Fate Classify(const Event& event, TimeMicros log_time, bool knows_decision) const;

  // Of an event whose decision's window and lateness are over: late, or an orphan, which the profile hears of.
  static Fate FateOfLate(RewardSpec::LatePolicy policy) {
    return policy == RewardSpec::LatePolicy::kProfile ? Fate::kOrphan : Fate::kLate;
  }

  // The publication of what a policy has learned so far. Nothing changes: the record must be logged as the very next one and
  // applied; Apply then reuses the factorisation. NotFound, or FailedPrecondition when the model cannot be published.
  absl::StatusOr<Publication> Prepare(const std::string& policy, bool kept);

  // Has the policy learned anything since its newest publication?
  bool HasNews(const std::string& policy) const;

  const State& state() const { return state_; }
  const std::map<std::string, PolicyLearning>& learning() const { return learning_; }
  const PersistentMap<OpenDecision>& open_decisions() const { return open_; }
  const OpenDecision* FindOpen(const DecisionId& id) const { return open_.Find(id.value()); }
  bool HasOpenDecisionsOf(const std::string& customer_id) const { return shown_to_.contains(customer_id); }
  FoldLimits limits() const { return limits_; }

  FoldImage Image() const { return {state_, learning_, open_, limits_}; }

  // Hears of every decision that closes, with what its slots have earned; `early`: for lack of room, before its time.
  using Closed = std::function<void(const std::string& id, const OpenDecision& decision, bool early)>;
  void OnClosed(Closed on_closed) { on_closed_ = std::move(on_closed); }

  // For loading a base into a new Fold.
  State& MutableState() { return state_; }
  void RestoreLearning(const std::string& policy, PolicyLearning learning) { learning_[policy] = std::move(learning); }
  void RestoreOpen(const DecisionId& id, OpenDecision decision);
  void RestoreLimits(FoldLimits limits) { limits_ = limits; }
  void RestoreTable(const std::string& name, std::vector<TablePublished> versions);
  const TableSource& table_source() const { return table_source_; }  // null: none

 private:
  void FoldIn(const DecisionChange& change, const LogEntry& entry);
  void FoldIn(const Event& event, const LogEntry& entry);
  void FoldIn(const Activation& activation, const LogEntry& entry);
  void FoldIn(const ItemsUpserted& change, const LogEntry& entry);
  void FoldIn(const OffersUpserted& change, const LogEntry& entry);
  void FoldIn(const ItemDeleted& change, const LogEntry& entry);
  void FoldIn(const OfferDeleted& change, const LogEntry& entry);
  void FoldIn(const CustomersUpserted& change, const LogEntry& entry);
  void FoldIn(const CustomerErased& change, const LogEntry& entry);
  void FoldIn(const CustomersMerged& change, const LogEntry& entry);
  void FoldIn(const PlacementSet& change, const LogEntry& entry);
  void FoldIn(const PlacementDeleted& change, const LogEntry& entry);
  void FoldIn(const PolicySet& change, const LogEntry& entry);
  void FoldIn(const Publication& publication, const LogEntry& entry);
  void FoldIn(const RollBack& roll_back, const LogEntry& entry);
  void FoldIn(const FoldLimits& limits, const LogEntry& entry);
  void FoldIn(const TablePublished& published, const LogEntry& entry);
  void FoldIn(const LearnedSums& sums, const LogEntry& entry);
  void FoldIn(const Released& released, const LogEntry& entry);

  void AddToProfile(const Event& event, Sequence sequence);
  void AddInterests(const Event& event);
  std::string DecisionOf(const Event& event);
  bool MayEarn(const OpenDecision& open, const Event& event);
  void Reward(const std::string& id, const Event& event);
  void Refund(OpenDecision& open, const std::string& id, const Event& event);
  void Keep(OpenDecision& open, const std::string& id, OpenSlot& slot, const SlotEvent& event);
  double CustomerWeight(const OpenDecision& open, const std::string& attribute) const;
  bool UseLines(const OpenSlot& slot, const Event& event);
  void Redeem(const OpenSlot& slot, const Event& event);
  void ActivateSlot(OpenDecision& open, OpenSlot& slot, TimeMicros time);
  void CountSlots(OpenDecision& open);
  void AddCounted(const OpenDecision& open, PolicyLearning& learning);
  bool AddOneByOne(PolicyLearning& learning);
  void Settle(OpenDecision& open);
  void SettleUntil(TimeMicros now);
  void Forget(std::string id, bool early);  // a copy: the caller's may stand in what is erased
  void Guard(const OpenDecision& open);
  std::vector<double> ExaminationNow(const Placement& placement, size_t slots) const;
  ExaminationSums* ExaminationOf(const OpenDecision& open);  // that its slots belong to; null: none
  void AddToExamination(const OpenDecision& open);
  void SetPlacement(Placement placement, Sequence sequence);
  bool SetEarned(OpenDecision& open, OpenSlot& slot, double earned);  // false: a sum would have left its range; nothing changed
  PolicyLearning* LearningOf(const OpenDecision& open);
  void Close(TimeMicros now);
  double ForgettingToNewest(const Policy& policy, const PolicyLearning& learning) const;
  void ChooseRidge(const Policy& policy, Publication& record) const;
  absl::StatusOr<PublishedPolicy> MakePublication(const PolicyState& policy, Publication record) const;
  PolicyState* MutatePolicy(absl::string_view name);
  void DeclareLargestRewards();

  const TableSource table_source_;
  Closed on_closed_;  // may be null
  // The fold.
  FoldLimits limits_;
  State state_;
  std::map<std::string, PolicyLearning> learning_;
  PersistentMap<OpenDecision> open_;
  std::set<std::pair<TimeMicros, std::string>> closing_;   // (close time, decision id) of open_
  std::set<std::pair<TimeMicros, std::string>> settling_;  // (settle time, decision id) of those held back
  // Follow from open_.
  absl::flat_hash_map<std::string, std::vector<std::string>> shown_to_;  // customer -> decision ids, in log order
  absl::flat_hash_map<uint64_t, std::string> event_decisions_;           // hash of an event's id -> decision id
  // Made by Prepare, used by the next Apply.
  std::shared_ptr<const PublishedPolicy> prepared_;
  // Scratch.
  std::vector<ItemIndex> items_, touched_, held_;
  std::vector<OpenSlot*> counted_;
  std::vector<ShownSlot> shown_;
  std::vector<bool> used_lines_;  // of a purchase, by offers shown before
};

}  // namespace offerd
