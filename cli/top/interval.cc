#include "cli/top/interval.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace offerd::cli::top {
namespace {

constexpr char kPrefix[] = "offerd_";
constexpr char kOk[] = "OK";

// Metrics without labels, by what they are; docs/metrics.md explains each.
constexpr const char* kGauges[] = {
    "requests_in_flight", "open_streams", "open_decisions", "decision_queue_records", "feedback_queue_records", "learner_lag_seconds",
    "learner_lag_records", "store_error", "last_sequence", "snapshot_age_seconds", "customers", "items", "offers", "erasures_pending"};
constexpr const char* kCounters[] = {"dropped_decisions_total", "decisions_closed_early_total", "evicted_replies_total",
                                     "damaged_entries_total", "gate_leaks_total", "automatic_returns_total"};
constexpr const char* kTimers[] = {"stream_batch", "publication", "store_write", "store_sync", "snapshot"};

// Both ends of an interval; `base` is what counters rose from.
struct Ends {
  const Samples& base;
  const Samples& after;
  double seconds;

  Family RisesOf(const std::string& name) const { return Rises(base, after, kPrefix + name); }

  std::map<std::string, double> RatesBy(const std::string& name, const std::string& label) const {
    std::map<std::string, double> rates = SumBy(RisesOf(name), label);
    std::erase_if(rates, [](const auto& rate) { return rate.second == 0; });
    for (auto& [key, rate] : rates) rate /= seconds;
    return rates;
  }
};

// A restart shortens what the counters are about. Where the clocks of reader and server differ too much to say by how much, it is the
// whole interval: rates are then too low, never too high.
double SecondsOf(const Reading& before, const Reading& after, bool has_restarted) {
  const double seconds = std::max(after.steady_seconds - before.steady_seconds, 1e-3);
  const std::optional<double> start = after.samples.Value("process_start_time_seconds");
  if (!has_restarted || !start.has_value()) return seconds;
  const double since_start = after.unix_seconds - *start;
  return since_start > 0 && since_start < seconds ? since_start : seconds;
}

Timing TimingOf(const Buckets& buckets, double seconds) {
  return {buckets.empty() ? 0 : buckets.rbegin()->second / seconds, QuantileOf(buckets, 0.5), QuantileOf(buckets, 0.99)};
}

void MeasureProcess(const Reading& after, const Ends& ends, Interval* interval) {
  const auto versions = SumBy(after.samples.Of("offerd_build_info"), "version");
  if (!versions.empty()) interval->version = versions.begin()->first;
  if (const auto start = after.samples.Value("process_start_time_seconds"); start.has_value()) {
    interval->uptime_seconds = std::max(after.unix_seconds - *start, 0.0);
  }
  const Family cpu = Rises(ends.base, ends.after, "process_cpu_seconds_total");
  if (!cpu.empty()) interval->cores = cpu.begin()->second / ends.seconds;
  interval->resident_bytes = after.samples.Value("process_resident_memory_bytes");
}

void MeasurePlain(const Ends& ends, Interval* interval) {
  for (const std::string name : kGauges) {
    if (const auto value = ends.after.Value(kPrefix + name); value.has_value()) interval->gauges[name] = *value;
  }
  for (const std::string name : kCounters) {
    const auto value = ends.after.Value(kPrefix + name);
    if (!value.has_value()) continue;
    interval->counts[name] = *value;
    interval->rises[name] = *value - ends.base.Value(kPrefix + name).value_or(0);
  }
}

void MeasureCalls(const Ends& ends, Interval* interval) {
  const Family requests = ends.RisesOf("requests_total");
  const Family durations = ends.RisesOf("request_duration_seconds_bucket");
  for (const auto& [method, count] : SumBy(requests, "method")) {
    if (count == 0) continue;
    MethodRates& rates = interval->methods[method];
    rates.per_second = count / ends.seconds;
    for (const auto& [code, errors] : SumBy(requests, "code", {{"method", method}})) {
      if (code != kOk && errors != 0) rates.errors[code] = errors / ends.seconds;
    }
    rates.ok = TimingOf(BucketsOf(durations, {{"method", method}, {"outcome", "ok"}}), ends.seconds);
    rates.failed = TimingOf(BucketsOf(durations, {{"method", method}, {"outcome", "error"}}), ends.seconds);
  }
  for (const std::string name : kTimers) {
    const Timing timing = TimingOf(BucketsOf(ends.RisesOf(absl::StrCat(name, "_duration_seconds_bucket"))), ends.seconds);
    if (timing.per_second > 0) interval->timings[name] = timing;
  }
  interval->shed = ends.RatesBy("shed_requests_total", "reason");
  interval->events = ends.RatesBy("events_total", "fate");
  interval->events_by_kind = ends.RatesBy("events_total", "kind");
  interval->reward_outcomes = ends.RatesBy("reward_outcomes_total", "outcome");
}

void MeasureDecisions(const Ends& ends, Interval* interval) {
  const Family& totals = ends.after.Of("offerd_decisions_total");
  for (const auto& [labels, rise] : ends.RisesOf("decisions_total")) {
    const auto placement = labels.find("placement"), policy = labels.find("policy");
    if (placement == labels.end() || policy == labels.end()) continue;
    interval->decisions.push_back({placement->second, policy->second, rise / ends.seconds, totals.at(labels)});
  }
}

void MeasurePolicies(const Reading& before, const Reading& after, const Ends& ends, bool has_restarted, Interval* interval) {
  for (const auto& [policy, rise] : SumBy(ends.RisesOf("publications_total"), "policy")) interval->policies[policy].publications = rise;
  if (!after.state.has_value()) return;
  for (const PolicyState& state : after.state->policies) {
    PolicyRates& rates = interval->policies[state.name];
    rates.state = state;
    // `shown` is part of the learned state and outlives a restart; what it rose by since cannot be told.
    if (!before.state.has_value() || has_restarted) continue;
    for (const PolicyState& earlier : before.state->policies) {
      if (earlier.name == state.name) rates.shown_per_second = static_cast<double>(state.shown - earlier.shown) / ends.seconds;
    }
  }
}

void MeasureGuards(const Reading& after, Interval* interval) {
  const auto read = [&](const char* name, std::optional<double> Guard::* field) {
    for (const auto& [placement, value] : SumBy(after.samples.Of(name), "placement")) interval->guards[placement].*field = value;
  };
  read("offerd_guard_gain", &Guard::gain);
  read("offerd_guard_gain_lower_bound", &Guard::lower_bound);
  read("offerd_guard_gain_upper_bound", &Guard::upper_bound);
  for (const auto& [placement, value] : SumBy(after.samples.Of("offerd_guard_below_floor"), "placement")) {
    interval->guards[placement].is_below = value != 0;
  }
  if (!after.state.has_value()) return;
  for (const GuardState& state : after.state->guards) interval->guards[state.placement].state = state;
}

}  // namespace

Interval Measure(const Reading& before, const Reading& after) {
  const Samples nothing;
  Interval interval;
  interval.has_restarted = HasRestarted(before.samples, after.samples);
  interval.seconds = SecondsOf(before, after, interval.has_restarted);
  interval.no_state_because = after.no_state_because;
  if (after.state.has_value()) {
    interval.is_ready = after.state->is_ready;
    interval.store_error = after.state->store_error;
  }
  const Ends ends{interval.has_restarted ? nothing : before.samples, after.samples, interval.seconds};
  MeasureProcess(after, ends, &interval);
  MeasurePlain(ends, &interval);
  MeasureCalls(ends, &interval);
  MeasureDecisions(ends, &interval);
  MeasurePolicies(before, after, ends, interval.has_restarted, &interval);
  MeasureGuards(after, &interval);
  return interval;
}

}  // namespace offerd::cli::top
