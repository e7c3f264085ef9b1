#pragma once
#include <functional>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "absl/synchronization/mutex.h"
#include "cli/offerctl.h"
#include "google/rpc/error.pb.h"
#include "offerd/v1/admin_service.grpc.pb.h"
#include "offerd/v1/catalog_service.grpc.pb.h"
#include "offerd/v1/customer_service.grpc.pb.h"
#include "offerd/v1/feedback_service.grpc.pb.h"
#include "offerd/v1/offer_service.grpc.pb.h"

namespace offerd::cli {

// All services on loopback, remembering what they were sent. It takes everything, knows events by their ids, refuses entries
// and events whose id holds "bad", and fails the first `failures` calls of a kind with UNAVAILABLE. Ranks candidates as given;
// by a policy named `reverse` backwards.
class FakeServer final : public v1::OfferService::Service,
                         public v1::FeedbackService::Service,
                         public v1::CatalogService::Service,
                         public v1::CustomerService::Service,
                         public v1::AdminService::Service {
 public:
  FakeServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(static_cast<v1::OfferService::Service*>(this));
    builder.RegisterService(static_cast<v1::FeedbackService::Service*>(this));
    builder.RegisterService(static_cast<v1::CatalogService::Service*>(this));
    builder.RegisterService(static_cast<v1::CustomerService::Service*>(this));
    builder.RegisterService(static_cast<v1::AdminService::Service*>(this));
    server_ = builder.BuildAndStart();
  }
  ~FakeServer() override { server_->Shutdown(); }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // What happened; read when no call runs.
  std::vector<v1::Item> items;
  std::vector<v1::Offer> offers;
  std::vector<v1::Customer> customers;
  std::vector<v1::Event> events;  // distinct
  std::vector<v1::RankOffersRequest> ranked;
  std::set<std::string> event_ids;
  std::string last_authorization;
  v1::Placement placement;
  v1::Policy policy;
  int upsert_calls = 0;
  int stream_batches = 0;

  // What shall happen.
  int upsert_failures = 0;
  int rank_failures = 0;
  int feedback_failures = 0;   // after the events were taken: the acknowledgement is lost
  int stream_break_after = 0;  // batches, once; the batch is taken, its acknowledgement lost
  std::string snapshot_state = "sound";
  v1::ServerStatus status;

 private:
  template <typename T>
  grpc::Status Upsert(const google::protobuf::RepeatedPtrField<T>& entries, const std::string& (T::*id)() const, std::vector<T>* into,
                      v1::UpsertResponse* response) {
    absl::MutexLock lock(&mu_);
    ++upsert_calls;
    if (upsert_failures > 0) return --upsert_failures, grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "busy");
    for (const T& entry : entries) {
      if ((entry.*id)().find("bad") == std::string::npos) {
        into->push_back(entry);
        continue;
      }
      auto* refused = response->add_refused();
      refused->set_id((entry.*id)());
      refused->mutable_status()->set_code(3);
      refused->mutable_status()->set_message("the fake does not like it");
    }
    response->set_accepted(entries.size() - response->refused_size());
    return grpc::Status::OK;
  }

  v1::EventResult Take(const v1::Event& event) {
    v1::EventResult result;
    result.set_event_id(event.event_id());
    if (event.event_id().find("bad") != std::string::npos) {
      result.mutable_status()->set_code(3);
      result.mutable_status()->set_message("the fake does not like it");
      result.set_fate(v1::REFUSED);
    } else if (!event_ids.insert(event.event_id()).second) {
      result.set_fate(v1::DUPLICATE);
    } else {
      events.push_back(event);
      result.set_fate(v1::APPLIED);
      result.set_sequence(events.size());
    }
    return result;
  }

  grpc::Status RankOffers(grpc::ServerContext* context, const v1::RankOffersRequest* request, v1::RankOffersResponse* response) override {
    absl::MutexLock lock(&mu_);
    const auto found = context->client_metadata().find("authorization");
    last_authorization = found == context->client_metadata().end() ? "" : std::string(found->second.data(), found->second.size());
    if (rank_failures > 0) return --rank_failures, grpc::Status(grpc::StatusCode::UNAVAILABLE, "starting");
    ranked.push_back(*request);
    if (request->placement() == "wrong") {
      google::rpc::BadRequest bad_request;
      auto* violation = bad_request.add_field_violations();
      violation->set_field("candidates[3].offer_id");
      violation->set_description("empty");
      google::rpc::Status details;
      details.set_code(3);
      details.add_details()->PackFrom(bad_request);
      return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "1 field is wrong", details.SerializeAsString());
    }
    const bool reverse = request->policy() == "reverse";
    response->set_policy(reverse ? "reverse" : "linear");
    response->set_model_version(3);
    response->set_candidates(request->candidates_size());
    if (!request->validate_only()) response->set_decision_id("d-" + request->request_id());
    *response->mutable_time() = request->as_of();
    const int count = request->candidates_size();
    for (int i = 0; i < count && i < request->slate_size(); ++i) {
      auto* slot = response->add_slots();
      slot->set_offer_id(request->candidates(reverse ? count - 1 - i : i).offer_id());
      slot->set_score(0.25);
      slot->set_probability(0.5);
      slot->set_reason(ranked.size() % 4 == 0 ? v1::RankOffersResponse::EXPLORATION : v1::RankOffersResponse::BEST_ESTIMATE);
    }
    response->add_notes(v1::RankOffersResponse::UNKNOWN_CUSTOMER);
    return grpc::Status::OK;
  }

  grpc::Status SendFeedback(grpc::ServerContext*, const v1::SendFeedbackRequest* request, v1::SendFeedbackResponse* response) override {
    absl::MutexLock lock(&mu_);
    for (const v1::Event& event : request->events()) *response->add_results() = Take(event);
    if (feedback_failures > 0) return --feedback_failures, grpc::Status(grpc::StatusCode::UNAVAILABLE, "killed");
    return grpc::Status::OK;
  }

  grpc::Status StreamFeedback(grpc::ServerContext*, grpc::ServerReaderWriter<v1::FeedbackAcknowledgement, v1::FeedbackBatch>* stream) override {
    v1::FeedbackBatch batch;
    while (stream->Read(&batch)) {
      v1::FeedbackAcknowledgement acknowledgement;
      {
        absl::MutexLock lock(&mu_);
        ++stream_batches;
        acknowledgement.set_client_sequence(batch.client_sequence());
        for (const v1::Event& event : batch.events()) {
          const v1::EventResult result = Take(event);
          if (result.fate() == v1::APPLIED) {
            acknowledgement.set_applied(acknowledgement.applied() + 1);
          } else {
            *acknowledgement.add_others() = result;
          }
        }
        if (stream_break_after > 0 && --stream_break_after == 0) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "killed");
      }
      stream->Write(acknowledgement);
    }
    return grpc::Status::OK;
  }

  grpc::Status UpsertItems(grpc::ServerContext*, const v1::UpsertItemsRequest* request, v1::UpsertResponse* response) override {
    return Upsert(request->items(), &v1::Item::item_id, &items, response);
  }
  grpc::Status UpsertOffers(grpc::ServerContext*, const v1::UpsertOffersRequest* request, v1::UpsertResponse* response) override {
    return Upsert(request->offers(), &v1::Offer::offer_id, &offers, response);
  }
  grpc::Status UpsertCustomers(grpc::ServerContext*, const v1::UpsertCustomersRequest* request, v1::UpsertResponse* response) override {
    return Upsert(request->customers(), &v1::Customer::customer_id, &customers, response);
  }
  grpc::Status ListOffers(grpc::ServerContext*, const v1::ListOffersRequest* request, v1::ListOffersResponse* response) override {
    absl::MutexLock lock(&mu_);  // one offer a page
    const size_t page = request->page_token().empty() ? 0 : static_cast<size_t>(std::stoi(request->page_token()));
    if (page < offers.size()) *response->add_offers() = offers[page];
    if (page + 1 < offers.size()) response->set_next_page_token(std::to_string(page + 1));
    return grpc::Status::OK;
  }
  grpc::Status SetPlacement(grpc::ServerContext*, const v1::SetPlacementRequest* request, v1::Placement* response) override {
    placement = *response = request->placement();
    return grpc::Status::OK;
  }
  grpc::Status ListPlacements(grpc::ServerContext*, const v1::ListPlacementsRequest*, v1::ListPlacementsResponse* response) override {
    *response->add_placements() = placement;
    return grpc::Status::OK;
  }
  grpc::Status DeletePlacement(grpc::ServerContext*, const v1::DeletePlacementRequest* request, v1::DeletePlacementResponse*) override {
    return request->name() == placement.name() ? grpc::Status::OK : grpc::Status(grpc::StatusCode::NOT_FOUND, "no placement " + request->name());
  }
  grpc::Status SetPolicy(grpc::ServerContext*, const v1::SetPolicyRequest* request, v1::Policy* response) override {
    policy = *response = request->policy();
    return grpc::Status::OK;
  }
  grpc::Status ListPolicies(grpc::ServerContext*, const v1::ListPoliciesRequest*, v1::ListPoliciesResponse* response) override {
    *response->add_policies()->mutable_policy() = policy;
    return grpc::Status::OK;
  }
  grpc::Status PublishPolicy(grpc::ServerContext*, const v1::PublishPolicyRequest* request, v1::Policy* response) override {
    response->set_name(request->name());
    response->set_version(12);
    return grpc::Status::OK;
  }
  grpc::Status RollBackPolicy(grpc::ServerContext*, const v1::RollBackPolicyRequest* request, v1::Policy* response) override {
    response->set_name(request->name());
    response->set_version(request->version());
    response->set_pinned(true);
    return grpc::Status::OK;
  }
  grpc::Status CreateSnapshot(grpc::ServerContext*, const v1::CreateSnapshotRequest*, v1::Snapshot* response) override {
    response->set_sequence(41);
    response->set_state("unverified");
    return grpc::Status::OK;
  }
  grpc::Status ListSnapshots(grpc::ServerContext*, const v1::ListSnapshotsRequest*, v1::ListSnapshotsResponse* response) override {
    response->add_snapshots()->set_sequence(41);
    return grpc::Status::OK;
  }
  grpc::Status VerifySnapshot(grpc::ServerContext*, const v1::VerifySnapshotRequest* request, v1::VerifySnapshotResponse* response) override {
    response->mutable_snapshot()->set_sequence(request->sequence());
    response->mutable_snapshot()->set_state(snapshot_state);
    return grpc::Status::OK;
  }
  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::ServerStatus* response) override {
    *response = status;
    return grpc::Status::OK;
  }

  int port_ = 0;
  absl::Mutex mu_;
  std::unique_ptr<grpc::Server> server_;
};

struct RunResult {
  int code = 0;
  std::string out;
  std::string err;
};

// offerctl with these arguments, as from a shell that is no terminal.
inline RunResult RunWith(std::vector<std::string> arguments) {
  std::ostringstream out, err;
  Session session{.out = out, .err = err, .err_is_terminal = false, .connection = {}, .json = false, .action = nullptr};
  const int code = RunOfferctl(arguments, session);
  return {code, out.str(), err.str()};
}

inline RunResult RunOn(const FakeServer& server, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--server", server.address()});
  return RunWith(std::move(arguments));
}

}  // namespace offerd::cli
