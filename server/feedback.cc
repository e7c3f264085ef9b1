// What happens to events: docs/paths/feedback.md.
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "server/bad_request.h"
#include "server/engine.h"
#include "store/records.h"

namespace offerd {
namespace {

constexpr TimeMicros kAllowedAhead = 3600 * kMicrosPerSecond;  // clocks of callers

struct Feedback {
  v1::SendFeedbackResponse* response = nullptr;
  std::vector<v1::stored::LogRecord> records;
  std::vector<int> places;  // of each record's event in the answer
};

void Fail(const absl::Status& status, v1::EventResult& result) {
  *result.mutable_status() = ToRpcStatus(status);
  result.set_fate(v1::REFUSED);
}

// The rules that need to know what the shop is configured to be.
absl::Status CheckAgainstConfig(const v1::Event& event, const ServerConfig& config, bool is_wall_clock, TimeMicros now) {
  if (!event.currency().empty() && event.currency() != config.currency) {
    return BadRequest("currency", absl::StrCat("expected ", config.currency, ", the currency of this server"));
  }
  if (is_wall_clock && event.has_time()) {
    ASSIGN_OR_RETURN(const TimeMicros time, ToMicros(event.time()));
    if (time > now + kAllowedAhead) return BadRequest("time", "expected at most one hour ahead of the server's clock");
  }
  return absl::OkStatus();
}

bool IsDenied(const v1::Event& event, const Fold& fold) {
  if (event.consent() != v1::CONSENT_UNSPECIFIED) return event.consent() == v1::CONSENT_DENIED;
  const Profile* profile = fold.state().customers.Find(event.customer_id());
  return profile != nullptr && profile->customer.consent == Consent::kDenied;
}

// LATE is older than window and lateness allow. What is not, but finds its decision closed early or its placement deleted, is
// an ORPHAN: a visit all the same. So is what is late for a placement whose late policy says so, as long as a repetition of it would
// be recognised.
absl::StatusOr<Fate> FateOf(const v1::Event& event, TimeMicros time, TimeMicros log_time, const ServerConfig& config,
                            const Writer::Plan& plan) {
  if (event.history()) return Fate::kApplied;
  if (time < plan.log_now() - config.event_id_lifetime_seconds * kMicrosPerSecond) return Fate::kLate;
  Event subject;
  subject.decision_id = DecisionId(event.decision_id());
  if (!event.decision_id().empty() && plan.fold().FindOpen(subject.decision_id) == nullptr) {
    ASSIGN_OR_RETURN(const std::optional<RewardSpec::LatePolicy> late, plan.LatePolicyIfOver(event.decision_id(), log_time));
    if (late.has_value()) return Fold::FateOfLate(*late);
  }
  return plan.fold().Classify(subject, log_time, false);
}

}  // namespace

// On the writer's thread: one valid event.
void Engine::PlanEvent(Writer::Plan& plan, v1::stored::LogRecord record, v1::EventResult& result) {
  v1::stored::StoredEvent& stored = *record.mutable_event();
  v1::Event& event = *stored.mutable_event();
  if (plan.IsUnreadable(event.event_id())) {
    return Fail(absl::DataLossError("event_id: the store's entry of this id is damaged, so it might count twice"), result);
  }
  if (plan.IsSeen(event.event_id())) return result.set_fate(v1::DUPLICATE);
  TimeMicros time = plan.log_now();
  if (event.has_time()) time = *ToMicros(event.time());
  stored.set_time_micros(time);
  if (IsDenied(event, plan.fold())) {
    event.clear_customer_id();
    event.clear_order_id();  // a number of the shop's that leads to the person
  }
  // The log's time is that of the event where history is played; imports of the past move no clock.
  const TimeMicros log_time = is_wall_clock() || event.history() ? plan.log_now() : time;
  const absl::StatusOr<Fate> fate = FateOf(event, time, log_time, config_, plan);
  if (!fate.ok()) return Fail(fate.status(), result);
  result.set_fate(static_cast<v1::Fate>(*fate));
  if (*fate == Fate::kLate) return;
  stored.set_fate(static_cast<v1::Fate>(*fate));
  const auto sequence = plan.Log(std::move(record), log_time, true);
  if (!sequence.ok()) return Fail(sequence.status(), result);
  result.set_sequence(*sequence);
}

void Engine::SendFeedback(const v1::SendFeedbackRequest& request, v1::SendFeedbackResponse* response, Done done) {
  const absl::Status valid = ValidateBatch("events", request.events_size(), limits_);
  if (!valid.ok()) {
    done(valid);
    return;
  }
  const TimeMicros now = now_micros_();
  const auto feedback = std::make_shared<Feedback>();
  feedback->response = response;
  Writer::Task task;
  task.bytes = static_cast<int64_t>(request.ByteSizeLong());
  for (int i = 0; i < request.events_size(); ++i) {
    const v1::Event& event = request.events(i);
    v1::EventResult& result = *response->add_results();
    result.set_event_id(event.event_id());
    absl::Status status = Validate(event, limits_);
    if (status.ok()) status = CheckAgainstConfig(event, config_, is_wall_clock(), now);
    if (!status.ok()) {
      Fail(status, result);
      refused_.fetch_add(1, std::memory_order_relaxed);
      metrics_->RecordEvent(static_cast<int>(event.kind()), v1::REFUSED);
      continue;
    }
    feedback->records.emplace_back();
    *feedback->records.back().mutable_event()->mutable_event() = event;
    feedback->places.push_back(i);
    task.event_ids.push_back(event.event_id());
  }
  if (feedback->records.empty()) {
    done(absl::OkStatus());
    return;
  }

  task.records = static_cast<int64_t>(feedback->records.size());
  task.plan = [this, feedback](Writer::Plan& plan) {
    for (size_t i = 0; i < feedback->records.size(); ++i) {
      PlanEvent(plan, std::move(feedback->records[i]), *feedback->response->mutable_results(feedback->places[i]));
    }
  };
  task.finish = [this, feedback, &request, done](const absl::Status& written, const Fold&) {
    if (written.ok()) {
      for (const int place : feedback->places) {
        const v1::Fate fate = feedback->response->results(place).fate();
        metrics_->RecordEvent(static_cast<int>(request.events(place).kind()), fate);
        if (fate == v1::DUPLICATE) duplicate_.fetch_add(1, std::memory_order_relaxed);
        if (fate == v1::LATE) late_.fetch_add(1, std::memory_order_relaxed);
        if (fate == v1::REFUSED) refused_.fetch_add(1, std::memory_order_relaxed);
      }
    }
    done(written);
  };
  SubmitOr(std::move(task), done);
}

}  // namespace offerd
