#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/top/samples.h"

namespace offerd::cli::top {

// Of GetStatus what the metrics do not say.
struct PolicyState {
  std::string name;
  uint64_t version = 0;
  int64_t shown = 0;
  double residual_deviation = 0;
  int64_t compared = 0;  // decisions of the policy beside the fixed one
  int64_t agreed = 0;    // of these
};
struct GuardState {
  std::string placement;
  bool is_on = false;
  std::string off_because;
  int64_t decisions = 0;
};
struct ServerState {
  bool is_ready = false;
  std::string store_error;  // empty = healthy
  std::vector<PolicyState> policies;
  std::vector<GuardState> guards;
};

// All that was read at one moment.
struct Reading {
  double steady_seconds = 0;  // of a clock that nobody sets: tells intervals
  double unix_seconds = 0;    // of the reader's clock: tells how long a restarted server has run
  Samples samples;
  std::optional<ServerState> state;
  std::string no_state_because;  // where there is none
};

struct Timing {
  double per_second = 0;
  std::optional<Quantile> p50, p99;  // seconds
};
struct MethodRates {
  double per_second = 0;                 // all that were answered
  std::map<std::string, double> errors;  // a second, by code; none that are 0
  Timing ok, failed;
};
struct DecisionRates {
  std::string placement, policy;
  double per_second = 0;
  double total = 0;
};
struct PolicyRates {
  double publications = 0;                 // in the interval
  std::optional<PolicyState> state;        // where GetStatus answered
  std::optional<double> shown_per_second;  // where it did at both ends
};
struct Guard {
  std::optional<double> gain, lower_bound, upper_bound;  // nothing or NaN: not known
  bool is_below = false;
  std::optional<GuardState> state;
};

// What happened between two readings of one server. Rates are a second.
struct Interval {
  double seconds = 0;  // that the rates are over: since the restart where there was one
  bool has_restarted = false;
  std::string no_state_because;
  std::optional<bool> is_ready;
  std::string store_error;

  std::string version;
  std::optional<double> uptime_seconds, cores, resident_bytes;
  std::map<std::string, double> gauges;  // without offerd_ in front, as the metrics page has them; those that are exported
  std::map<std::string, double> counts;  // totals of counters without labels, by the same names
  std::map<std::string, double> rises;   // of these

  std::map<std::string, MethodRates> methods;  // those with calls in the interval
  std::map<std::string, Timing> timings;       // those that happened in the interval
  std::map<std::string, double> shed;          // by reason, none that are 0; so the two below
  std::map<std::string, double> events;        // by fate
  std::map<std::string, double> events_by_kind;
  std::map<std::string, double> reward_outcomes;
  std::vector<DecisionRates> decisions;  // every pair of placement and policy, also those at rest
  std::map<std::string, PolicyRates> policies;
  std::map<std::string, Guard> guards;  // by placement
};

// `after` was read later than `before`. A server that has restarted in between is measured from its start, as far as the clocks tell it.
Interval Measure(const Reading& before, const Reading& after);

}  // namespace offerd::cli::top
