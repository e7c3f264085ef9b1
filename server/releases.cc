// Who answers a placement: evidence, promotions, roll backs, and the guard. docs/evidence.md.
#include <algorithm>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/eval/paired_gain.h"
#include "core/status_macros.h"
#include "server/bad_request.h"
#include "server/engine.h"
#include "server/log.h"
#include "store/policy_evidence.h"
#include "store/records.h"

namespace offerd {
namespace {

constexpr char kStopping[] = "the server is stopping";

std::string Number(double value) { return absl::StrFormat("%.6g", value); }

absl::StatusOr<TimeMicros> ReadTime(absl::string_view field, bool is_set, const google::protobuf::Timestamp& time, TimeMicros otherwise) {
  if (!is_set) return otherwise;
  const auto micros = ToMicros(time);
  if (!micros.ok()) return BadRequest(std::string(field), "expected a time in the years 1970 to 2200");
  return *micros;
}

// Tests of this placement in the quarter of `now` so far.
int TestsInQuarter(const State& state, const std::string& placement, TimeMicros now) {
  const auto* history = state.releases.Find(placement);
  if (history == nullptr) return 0;
  const int64_t quarter = QuarterOf(now);
  return static_cast<int>(std::count_if((*history)->entries.begin(), (*history)->entries.end(), [quarter](const auto& entry) {
    return entry.tested && QuarterOf(entry.time) == quarter;
  }));
}

// The promotion or override to be taken back: each roll back takes back one, automatic returns are none. Null: none is left.
const ReleaseHistory::Entry* LastStep(const State& state, const std::string& placement) {
  const auto* history = state.releases.Find(placement);
  if (history == nullptr) return nullptr;
  std::vector<const ReleaseHistory::Entry*> steps;
  for (const ReleaseHistory::Entry& entry : (*history)->entries) {
    v1::Release release;
    if (!entry.changed || !release.ParseFromString(entry.report)) continue;
    if (release.kind() == v1::Release::PROMOTION || release.kind() == v1::Release::OVERRIDE) steps.push_back(&entry);
    if (release.kind() == v1::Release::ROLL_BACK && !steps.empty()) steps.pop_back();
  }
  return steps.empty() ? nullptr : steps.back();
}

// Why the guard of a placement compares nothing; empty: it does.
std::string GuardIsOffBecause(const State& state, const Placement& placement) {
  if (placement.mode != Mode::kLive) return "the placement is not live";
  const PolicyState* policy = state.FindPolicy(placement.policy);
  if (policy == nullptr || policy->encoder == nullptr) return "its policy is not linear";
  if (!ShareCoversFixedOrder(placement)) {
    return "the randomised share does not cover the fixed order: it has to be UNIFORM, or BOUNDED with base FIXED, and above 0";
  }
  return "";
}

// Every placement that asks for a guard, with what its guard knows: nothing while there was no decision.
template <typename Visitor>
void ForEachGuard(const State& state, Visitor&& visit) {
  state.placements.ForEach([&](absl::string_view name, const std::shared_ptr<const PlacementState>& kept) {
    const Placement& placement = kept->placement;
    if (!placement.has_gate || !placement.gate.guard) return;
    const LiveGuard* guard = state.guards.Find(name);
    visit(placement, guard == nullptr ? LiveGuard::Verdict() : guard->Judge(placement.gate.guard_floor));
  });
}

// Weighs the evidence and says in the release what came of it. True: it was a test, which spends a part of the quarter's error.
bool Judge(const ReleaseGate& gate, int tests_before, v1::Release& release) {
  v1::Release::Evidence& evidence = *release.mutable_evidence();
  release.set_outcome(v1::Release::REFUSED);
  if (evidence.customers() < 2 || evidence.effective_samples() < gate.min_effective_samples) {
    release.set_reason(absl::StrCat("expected at least ", Number(gate.min_effective_samples), " effective samples, found ",
                                    Number(evidence.effective_samples()), " in ", evidence.decisions(),
                                    " decisions behind the policy's training with closed windows and a recorded matrix"));
    return false;
  }
  release.set_attempt(tests_before + 1);
  evidence.set_alpha(AlphaOfAttempt(release.attempt()));
  evidence.set_lower_bound(evidence.gain() - UpperNormalQuantile(evidence.alpha()) * evidence.standard_error());
  if (evidence.lower_bound() > gate.floor) {
    release.set_outcome(v1::Release::ACCEPTED);
  } else {
    release.set_reason(absl::StrCat("the lower bound ", Number(evidence.lower_bound()), " of the gain ", Number(evidence.gain()),
                                    " a decision is not above the floor ", Number(gate.floor), " (attempt ", release.attempt(),
                                    " of this quarter, one-sided error ", Number(evidence.alpha()), ")"));
  }
  return true;
}

}  // namespace

void Engine::EvaluatePolicy(const v1::EvaluatePolicyRequest& request, v1::PolicyEvaluation* response, Done done) {
  if (const absl::Status valid = ValidateId("policy", request.policy(), limits_); !valid.ok()) return done(valid);
  EvidenceQuestion question{request.placement(), request.policy(), request.version()};
  const auto from = ReadTime("from", request.has_from(), request.from(), INT64_MIN);
  const auto to = ReadTime("to", request.has_to(), request.to(), INT64_MAX);
  if (!from.ok() || !to.ok()) return done(from.ok() ? to.status() : from.status());
  if (*from > *to) return done(BadRequest("to", "expected a time not before from"));
  question.from = *from;
  question.to = *to;
  maintenance_->Enqueue(
      [this, question, response, done] {
        const std::shared_ptr<const State> state = snapshot_.Get();
        auto evaluation = EvaluateFromLog(*store_, *state, question);
        if (evaluation.ok()) *response = *std::move(evaluation);
        done(evaluation.status());
      },
      [done] { done(absl::UnavailableError(kStopping)); });
}

absl::Status Engine::PlanRelease(Writer::Plan& plan, v1::Mode mode, bool tested, v1::Release& release) {
  const PlacementState* before = plan.fold().state().FindPlacement(release.placement());
  if (before == nullptr) return absl::NotFoundError("placement: no such placement");
  *release.mutable_time() = ToTimestamp(plan.log_now());
  release.set_previous_policy(before->placement.policy);
  release.set_previous_mode(static_cast<v1::Mode>(before->placement.mode));
  v1::stored::LogRecord record;
  v1::stored::Released& released = *record.mutable_released();
  released.set_placement(release.placement());
  released.set_changes_placement(release.outcome() == v1::Release::ACCEPTED);
  released.set_policy(release.policy());
  released.set_mode(mode);
  released.set_tested(tested);
  *released.mutable_report() = release;
  Log(LogLevel::kInfo, "release", {{"placement", release.placement()}, {"policy", release.policy()},
                                   {"kind", v1::Release::Kind_Name(release.kind())}, {"outcome", v1::Release::Outcome_Name(release.outcome())}});
  return plan.Log(std::move(record), plan.log_now(), true).status();
}

void Engine::PromotePolicy(const v1::PromotePolicyRequest& request, v1::Release* response, Done done) {
  absl::Status valid = ValidateId("policy", request.policy(), limits_);
  if (valid.ok()) valid = ValidateId("placement", request.placement(), limits_);
  if (valid.ok()) valid = ValidateReason("override_reason", request.override_reason());
  if (!valid.ok()) return done(valid);
  const auto promote = [this, question = EvidenceQuestion{request.placement(), request.policy(), request.version()},
                        reason = request.override_reason(), response, done] {
    const std::shared_ptr<const State> state = snapshot_.Get();
    const auto candidate = FindCandidate(*state, question);
    if (!candidate.ok()) return done(candidate.status());
    const auto release = std::make_shared<v1::Release>();
    release->set_placement(question.placement);
    release->set_policy(question.policy);
    release->set_version(candidate->version);
    release->set_kind(reason.empty() ? v1::Release::PROMOTION : v1::Release::OVERRIDE);
    if (reason.empty()) {
      auto evidence = GatherEvidence(*store_, *state, *candidate);
      if (!evidence.ok()) return done(evidence.status());
      *release->mutable_evidence() = *std::move(evidence);
    } else {
      release->set_outcome(v1::Release::ACCEPTED);
      release->set_reason(reason);
    }
    PlanChange(
        [this, release](Writer::Plan& plan) -> absl::Status {
          const State& now = plan.fold().state();
          const PlacementState* placement = now.FindPlacement(release->placement());
          if (placement == nullptr) return absl::NotFoundError("placement: no such placement");
          if (placement->placement.mode == Mode::kLive && placement->placement.policy == release->policy()) {
            return absl::FailedPreconditionError("policy: it answers this placement already");
          }
          const bool tested = release->kind() == v1::Release::PROMOTION &&
                              Judge(placement->placement.gate, TestsInQuarter(now, release->placement(), plan.log_now()), *release);
          RETURN_IF_ERROR(PlanRelease(plan, v1::LIVE, tested, *release));
          if (release->outcome() == v1::Release::ACCEPTED) return absl::OkStatus();
          return absl::FailedPreconditionError(absl::StrCat("promotion refused: ", release->reason()));
        },
        [release, response](const Fold&) { *response = *release; }, done);
  };
  maintenance_->Enqueue(promote, [done] { done(absl::UnavailableError(kStopping)); });
}

absl::Status Engine::ListReleases(const v1::ListReleasesRequest& request, v1::ListReleasesResponse* response) {
  if (request.limit() < 0) return BadRequest("limit", absl::StrCat("expected 0 or more, found ", request.limit()));
  std::vector<std::pair<TimeMicros, const std::string*>> reports;
  const std::shared_ptr<const State>& state = snapshot_.Get();
  if (!request.placement().empty() && state->FindPlacement(request.placement()) == nullptr) {
    return absl::NotFoundError("placement: no such placement");
  }
  state->releases.ForEach([&](absl::string_view name, const std::shared_ptr<const ReleaseHistory>& history) {
    if (!request.placement().empty() && request.placement() != name) return;
    for (const ReleaseHistory::Entry& entry : history->entries) reports.emplace_back(entry.time, &entry.report);
  });
  std::reverse(reports.begin(), reports.end());  // of one placement and moment, the later first
  std::stable_sort(reports.begin(), reports.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  if (request.limit() > 0 && reports.size() > static_cast<size_t>(request.limit())) reports.resize(static_cast<size_t>(request.limit()));
  for (const auto& [time, report] : reports) {
    if (!response->add_releases()->ParseFromString(*report)) return absl::DataLossError("a stored release cannot be read");
  }
  return absl::OkStatus();
}

void Engine::RollBackPlacement(const v1::RollBackPlacementRequest& request, v1::Release* response, Done done) {
  absl::Status valid = ValidateId("name", request.name(), limits_);
  if (valid.ok()) valid = ValidateReason("reason", request.reason());
  if (!valid.ok()) return done(valid);
  const auto release = std::make_shared<v1::Release>();
  release->set_placement(request.name());
  release->set_kind(v1::Release::ROLL_BACK);
  release->set_outcome(v1::Release::ACCEPTED);
  release->set_reason(request.reason());
  PlanChange(
      [this, release](Writer::Plan& plan) -> absl::Status {
        const State& state = plan.fold().state();
        if (state.FindPlacement(release->placement()) == nullptr) return absl::NotFoundError("name: no such placement");
        const ReleaseHistory::Entry* last = LastStep(state, release->placement());
        if (last == nullptr) {
          return absl::FailedPreconditionError("name: nothing to go back to: no promotion has changed who answers this placement");
        }
        release->set_policy(last->previous_policy);
        return PlanRelease(plan, static_cast<v1::Mode>(last->previous_mode), false, *release);
      },
      [release, response](const Fold&) { *response = *release; }, std::move(done));
}

void Engine::WatchGuards() {
  const std::shared_ptr<const State> state = snapshot_.Get();
  ForEachGuard(*state, [&](const Placement& placement, const LiveGuard::Verdict& seen) {
    if (!placement.gate.automatic_return || placement.mode != Mode::kLive || !seen.is_below) return;
    PlanChange(
        [this, name = placement.name](Writer::Plan& plan) -> absl::Status {
          const State& now = plan.fold().state();
          const PlacementState* live = now.FindPlacement(name);
          const LiveGuard* watched = now.guards.Find(name);
          if (live == nullptr || watched == nullptr || live->placement.mode != Mode::kLive) return absl::OkStatus();
          const LiveGuard::Verdict verdict = watched->Judge(live->placement.gate.guard_floor);
          if (!verdict.is_below) return absl::OkStatus();
          v1::Release release;
          release.set_placement(name);
          release.set_policy(live->placement.policy);
          release.set_kind(v1::Release::AUTOMATIC_RETURN);
          release.set_outcome(v1::Release::ACCEPTED);
          release.set_reason(absl::StrCat("live earns less than the fixed order and the floor ", Number(live->placement.gate.guard_floor),
                                          " for certain; over all ", verdict.decisions, " decisions the gain is ", Number(verdict.gain)));
          RETURN_IF_ERROR(PlanRelease(plan, v1::APPRENTICE, false, release));
          metrics_->Add(Counter::kAutomaticReturns);
          Log(LogLevel::kWarning, "automatic_return", {{"placement", name}, {"decisions", verdict.decisions}});
          return absl::OkStatus();
        },
        nullptr, [](const absl::Status&) {});  // refused: the next look tries again
  });
}

void Engine::DescribeGuards(const State& state, v1::ServerStatus& status) const {
  ForEachGuard(state, [&](const Placement& placement, const LiveGuard::Verdict& verdict) {
    v1::GuardStatus& guard = *status.add_guards();
    guard.set_placement(placement.name);
    guard.set_off_because(GuardIsOffBecause(state, placement));
    guard.set_is_on(guard.off_because().empty());
    guard.set_decisions(verdict.decisions);
    guard.set_gain(verdict.gain);
    guard.set_lower_bound(verdict.lower_bound);
    guard.set_upper_bound(verdict.upper_bound);
    guard.set_is_below(verdict.is_below);
  });
  std::sort(status.mutable_guards()->begin(), status.mutable_guards()->end(),
            [](const v1::GuardStatus& a, const v1::GuardStatus& b) { return a.placement() < b.placement(); });
}

// What the next decision's slots are weighed with.
void Engine::DescribeExaminations(const State& state, v1::ServerStatus& status) const {
  state.placements.ForEach([&](absl::string_view name, const std::shared_ptr<const PlacementState>& kept) {
    const ExaminationSums* sums = state.examinations.Find(name);
    if (sums == nullptr) return;
    v1::ExaminationStatus& examination = *status.add_examinations();
    examination.set_placement(kept->placement.name);
    for (const double weight : sums->Weights(kept->placement.examination, static_cast<size_t>(kept->placement.slate_size))) {
      examination.add_weights(weight);
    }
    examination.set_rewards(sums->NumRewards());
  });
  std::sort(status.mutable_examinations()->begin(), status.mutable_examinations()->end(),
            [](const v1::ExaminationStatus& a, const v1::ExaminationStatus& b) { return a.placement() < b.placement(); });
}

std::vector<Metrics::Guard> Engine::DescribeGuardGauges(const State& state) const {
  std::vector<Metrics::Guard> guards;
  ForEachGuard(state, [&guards](const Placement& placement, const LiveGuard::Verdict& verdict) {
    const auto known = [&verdict](double value) { return verdict.is_known ? value : std::numeric_limits<double>::quiet_NaN(); };
    guards.push_back({placement.name, known(verdict.gain), known(verdict.lower_bound), known(verdict.upper_bound), verdict.is_below ? 1.0 : 0.0});
  });
  return guards;
}

}  // namespace offerd
