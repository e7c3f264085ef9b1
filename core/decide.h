#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/candidates/gate.h"
#include "core/candidates/slate_rules.h"
#include "core/features/facts.h"
#include "core/learn/state.h"
#include "core/policy_slate.h"
#include "core/similarity/cart_scorer.h"
#include "core/slate/slate.h"
#include "core/types.h"

namespace offerd {

// A request as core sees it; all strings belong to the caller and have passed the edge.
struct RankRequest {
  struct Candidate {
    absl::string_view offer_id;
    absl::Span<const NamedFact> facts;
  };
  absl::string_view placement;
  absl::string_view market;
  absl::string_view customer_id;
  absl::string_view policy_override;  // empty: the placement's policy
  std::vector<NamedFact> context;
  std::vector<NamedFact> candidate_facts;  // of all candidates, one after the other
  std::vector<Candidate> candidates;
  absl::Span<const uint64_t> offer_keys;  // in place of candidates: Catalogue::OfferKeyOf of each
  std::vector<absl::string_view> cart;  // item ids
  int slate_size = 0;
  bool defer_activation = false;
  Consent consent = Consent::kUnspecified;
};

// Numbers are those of RankOffersResponse.Reason and .Note.
enum class SlotReason : uint8_t { kUnspecified, kBestEstimate, kExploration, kFixedOrder, kRandom, kPinned };
enum class DecisionNote : uint8_t {
  kUnspecified, kUnknownCustomer, kUnknownOffers, kNoCandidates, kFewerThanAsked, kSlateSizeCoerced, kAsOfIgnored,
  kPrefiltered, kNothingPublished, kRepeated, kConsentDenied, kDuplicateCandidates, kRules
};

struct DecidedSlot {
  std::string offer_id;
  int32_t candidate = 0;  // row of the matrix
  int32_t position = 0;   // in the request's candidates or offer_keys
  double score = 0;
  double probability = 0;
  double explorer_probability = 0;
  double fixed_probability = 0;  // of the fixed order with the same share, given the slots before; where is_guarded
  SlotReason reason = SlotReason::kUnspecified;
};

// One answer. Reused between requests: Clear keeps the memory.
struct Decision {
  std::shared_ptr<const PlacementState> placement;
  std::string policy;            // that answered
  uint64_t model_version = 0;
  std::string learner;           // that learns from it; empty: none
  Sequence learner_sequence = 0;
  absl::string_view arm;
  bool used_customer = false;    // consent allows that the record names the customer
  bool deferred = false;
  bool by_keys = false;          // the request named offers by key
  std::vector<DecidedSlot> slots;
  std::vector<DecisionNote> notes;
  std::vector<std::string> unknown_offers;
  std::vector<uint32_t> unknown_keys;  // positions in the request's offer_keys
  int excluded[kNumExclusions] = {};
  int num_candidates = 0;
  std::vector<std::string> candidate_ids;  // scored; filled only when the matrix is recorded
  bool record_matrix = false;
  FloatRowMatrix features;  // num_candidates x d; zero columns when nothing was encoded
  std::vector<int32_t> fixed_ranks;   // of the candidates; filled only when the matrix is recorded, as is the next
  uint64_t feature_fingerprint = 0;   // of the list that made the features
  bool is_guarded = false;
  bool has_agreement = false;
  bool agreed = false;
  int gate_leaks = 0;  // slots that the last gate would have refused: must stay 0

  void Clear();
};

// Memory of Decide, reused. One per thread.
struct DecideScratch {
  struct Row {
    OfferIndex index = kNoOffer;
    const OfferRow* offer = nullptr;  // null: the catalogue does not know it
    int32_t position = 0;             // in the request
    absl::string_view id;             // as the request names it; without data: by the catalogue
    absl::Span<const NamedFact> facts;
    double fixed_rate = 0;
    int32_t fixed_place = 0;  // in the order of the fixed policy, before those that it does not name
  };
  std::vector<Row> named;  // in the request, found or not
  std::vector<Row> rows;
  std::vector<FactCandidate> fact_candidates;
  FactScratch looked_up;
  FactColumns facts;
  EncoderScratch encoder;
  PolicyScratch policy;
  PolicyScratch fixed;  // of the fixed order, where a guard compares
  std::vector<int32_t> shown;
  std::vector<double> fixed_probability;
  std::vector<int32_t> order, tie_rank, fixed_rank;
  std::vector<uint8_t> is_open;
  SlateScratch slate;
  std::vector<SlateSlot> drawn;
  std::vector<uint32_t> named_by;  // by OfferIndex: number of the last request that named it
  uint32_t request_number = 0;
  absl::flat_hash_set<absl::string_view> seen;  // offers that the catalogue does not know
  absl::flat_hash_map<absl::string_view, int32_t> fixed_places;
  std::vector<uint64_t> sorted;
  std::vector<int32_t> row_of_rank;  // by OfferRow::id_rank; of this request's rows only
  SlateRulesHook rules;
  std::vector<const CatalogueOffer*> offers;
  std::vector<absl::string_view> ids;
  CartScorer cart;
  std::vector<CartLine> lines;
  absl::flat_hash_map<OfferIndex, double> cart_scores;
};

// Of a request that names none: the best so many live offers by the fixed order are scored. What a request names is scored whole.
inline constexpr int kMaxCandidates = 1000;

// Seed, state, request and time in; slate, probabilities and everything the record needs out. Pure: the same arguments give
// the same bytes, in the server and in `offerctl replay`.
//
// Source   design.md sections 1 and 3.
// Errors   NotFound: unknown placement, or unknown policy_override. Everything else is an answer with notes.
// Cost     n candidates: gate and features O(n x what they read), scores O(n d M), slate see slate.h.
absl::Status Decide(const State& state, const RankRequest& request, uint64_t seed, TimeMicros now, DecideScratch& scratch,
                    Decision& decision);

}  // namespace offerd
