#pragma once
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/handlers.h"

namespace offerd {

// Answers everything with OK, counts, and on demand keeps the `done` of slow methods until the test lets them go.
class FakeHandlers : public Handlers {
 public:
  // From now on methods with `done` wait in Held until Release.
  void Hold() {
    absl::MutexLock lock(&mu_);
    is_holding_ = true;
  }
  void WaitForHeld(size_t n) {
    absl::MutexLock lock(&mu_);
    const auto enough = [this, n]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return held_.size() >= n; };
    mu_.Await(absl::Condition(&enough));
  }
  size_t num_held() {
    absl::MutexLock lock(&mu_);
    return held_.size();
  }
  // Lets the one at `index` of those held go.
  void Release(size_t index, const absl::Status& status = absl::OkStatus()) {
    Done done;
    {
      absl::MutexLock lock(&mu_);
      done = std::move(held_.at(index));
      held_.erase(held_.begin() + static_cast<ptrdiff_t>(index));
    }
    done(status);
  }
  void ReleaseAll() {
    std::vector<Done> all;
    {
      absl::MutexLock lock(&mu_);
      is_holding_ = false;
      all.swap(held_);
    }
    for (Done& done : all) done(absl::OkStatus());
  }
  int calls(const std::string& method) {
    absl::MutexLock lock(&mu_);
    return calls_[method];
  }
  void WaitForCalls(const std::string& method, int n) {
    absl::MutexLock lock(&mu_);
    const auto enough = [this, &method, n]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return calls_[method] >= n; };
    mu_.Await(absl::Condition(&enough));
  }

  std::function<absl::Status(const v1::RankOffersRequest&, v1::RankOffersResponse*)> rank_offers;  // set before the calls
  std::function<absl::Status(const v1::SendFeedbackRequest&)> feedback_status;

  absl::Status RankOffers(const v1::RankOffersRequest& request, v1::RankOffersResponse* response) override {
    static_cast<void>(Count("RankOffers"));
    if (rank_offers) return rank_offers(request, response);
    for (const v1::Candidate& candidate : request.candidates()) response->add_slots()->set_offer_id(candidate.offer_id());
    return absl::OkStatus();
  }
  absl::Status CrossSell(const v1::CrossSellRequest&, v1::ItemList*) override { return Count("CrossSell"); }
  absl::Status SimilarItems(const v1::SimilarItemsRequest&, v1::ItemList*) override { return Count("SimilarItems"); }
  absl::Status RecommendItems(const v1::RecommendItemsRequest&, v1::ItemList*) override { return Count("RecommendItems"); }
  absl::Status RecommendNext(const v1::RecommendNextRequest&, v1::ItemList*) override { return Count("RecommendNext"); }
  void Activate(const v1::ActivateRequest&, v1::ActivateResponse* r, Done done) override {
    r->set_activated(7);
    Later("Activate", std::move(done));
  }
  void SendFeedback(const v1::SendFeedbackRequest& request, v1::SendFeedbackResponse* response, Done done) override {
    for (const v1::Event& event : request.events()) {
      v1::EventResult* result = response->add_results();
      result->set_event_id(event.event_id());
      result->set_fate(event.event_id().rfind("late", 0) == 0 ? v1::LATE : v1::APPLIED);
    }
    const absl::Status status = feedback_status ? feedback_status(request) : absl::OkStatus();
    if (!status.ok()) return done(status);
    Later("SendFeedback", std::move(done));
  }
  void UpsertItems(const v1::UpsertItemsRequest&, v1::UpsertResponse*, Done done) override { Later("UpsertItems", std::move(done)); }
  void UpsertOffers(const v1::UpsertOffersRequest&, v1::UpsertResponse*, Done done) override { Later("UpsertOffers", std::move(done)); }
  absl::Status GetItem(const v1::GetItemRequest&, v1::Item*) override { return Count("GetItem"); }
  absl::Status GetOffer(const v1::GetOfferRequest&, v1::Offer*) override { return Count("GetOffer"); }
  absl::Status ListItems(const v1::ListItemsRequest&, v1::ListItemsResponse*) override { return Count("ListItems"); }
  absl::Status ListOffers(const v1::ListOffersRequest&, v1::ListOffersResponse*) override { return Count("ListOffers"); }
  void DeleteItem(const v1::DeleteItemRequest&, v1::DeleteResponse*, Done done) override { Later("DeleteItem", std::move(done)); }
  void DeleteOffer(const v1::DeleteOfferRequest&, v1::DeleteResponse*, Done done) override { Later("DeleteOffer", std::move(done)); }
  void UpsertCustomers(const v1::UpsertCustomersRequest&, v1::UpsertResponse*, Done done) override {
    Later("UpsertCustomers", std::move(done));
  }
  absl::Status GetCustomer(const v1::GetCustomerRequest&, v1::CustomerProfile*) override { return Count("GetCustomer"); }
  void Merge(const v1::MergeRequest&, v1::MergeResponse*, Done done) override { Later("Merge", std::move(done)); }
  void EraseCustomer(const v1::EraseCustomerRequest&, v1::EraseCustomerResponse*, Done done) override {
    Later("EraseCustomer", std::move(done));
  }
  void SetPlacement(const v1::SetPlacementRequest&, v1::Placement*, Done done) override { Later("SetPlacement", std::move(done)); }
  absl::Status ListPlacements(const v1::ListPlacementsRequest&, v1::ListPlacementsResponse*) override {
    return Count("ListPlacements");
  }
  void DeletePlacement(const v1::DeletePlacementRequest&, v1::DeletePlacementResponse*, Done done) override {
    Later("DeletePlacement", std::move(done));
  }
  void EvaluatePolicy(const v1::EvaluatePolicyRequest&, v1::PolicyEvaluation*, Done done) override { Later("EvaluatePolicy", std::move(done)); }
  void PromotePolicy(const v1::PromotePolicyRequest&, v1::Release*, Done done) override { Later("PromotePolicy", std::move(done)); }
  absl::Status ListReleases(const v1::ListReleasesRequest&, v1::ListReleasesResponse*) override { return Count("ListReleases"); }
  void RollBackPlacement(const v1::RollBackPlacementRequest&, v1::Release*, Done done) override {
    Later("RollBackPlacement", std::move(done));
  }
  void SetPolicy(const v1::SetPolicyRequest&, v1::Policy*, Done done) override { Later("SetPolicy", std::move(done)); }
  void ListPolicies(const v1::ListPoliciesRequest&, v1::ListPoliciesResponse*, Done done) override {
    Later("ListPolicies", std::move(done));
  }
  void PublishPolicy(const v1::PublishPolicyRequest&, v1::Policy*, Done done) override { Later("PublishPolicy", std::move(done)); }
  void RollBackPolicy(const v1::RollBackPolicyRequest&, v1::Policy*, Done done) override { Later("RollBackPolicy", std::move(done)); }
  void PublishTable(const v1::PublishTableRequest&, v1::TableStatus*, Done done) override { Later("PublishTable", std::move(done)); }
  void RollBackTable(const v1::RollBackTableRequest&, v1::TableStatus*, Done done) override { Later("RollBackTable", std::move(done)); }
  void ListTables(const v1::ListTablesRequest&, v1::ListTablesResponse*, Done done) override { Later("ListTables", std::move(done)); }
  void CreateSnapshot(const v1::CreateSnapshotRequest&, v1::Snapshot*, Done done) override { Later("CreateSnapshot", std::move(done)); }
  void ListSnapshots(const v1::ListSnapshotsRequest&, v1::ListSnapshotsResponse*, Done done) override {
    Later("ListSnapshots", std::move(done));
  }
  void VerifySnapshot(const v1::VerifySnapshotRequest&, v1::VerifySnapshotResponse*, Done done) override {
    Later("VerifySnapshot", std::move(done));
  }
  void GetStatus(const v1::GetStatusRequest&, v1::ServerStatus*, Done done) override { Later("GetStatus", std::move(done)); }
  absl::Status GetLimits(const v1::GetLimitsRequest&, v1::Limits*) override { return Count("GetLimits"); }

 private:
  absl::Status Count(const std::string& method) {
    absl::MutexLock lock(&mu_);
    ++calls_[method];
    return absl::OkStatus();
  }
  void Later(const std::string& method, Done done) {
    {
      absl::MutexLock lock(&mu_);
      ++calls_[method];
      if (is_holding_) {
        held_.push_back(std::move(done));
        return;
      }
    }
    done(absl::OkStatus());
  }

  absl::Mutex mu_;
  bool is_holding_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Done> held_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace offerd
