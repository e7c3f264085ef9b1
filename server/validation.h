#pragma once
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "offerd/v1/admin_service.pb.h"
#include "offerd/v1/catalog_service.pb.h"
#include "offerd/v1/customer_service.pb.h"
#include "offerd/v1/feedback_service.pb.h"
#include "offerd/v1/offer_service.pb.h"
#include "offerd/v1/types.pb.h"
#include "server/config.h"

namespace offerd {

// What the server takes; GetLimits tells callers. See offerd.v1.Limits.
struct Limits {
  int max_candidates = 1000;
  int max_offer_keys = 10'000;
  int max_context_features = 64;
  int max_candidate_features = 64;
  int max_id_bytes = 256;
  int max_message_bytes = 4 << 20;
  int max_slate_size = 100;
  int max_batch = 1000;
  int max_event_lines = 1000;
  int max_dimension = 2048;  // above 512 a policy learns in the diagonal form
  int max_offer_items = 10'000;
  int max_attributes = 64;
  int max_cart_lines = 100;
  int max_strategies = 16;
  int64_t profile_bytes = 16'384;
  int64_t max_open_decisions = 200'000;
  int64_t request_id_lifetime_seconds = 600;
  int64_t event_id_lifetime_seconds = 7'776'000;
};
Limits LimitsOf(const ServerConfig& config);
v1::Limits ToProto(const Limits& limits);

// What is right or wrong with a message before anything is looked up: sizes, ranges, texts, numbers and times. After OK
// every number is finite, every text is valid UTF-8 within its limit and every time lies within 1970 to 2200. Whether names
// exist is the engine's to say.
//
// Threads  Pure functions.
// Errors   InvalidArgument with a BadRequest that names every field that is wrong (bad_request.h).
// Cost     Linear; no allocation when a RankOffersRequest, ActivateRequest or Event is right.
absl::Status Validate(const v1::RankOffersRequest& request, const Limits& limits);
absl::Status Validate(const v1::ActivateRequest& request, const Limits& limits);
absl::Status Validate(const v1::CrossSellRequest& request, const Limits& limits);
absl::Status Validate(const v1::SimilarItemsRequest& request, const Limits& limits);
absl::Status Validate(const v1::RecommendItemsRequest& request, const Limits& limits);
absl::Status Validate(const v1::RecommendNextRequest& request, const Limits& limits);
absl::Status Validate(const v1::Event& event, const Limits& limits);
absl::Status Validate(const v1::Item& item, const Limits& limits);
absl::Status Validate(const v1::Offer& offer, const Limits& limits);  // output-only fields are not looked at
absl::Status Validate(const v1::Customer& customer, const Limits& limits);
// Also that window and lateness together stay below event_id_lifetime_seconds, with their defaults where absent.
absl::Status Validate(const v1::Placement& placement, const Limits& limits);
// Features are checked for texts, numbers and sizes; what a column list means is core/features' to say.
absl::Status Validate(const v1::Policy& policy, const Limits& limits);

// The number of elements of a batch: at most max_batch of `field`. None is fine.
absl::Status ValidateBatch(absl::string_view field, int size, const Limits& limits);

// An id that stands alone in a request: GetItem, EraseCustomer, DeletePlacement.
// Free text that is logged: at most 1,000 bytes (protobuf has seen to the UTF-8).
absl::Status ValidateReason(absl::string_view field, absl::string_view reason);
absl::Status ValidateId(absl::string_view field, absl::string_view id, const Limits& limits);

// The page size in force: 100 for 0, at most 1,000; negative is InvalidArgument. A token is at most 1,024 bytes.
absl::StatusOr<int> ValidatePage(int page_size, absl::string_view page_token);

}  // namespace offerd
