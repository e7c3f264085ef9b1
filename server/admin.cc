// AdminService.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/status_macros.h"
#include "server/bad_request.h"
#include "server/engine.h"
#include "server/version.h"
#include "store/records.h"

namespace offerd {
namespace {

constexpr absl::string_view kPopularity = "popularity";  // always there; cannot be set

v1::Policy Describe(const PolicyState& state) {
  v1::Policy policy = ToProto(state.policy);
  if (state.in_force != nullptr) policy.set_version(state.in_force->record.version);
  if (state.encoder != nullptr) policy.set_feature_fingerprint(state.encoder->fingerprint());
  policy.set_pinned(state.is_pinned);
  return policy;
}

v1::PolicyStatus DescribeStatus(const PolicyState& state, const Fold& fold) {
  v1::PolicyStatus status;
  *status.mutable_policy() = Describe(state);
  if (state.in_force != nullptr) status.set_residual_deviation(state.in_force->policy.sigma());
  for (const auto& kept : state.kept) status.add_kept_versions(kept->record.version);
  const auto it = fold.learning().find(state.policy.name);
  if (it != fold.learning().end()) {
    status.set_shown(it->second.statistics.num_shown());
    status.set_state_checksum(absl::StrFormat("%016x", LearningChecksum(it->second)));
    status.set_apprentice_decisions(it->second.apprentice_decisions);
    status.set_apprentice_agreements(it->second.apprentice_agreements);
  }
  return status;
}

std::vector<const PolicyState*> PoliciesByName(const State& state) {
  std::vector<const PolicyState*> policies;
  state.policies.ForEach([&](absl::string_view, const std::shared_ptr<const PolicyState>& policy) { policies.push_back(policy.get()); });
  std::sort(policies.begin(), policies.end(),
            [](const PolicyState* a, const PolicyState* b) { return a->policy.name < b->policy.name; });
  return policies;
}

}  // namespace

namespace {

// Would the placement be answered by a policy that evidence has not let through, or the gate let more through than before?
bool NeedsEvidence(const Placement& before, const v1::Placement& after) {
  if (!before.has_gate || !before.gate.required) return false;
  const v1::ReleaseGate& gate = after.gate();
  const double min_samples = gate.min_effective_samples() == 0 ? ReleaseGate().min_effective_samples : gate.min_effective_samples();
  const bool is_looser = !gate.required() || gate.floor() < before.gate.floor || min_samples < before.gate.min_effective_samples ||
                         (gate.estimator() == v1::ReleaseGate::SNIPS) != before.gate.snips || gate.slots() != before.gate.slots;
  const bool goes_live = after.mode() == v1::LIVE && (before.mode != Mode::kLive || after.policy() != before.policy);
  return is_looser || goes_live;
}

}  // namespace

absl::Status Engine::PlanPlacement(Writer::Plan& plan, v1::Placement placement, const std::string& override_reason) {
  const State& state = plan.fold().state();
  for (const auto& [field, name] : {std::pair<const char*, std::string>{"policy", placement.policy()},
                                    std::pair<const char*, std::string>{"fixed_policy", placement.fixed_policy()}}) {
    if (name.empty() || name == kPopularity || state.FindPolicy(name) != nullptr) continue;
    return BadRequest(absl::StrCat("placement.", field), "expected a policy that was set before");
  }
  if (!placement.fixed_policy().empty()) {
    const PolicyState* fixed = state.FindPolicy(placement.fixed_policy());
    if (fixed != nullptr && fixed->policy.kind != PolicyKind::kFixed) {
      return BadRequest("placement.fixed_policy", "expected a policy of kind fixed");
    }
  }
  if (placement.mode() == v1::MODE_UNSPECIFIED) {
    const PlacementState* before = state.FindPlacement(placement.name());
    const auto learning = plan.fold().learning().find(placement.policy());
    const bool has_seen_nothing = learning != plan.fold().learning().end() && learning->second.statistics.num_shown() == 0;
    placement.set_mode(has_seen_nothing ? v1::APPRENTICE
                       : before != nullptr && before->placement.policy == placement.policy()
                           ? static_cast<v1::Mode>(before->placement.mode)
                           : v1::LIVE);
  }
  const PlacementState* before = state.FindPlacement(placement.name());
  if (before != nullptr && NeedsEvidence(before->placement, placement)) {
    if (override_reason.empty()) {
      return absl::FailedPreconditionError(
          "placement: its gate is required: PromotePolicy puts a policy live, and an override_reason is needed to loosen the gate");
    }
    v1::Release release;
    release.set_placement(placement.name());
    release.set_policy(placement.policy());
    release.set_kind(v1::Release::OVERRIDE);
    release.set_outcome(v1::Release::ACCEPTED);
    release.set_reason(override_reason);
    RETURN_IF_ERROR(PlanRelease(plan, placement.mode(), false, release));
  }
  v1::stored::LogRecord record;
  *record.mutable_placement_set() = std::move(placement);
  return plan.Log(std::move(record), plan.log_now(), true).status();
}

void Engine::SetPlacement(const v1::SetPlacementRequest& request, v1::Placement* response, Done done) {
  absl::Status valid = Validate(request.placement(), limits_);
  if (valid.ok()) valid = ValidateReason("override_reason", request.override_reason());
  if (!valid.ok()) return done(valid);
  PlanChange([this, &request](Writer::Plan& plan) { return PlanPlacement(plan, request.placement(), request.override_reason()); },
             [&request, response](const Fold& fold) {
               const PlacementState* set = fold.state().FindPlacement(request.placement().name());
               if (set != nullptr) *response = ToProto(set->placement);
             },
             std::move(done), static_cast<int64_t>(request.ByteSizeLong()));
}

absl::Status Engine::ListPlacements(const v1::ListPlacementsRequest&, v1::ListPlacementsResponse* response) {
  std::vector<const PlacementState*> placements;
  snapshot_.Get()->placements.ForEach(
      [&](absl::string_view, const std::shared_ptr<const PlacementState>& placement) { placements.push_back(placement.get()); });
  std::sort(placements.begin(), placements.end(),
            [](const PlacementState* a, const PlacementState* b) { return a->placement.name < b->placement.name; });
  for (const PlacementState* placement : placements) *response->add_placements() = ToProto(placement->placement);
  return absl::OkStatus();
}

void Engine::DeletePlacement(const v1::DeletePlacementRequest& request, v1::DeletePlacementResponse*, Done done) {
  const absl::Status valid = ValidateId("name", request.name(), limits_);
  if (!valid.ok()) return done(valid);
  PlanChange(
      [name = request.name()](Writer::Plan& plan) {
        if (plan.fold().state().FindPlacement(name) == nullptr) return absl::NotFoundError("name: no such placement");
        v1::stored::LogRecord record;
        record.set_placement_deleted(name);
        return plan.Log(std::move(record), plan.log_now(), true).status();
      },
      nullptr, std::move(done));
}

absl::Status Engine::PlanPolicy(Writer::Plan& plan, const v1::Policy& policy) {
  if (policy.name() == kPopularity) return BadRequest("policy.name", "expected another name: popularity is built in");
  if (policy.has_linear()) {
    ASSIGN_OR_RETURN(FeatureList features, FromProto(policy.linear().features()));
    const auto encoder = Encoder::Make(std::move(features));
    if (!encoder.ok()) return BadRequest("policy.linear.features", std::string(encoder.status().message()));
    const auto facts = FactPlan::Make(encoder->facts());
    if (!facts.ok()) return BadRequest("policy.linear.features", std::string(facts.status().message()));
    const PolicyState* before = plan.fold().state().FindPolicy(policy.name());
    if (before != nullptr && before->encoder != nullptr &&
        (before->encoder->fingerprint() != encoder->fingerprint() ||
         before->policy.half_life_days != policy.linear().half_life_days())) {
      return absl::FailedPreconditionError(
          "policy.linear: other features or another half-life make another model: set it under a new name beside this one");
    }
  }
  const PolicyState* before = plan.fold().state().FindPolicy(policy.name());
  if (!policy.has_linear() && before != nullptr && before->encoder != nullptr) {
    return absl::FailedPreconditionError(
        "policy: another kind would erase what this linear policy has learned: set it under a new name beside this one");
  }
  v1::stored::LogRecord record;
  v1::Policy& stored = *record.mutable_policy_set();
  stored = policy;
  stored.clear_version();
  stored.clear_feature_fingerprint();
  stored.clear_pinned();
  return plan.Log(std::move(record), plan.log_now(), true).status();
}

void Engine::SetPolicy(const v1::SetPolicyRequest& request, v1::Policy* response, Done done) {
  const absl::Status valid = Validate(request.policy(), limits_);
  if (!valid.ok()) return done(valid);
  PlanChange([this, &request](Writer::Plan& plan) { return PlanPolicy(plan, request.policy()); },
             [&request, response](const Fold& fold) {
               const PolicyState* set = fold.state().FindPolicy(request.policy().name());
               if (set != nullptr) *response = Describe(*set);
             },
             std::move(done), static_cast<int64_t>(request.ByteSizeLong()));
}

void Engine::ListPolicies(const v1::ListPoliciesRequest&, v1::ListPoliciesResponse* response, Done done) {
  PlanChange([](Writer::Plan&) { return absl::OkStatus(); },
             [response](const Fold& fold) {
               for (const PolicyState* policy : PoliciesByName(fold.state())) *response->add_policies() = DescribeStatus(*policy, fold);
             },
             std::move(done));
}

void Engine::PublishPolicy(const v1::PublishPolicyRequest& request, v1::Policy* response, Done done) {
  const absl::Status valid = ValidateId("name", request.name(), limits_);
  if (!valid.ok()) return done(valid);
  PlanChange([name = request.name()](Writer::Plan& plan) { return plan.Publish(name, true).status(); },
             [name = request.name(), response](const Fold& fold) { *response = Describe(*fold.state().FindPolicy(name)); },
             std::move(done));
}

void Engine::RollBackPolicy(const v1::RollBackPolicyRequest& request, v1::Policy* response, Done done) {
  const absl::Status valid = ValidateId("name", request.name(), limits_);
  if (!valid.ok()) return done(valid);
  PlanChange(
      [name = request.name(), version = request.version()](Writer::Plan& plan) -> absl::Status {
        const PolicyState* policy = plan.fold().state().FindPolicy(name);
        if (policy == nullptr) return absl::NotFoundError("name: no such policy");
        uint64_t target = version;
        if (target == 0) {
          for (const auto& kept : policy->kept) {
            if (kept->record.version < policy->in_force->record.version) target = kept->record.version;
          }
        }
        const bool is_kept = std::any_of(policy->kept.begin(), policy->kept.end(),
                                         [target](const auto& kept) { return kept->record.version == target; });
        if (!is_kept) {
          std::string kept_versions;
          for (const auto& kept : policy->kept) absl::StrAppend(&kept_versions, kept_versions.empty() ? "" : ", ", kept->record.version);
          return absl::NotFoundError(absl::StrCat("version: no such kept version; kept are: ",
                                                  kept_versions.empty() ? "none (PublishPolicy keeps one)" : kept_versions));
        }
        v1::stored::LogRecord record;
        record.mutable_roll_back()->set_policy(name);
        record.mutable_roll_back()->set_version(target);
        return plan.Log(std::move(record), plan.log_now(), true).status();
      },
      [name = request.name(), response](const Fold& fold) { *response = Describe(*fold.state().FindPolicy(name)); },
      std::move(done));
}

void Engine::CreateSnapshot(const v1::CreateSnapshotRequest&, v1::Snapshot* response, Done done) {
  maintenance_->CreateSnapshot([response, done](absl::StatusOr<v1::Snapshot> made) {
    if (made.ok()) *response = *std::move(made);
    done(made.status());
  });
}

void Engine::ListSnapshots(const v1::ListSnapshotsRequest&, v1::ListSnapshotsResponse* response, Done done) {
  for (const BaseInfo& base : store_->ListBases()) *response->add_snapshots() = ToProto(base);
  done(absl::OkStatus());
}

void Engine::VerifySnapshot(const v1::VerifySnapshotRequest& request, v1::VerifySnapshotResponse* response, Done done) {
  maintenance_->VerifySnapshot(request.sequence(), [response, done](absl::StatusOr<v1::Snapshot> verified) {
    if (verified.ok()) *response->mutable_snapshot() = *std::move(verified);
    done(verified.status());
  });
}

void Engine::GetStatus(const v1::GetStatusRequest&, v1::ServerStatus* response, Done done) {
  const auto fill_shared = [this, response](const State& state) {
    response->set_ready(true);
    response->set_last_sequence(state.sequence);
    response->set_decisions(state.counters.decisions);
    response->set_dropped_decisions(writer_->dropped_decisions());
    response->set_gate_leaks(gate_leaks_.load(std::memory_order_relaxed));
    response->set_version(kVersion);
  };
  const auto fill = [this, response, fill_shared](const Fold& fold) {
    const State& state = fold.state();
    fill_shared(state);
    v1::ServerStatus::Events& events = *response->mutable_events();
    for (const auto& by_fate : state.counters.events) {
      events.set_applied(events.applied() + by_fate[static_cast<size_t>(Fate::kApplied)]);
      events.set_orphan(events.orphan() + by_fate[static_cast<size_t>(Fate::kOrphan)]);
    }
    events.set_acknowledged(events.applied() + events.orphan());
    events.set_duplicate(duplicate_.load(std::memory_order_relaxed));
    events.set_late(late_.load(std::memory_order_relaxed));
    events.set_refused(refused_.load(std::memory_order_relaxed));
    for (const PolicyState* policy : PoliciesByName(state)) *response->add_policies() = DescribeStatus(*policy, fold);
    response->set_customers(static_cast<int64_t>(state.customers.size()));
    response->set_items(state.catalogue.num_items());
    response->set_offers(static_cast<int64_t>(state.catalogue.offer_table().by_id.size()));
    DescribeGuards(state, *response);
    DescribeExaminations(state, *response);
    response->set_open_decisions(static_cast<int64_t>(fold.open_decisions().size()));
    response->set_closed_early(state.counters.closed_early);
    response->set_erasures_pending(maintenance_->erasures_pending());
    const auto bases = store_->ListBases();
    if (!bases.empty()) response->set_snapshot_sequence(bases.front().manifest.sequence());
    response->set_uptime_seconds(static_cast<double>(std::max<TimeMicros>(0, now_micros_() - start_micros_)) * 1e-6);
  };
  // Still answers while the store fails: what it can without the writer.
  const auto fill_failing = [this, response, fill_shared] {
    fill_shared(*snapshot_.Get());
    response->set_store_error(writer_->store_error());
  };
  if (writer_->is_failing()) {
    fill_failing();
    done(absl::OkStatus());
    return;
  }
  PlanChange([](Writer::Plan&) { return absl::OkStatus(); }, fill, [fill_failing, done](const absl::Status& status) {
    const bool began_to_fail = absl::IsUnavailable(status);  // while the question waited
    if (began_to_fail) fill_failing();
    done(began_to_fail ? absl::OkStatus() : status);
  });
}

absl::Status Engine::GetLimits(const v1::GetLimitsRequest&, v1::Limits* response) {
  *response = ToProto(limits_);
  return absl::OkStatus();
}

}  // namespace offerd
