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

  void AddName(std::string name) { names_.push_back(std::move(name)); }  // before the server starts
  void AddTo(RpcQueue* queue);                                           // before the server starts
  grpc::Service* service();

  void SetServing(bool is_serving);  // and tells everyone who watches; NOT_SERVING until then and while draining

 private:
  friend class HealthWatch;
  class Raw;

  int StatusOf(const std::string& name) const;  // of HealthCheckResponse.ServingStatus; SERVICE_UNKNOWN for other names

  // Fixed once the server has started.
  RpcGate& gate_;
  const std::unique_ptr<Raw> raw_;
  RpcMethod check_;
  std::vector<std::string> names_;  // "" is the server as a whole
  std::vector<std::function<void()>> wake_;
  // Atomic: guards nothing. Sequentially consistent: set before the watches are woken, read under a watch's lock.
  std::atomic<bool> is_serving_{false};
};

}  // namespace offerd
