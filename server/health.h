#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/rpc.h"

namespace offerd {

// grpc.health.v1.Health (Check and Watch) on our own queues. gRPC's own health service is a callback service, and one of
// those makes gRPC start threads that poll every connection: more than twice the CPU for each call (docs/decisions). It also
// says SERVING until told otherwise.
//
// Threads  Any.
class HealthService {
 public:
  explicit HealthService(RpcGate* gate);
  ~HealthService();

  // Before the server starts. A service that needs the store is NOT_SERVING while that fails.
  void AddName(std::string name, bool needs_store) { names_.push_back({std::move(name), needs_store}); }
  void AddTo(RpcQueue* queue);                                           // before the server starts
  grpc::Service* service();

  // Both tell everyone who watches.
  void SetServing(bool is_serving);  // NOT_SERVING until then and while draining
  void SetStoreFailing(bool is_failing);

 private:
  friend class HealthWatch;
  class Raw;

  int StatusOf(const std::string& name) const;  // of HealthCheckResponse.ServingStatus; SERVICE_UNKNOWN for other names

  // Fixed once the server has started.
  RpcGate& gate_;
  const std::unique_ptr<Raw> raw_;
  RpcMethod check_;
  struct Name {
    std::string text;  // "" is the server as a whole
    bool needs_store = false;
  };
  std::vector<Name> names_;
  std::vector<std::function<void()>> wake_;
  // Atomic: guards nothing. Sequentially consistent: set before the watches are woken, read under a watch's lock.
  std::atomic<bool> is_serving_{false};
  std::atomic<bool> is_store_failing_{false};
};

}  // namespace offerd
