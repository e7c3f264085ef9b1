#include "server/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/hash.h"
#include "core/status_macros.h"
#include "server/bad_request.h"
#include "server/log.h"
#include "store/decision_records.h"

namespace offerd {
namespace {

FoldLimits FoldLimitsOf(const ServerConfig& config) { return {config.profile_bytes, config.max_open_decisions}; }

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(const ServerConfig& config, std::unique_ptr<Store> store, Metrics* metrics,
                                                       std::function<TimeMicros()> now_micros) {
  auto shelf = std::make_unique<TableShelf>(config.tables_path, config.table_memory);
  ASSIGN_OR_RETURN(Recovery recovery, Recover(*store, nullptr, shelf->Source()));
  for (const std::string& problem : recovery.set_aside) Log(LogLevel::kError, "snapshot_set_aside", {{"reason", problem}});
  recovery.fold->state().tables.ForEach([](absl::string_view name, const TableState& table) {
    if (table.table == nullptr) Log(LogLevel::kError, "table_missing", {{"table", name}, {"version", table.versions.back().version}});
  });
  Log(LogLevel::kInfo, "recovered", {{"base", recovery.base},
                                     {"replayed", recovery.replayed},
                                     {"last_sequence", store->last_sequence()}});
  auto engine = std::unique_ptr<Engine>(new Engine(config, std::move(store), metrics, std::move(now_micros),
                                                   std::move(shelf), std::move(recovery)));
  engine->RestoreReplies();
  return engine;
}

Engine::Engine(const ServerConfig& config, std::unique_ptr<Store> store, Metrics* metrics, std::function<TimeMicros()> now_micros,
               std::unique_ptr<TableShelf> shelf, Recovery recovery)
    : config_(config),
      limits_(LimitsOf(config)),
      store_(std::move(store)),
      metrics_(metrics),
      now_micros_(std::move(now_micros)),
      start_micros_(now_micros_()),
      instance_seed_(MixHash(StableHash(config.salt), static_cast<uint64_t>(start_micros_))),
      shelf_(std::move(shelf)),
      recovery_(std::move(recovery)),
      replies_(config.max_stored_replies, config.request_id_lifetime_seconds),
      writer_(std::make_unique<Writer>(config_, store_.get(), std::move(recovery_.fold), metrics_, &snapshot_, now_micros_)),
      maintenance_(std::make_unique<Maintenance>(config_, store_.get(), writer_.get(), metrics_, &snapshot_, now_micros_)) {}

Engine::~Engine() { (void)Stop(); }

void Engine::Start() {
  writer_->Start();
  maintenance_->OnTick([this] { WatchGuards(); });
  maintenance_->Start();
  is_running_ = true;
  const FoldLimits limits = FoldLimitsOf(config_);
  Writer::Task task;
  task.plan = [limits](Writer::Plan& plan) {
    if (plan.fold().limits() == limits) return;
    v1::stored::LogRecord record;
    record.mutable_limits_set()->set_profile_bytes(limits.profile_bytes);
    record.mutable_limits_set()->set_max_open_decisions(limits.max_open_decisions);
    (void)plan.Log(std::move(record), plan.log_now(), true);
  };
  (void)writer_->SubmitUpkeep(std::move(task));  // the service listens already: there may be no room for anything else
  RestoreErasures();
}

absl::Status Engine::Stop() {
  if (!is_running_) return absl::OkStatus();
  is_running_ = false;
  maintenance_->Stop();
  const absl::Status snapshot = maintenance_->CreateLastSnapshot();
  writer_->Stop();
  return snapshot;
}

// Requests that were answered shortly before a restart are repeats after it, too. Block by block from the end of the log, until a block is too
// old or none of its answers found room: the newest stay where there is no room for all. A block may hold no decision at all.
void Engine::RestoreReplies() {
  constexpr Sequence kBlock = 10'000;
  const TimeMicros now = is_wall_clock() ? now_micros_() : snapshot_.Get()->now;
  const TimeMicros oldest = now - config_.request_id_lifetime_seconds * kMicrosPerSecond;
  for (Sequence end = store_->last_sequence(); end >= store_->first_sequence();) {
    const Sequence begin = std::max(store_->first_sequence(), end > kBlock ? end - kBlock + 1 : Sequence{1});
    int64_t found = 0, restored = 0;
    const absl::StatusOr<bool> is_recent = store_->ReadDecisions(begin, end, oldest, [&](const v1::stored::LogRecord& record) {
      if (record.decision().made_up_request_id() || record.erased()) return absl::OkStatus();
      ASSIGN_OR_RETURN(const v1::RankOffersRequest request, RequestOf(record.decision()));
      v1::RankOffersResponse response;
      FillResponse(record.decision(), request, record.time_micros(), response);
      ++found;
      restored += replies_.Restore(request.request_id(), record.decision().request_fingerprint(), record.time_micros(),
                                   response.SerializeAsString());
      return absl::OkStatus();
    });
    if (!is_recent.ok()) Log(LogLevel::kError, "replies_not_restored", {{"before", end + 1}, {"reason", is_recent.status().ToString()}});
    if (!is_recent.ok() || !*is_recent || (found > 0 && restored == 0)) return;
    end = begin - 1;
  }
}

// An erasure whose mark did not reach the store before a crash stands in the replayed log.
void Engine::RestoreErasures() {
  (void)store_->ReadLog(recovery_.base + 1, store_->last_sequence(), [this](const v1::stored::LogRecord& record) {
    if (record.has_customer_erased() && !record.customer_erased().empty()) {
      maintenance_->Erase(record.customer_erased(), record.sequence());
    }
    return absl::OkStatus();
  });
}

void Engine::SubmitOr(Writer::Task task, const Done& done) {
  const absl::Status submitted = writer_->Submit(std::move(task));
  if (!submitted.ok()) done(submitted);
}

void Engine::PlanChange(std::function<absl::Status(Writer::Plan&)> plan, std::function<void(const Fold&)> respond, Done done,
                        int64_t bytes) {
  const auto planned = std::make_shared<absl::Status>();
  Writer::Task task;
  task.bytes = bytes;
  task.plan = [plan = std::move(plan), planned](Writer::Plan& p) { *planned = plan(p); };
  task.finish = [respond = std::move(respond), planned, done](const absl::Status& written, const Fold& fold) {
    const absl::Status& status = written.ok() ? *planned : written;
    if (status.ok() && respond) respond(fold);
    done(status);
  };
  SubmitOr(std::move(task), done);
}

void Engine::LogChange(v1::stored::LogRecord record, Done done) {
  const int64_t bytes = static_cast<int64_t>(record.ByteSizeLong());
  PlanChange(
      [record = std::move(record)](Writer::Plan& plan) { return plan.Log(record, plan.log_now(), true).status(); }, nullptr,
      std::move(done), bytes);
}

void Engine::CollectMetrics() {
  const std::shared_ptr<const State> state = snapshot_.Get();
  metrics_->Set(Gauge::kLastSequence, static_cast<double>(store_->last_sequence()));
  metrics_->Set(Gauge::kCustomers, static_cast<double>(state->customers.size()));
  metrics_->Set(Gauge::kItems, static_cast<double>(state->catalogue.num_items()));
  metrics_->Set(Gauge::kOffers, static_cast<double>(state->catalogue.offer_table().by_id.size()));
  metrics_->Set(Gauge::kOpenDecisions, static_cast<double>(state->num_open));
  metrics_->Set(Gauge::kDecisionQueue, static_cast<double>(writer_->queued_decisions()));
  metrics_->Set(Gauge::kFeedbackQueue,
                static_cast<double>(std::max<int64_t>(0, writer_->queued_records() - writer_->queued_decisions())));
  const Writer::Lag lag = writer_->lag();
  metrics_->Set(Gauge::kLearnerLagRecords, static_cast<double>(lag.records));
  metrics_->Set(Gauge::kLearnerLagSeconds,
                lag.since == 0 ? 0 : static_cast<double>(std::max<TimeMicros>(0, now_micros_() - lag.since)) * 1e-6);
  metrics_->Add(Counter::kEvictedReplies, replies_.TakeEvicted());
  metrics_->Set(Gauge::kStoreError, writer_->is_failing() ? 1 : 0);
  metrics_->SetGuards(DescribeGuardGauges(*state));
  metrics_->Set(Gauge::kErasuresPending, static_cast<double>(maintenance_->erasures_pending()));
}

}  // namespace offerd
