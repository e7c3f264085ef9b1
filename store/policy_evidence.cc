#include "store/policy_evidence.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/hash.h"
#include "core/status_macros.h"
#include "store/decision_records.h"
#include "store/doubly_robust.h"
#include "store/records.h"

namespace offerd {
namespace {

constexpr absl::string_view kPopularity = "popularity";
constexpr double kFewSamples = 100;
constexpr double kTwoSided95 = 1.959963984540054;

constexpr const char* kNoMatrix = "recorded without the matrix of all candidates (Placement.matrix_share)";
constexpr const char* kStillOpen = "window and lateness are not over";
constexpr const char* kEarly = "closed early for lack of room";

// A policy to be valued, with what it has earned so far in each of reward, revenue and margin.
struct Target {
  std::string name;
  RescoredPolicy policy;
  std::vector<PairedGain> gains;
};

// Rescores decisions as they come, and joins the weights with the rewards when they close.
class Valuer final : public DecisionVisitor {
 public:
  Valuer(const State& state, const Placement& placement, bool with_money)
      : placement_(placement),
        rescorer_(state, placement),
        num_values_(with_money ? 3 : 1),
        is_modelled_(with_money && MaxSlots() == 1 && !placement.rules.AreInDraw()) {}

  void AddTarget(std::string name, const RescoredPolicy& policy) {
    Target& target = targets_.emplace_back();
    target.name = std::move(name);
    target.policy = policy;
    for (int i = 0; i < num_values_; ++i) target.gains.emplace_back(MaxSlots(), placement_.gate.snips);
  }

  bool Begin(const v1::stored::LogRecord& record) override {
    const v1::stored::Decision& decision = record.decision();
    RecordedChoice choice;
    if (!ReadChoice(decision, choice)) return Exclude(kNoMatrix);
    if (decision.slots().empty()) return Exclude("showed nothing");
    Waiting waiting;
    waiting.time = record.time_micros();
    waiting.policy = decision.policy();
    waiting.version = decision.model_version();
    waiting.has_customer = !decision.customer_id().empty();
    waiting.customer = StableHash(decision.customer_id());
    const size_t slots = std::min<size_t>(choice.shown.size(), static_cast<size_t>(MaxSlots()));
    for (const Target& target : targets_) {
      const absl::Status status = rescorer_.Probabilities(choice, target.policy, probability_);
      if (!status.ok()) return Exclude(status.message());
      double weight = 1;
      for (size_t i = 0; i < slots; ++i) {
        weight *= probability_[i] / decision.slots(static_cast<int>(i)).probability();
        waiting.weights.push_back(weight);
      }
    }
    waiting.slots = slots;
    if (is_modelled_ && choice.features.cols() > 0) {
      const absl::Status modelled = Model(choice, waiting);
      if (!modelled.ok()) return Exclude(modelled.message());
    }
    waiting_.emplace(record.sequence(), std::move(waiting));
    return true;
  }

  void End(Sequence sequence, absl::Span<const SlotValues> values) override {
    const auto found = waiting_.find(sequence);
    const Waiting& waiting = found->second;
    const std::optional<uint64_t> cluster = waiting.has_customer ? std::optional<uint64_t>(waiting.customer) : std::nullopt;
    rewards_.resize(waiting.slots);
    for (size_t t = 0; t < targets_.size(); ++t) {
      const absl::Span<const double> weights = absl::MakeConstSpan(waiting.weights).subspan(t * waiting.slots, waiting.slots);
      for (int k = 0; k < num_values_; ++k) {
        for (size_t i = 0; i < waiting.slots; ++i) {
          rewards_[i] = k == 0 ? values[i].reward : k == 1 ? values[i].revenue : values[i].margin;
        }
        targets_[t].gains[static_cast<size_t>(k)].Add(weights, rewards_, cluster);
      }
    }
    if (waiting.x.size() > 0) {
      DoublyRobust::Decision decision{waiting.has_customer ? waiting.customer : MixHash(sequence, 1), waiting.x, waiting.mean_x,
                                      waiting.weights, values[0].reward};
      doubly_robust_.Add(std::move(decision));
    }
    Live& live = live_[waiting.policy];
    live.first = live.decisions == 0 ? waiting.version : std::min(live.first, waiting.version);
    live.last = std::max(live.last, waiting.version);
    ++live.decisions;
    from_ = num_valued_ == 0 ? waiting.time : std::min(from_, waiting.time);
    to_ = num_valued_ == 0 ? waiting.time : std::max(to_, waiting.time);
    ++num_valued_;
    waiting_.erase(found);
  }

  template <typename Report>
  void Describe(const HistoryCounts& counts, Report& report) const {
    report.set_decisions(num_valued_);
    if (num_valued_ > 0) {
      *report.mutable_from() = ToTimestamp(from_);
      *report.mutable_to() = ToTimestamp(to_);
    }
    for (const auto& [policy, live] : live_) {
      v1::Release::Evidence::Live& added = *report.add_live();
      added.set_policy(policy);
      added.set_first_version(live.first);
      added.set_last_version(live.last);
      added.set_decisions(live.decisions);
    }
    std::map<std::string, int64_t> excluded = excluded_;
    if (counts.open > 0) excluded[kStillOpen] += counts.open;
    if (counts.early > 0) excluded[kEarly] += counts.early;
    for (const auto& [reason, decisions] : excluded) {
      v1::Release::Evidence::Excluded& added = *report.add_excluded();
      added.set_reason(reason);
      added.set_decisions(decisions);
    }
  }

  const std::vector<Target>& targets() const { return targets_; }
  const DoublyRobust& doubly_robust() const { return doubly_robust_; }

 private:
  struct Waiting {
    TimeMicros time = 0;
    std::string policy;
    uint64_t version = 0;
    bool has_customer = false;
    uint64_t customer = 0;
    size_t slots = 0;
    std::vector<double> weights;  // W_l of the first target, then of the next
    Eigen::VectorXf x;            // of the shown offer, where rewards are modelled
    Eigen::MatrixXf mean_x;       // of each target
  };
  struct Live {
    uint64_t first = 0, last = 0;
    int64_t decisions = 0;
  };

  int MaxSlots() const { return placement_.gate.slots > 0 ? std::min(placement_.gate.slots, placement_.slate_size) : placement_.slate_size; }

  // What each target would show on average.
  absl::Status Model(const RecordedChoice& choice, Waiting& waiting) {
    waiting.x = choice.features.row(choice.shown.front()).transpose();
    waiting.mean_x.resize(static_cast<Eigen::Index>(targets_.size()), choice.features.cols());
    for (size_t t = 0; t < targets_.size(); ++t) {
      const absl::Status status = rescorer_.FirstSlot(choice, targets_[t].policy, probability_);
      if (!status.ok()) return status;
      Eigen::RowVectorXd mean = Eigen::RowVectorXd::Zero(choice.features.cols());
      for (size_t i = 0; i < probability_.size(); ++i) {
        if (probability_[i] > 0) mean += probability_[i] * choice.features.row(static_cast<Eigen::Index>(i)).cast<double>();
      }
      waiting.mean_x.row(static_cast<Eigen::Index>(t)) = mean.cast<float>();
    }
    return absl::OkStatus();
  }

  bool Exclude(absl::string_view reason) {
    ++excluded_[std::string(reason)];
    return false;
  }

  const Placement& placement_;
  Rescorer rescorer_;
  const int num_values_;
  const bool is_modelled_;
  DoublyRobust doubly_robust_;
  std::vector<Target> targets_;
  absl::flat_hash_map<Sequence, Waiting> waiting_;
  std::map<std::string, int64_t> excluded_;
  std::map<std::string, Live> live_;
  int64_t num_valued_ = 0;
  TimeMicros from_ = 0, to_ = 0;
  // Scratch.
  std::vector<double> probability_, rewards_;
};

// The only placement whose policy it is, or the only one there is.
absl::StatusOr<std::string> GuessPlacement(const State& state, const std::string& policy) {
  std::vector<std::string> with, all;
  state.placements.ForEach([&](absl::string_view name, const std::shared_ptr<const PlacementState>& placement) {
    all.emplace_back(name);
    if (placement->placement.policy == policy) with.emplace_back(name);
  });
  if (with.size() == 1) return with.front();
  if (all.size() == 1) return all.front();
  return absl::InvalidArgumentError(absl::StrCat("placement: expected a name, since ", with.empty() ? all.size() : with.size(),
                                                 " placements could be meant"));
}

absl::Status FindVersion(const PolicyState& policy, uint64_t version, Candidate& candidate) {
  candidate.published = version != 0 || policy.kept.empty() ? nullptr : policy.kept.back();
  if (version == 0 && candidate.published == nullptr) candidate.published = policy.in_force;
  if (version != 0 && policy.in_force != nullptr && policy.in_force->record.version == version) candidate.published = policy.in_force;
  for (const auto& kept : policy.kept) {
    if (kept->record.version == version) candidate.published = kept;
  }
  if (candidate.published == nullptr) {
    return absl::NotFoundError(absl::StrCat("version: no version ", version, " of ", policy.policy.name, " is kept (PublishPolicy keeps one)"));
  }
  candidate.version = candidate.published->record.version;
  candidate.trained_until = candidate.published->record.included_sequence;
  candidate.trained_until_time = candidate.published->record.reference_micros;
  return absl::OkStatus();
}

void SetValue(double value, double standard_error, v1::PolicyEvaluation::Value& to) {
  to.set_value(value);
  to.set_lower_bound(value - kTwoSided95 * standard_error);
  to.set_upper_bound(value + kTwoSided95 * standard_error);
}

void AddRow(const Target& target, bool is_live, v1::PolicyEvaluation& evaluation) {
  v1::PolicyEvaluation::Row& row = *evaluation.add_rows();
  row.set_policy(is_live ? "live" : target.name);
  v1::PolicyEvaluation::Value* const values[] = {row.mutable_reward(), row.mutable_revenue(), row.mutable_margin()};
  for (size_t k = 0; k < 3; ++k) {
    const auto estimate = target.gains[k].Get();
    if (!estimate.has_value()) {
      if (k == 0) row.add_warnings("nothing to go by: fewer than two customers, or the policy would have shown nothing of what was shown");
      continue;
    }
    if (is_live) {
      SetValue(estimate->live_reward, estimate->live_error, *values[k]);
    } else {
      SetValue(estimate->candidate_reward, estimate->candidate_error, *values[k]);
    }
    if (k > 0) continue;
    if (!is_live) SetValue(estimate->gain, estimate->standard_error, *row.mutable_gain());
    row.set_effective_samples(is_live ? static_cast<double>(estimate->decisions) : estimate->effective_samples);
    if (!is_live && estimate->unsupported() > 0) {
      row.add_warnings(absl::StrFormat("the log could not have shown %.1f %% of what the policy would, which counts as nothing: the share has to reach further",
                                       100 * estimate->unsupported()));
    }
    if (row.effective_samples() < kFewSamples) {
      row.add_warnings(absl::StrCat("only ", static_cast<int64_t>(row.effective_samples()), " effective samples: the interval is not to be relied on"));
    }
  }
}

// The same policies by a second estimator, which leans on a model of rewards as well.
void AddDoublyRobustRows(const Valuer& valuer, v1::PolicyEvaluation& evaluation) {
  const auto values = valuer.doubly_robust().Values();
  if (!values.has_value()) return;
  for (size_t t = 0; t < values->size(); ++t) {
    const DoublyRobust::Value& value = (*values)[t];
    v1::PolicyEvaluation::Row& row = *evaluation.add_rows();
    row.set_policy(absl::StrCat(valuer.targets()[t].name, ", doubly robust"));
    SetValue(value.reward, value.reward_error, *row.mutable_reward());
    SetValue(value.gain, value.gain_error, *row.mutable_gain());
    row.set_effective_samples(static_cast<double>(valuer.doubly_robust().size()));
  }
}

}  // namespace

RescoredPolicy ToRescored(const Candidate& candidate) {
  RescoredPolicy policy;
  policy.policy = candidate.policy == nullptr ? nullptr : &candidate.policy->policy;
  if (candidate.published != nullptr) {
    policy.model = &candidate.published->policy;
    policy.feature_fingerprint = candidate.policy->encoder->fingerprint();
  }
  return policy;
}

bool ReadChoice(const v1::stored::Decision& decision, RecordedChoice& choice) {
  const int n = decision.candidate_ids_size();
  if (n == 0 || decision.fixed_ranks_size() != n) return false;
  const auto request = RequestOf(decision);
  if (!request.ok()) return false;
  choice.market = request->market();
  absl::flat_hash_map<absl::string_view, int32_t> rows;
  for (int i = 0; i < n; ++i) {
    choice.candidate_ids.push_back(decision.candidate_ids(i));
    rows.emplace(decision.candidate_ids(i), i);
  }
  choice.fixed_ranks.assign(decision.fixed_ranks().begin(), decision.fixed_ranks().end());
  choice.feature_fingerprint = decision.feature_fingerprint();
  const auto matrix = BytesToFloats(decision.matrix(), "matrix");
  if (!matrix.ok() || matrix->size() % n != 0) return false;
  choice.features = Eigen::Map<const FloatRowMatrix>(matrix->data(), n, matrix->size() / n);
  for (const v1::stored::Decision::Slot& slot : decision.slots()) {
    const auto row = rows.find(slot.offer_id());
    if (row == rows.end() || !(slot.probability() > 0)) return false;
    choice.shown.push_back(row->second);
  }
  choice.slots = decision.slots_size();
  return true;
}

absl::StatusOr<Candidate> FindCandidate(const State& state, const EvidenceQuestion& question) {
  Candidate candidate;
  candidate.placement = question.placement;
  if (candidate.placement.empty()) {
    ASSIGN_OR_RETURN(candidate.placement, GuessPlacement(state, question.policy));
  }
  candidate.on = state.FindPlacement(candidate.placement);
  if (candidate.on == nullptr) return absl::NotFoundError(absl::StrCat("placement: no placement named '", candidate.placement, "'"));
  candidate.policy = state.FindPolicy(question.policy);
  if (candidate.policy == nullptr && question.policy != kPopularity) {
    return absl::NotFoundError(absl::StrCat("policy: no policy named '", question.policy, "'"));
  }
  if (candidate.policy == nullptr && !candidate.on->placement.fixed_policy.empty()) {
    return absl::InvalidArgumentError("policy: popularity's order is not in the log of a placement with a fixed policy of its own");
  }
  if (candidate.policy != nullptr && candidate.policy->encoder != nullptr) {
    RETURN_IF_ERROR(FindVersion(*candidate.policy, question.version, candidate));
  } else if (question.version != 0) {
    return absl::NotFoundError("version: only linear policies have versions");
  }
  return candidate;
}

absl::StatusOr<v1::Release::Evidence> GatherEvidence(const Store& store, const State& state, const Candidate& candidate) {
  const Placement& placement = candidate.on->placement;
  Valuer valuer(state, placement, false);
  valuer.AddTarget("candidate", ToRescored(candidate));
  HistoryRange range;
  range.placement = candidate.placement;
  range.after = candidate.trained_until;
  ASSIGN_OR_RETURN(const HistoryCounts counts, WalkDecisions(store, state, range, valuer));
  v1::Release::Evidence evidence;
  evidence.set_estimator(placement.gate.snips ? v1::ReleaseGate::SNIPS : v1::ReleaseGate::IPS);
  evidence.set_floor(placement.gate.floor);
  valuer.Describe(counts, evidence);
  const auto estimate = valuer.targets().front().gains.front().Get();
  if (!estimate.has_value()) return evidence;
  // What the log could not have shown counts with the lowest reward seen: without negative rewards it counts 0 already.
  const double unseen = estimate->unsupported() * estimate->lowest_reward;
  evidence.set_gain(estimate->gain + unseen);
  evidence.set_standard_error(estimate->standard_error);
  evidence.set_candidate_reward(estimate->candidate_reward + unseen);
  evidence.set_live_reward(estimate->live_reward);
  evidence.set_effective_samples(estimate->effective_samples);
  evidence.set_customers(estimate->clusters);
  return evidence;
}

absl::StatusOr<v1::PolicyEvaluation> EvaluateFromLog(const Store& store, const State& state, const EvidenceQuestion& question) {
  ASSIGN_OR_RETURN(const Candidate candidate, FindCandidate(state, question));
  const Placement& placement = candidate.on->placement;
  const PolicyState* fixed = placement.fixed_policy.empty() ? nullptr : state.FindPolicy(placement.fixed_policy);
  Policy random;
  random.kind = PolicyKind::kRandom;
  Valuer valuer(state, placement, true);
  valuer.AddTarget("candidate", ToRescored(candidate));
  RescoredPolicy rescored;
  rescored.policy = fixed == nullptr ? nullptr : &fixed->policy;
  valuer.AddTarget("fixed", rescored);
  if (candidate.published != nullptr) {
    RescoredPolicy greedy = ToRescored(candidate);
    greedy.is_greedy = true;
    valuer.AddTarget("greedy", greedy);
  }
  rescored.policy = &random;
  valuer.AddTarget("random", rescored);
  HistoryRange range{candidate.placement, question.from, question.to, candidate.trained_until, true};
  ASSIGN_OR_RETURN(const HistoryCounts counts, WalkDecisions(store, state, range, valuer));
  v1::PolicyEvaluation evaluation;
  evaluation.set_placement(candidate.placement);
  evaluation.set_policy(question.policy);
  evaluation.set_version(candidate.version);
  if (candidate.trained_until > 0) *evaluation.mutable_trained_until() = ToTimestamp(candidate.trained_until_time);
  valuer.Describe(counts, evaluation);
  AddRow(valuer.targets().front(), true, evaluation);
  for (const Target& target : valuer.targets()) AddRow(target, false, evaluation);
  AddDoublyRobustRows(valuer, evaluation);
  return evaluation;
}

}  // namespace offerd
