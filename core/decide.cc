#include "core/decide.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/candidate_rows.h"
#include "core/hash.h"
#include "core/lists/strategies.h"
#include "core/policy_slate.h"
#include "core/rng.h"

namespace offerd {
namespace {

constexpr absl::string_view kPopularity = "popularity";  // the fixed policy where none is named
constexpr uint64_t kMatrixStream = 1;
constexpr uint64_t kSlateStream = 2;

class Decider {
 public:
  Decider(const State& state, const RankRequest& request, uint64_t seed, TimeMicros now, DecideScratch& scratch,
          Decision& decision)
      : state_(state), request_(request), seed_(seed), now_(now), scratch_(scratch), decision_(decision) {}

  absl::Status Run() {
    const auto* placement = state_.placements.Find(request_.placement);
    if (placement == nullptr) {
      return absl::NotFoundError(absl::StrCat("placement: no placement named '", request_.placement, "'"));
    }
    decision_.placement = *placement;
    placement_ = &decision_.placement->placement;
    decision_.deferred = request_.defer_activation;
    decision_.by_keys = !request_.offer_keys.empty();
    absl::Status chosen = ChoosePolicies();
    if (!chosen.ok()) return chosen;
    FindCustomer();
    RankCandidates();
    Encode();
    Draw();
    return absl::OkStatus();
  }

 private:
  void Note(DecisionNote note) { decision_.notes.push_back(note); }

  // Which policy answers, which learns, and which one's features are worth encoding.
  absl::Status ChoosePolicies() {
    fixed_ = placement_->fixed_policy.empty() ? nullptr : state_.FindPolicy(placement_->fixed_policy);
    if (fixed_ != nullptr && fixed_->policy.kind != PolicyKind::kFixed) fixed_ = nullptr;  // it was, when the placement was set
    if (!request_.policy_override.empty()) {
      decision_.arm = "policy";
      policy_ = state_.FindPolicy(request_.policy_override);
      if (policy_ == nullptr && request_.policy_override != kPopularity) {
        return absl::NotFoundError(absl::StrCat("policy: no policy named '", request_.policy_override, "'"));
      }
      model_ = policy_;
    } else {
      const PolicyState* policy = state_.FindPolicy(placement_->policy);
      const bool is_live = placement_->mode == Mode::kLive;
      decision_.arm = is_live ? "policy" : placement_->mode == Mode::kApprentice ? "apprentice" : "log_only";
      policy_ = is_live ? policy : fixed_;
      model_ = policy;
      if (policy != nullptr && policy->encoder != nullptr && placement_->mode != Mode::kLogOnly) {
        decision_.learner = policy->policy.name;
        decision_.learner_sequence = policy->model_sequence;
      }
    }
    if (model_ != nullptr && model_->encoder == nullptr) model_ = nullptr;
    if (policy_ != nullptr && policy_->encoder != nullptr && policy_->in_force == nullptr) {
      Note(DecisionNote::kNothingPublished);
      policy_ = fixed_;
    }
    decision_.policy = policy_ == nullptr ? std::string(kPopularity) : policy_->policy.name;
    if (policy_ != nullptr && policy_->in_force != nullptr) decision_.model_version = policy_->in_force->record.version;
    return absl::OkStatus();
  }

  void FindCustomer() {
    const Profile* profile = request_.customer_id.empty() ? nullptr : state_.customers.Find(request_.customer_id);
    const Consent stored = profile == nullptr ? Consent::kUnspecified : profile->customer.consent;
    const Consent consent = request_.consent == Consent::kUnspecified ? stored : request_.consent;
    const bool denied = consent == Consent::kDenied;
    decision_.used_customer = !denied && !request_.customer_id.empty();
    if (denied) {
      Note(DecisionNote::kConsentDenied);
      profile = nullptr;
    } else if (!request_.customer_id.empty() && profile == nullptr) {
      Note(DecisionNote::kUnknownCustomer);
    }
    gate_ = {now_, request_.market, profile, consent == Consent::kGranted, &state_.catalogue, placement_->rules.frequency_caps};
  }

  // The places by the shop's rules are read by what answers without a model, what compares with it, and what is recorded.
  bool NeedsFixedOrder() const {
    return !AnswersByModel() || placement_->share_on_fixed_order || decision_.record_matrix || IsGuarded();
  }

  void RankCandidates() {
    rows_.emplace(state_, request_, gate_, scratch_, decision_);
    rows_->Gather(*placement_);
    rows_->RankByIds();
    Rng rng(MixHash(seed_, kMatrixStream));
    decision_.record_matrix = rng.NextUniform() < placement_->matrix_share;
    // Popularity has no rules; the other policies have those of the placement as their base.
    const PolicyState* rules = policy_ == nullptr || policy_->policy.kind == PolicyKind::kFixed ? policy_ : fixed_;
    const bool is_too_long = scratch_.rows.size() > kMaxCandidates && request_.offer_keys.empty();
    scratch_.fixed_rank.clear();
    if (is_too_long || NeedsFixedOrder()) rows_->RankByFixedOrder(rules);
    if (!is_too_long) return;
    Note(DecisionNote::kPrefiltered);
    rows_->KeepBest(rules);
  }

  int num_rows() const { return static_cast<int>(scratch_.rows.size()); }

  // How well each offer goes with the cart: its best covered item's score. False without a cart or a table.
  bool ScoreCart() {
    if (request_.cart.empty() || placement_->cart_table.empty()) return false;
    const ListTable* table = FindTable(state_, placement_->cart_table, request_.market);
    if (table == nullptr || table->has_sessions()) return false;
    scratch_.lines.clear();
    for (const absl::string_view id : request_.cart) {
      const auto item = table->ids.Find(id);
      const auto is_same = [&](const CartLine& line) { return line.item == *item; };
      if (item.has_value() && std::none_of(scratch_.lines.begin(), scratch_.lines.end(), is_same)) scratch_.lines.push_back({*item, 1});
    }
    scratch_.cart.Accumulate(table->rows, scratch_.lines);
    scratch_.cart_scores.clear();
    for (const TableItem item : scratch_.cart.touched()) {
      const ItemIndex* index = state_.catalogue.FindItem(table->ids.IdOf(item));
      if (index == nullptr) continue;
      for (const OfferIndex offer : state_.catalogue.Covering(*index)) {
        double& best = scratch_.cart_scores[offer];
        best = std::max(best, static_cast<double>(scratch_.cart.score(item)));
      }
    }
    return true;
  }

  void Encode() {
    decision_.num_candidates = num_rows();
    const bool needed = model_ != nullptr && (policy_ == model_ || !decision_.learner.empty() || decision_.record_matrix);
    if (!needed) {
      decision_.features.resize(num_rows(), 0);
    } else {
      const Encoder& encoder = *model_->encoder;
      FactSources sources{now_, request_.context, gate_.profile, &state_.catalogue, &state_.population};
      if (ScoreCart()) sources.cart_scores = &scratch_.cart_scores;
      scratch_.fact_candidates.clear();
      for (const DecideScratch::Row& row : scratch_.rows) scratch_.fact_candidates.push_back({row.index, row.offer, row.facts});
      model_->plan->Fill(sources, scratch_.fact_candidates, scratch_.looked_up, scratch_.facts);
      encoder.Encode(scratch_.facts, scratch_.encoder, decision_.features);
    }
    if (!decision_.record_matrix) return;
    for (const DecideScratch::Row& row : scratch_.rows) decision_.candidate_ids.emplace_back(rows_->IdOf(row));
    decision_.fixed_ranks = scratch_.fixed_rank;
    if (needed) decision_.feature_fingerprint = model_->encoder->fingerprint();
  }

  bool AnswersByModel() const { return policy_ != nullptr && policy_->encoder != nullptr; }
  bool AnswersAtRandom() const { return policy_ != nullptr && policy_->policy.kind == PolicyKind::kRandom; }

  PolicyOnCandidates Answering() const {
    PolicyOnCandidates on;
    on.placement = placement_;
    on.policy = policy_ == nullptr ? nullptr : &policy_->policy;
    if (AnswersByModel()) on.model = &policy_->in_force->policy;
    on.features = &decision_.features;
    on.tie_rank = scratch_.tie_rank;
    on.fixed_rank = scratch_.fixed_rank;
    return on;
  }

  int WantedSlots() {
    int wanted = request_.slate_size == 0 ? placement_->slate_size : request_.slate_size;
    if (wanted > placement_->slate_size) {
      wanted = placement_->slate_size;
      Note(DecisionNote::kSlateSizeCoerced);
    }
    return wanted;
  }

  void StartRules(int slots, absl::Span<const double> mean, bool adjusts_scores) {
    scratch_.offers.clear();
    scratch_.ids.clear();
    for (const DecideScratch::Row& row : scratch_.rows) {
      scratch_.offers.push_back(row.offer == nullptr ? nullptr : &state_.catalogue.OfferAt(row.index));
      scratch_.ids.push_back(rows_->IdOf(row));
    }
    SlateRulesInput input = RulesOnState(state_, *placement_, request_.market);
    input.offers = scratch_.offers;
    input.ids = scratch_.ids;
    input.mean = mean;
    input.slots = slots;
    input.adjusts_scores = adjusts_scores;
    scratch_.rules.Start(input);
  }

  void Draw() {
    const int wanted = WantedSlots();
    if (num_rows() == 0) {
      Note(DecisionNote::kNoCandidates);
    } else {
      const SlateInput input = MakePolicySlate(Answering(), wanted, scratch_.policy);
      Rng rng(MixHash(seed_, kSlateStream));
      const bool has_rules = placement_->rules.AreInDraw();
      if (has_rules) {
        StartRules(wanted, scratch_.policy.mean, AnswersByModel());
        const auto apply = [this](absl::Span<const SlateSlot> slate, SlateChange& change) { scratch_.rules.Apply(slate, change); };
        DrawSlateWithRules(input, apply, rng, scratch_.slate, scratch_.drawn);
      } else {
        DrawSlate(input, rng, scratch_.slate, scratch_.drawn);
      }
      Answer(has_rules);
      const int shown = static_cast<int>(decision_.slots.size());
      if (shown < wanted) Note(has_rules && shown < num_rows() && scratch_.rules.has_masked() ? DecisionNote::kRules : DecisionNote::kFewerThanAsked);
      if (IsGuarded()) CompareWithFixedOrder(wanted, has_rules);
    }
    CompareWithApprentice();
  }

  // Only what the placement's own policy shows is compared, and only where the share shows what the fixed order would.
  bool IsGuarded() const {
    return placement_->has_gate && placement_->gate.guard && placement_->mode == Mode::kLive && request_.policy_override.empty() &&
           AnswersByModel() && ShareCoversFixedOrder(*placement_);
  }

  void CompareWithFixedOrder(int wanted, bool has_rules) {
    decision_.is_guarded = true;
    PolicyOnCandidates on = Answering();
    on.policy = fixed_ == nullptr ? nullptr : &fixed_->policy;
    on.model = nullptr;
    const SlateInput input = MakePolicySlate(on, wanted, scratch_.fixed);
    scratch_.shown.clear();
    for (const DecidedSlot& slot : decision_.slots) scratch_.shown.push_back(slot.candidate);
    if (has_rules) StartRules(wanted, scratch_.fixed.mean, false);
    const auto apply = [this, has_rules](absl::Span<const SlateSlot> slate, SlateChange& change) {
      if (has_rules) scratch_.rules.Apply(slate, change);
    };
    ScoreSlate(input, apply, scratch_.shown, scratch_.slate, scratch_.fixed_probability);
    for (size_t i = 0; i < decision_.slots.size(); ++i) decision_.slots[i].fixed_probability = scratch_.fixed_probability[i];
  }

  // The best of those still open by mean, ties by id.
  int32_t BestOpen() const {
    int32_t best = -1;
    for (int32_t i = 0; i < num_rows(); ++i) {
      if (!scratch_.is_open[static_cast<size_t>(i)]) continue;
      const size_t at = static_cast<size_t>(i);
      if (best < 0 || scratch_.policy.mean[at] > scratch_.policy.mean[static_cast<size_t>(best)] ||
          (scratch_.policy.mean[at] == scratch_.policy.mean[static_cast<size_t>(best)] &&
           scratch_.tie_rank[at] < scratch_.tie_rank[static_cast<size_t>(best)])) {
        best = i;
      }
    }
    return best;
  }

  void Answer(bool has_rules) {
    for (const SlateSlot& drawn : scratch_.drawn) {
      const size_t at = static_cast<size_t>(drawn.candidate);
      const DecideScratch::Row& row = scratch_.rows[at];
      if (row.offer != nullptr && CheckGate(gate_, row.index) != Exclusion::kNone) {
        ++decision_.gate_leaks;
        break;  // never shown: the slate ends here, since later slots were drawn given this one
      }
      DecidedSlot slot;
      slot.offer_id = std::string(rows_->IdOf(row));
      slot.candidate = drawn.candidate;
      slot.position = row.position;
      slot.probability = drawn.probability;
      slot.explorer_probability = drawn.explorer_probability;
      if (AnswersAtRandom()) {
        slot.reason = SlotReason::kRandom;
      } else {
        const bool best = drawn.is_best;
        slot.score = AnswersByModel() ? scratch_.policy.mean[at] : row.fixed_rate;
        slot.reason = AnswersByModel() ? (best ? SlotReason::kBestEstimate : SlotReason::kExploration)
                                       : (best ? SlotReason::kFixedOrder : SlotReason::kRandom);
      }
      if (has_rules && scratch_.rules.HasPin(static_cast<int>(decision_.slots.size()), drawn.candidate)) slot.reason = SlotReason::kPinned;
      decision_.slots.push_back(std::move(slot));
    }
  }

  // An apprentice learns and is compared: would its best have been the first of the slate?
  void CompareWithApprentice() {
    if (placement_->mode != Mode::kApprentice || decision_.learner.empty() || decision_.slots.empty()) return;
    if (model_ == nullptr || model_->in_force == nullptr) return;
    PolicyOnCandidates on = Answering();
    on.model = &model_->in_force->policy;
    on.is_greedy = true;
    (void)MakePolicySlate(on, 1, scratch_.policy);  // for its estimates
    scratch_.is_open.assign(scratch_.rows.size(), 1);
    decision_.has_agreement = true;
    decision_.agreed = BestOpen() == decision_.slots[0].candidate;
  }

  const State& state_;
  const RankRequest& request_;
  const uint64_t seed_;
  const TimeMicros now_;
  DecideScratch& scratch_;
  Decision& decision_;
  const Placement* placement_ = nullptr;
  const PolicyState* policy_ = nullptr;  // answers; null: popularity
  const PolicyState* fixed_ = nullptr;   // null: popularity
  const PolicyState* model_ = nullptr;   // linear: its features are encoded; null: none
  GateContext gate_;
  std::optional<CandidateRows> rows_;
};

}  // namespace

void Decision::Clear() {
  placement = nullptr;
  policy.clear();
  model_version = 0;
  learner.clear();
  learner_sequence = 0;
  arm = {};
  used_customer = false;
  deferred = false;
  by_keys = false;
  slots.clear();
  notes.clear();
  unknown_offers.clear();
  unknown_keys.clear();
  std::fill(std::begin(excluded), std::end(excluded), 0);
  num_candidates = 0;
  candidate_ids.clear();
  record_matrix = false;
  fixed_ranks.clear();
  feature_fingerprint = 0;
  is_guarded = false;
  has_agreement = false;
  agreed = false;
  gate_leaks = 0;
}

absl::Status Decide(const State& state, const RankRequest& request, uint64_t seed, TimeMicros now, DecideScratch& scratch,
                    Decision& decision) {
  decision.Clear();
  return Decider(state, request, seed, now, scratch, decision).Run();
}

}  // namespace offerd
