#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "bench/load/arrivals.h"
#include "bench/load/histogram.h"
#include "bench/load/traffic.h"

namespace offerd {

struct LoadOptions {
  std::string target;  // host:port or unix:PATH
  int channels = 4;    // connections, used in turn
  // A closed loop keeps `in_flight` calls under way; an open one sends `rate` calls a second, come what may.
  bool is_open = false;
  int in_flight = 32;
  double rate = 0;
  Arrivals::Kind arrivals = Arrivals::Kind::kPoisson;
  int max_outstanding = 20'000;  // of an open loop: beyond, calls wait here, and their latency goes on
  double deadline_seconds = 0;   // of each call; 0 = none
  double warmup_seconds = 1;     // sent, and not counted
  double seconds = 5;            // counted
  int server_pid = 0;            // whose CPU time and memory are read; 0 = nobody's
  TrafficOptions traffic;
};

// What happened between the end of the warm-up and the end of the run.
struct LoadResult {
  double seconds = 0;
  int64_t offered = 0;    // open loop: calls that were due in the window
  int64_t unsent = 0;     // of those, never sent
  int64_t ok = 0;         // answered OK within the window
  int64_t all_answered = 0;  // with any code, warm-up and what came after the window included
  int64_t in_time = 0;    // of those, within the deadline since they were due; without a deadline all
  std::map<int, int64_t> errors;  // by gRPC code
  int64_t checked = 0;    // answers that were looked into, one in 64
  int64_t poor = 0;       // of those, with nothing in them or an event that was not applied
  std::array<Histogram, kNumCallKinds> latency;  // nanoseconds since a call was due, of those that were answered OK
  double server_cpu_seconds = 0;
  int64_t server_resident_bytes = 0;
  double client_cpu_seconds = 0;

  int64_t answered() const;
  double throughput() const { return seconds == 0 ? 0 : static_cast<double>(ok) / seconds; }
  double server_cpu_micros() const { return answered() == 0 ? 0 : 1e6 * server_cpu_seconds / static_cast<double>(answered()); }
  Histogram AllLatency() const;
};

// Runs the load and returns when every call is answered. One thread takes what the completion queue has; in an open loop a
// second one sleeps until the next call is due, so a server that keeps up is not robbed of a core by its generator.
// Unavailable when nobody listens at the target.
absl::StatusOr<LoadResult> RunLoad(const LoadOptions& options);

// One feedback stream with `in_flight` batches that are not acknowledged; latency and `ok` are those of batches, under
// CallKind::kSendFeedback.
absl::StatusOr<LoadResult> RunStream(const LoadOptions& options);

}  // namespace offerd
