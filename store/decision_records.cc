#include "store/decision_records.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/hash.h"
#include "store/records.h"

namespace offerd {
namespace {

NamedFact ToFact(const v1::NamedValue& value) {
  NamedFact fact{value.name(), Fact::Missing()};
  if (value.value_case() == v1::NamedValue::kNumber) fact.fact = Fact::Number(value.number());
  if (value.value_case() == v1::NamedValue::kText) fact.fact = Fact::Text(value.text());
  return fact;
}

template <typename Message>
void FillNotes(const Decision& decision, Message& message) {
  for (const DecisionNote note : decision.notes) message.add_notes(static_cast<v1::RankOffersResponse::Note>(note));
  for (const std::string& offer : decision.unknown_offers) message.add_unknown_offers(offer);
  message.mutable_unknown_keys()->Add(decision.unknown_keys.begin(), decision.unknown_keys.end());
  for (int i = 1; i < kNumExclusions; ++i) {
    if (decision.excluded[i] == 0) continue;
    v1::RankOffersResponse::Excluded& excluded = *message.add_excluded();
    excluded.set_reason(std::string(ExclusionName(static_cast<Exclusion>(i))));
    excluded.set_count(decision.excluded[i]);
  }
}

void AddPacked(uint32_t index, double score, double probability, int reason, v1::RankOffersResponse::PackedSlots& packed) {
  packed.add_index(index);
  packed.add_score(score);
  packed.add_probability(probability);
  packed.add_reason(static_cast<v1::RankOffersResponse::Reason>(reason));
}

}  // namespace

void FillRankRequest(const v1::RankOffersRequest& message, RankRequest& request) {
  request.placement = message.placement();
  request.market = message.market();
  request.customer_id = message.customer_id();
  request.policy_override = message.policy();
  request.slate_size = message.slate_size();
  request.defer_activation = message.defer_activation();
  request.consent = static_cast<Consent>(message.consent());
  request.cart.clear();
  for (const v1::CartLine& line : message.cart()) request.cart.push_back(line.item_id());
  request.context.clear();
  for (const v1::NamedValue& value : message.context()) request.context.push_back(ToFact(value));
  request.candidate_facts.clear();
  for (const v1::Candidate& candidate : message.candidates()) {
    for (const v1::NamedValue& value : candidate.features()) request.candidate_facts.push_back(ToFact(value));
  }
  request.candidates.clear();
  size_t at = 0;
  for (const v1::Candidate& candidate : message.candidates()) {
    const size_t count = static_cast<size_t>(candidate.features_size());
    request.candidates.push_back(
        {candidate.offer_id(), absl::MakeConstSpan(request.candidate_facts).subspan(at, count)});
    at += count;
  }
  request.offer_keys = {message.offer_keys().data(), static_cast<size_t>(message.offer_keys_size())};
}

uint64_t DecisionSeed(absl::string_view salt, absl::string_view request_id) {
  return StableHash(request_id, StableHash(salt));
}

std::string MakeDecisionId(uint64_t seed, absl::string_view request_id, TimeMicros time) {
  const uint64_t high = MixHash(seed, static_cast<uint64_t>(time));
  return absl::StrFormat("%016x%016x", high, StableHash(request_id, high));
}

void FillDecisionRecord(const Decision& decision, const v1::RankOffersRequest& message, absl::string_view bytes,
                        absl::string_view decision_id, uint64_t seed, Sequence state_sequence, v1::stored::Decision& record) {
  record.set_decision_id(decision_id.data(), decision_id.size());
  if (decision.used_customer || message.customer_id().empty()) {
    record.set_request(bytes.data(), bytes.size());
    record.set_customer_id(decision.used_customer ? message.customer_id() : "");
  } else {
    v1::RankOffersRequest nobody = message;
    nobody.clear_customer_id();
    nobody.set_consent(v1::CONSENT_DENIED);  // perhaps only the profile said so: a replay must know
    record.set_request(nobody.SerializeAsString());
  }
  record.set_placement(decision.placement->placement.name);
  record.set_placement_sequence(decision.placement->sequence);
  record.set_policy(decision.policy);
  record.set_model_version(decision.model_version);
  record.set_learner(decision.learner);
  record.set_learner_sequence(decision.learner_sequence);
  record.set_arm(std::string(decision.arm));
  record.set_seed(seed);
  record.set_state_sequence(state_sequence);
  const bool has_features = decision.features.cols() > 0;
  for (const DecidedSlot& slot : decision.slots) {
    v1::stored::Decision::Slot& stored = *record.add_slots();
    stored.set_offer_id(slot.offer_id);
    stored.set_score(slot.score);
    stored.set_probability(slot.probability);
    stored.set_explorer_probability(slot.explorer_probability);
    stored.set_reason(static_cast<int>(slot.reason));
    stored.set_fixed_probability(slot.fixed_probability);
    if (has_features) stored.set_x(FloatsToBytes(decision.features.row(slot.candidate).transpose()));
  }
  record.set_deferred(decision.deferred);
  record.set_num_candidates(decision.num_candidates);
  if (decision.record_matrix) {
    for (const std::string& id : decision.candidate_ids) record.add_candidate_ids(id);
    record.mutable_fixed_ranks()->Assign(decision.fixed_ranks.begin(), decision.fixed_ranks.end());
    record.set_feature_fingerprint(decision.feature_fingerprint);
    if (has_features) {
      record.set_matrix(
          FloatsToBytes(Eigen::Map<const Eigen::VectorXf>(decision.features.data(), decision.features.size())));
    }
  }
  record.set_is_guarded(decision.is_guarded);
  record.set_agreed(decision.agreed);
  record.set_has_agreement(decision.has_agreement);
  FillNotes(decision, record);
}

void FillResponse(const Decision& decision, absl::string_view decision_id, TimeMicros time,
                  v1::RankOffersResponse& response) {
  response.set_decision_id(decision_id.data(), decision_id.size());
  response.set_policy(decision.policy);
  response.set_model_version(decision.model_version);
  response.set_arm(decision.arm.data(), decision.arm.size());
  for (const DecidedSlot& slot : decision.slots) {
    if (decision.by_keys) {
      AddPacked(static_cast<uint32_t>(slot.position), slot.score, slot.probability, static_cast<int>(slot.reason), *response.mutable_packed());
      continue;
    }
    v1::RankOffersResponse::Slot& answered = *response.add_slots();
    answered.set_offer_id(slot.offer_id);
    answered.set_score(slot.score);
    answered.set_probability(slot.probability);
    answered.set_reason(static_cast<v1::RankOffersResponse::Reason>(slot.reason));
  }
  FillNotes(decision, response);
  response.set_candidates(decision.num_candidates);
  *response.mutable_time() = ToTimestamp(time);
}

void FillResponse(const v1::stored::Decision& record, const v1::RankOffersRequest& request, TimeMicros time,
                  v1::RankOffersResponse& response) {
  response.set_decision_id(record.decision_id());
  response.set_policy(record.policy());
  response.set_model_version(record.model_version());
  response.set_arm(record.arm());
  for (const v1::stored::Decision::Slot& slot : record.slots()) {
    if (request.offer_keys_size() > 0) {
      const auto& keys = request.offer_keys();
      const auto first = std::find(keys.begin(), keys.end(), Fnv1aHash(slot.offer_id()));
      AddPacked(static_cast<uint32_t>(first - keys.begin()), slot.score(), slot.probability(), slot.reason(), *response.mutable_packed());
      continue;
    }
    v1::RankOffersResponse::Slot& answered = *response.add_slots();
    answered.set_offer_id(slot.offer_id());
    answered.set_score(slot.score());
    answered.set_probability(slot.probability());
    answered.set_reason(static_cast<v1::RankOffersResponse::Reason>(slot.reason()));
  }
  for (const int note : record.notes()) response.add_notes(static_cast<v1::RankOffersResponse::Note>(note));
  *response.mutable_unknown_offers() = record.unknown_offers();
  *response.mutable_unknown_keys() = record.unknown_keys();
  *response.mutable_excluded() = record.excluded();
  response.set_candidates(record.num_candidates());
  *response.mutable_time() = ToTimestamp(time);
}

absl::StatusOr<v1::RankOffersRequest> RequestOf(const v1::stored::Decision& record) {
  v1::RankOffersRequest request;
  if (!request.ParseFromString(record.request())) {
    return absl::DataLossError(absl::StrCat("decision ", record.decision_id(), ": its request does not parse"));
  }
  return request;
}

uint64_t RequestFingerprint(absl::string_view bytes) { return StableHash(bytes); }

}  // namespace offerd
