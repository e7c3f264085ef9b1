#pragma once
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/decide.h"
#include "offerd/v1/offer_service.pb.h"
#include "offerd/v1/stored.pb.h"

namespace offerd {

// A request for Decide; it points into the message. Reuses the vectors of `request`.
void FillRankRequest(const v1::RankOffersRequest& message, RankRequest& request);

// The seed of a decision: a hash of the service's salt and the request id.
uint64_t DecisionSeed(absl::string_view salt, absl::string_view request_id);
// Opaque, 32 hexadecimal digits; another one when a request id comes back after its lifetime.
std::string MakeDecisionId(uint64_t seed, absl::string_view request_id, TimeMicros time);

// Everything of the record but sequence and time. `bytes` is `message` in wire format, which is stored as it is, but without what
// names the person where consent is denied.
void FillDecisionRecord(const Decision& decision, const v1::RankOffersRequest& message, absl::string_view bytes,
                        absl::string_view decision_id, uint64_t seed, Sequence state_sequence, v1::stored::Decision& record);

// The request that was recorded. DataLoss: its bytes are none.
absl::StatusOr<v1::RankOffersRequest> RequestOf(const v1::stored::Decision& record);

// The answer to the caller.
void FillResponse(const Decision& decision, absl::string_view decision_id, TimeMicros time,
                  v1::RankOffersResponse& response);
// The same answer from the record and its request, for a repeat after a restart.
void FillResponse(const v1::stored::Decision& record, const v1::RankOffersRequest& request, TimeMicros time,
                  v1::RankOffersResponse& response);

// What tells two bodies with the same request id apart: a hash of the message's wire format.
uint64_t RequestFingerprint(absl::string_view bytes);

}  // namespace offerd
