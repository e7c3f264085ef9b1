#pragma once
#include "server/metrics.h"

// What stands beside the numbers when they are exported: names of methods, codes and reasons, and a sentence on each metric, in the order of
// the enumerations of metrics.h.
namespace offerd {

inline constexpr const char* kMethodTexts[kNumMethods] = {
    "RankOffers", "Activate", "CrossSell", "SimilarItems", "RecommendItems", "RecommendNext", "SendFeedback", "StreamFeedback", "UpsertItems", "UpsertOffers", "GetItem", "GetOffer",
    "ListItems", "ListOffers", "DeleteItem", "DeleteOffer", "UpsertCustomers", "GetCustomer", "Merge", "EraseCustomer", "SetPlacement",
    "ListPlacements", "DeletePlacement", "EvaluatePolicy", "PromotePolicy", "ListReleases", "RollBackPlacement", "SetPolicy", "ListPolicies", "PublishPolicy", "RollBackPolicy", "PublishTable", "RollBackTable", "ListTables",
    "CreateSnapshot",
    "ListSnapshots", "VerifySnapshot", "GetStatus", "GetLimits"};

inline constexpr const char* kCodeTexts[kNumRpcCodes] = {
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

inline constexpr const char* kShedTexts[kNumShedReasons] = {"in_flight", "rate_limit", "unauthenticated", "permission", "turn_wait"};

struct Described {
  const char* name;
  const char* help;
};
inline constexpr Described kCounterTexts[kNumCounters] = {
    {metric::kDroppedDecisions, "Decision records that were dropped because the queue to the store was full."},
    {metric::kDecisionsClosedEarly, "Open decisions that were closed before their window ended for lack of room."},
    {metric::kEvictedReplies, "Stored answers of request ids that gave way to newer ones within their lifetime for lack of room."},
    {metric::kDamagedEntries, "Entries of an index in the store that were met and could not be read."},
    {metric::kGateLeaks, "Offers in an answer that the last gate would not have let through. Anything but 0 is a bug."},
    {metric::kAutomaticReturns, "Placements that a guard has put back to the fixed order."},
};
inline constexpr Described kGaugeTexts[kNumGauges] = {
    {metric::kRequestsInFlight, "Calls and feedback batches that have arrived and are not answered yet."},
    {metric::kOpenStreams, "Feedback streams that are open."},
    {metric::kOpenDecisions, "Decisions whose rewards may still come."},
    {metric::kDecisionQueue, "Decision records waiting for the store."},
    {metric::kFeedbackQueue, "Records of feedback and settings waiting for the store."},
    {metric::kLearnerLagSeconds, "Age of the oldest event or decision that has arrived and is not learned yet; 0 when there is none."},
    {metric::kLearnerLagRecords, "Events, decisions and settings that have arrived and are not learned yet."},
    {metric::kStoreError, "1 while the store fails and nothing is acknowledged, else 0."},
    {metric::kLastSequence, "Position of the newest record in the log."},
    {metric::kCustomers, "Customers with a profile."},
    {metric::kItems, "Items in the catalogue."},
    {metric::kOffers, "Offers in the catalogue."},
    {metric::kErasuresPending, "Customers who are erased from profiles but not from the log yet."},
};
struct DescribedGuard {
  const char* name;
  const char* help;
  double Metrics::Guard::* value;
};
inline constexpr DescribedGuard kGuardTexts[] = {
    {metric::kGuardGain, "Reward a decision that live earns more than the fixed order would.", &Metrics::Guard::gain},
    {metric::kGuardLowerBound, "Of the gain, 95 %, valid at every moment.", &Metrics::Guard::lower_bound},
    {metric::kGuardUpperBound, "Of the gain, 95 %, valid at every moment.", &Metrics::Guard::upper_bound},
    {metric::kGuardBelow, "1 = live earns less than the floor over the fixed order, for certain.", &Metrics::Guard::is_below},
};
inline constexpr Described kTimerTexts[kNumTimers] = {
    {metric::kStreamBatchDuration, "From the arrival of a streamed feedback batch to its durable result."},
    {metric::kPublicationDuration, "Time to factorise and publish a policy."},
    {metric::kStoreWriteDuration, "Time of a batch write to the store without waiting for the disk."},
    {metric::kStoreSyncDuration, "Time of a batch write to the store that waits for the disk."},
    {metric::kSnapshotDuration, "Time to write a base snapshot."},
};

}  // namespace offerd
