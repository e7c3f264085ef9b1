#pragma once
#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>

#include "offerd/v1/feedback_service.grpc.pb.h"
#include "offerd/v1/offer_service.grpc.pb.h"
#include "offerd_client/feedback_stream.h"
#include "offerd_client/offer_key.h"
#include "offerd_client/options.h"
#include "offerd_client/outcome.h"

namespace offerd::client {

// The connection to one server and the calls of a shop front end. Every call is repeated while its code is UNAVAILABLE or
// RESOURCE_EXHAUSTED, attempts are left and the timeout allows the pause.
//
// Threads  Safe.
// Errors   Connect fails for files that cannot be read. A server that is not there shows in the first call.
class Client {
 public:
  static Outcome Connect(Options options, std::unique_ptr<Client>* client);

  // An empty request_id is filled in, once for all attempts: a repeat gets the same decision and counts once.
  Outcome RankOffers(v1::RankOffersRequest request, v1::RankOffersResponse* response);
  Outcome Activate(const v1::ActivateRequest& request, v1::ActivateResponse* response);
  Outcome CrossSell(const v1::CrossSellRequest& request, v1::ItemList* response);
  Outcome SimilarItems(const v1::SimilarItemsRequest& request, v1::ItemList* response);
  Outcome RecommendItems(const v1::RecommendItemsRequest& request, v1::ItemList* response);
  Outcome RecommendNext(const v1::RecommendNextRequest& request, v1::ItemList* response);
  // A few events at once; the answer says for each whether it was taken. Many events: OpenFeedbackStream.
  Outcome SendFeedback(const v1::SendFeedbackRequest& request, v1::SendFeedbackResponse* response);

  // The stream must not outlive the client. `acknowledged` may be empty; it is called from the stream's own thread.
  std::unique_ptr<FeedbackStream> OpenFeedbackStream(FeedbackStream::Acknowledged acknowledged = nullptr);

 private:
  Client(Options options, const std::shared_ptr<grpc::Channel>& channel);

  template <typename Stub, typename Request, typename Response>
  Outcome Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*), const Request& request,
               Response* response);

  const Options options_;
  const std::unique_ptr<v1::OfferService::Stub> offers_;
  const std::unique_ptr<v1::FeedbackService::Stub> feedback_;
};

}  // namespace offerd::client
