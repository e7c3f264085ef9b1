#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "core/eval/paired_gain.h"
#include "core/rescore.h"
#include "offerd/v1/admin_service.pb.h"
#include "store/decision_history.h"
#include "store/store.h"

namespace offerd {

// The decision log as evidence for another policy: decisions that were recorded with their matrix are rescored by it and joined with
// what they earned. Only decisions behind the log record up to which the policy was trained are used. docs/evidence.md.
struct EvidenceQuestion {
  std::string placement;  // empty: see EvaluatePolicyRequest
  std::string policy;
  uint64_t version = 0;   // a kept one; 0 = the newest kept, else that in force
  TimeMicros from = INT64_MIN;
  TimeMicros to = INT64_MAX;
};

// A policy as a question means it.
struct Candidate {
  std::string placement;
  const PlacementState* on = nullptr;
  const PolicyState* policy = nullptr;               // null: popularity
  std::shared_ptr<const PublishedPolicy> published;  // null: not linear
  uint64_t version = 0;
  Sequence trained_until = 0;
  TimeMicros trained_until_time = 0;
};

// NotFound: no such placement, policy or kept version. InvalidArgument: the placement cannot be guessed, or the policy's order was
// not recorded. Pointers go into `state`.
absl::StatusOr<Candidate> FindCandidate(const State& state, const EvidenceQuestion& question);

// The candidate as the rescorer asks it; it points into `candidate`.
RescoredPolicy ToRescored(const Candidate& candidate);

// Evidence for a promotion: all but attempt, alpha and lower bound. An effective sample of 0 and no decision where there is none.
absl::StatusOr<v1::Release::Evidence> GatherEvidence(const Store& store, const State& state, const Candidate& candidate);

// The table of `offerctl policy evaluate --policy`.
absl::StatusOr<v1::PolicyEvaluation> EvaluateFromLog(const Store& store, const State& state, const EvidenceQuestion& question);

// A recorded decision, ready to be rescored; false: without its matrix. `choice` points into the message.
bool ReadChoice(const v1::stored::Decision& decision, RecordedChoice& choice);

}  // namespace offerd
