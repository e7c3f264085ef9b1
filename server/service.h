#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/config.h"
#include "server/handlers.h"
#include "server/metrics.h"

namespace offerd {

// The gRPC server: five services of offerd.v1, grpc.health.v1 and reflection. Receives calls, admits or sheds them, hands
// them to the Handlers and counts every outcome. Health and reflection ask for no token.
//
// Threads  One thread for each completion queue; handlers that answer at once run on it. Drain and the destructor from one
//          thread that is none of them. `handlers` and `metrics` outlive the Service.
// Errors   Shed calls are ResourceExhausted: too many in flight, or over the role's rate. A request that does not parse is
//          InvalidArgument, one past its deadline is DeadlineExceeded and does nothing.
// Cost     docs/decisions has the measured shape: recycled call objects and messages, no hand-over to another thread.
class Service {
 public:
  // Listens at once and answers; health says NOT_SERVING until SetReady. Unavailable when the address is taken, with its name.
  // A Unix domain socket of the configuration is there with mode 0660 then, plain text whatever `tls` says, and gone after Drain.
  // now_micros is the time that rate limits and latencies are measured by; any thread calls it.
  static absl::StatusOr<std::unique_ptr<Service>> Start(const ServerConfig& config, Handlers* handlers, Metrics* metrics,
                                                        std::function<int64_t()> now_micros);
  ~Service();  // Drain at once
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  int port() const;
  void SetReady(bool is_ready);
  // While the store fails, health says NOT_SERVING for the services that write: feedback, catalogue, customers. Any thread.
  void SetStoreFailing(bool is_failing);
  void CollectMetrics();  // sets the gauges of calls and streams; called at each scrape

  // Takes no new calls, says NOT_SERVING, ends each feedback stream with UNAVAILABLE once its batches are acknowledged, and
  // lets the calls in flight finish. Those that last beyond `deadline` are cancelled. Returns when every handler has called
  // its `done` and every thread has ended; from then on no handler is called. Repeats do nothing.
  void Drain(absl::Time deadline);

 private:
  class Impl;
  explicit Service(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace offerd
