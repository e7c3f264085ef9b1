// offerd_echo: the yardstick of offerd. The same messages over the same queues, gate and recycled calls, and nothing behind
// them: what it costs is what gRPC and the messages cost.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/config.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/service.h"
#include "tests/server/fake_handlers.h"

namespace offerd {
namespace {

// Answers of the size that offerd gives: ten slots, ten items, an APPLIED for each event.
class EchoHandlers final : public FakeHandlers {
 public:
  EchoHandlers() {
    slate_.set_decision_id(std::string(32, 'd'));
    slate_.set_policy("learned");
    slate_.set_model_version(123456);
    slate_.set_arm("policy");
    slate_.set_candidates(50);
    slate_.mutable_time()->set_seconds(1'700'000'000);
    slate_.mutable_time()->set_nanos(123'456'000);
    list_.mutable_time()->CopyFrom(slate_.time());
    list_.add_tables()->set_name("together");
    list_.mutable_tables(0)->set_version(1);
    packed_slate_ = slate_;
    packed_slate_.set_candidates(500);
    v1::RankOffersResponse::PackedSlots& packed = *packed_slate_.mutable_packed();
    for (int i = 0; i < 10; ++i) {
      packed.add_index(static_cast<uint32_t>(40 * i));
      packed.add_score(0.1 / (1 + i));
      packed.add_probability(0.9);
      packed.add_reason(v1::RankOffersResponse::BEST_ESTIMATE);
      v1::RankOffersResponse::Slot& slot = *slate_.add_slots();
      slot.set_offer_id(absl::StrFormat("offer-%06d", 1000 + i));
      slot.set_score(0.1 / (1 + i));
      slot.set_probability(0.9);
      slot.set_reason(v1::RankOffersResponse::BEST_ESTIMATE);
      v1::ItemList::Entry& entry = *list_.add_entries();
      entry.set_item_id(absl::StrFormat("item-%07d", 1000 + i));
      entry.set_score(0.1 / (1 + i));
      entry.set_strategy(v1::Strategy::NEIGHBOURS);
      entry.set_because_item_id("item-0000001");
    }
  }

  absl::Status RankOffers(const v1::RankOffersRequest& request, v1::RankOffersResponse* response) override {
    response->CopyFrom(request.offer_keys_size() > 0 ? packed_slate_ : slate_);
    return absl::OkStatus();
  }
  absl::Status CrossSell(const v1::CrossSellRequest&, v1::ItemList* response) override { return List(response); }
  absl::Status SimilarItems(const v1::SimilarItemsRequest&, v1::ItemList* response) override { return List(response); }
  absl::Status RecommendItems(const v1::RecommendItemsRequest&, v1::ItemList* response) override { return List(response); }
  absl::Status RecommendNext(const v1::RecommendNextRequest&, v1::ItemList* response) override { return List(response); }
  void SendFeedback(const v1::SendFeedbackRequest& request, v1::SendFeedbackResponse* response, Done done) override {
    for (const v1::Event& event : request.events()) {
      v1::EventResult& result = *response->add_results();
      result.set_event_id(event.event_id());
      result.set_fate(v1::APPLIED);
      result.set_sequence(123456);
    }
    done(absl::OkStatus());
  }

 private:
  absl::Status List(v1::ItemList* response) const {
    response->CopyFrom(list_);
    return absl::OkStatus();
  }

  v1::RankOffersResponse slate_, packed_slate_;
  v1::ItemList list_;
};

int Serve(const std::string& listen, int queues) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  ServerConfig config;
  config.listen = listen;
  config.completion_queues = queues;
  const auto now_micros = [] { return absl::ToUnixMicros(absl::Now()); };
  Metrics metrics("echo", now_micros);
  EchoHandlers handlers;
  const auto service = Service::Start(config, &handlers, &metrics, now_micros);
  if (!service.ok()) {
    Log(LogLevel::kError, "not_started", {{"reason", service.status().ToString()}});
    return 1;
  }
  (*service)->SetReady(true);
  Log(LogLevel::kInfo, "ready", {{"port", (*service)->port()}});
  int signal = 0;
  sigwait(&signals, &signal);
  (*service)->Drain(absl::Now() + absl::Seconds(5));
  return 0;
}

}  // namespace
}  // namespace offerd

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // as offerd
  std::string listen = "127.0.0.1:0";
  int queues = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--listen") == 0) listen = argv[i + 1];
    if (std::strcmp(argv[i], "--queues") == 0) queues = std::max(1, std::atoi(argv[i + 1]));
  }
  return offerd::Serve(listen, queues);
}
