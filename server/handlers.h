#pragma once
#include <functional>

#include "absl/status/status.h"
#include "offerd/v1/admin_service.pb.h"
#include "offerd/v1/catalog_service.pb.h"
#include "offerd/v1/customer_service.pb.h"
#include "offerd/v1/feedback_service.pb.h"
#include "offerd/v1/offer_service.pb.h"

namespace offerd {

// What the service does, without gRPC: service.cc calls it, tests put a fake in its place.
//
// Threads  Every method from any completion-queue thread. A method with `done` may return before it has answered; it calls
//          done exactly once, from any thread, and request and response stay valid until then.
// Errors   absl::Status; InvalidArgument carries a google.rpc.BadRequest payload that names the fields (bad_request.h).
class Handlers {
 public:
  using Done = std::function<void(const absl::Status&)>;
  virtual ~Handlers() = default;

  // Answers before it returns; touches no disk and waits for nothing.
  virtual absl::Status RankOffers(const v1::RankOffersRequest& request, v1::RankOffersResponse* response) = 0;
  virtual void Activate(const v1::ActivateRequest& request, v1::ActivateResponse* response, Done done) = 0;

  // Answer before they return, like RankOffers.
  virtual absl::Status CrossSell(const v1::CrossSellRequest& request, v1::ItemList* response) = 0;
  virtual absl::Status SimilarItems(const v1::SimilarItemsRequest& request, v1::ItemList* response) = 0;
  virtual absl::Status RecommendItems(const v1::RecommendItemsRequest& request, v1::ItemList* response) = 0;
  virtual absl::Status RecommendNext(const v1::RecommendNextRequest& request, v1::ItemList* response) = 0;

  virtual void SendFeedback(const v1::SendFeedbackRequest& request, v1::SendFeedbackResponse* response, Done done) = 0;

  virtual void UpsertItems(const v1::UpsertItemsRequest& request, v1::UpsertResponse* response, Done done) = 0;
  virtual void UpsertOffers(const v1::UpsertOffersRequest& request, v1::UpsertResponse* response, Done done) = 0;
  virtual absl::Status GetItem(const v1::GetItemRequest& request, v1::Item* response) = 0;
  virtual absl::Status GetOffer(const v1::GetOfferRequest& request, v1::Offer* response) = 0;
  virtual absl::Status ListItems(const v1::ListItemsRequest& request, v1::ListItemsResponse* response) = 0;
  virtual absl::Status ListOffers(const v1::ListOffersRequest& request, v1::ListOffersResponse* response) = 0;
  virtual void DeleteItem(const v1::DeleteItemRequest& request, v1::DeleteResponse* response, Done done) = 0;
  virtual void DeleteOffer(const v1::DeleteOfferRequest& request, v1::DeleteResponse* response, Done done) = 0;

  virtual void UpsertCustomers(const v1::UpsertCustomersRequest& request, v1::UpsertResponse* response, Done done) = 0;
  virtual absl::Status GetCustomer(const v1::GetCustomerRequest& request, v1::CustomerProfile* response) = 0;
  virtual void Merge(const v1::MergeRequest& request, v1::MergeResponse* response, Done done) = 0;
  virtual void EraseCustomer(const v1::EraseCustomerRequest& request, v1::EraseCustomerResponse* response, Done done) = 0;

  virtual void SetPlacement(const v1::SetPlacementRequest& request, v1::Placement* response, Done done) = 0;
  virtual absl::Status ListPlacements(const v1::ListPlacementsRequest& request, v1::ListPlacementsResponse* response) = 0;
  virtual void DeletePlacement(const v1::DeletePlacementRequest& request, v1::DeletePlacementResponse* response, Done done) = 0;
  virtual void EvaluatePolicy(const v1::EvaluatePolicyRequest& request, v1::PolicyEvaluation* response, Done done) = 0;
  virtual void PromotePolicy(const v1::PromotePolicyRequest& request, v1::Release* response, Done done) = 0;
  virtual absl::Status ListReleases(const v1::ListReleasesRequest& request, v1::ListReleasesResponse* response) = 0;
  virtual void RollBackPlacement(const v1::RollBackPlacementRequest& request, v1::Release* response, Done done) = 0;
  virtual void SetPolicy(const v1::SetPolicyRequest& request, v1::Policy* response, Done done) = 0;
  virtual void ListPolicies(const v1::ListPoliciesRequest& request, v1::ListPoliciesResponse* response, Done done) = 0;
  virtual void PublishPolicy(const v1::PublishPolicyRequest& request, v1::Policy* response, Done done) = 0;
  virtual void RollBackPolicy(const v1::RollBackPolicyRequest& request, v1::Policy* response, Done done) = 0;
  virtual void PublishTable(const v1::PublishTableRequest& request, v1::TableStatus* response, Done done) = 0;
  virtual void RollBackTable(const v1::RollBackTableRequest& request, v1::TableStatus* response, Done done) = 0;
  virtual void ListTables(const v1::ListTablesRequest& request, v1::ListTablesResponse* response, Done done) = 0;
  virtual void CreateSnapshot(const v1::CreateSnapshotRequest& request, v1::Snapshot* response, Done done) = 0;
  virtual void ListSnapshots(const v1::ListSnapshotsRequest& request, v1::ListSnapshotsResponse* response, Done done) = 0;
  virtual void VerifySnapshot(const v1::VerifySnapshotRequest& request, v1::VerifySnapshotResponse* response, Done done) = 0;
  virtual void GetStatus(const v1::GetStatusRequest& request, v1::ServerStatus* response, Done done) = 0;
  virtual absl::Status GetLimits(const v1::GetLimitsRequest& request, v1::Limits* response) = 0;
};

}  // namespace offerd
