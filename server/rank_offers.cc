// Steps of a RankOffers request after admission: docs/paths/rank_offers.md.
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/decide.h"
#include "core/hash.h"
#include "core/status_macros.h"
#include "server/bad_request.h"
#include "server/engine.h"
#include "server/log.h"
#include "store/decision_records.h"
#include "store/records.h"

namespace offerd {
namespace {

// What one thread reuses from request to request.
struct RankScratch {
  RankRequest request;
  DecideScratch decide;
  Decision decision;
  std::string request_bytes;  // the request in wire format: its fingerprint, and what is recorded
  std::string bytes;
  std::string request_id;
  absl::flat_hash_map<uint64_t, DecisionLabel> labels;
};

RankScratch& Scratch() {
  thread_local RankScratch scratch;
  return scratch;
}

}  // namespace

void Engine::RecordDecisionMetrics(const Decision& decision) {
  RankScratch& scratch = Scratch();
  const std::string& placement = decision.placement->placement.name;
  const uint64_t key = MixHash(StableHash(placement), StableHash(decision.policy));
  auto it = scratch.labels.find(key);
  if (it == scratch.labels.end()) {
    if (scratch.labels.size() > 4096) scratch.labels.clear();
    it = scratch.labels.emplace(key, metrics_->LabelOf(placement, decision.policy)).first;
  }
  metrics_->RecordDecision(it->second);
  for (const DecisionNote note : decision.notes) metrics_->RecordNote(static_cast<int>(note));
  if (decision.gate_leaks > 0) {
    gate_leaks_.fetch_add(decision.gate_leaks, std::memory_order_relaxed);
    metrics_->Add(Counter::kGateLeaks, static_cast<uint64_t>(decision.gate_leaks));
    Log(LogLevel::kError, "gate_leak", {{"placement", placement}, {"policy", decision.policy}, {"slots", decision.gate_leaks}});
  }
}

absl::Status Engine::RankOffers(const v1::RankOffersRequest& message, v1::RankOffersResponse* response) {
  RETURN_IF_ERROR(Validate(message, limits_));
  if (!message.policy().empty() && !message.validate_only()) {
    return BadRequest("policy", "expected empty unless validate_only is set");
  }
  RankScratch& scratch = Scratch();
  const State& state = *snapshot_.Get();
  TimeMicros now = is_wall_clock() ? now_micros_() : state.now;
  if (!is_wall_clock() && message.has_as_of()) {
    ASSIGN_OR_RETURN(now, ToMicros(message.as_of()));
  }

  const bool is_made_up = message.request_id().empty();
  const bool is_recorded = !message.validate_only();
  uint64_t fingerprint = 0;
  scratch.request_bytes.clear();
  message.AppendToString(&scratch.request_bytes);
  if (is_made_up) {
    const uint64_t number = made_up_ids_.fetch_add(1, std::memory_order_relaxed);
    scratch.request_id = absl::StrFormat("auto-%016x", MixHash(instance_seed_, number));
  } else {
    scratch.request_id = message.request_id();
    fingerprint = RequestFingerprint(scratch.request_bytes);
  }
  if (is_recorded && !is_made_up) {
    switch (replies_.Begin(scratch.request_id, fingerprint, now, scratch.bytes)) {
      case ReplyCache::Found::kNew: break;
      case ReplyCache::Found::kRepeat:
        if (!response->ParseFromString(scratch.bytes)) return absl::InternalError("a stored reply does not parse");
        response->add_notes(v1::RankOffersResponse::REPEATED);
        metrics_->RecordNote(static_cast<int>(DecisionNote::kRepeated));
        return absl::OkStatus();
      case ReplyCache::Found::kConflict:
        return absl::AlreadyExistsError("request_id: was used with another body within its lifetime; expected a new id");
      case ReplyCache::Found::kInProgress:
        return absl::UnavailableError("request_id: the same request is being answered right now: repeat it");
    }
  }

  FillRankRequest(message, scratch.request);
  const uint64_t seed = DecisionSeed(config_.salt, scratch.request_id);
  const absl::Status decided = Decide(state, scratch.request, seed, now, scratch.decide, scratch.decision);
  if (!decided.ok()) {
    if (is_recorded && !is_made_up) replies_.Abandon(scratch.request_id);
    return decided;
  }
  if (is_wall_clock() && message.has_as_of()) scratch.decision.notes.push_back(DecisionNote::kAsOfIgnored);
  const std::string decision_id = is_recorded ? MakeDecisionId(seed, scratch.request_id, now) : std::string();
  FillResponse(scratch.decision, decision_id, now, *response);
  if (!is_recorded) return absl::OkStatus();

  RecordDecisionMetrics(scratch.decision);
  // The messages and arrays of the record; what does not fit takes a further block.
  RecordPtr record = MakeRecordOnArena(1024 + 160 * scratch.decision.slots.size());
  v1::stored::Decision& stored = *record->mutable_decision();
  FillDecisionRecord(scratch.decision, message, scratch.request_bytes, decision_id, seed, state.sequence, stored);
  stored.set_request_fingerprint(fingerprint);
  stored.set_made_up_request_id(is_made_up);
  writer_->SubmitDecision(std::move(record), now);
  if (!is_made_up) {
    scratch.bytes.clear();
    response->AppendToString(&scratch.bytes);
    replies_.Finish(scratch.request_id, scratch.bytes);
  }
  return absl::OkStatus();
}

void Engine::Activate(const v1::ActivateRequest& request, v1::ActivateResponse* response, Done done) {
  absl::Status valid = Validate(request, limits_);
  TimeMicros as_of = -1;
  if (valid.ok() && request.has_as_of() && !is_wall_clock()) {
    const auto time = ToMicros(request.as_of());
    valid = time.status();
    if (time.ok()) as_of = *time;
  }
  if (!valid.ok()) {
    done(valid);
    return;
  }
  const auto plan = [&request, response, as_of](Writer::Plan& p) -> absl::Status {
    const OpenDecision* open = p.fold().FindOpen(DecisionId(request.decision_id()));
    const TimeMicros time = std::max(as_of, p.log_now());
    if (open == nullptr || open->IsClosedBy(time)) {  // the second: by this very record
      bool is_known = open != nullptr;
      if (!is_known) {
        ASSIGN_OR_RETURN(is_known, p.KnowsDecision(request.decision_id()));
      }
      if (is_known) return absl::FailedPreconditionError("decision_id: the decision is closed: its window and lateness are over, or there was no room");
      return absl::NotFoundError("decision_id: no such decision");
    }
    const int size = static_cast<int>(open->slots.size());
    for (int i = 0; i < request.slots_size(); ++i) {
      if (request.slots(i) >= size) {
        return BadRequest(absl::StrCat("slots[", i, "]"), absl::StrCat("expected 0 to ", size - 1, ", the slots of the decision"));
      }
    }
    int fresh = 0;
    int active = 0;
    for (int slot = 0; slot < size; ++slot) {
      bool is_named = request.slots().empty();
      for (const int named : request.slots()) is_named |= named == slot;
      if (is_named) ++(open->slots[static_cast<size_t>(slot)].is_active ? active : fresh);
    }
    response->set_activated(fresh);
    response->set_already_active(active);
    if (fresh == 0) return absl::OkStatus();
    v1::stored::LogRecord record;
    record.mutable_activation()->set_decision_id(request.decision_id());
    *record.mutable_activation()->mutable_slots() = request.slots();
    return p.Log(std::move(record), time, true).status();
  };
  PlanChange(plan, nullptr, std::move(done));
}

}  // namespace offerd
