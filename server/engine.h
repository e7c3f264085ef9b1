#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/decide.h"
#include "core/lists/list_answer.h"
#include "core/snapshot.h"
#include "server/handlers.h"
#include "server/maintenance.h"
#include "server/metrics.h"
#include "server/reply_cache.h"
#include "server/validation.h"
#include "server/writer.h"
#include "store/recovery.h"
#include "store/store.h"
#include "store/table_shelf.h"

namespace offerd {

// The service behind the RPCs: recovers the state, then serves it. One file a service: rank_offers.cc, feedback.cc,
// catalogue.cc, admin.cc, releases.cc, lists.cc, tables.cc.
class Engine final : public Handlers {
 public:
  // Recovers from the store: newest sound base, then the log. DataLoss when that cannot be done without loss.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const ServerConfig& config, std::unique_ptr<Store> store,
                                                        Metrics* metrics, std::function<TimeMicros()> now_micros);
  ~Engine() override;

  void Start();
  // Writes what is queued, makes a last snapshot, ends every thread. Call when no handler runs any more.
  absl::Status Stop();

  absl::Status RankOffers(const v1::RankOffersRequest& request, v1::RankOffersResponse* response) override;
  absl::Status CrossSell(const v1::CrossSellRequest& request, v1::ItemList* response) override;
  absl::Status SimilarItems(const v1::SimilarItemsRequest& request, v1::ItemList* response) override;
  absl::Status RecommendItems(const v1::RecommendItemsRequest& request, v1::ItemList* response) override;
  absl::Status RecommendNext(const v1::RecommendNextRequest& request, v1::ItemList* response) override;
  void Activate(const v1::ActivateRequest& request, v1::ActivateResponse* response, Done done) override;
  void SendFeedback(const v1::SendFeedbackRequest& request, v1::SendFeedbackResponse* response, Done done) override;

  void UpsertItems(const v1::UpsertItemsRequest& request, v1::UpsertResponse* response, Done done) override;
  void UpsertOffers(const v1::UpsertOffersRequest& request, v1::UpsertResponse* response, Done done) override;
  absl::Status GetItem(const v1::GetItemRequest& request, v1::Item* response) override;
  absl::Status GetOffer(const v1::GetOfferRequest& request, v1::Offer* response) override;
  absl::Status ListItems(const v1::ListItemsRequest& request, v1::ListItemsResponse* response) override;
  absl::Status ListOffers(const v1::ListOffersRequest& request, v1::ListOffersResponse* response) override;
  void DeleteItem(const v1::DeleteItemRequest& request, v1::DeleteResponse* response, Done done) override;
  void DeleteOffer(const v1::DeleteOfferRequest& request, v1::DeleteResponse* response, Done done) override;
  void UpsertCustomers(const v1::UpsertCustomersRequest& request, v1::UpsertResponse* response, Done done) override;
  absl::Status GetCustomer(const v1::GetCustomerRequest& request, v1::CustomerProfile* response) override;
  void Merge(const v1::MergeRequest& request, v1::MergeResponse* response, Done done) override;
  void EraseCustomer(const v1::EraseCustomerRequest& request, v1::EraseCustomerResponse* response, Done done) override;

  void SetPlacement(const v1::SetPlacementRequest& request, v1::Placement* response, Done done) override;
  absl::Status ListPlacements(const v1::ListPlacementsRequest& request, v1::ListPlacementsResponse* response) override;
  void DeletePlacement(const v1::DeletePlacementRequest& request, v1::DeletePlacementResponse* response, Done done) override;
  void EvaluatePolicy(const v1::EvaluatePolicyRequest& request, v1::PolicyEvaluation* response, Done done) override;
  void PromotePolicy(const v1::PromotePolicyRequest& request, v1::Release* response, Done done) override;
  absl::Status ListReleases(const v1::ListReleasesRequest& request, v1::ListReleasesResponse* response) override;
  void RollBackPlacement(const v1::RollBackPlacementRequest& request, v1::Release* response, Done done) override;
  void SetPolicy(const v1::SetPolicyRequest& request, v1::Policy* response, Done done) override;
  void ListPolicies(const v1::ListPoliciesRequest& request, v1::ListPoliciesResponse* response, Done done) override;
  void PublishPolicy(const v1::PublishPolicyRequest& request, v1::Policy* response, Done done) override;
  void RollBackPolicy(const v1::RollBackPolicyRequest& request, v1::Policy* response, Done done) override;
  void PublishTable(const v1::PublishTableRequest& request, v1::TableStatus* response, Done done) override;
  void RollBackTable(const v1::RollBackTableRequest& request, v1::TableStatus* response, Done done) override;
  void ListTables(const v1::ListTablesRequest& request, v1::ListTablesResponse* response, Done done) override;
  void CreateSnapshot(const v1::CreateSnapshotRequest& request, v1::Snapshot* response, Done done) override;
  void ListSnapshots(const v1::ListSnapshotsRequest& request, v1::ListSnapshotsResponse* response, Done done) override;
  void VerifySnapshot(const v1::VerifySnapshotRequest& request, v1::VerifySnapshotResponse* response, Done done) override;
  void GetStatus(const v1::GetStatusRequest& request, v1::ServerStatus* response, Done done) override;
  absl::Status GetLimits(const v1::GetLimitsRequest& request, v1::Limits* response) override;

  // Hears, on the writer's thread, when the store begins to fail (true) and when it takes writes again. Before Start.
  void OnStoreFailing(std::function<void(bool)> on_failing) { writer_->OnFailing(std::move(on_failing)); }
  void CollectMetrics();  // sets the gauges; called at each scrape
  const Recovery& recovery() const { return recovery_; }  // without its fold, which the writer owns

 private:
  Engine(const ServerConfig& config, std::unique_ptr<Store> store, Metrics* metrics, std::function<TimeMicros()> now_micros,
         std::unique_ptr<TableShelf> shelf, Recovery recovery);
  void RestoreReplies();
  void RestoreErasures();
  bool is_wall_clock() const { return config_.clock == ServerConfig::Clock::kWall; }
  template <typename Request>
  absl::Status Answer(ListRequest& list, const Request& request, v1::ItemList* response);
  void PutInForce(std::shared_ptr<const ListTable> table, bool rolled_back, v1::TableStatus* response, Done done);
  v1::TableStatus DescribeTable(const std::string& name, const State& state) const;
  void RecordDecisionMetrics(const Decision& decision);
  void PlanEvent(Writer::Plan& plan, v1::stored::LogRecord record, v1::EventResult& result);
  // Submits and answers `done` itself when the writer refuses.
  void SubmitOr(Writer::Task task, const Done& done);
  // Logs one change that needs no look at the state, synced, and answers when it is in force.
  void LogChange(v1::stored::LogRecord record, Done done);
  // A task whose plan may refuse: `plan` decides, `respond` fills the answer once it is in force.
  // `bytes` of what it holds count against the queue's limit.
  void PlanChange(std::function<absl::Status(Writer::Plan&)> plan, std::function<void(const Fold&)> respond, Done done,
                  int64_t bytes = 0);
  absl::Status PlanPlacement(Writer::Plan& plan, v1::Placement placement, const std::string& override_reason);
  // Logs who is to answer from now on, or that somebody was refused; the release gets its time and what was before.
  absl::Status PlanRelease(Writer::Plan& plan, v1::Mode mode, bool tested, v1::Release& release);
  void WatchGuards();  // automatic returns; on the maintenance thread
  void DescribeGuards(const State& state, v1::ServerStatus& status) const;
  void DescribeExaminations(const State& state, v1::ServerStatus& status) const;
  std::vector<Metrics::Guard> DescribeGuardGauges(const State& state) const;
  absl::Status PlanPolicy(Writer::Plan& plan, const v1::Policy& policy);

  // Fixed after construction.
  const ServerConfig config_;
  const Limits limits_;
  const std::unique_ptr<Store> store_;
  Metrics* const metrics_;
  const std::function<TimeMicros()> now_micros_;
  const TimeMicros start_micros_;
  const uint64_t instance_seed_;  // of request ids made up here
  const std::unique_ptr<TableShelf> shelf_;
  Recovery recovery_;

  Snapshot<State> snapshot_;
  ReplyCache replies_;
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<Maintenance> maintenance_;
  bool is_running_ = false;  // Start and Stop only

  // Atomic, relaxed: each stands alone.
  std::atomic<int64_t> gate_leaks_{0};
  std::atomic<uint64_t> made_up_ids_{0};
  std::atomic<int64_t> refused_{0}, duplicate_{0}, late_{0};  // events, since the start
};

}  // namespace offerd
