#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <google/protobuf/message.h>
#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>

#include "absl/status/status.h"
#include "server/auth.h"
#include "server/config.h"
#include "server/handlers.h"
#include "server/metrics.h"

// The machinery below service.cc: completion queues, their threads and recycled calls. Nothing here knows a method.
namespace offerd {

// With the status as google.rpc.Status in the trailer grpc-status-details-bin where it has details.
grpc::Status ToGrpcStatus(const absl::Status& status);

// A registered service whose methods hand over bytes: what does not parse, or is not let in, is then ours to answer and count.
class RawService {
 public:
  virtual ~RawService() = default;
  virtual grpc::Service* service() = 0;
  virtual const google::protobuf::ServiceDescriptor* descriptor() const = 0;  // null where the methods are not described
  virtual void RequestUnary(int index, grpc::ServerContext* context, grpc::ByteBuffer* request,
                            grpc::internal::ServerAsyncStreamingInterface* responder, grpc::ServerCompletionQueue* queue,
                            void* tag) = 0;
  virtual void RequestStream(int index, grpc::ServerContext* context, grpc::internal::ServerAsyncStreamingInterface* stream,
                             grpc::ServerCompletionQueue* queue, void* tag) = 0;
};

struct RpcMethod {
  Method method = Method::kRankOffers;
  Access access = Access::kAny;
  bool is_probe = false;  // let in without token, limit or count: a probe must not fail because of load
  RawService* service = nullptr;
  int index = 0;  // of the method in its service
  const google::protobuf::Message* request_type = nullptr;
  const google::protobuf::Message* response_type = nullptr;
  // One of the two is set: `answer` before it returns, or `start` with a later done.
  std::function<absl::Status(const google::protobuf::Message&, google::protobuf::Message*)> answer;
  std::function<void(const google::protobuf::Message&, google::protobuf::Message*, Handlers::Done)> start;
};

// Who may come in. One for all queues.
//
// Threads  Any.
class RpcGate {
 public:
  RpcGate(const ServerConfig& config, Metrics* metrics, std::function<int64_t()> now_micros);

  // In this order: room, token, role, rate, deadline. After OK the caller is in and calls Leave once; else it is not.
  absl::Status Enter(const RpcMethod& method, const grpc::ServerContext& context, int64_t now_micros, Role* role);
  // After Enter, when a call's turn has come: DeadlineExceeded when nobody waits for the answer any more, ResourceExhausted when it waited
  // too long for its turn.
  absl::Status CheckTurn(const grpc::ServerContext& context, int64_t waited_micros);
  absl::Status EnterBatch(Role role, int64_t now_micros);  // one batch of a stream that is in already: room and rate
  void Leave();

  int64_t NowMicros() const { return now_micros_(); }
  int64_t max_turn_wait_micros() const { return max_turn_wait_micros_; }
  Metrics& metrics() const { return metrics_; }
  void CountStream(int difference) { open_streams_.fetch_add(difference, std::memory_order_relaxed); }
  void CollectMetrics();  // sets the gauges

  void BeginDrain() { is_draining_.store(true, std::memory_order_seq_cst); }
  bool is_draining() const { return is_draining_.load(std::memory_order_seq_cst); }

 private:
  absl::Status TakeRoom();

  // Fixed after construction.
  const Authenticator authenticator_;
  const int max_in_flight_;
  const int64_t max_turn_wait_micros_;
  Metrics& metrics_;
  const std::function<int64_t()> now_micros_;
  // Safe by itself.
  RateLimiter rate_limiter_;
  // Atomic: counts that guard nothing.
  std::atomic<int> in_flight_{0};
  std::atomic<int> open_streams_{0};
  std::atomic<bool> is_draining_{false};
};

// What a completion queue hands back.
class RpcTag {
 public:
  virtual void Proceed(bool ok) = 0;  // on the queue's thread

 protected:
  ~RpcTag() = default;
};

// Sends an event to a member function: one per kind of operation that an object has under way.
template <typename Owner>
class MemberTag final : public RpcTag {
 public:
  MemberTag(Owner* owner, void (Owner::*event)(bool)) : owner_(owner), event_(event) {}
  void Proceed(bool ok) override { (owner_->*event_)(ok); }
  void* get() { return static_cast<RpcTag*>(this); }

 private:
  Owner* const owner_;
  void (Owner::*const event_)(bool);
};

// A call that was let in and waits for its turn.
class WaitingCall {
 public:
  virtual void TakeTurn(int64_t now_micros) = 0;  // on the queue's thread
  virtual int64_t arrived_micros() const = 0;

 protected:
  ~WaitingCall() = default;
};

class RpcQueue;

// The calls of one method on one queue.
class RpcPool {
 public:
  virtual ~RpcPool() = default;
  virtual void Fill() = 0;      // queue thread or before it starts: waits for the first calls
  virtual void BeginDrain() {}  // any thread
};

// One completion queue and the one thread that polls it: two on one queue cost half of the throughput (docs/decisions).
//
// What has come is taken in before the next call has its turn, so that under load calls wait here, where their age is known, and not in
// sockets. First come, first served, while nobody waits long. Else there is more to do than time: the newest call has its turn, whose caller
// still waits, and those that waited too long are refused at little cost.
class RpcQueue {
 public:
  RpcQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue, const RpcGate* gate);
  ~RpcQueue();  // after Stop, or never started

  void AddPool(std::unique_ptr<RpcPool> pool) { pools_.push_back(std::move(pool)); }
  void AddMethod(const RpcMethod* method, RpcGate* gate, int num_waiting);
  void Start();       // once the server has started
  void BeginDrain();  // any thread
  void Stop();        // after the server's Shutdown: returns when every call has been answered and the thread has ended

  grpc::ServerCompletionQueue* queue() const { return queue_.get(); }
  // Queue thread only.
  void Append(WaitingCall* call) { waiting_.push_back(call); }
  void CountBusy(int difference) { num_busy_ += difference; }
  bool is_stopping() const { return is_stopping_; }

 private:
  class StopTag final : public RpcTag {
   public:
    explicit StopTag(bool* flag) : flag_(flag) {}
    void Proceed(bool) override { *flag_ = true; }

   private:
    bool* const flag_;
  };
  void Run();
  bool TakeIn();    // what has come; false: the queue has ended
  void GiveTurns();  // to one call that is answered, and to those that are refused
  void ShutDownWhenDone();

  // Fixed after Start.
  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  const RpcGate& gate_;
  std::vector<std::unique_ptr<RpcPool>> pools_;
  std::thread thread_;
  // Queue thread only.
  std::deque<WaitingCall*> waiting_;  // in order of arrival
  int num_busy_ = 0;  // calls that have arrived and are not done with
  bool is_stopping_ = false;
  bool is_shut_down_ = false;
  // Stop only.
  StopTag stop_tag_{&is_stopping_};
  grpc::Alarm stop_alarm_;
};

// Parses and empties `payload`; InvalidArgument names the type that was expected.
absl::Status ParseRequest(grpc::ByteBuffer* payload, google::protobuf::Message* message);

// OK, or what a finished call counts as when its answer did not reach the caller.
int FinalCode(bool was_sent, int code, const grpc::ServerContext& context);

// Messages are recycled while they are at most this large on the wire, so that a rare large one does not stay for ever.
inline constexpr size_t kRecycledBytes = 256 << 10;

}  // namespace offerd
