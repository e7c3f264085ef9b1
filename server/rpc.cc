#include "server/rpc.h"

#include <optional>
#include <utility>

#include <grpc/support/time.h>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/status_macros.h"
#include "server/bad_request.h"

namespace offerd {
namespace {

using google::protobuf::Message;

// Completions and arrivals taken in before a waiting call has its turn. What gRPC has read it hands out in order of arrival, so what is not
// taken in grows old: more than can be read between two turns.
constexpr int kMostTakenIn = 1024;
constexpr size_t kMaxIdleCalls = 64;  // kept beyond those that wait for calls

bool IsPast(gpr_timespec deadline) {
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) return false;
  return gpr_time_cmp(deadline, gpr_now(deadline.clock_type)) <= 0;
}

absl::Status CheckDeadline(const grpc::ServerContext& context) {
  if (!IsPast(context.raw_deadline())) return absl::OkStatus();
  return absl::DeadlineExceededError("the deadline had passed before the call was taken up");
}

class UnaryPool;

// One call at a time, again and again. All on the queue's thread, but for Answer, which any thread calls once a call; after
// its Finish only the queue's thread touches the object.
class UnaryCall final : public RpcTag, public WaitingCall {
 public:
  UnaryCall(const RpcMethod* method, RpcGate* gate, UnaryPool* pool)
      : method_(*method), gate_(*gate), pool_(*pool), response_(method->response_type->New()) {}

  void Wait(grpc::ServerCompletionQueue* queue);
  void Proceed(bool ok) override;
  void TakeTurn(int64_t now_micros) override;
  int64_t arrived_micros() const override { return arrived_micros_; }

 private:
  void Arrived();
  void Answer(const absl::Status& status);
  void Finished(bool was_sent);

  const RpcMethod& method_;
  RpcGate& gate_;
  UnaryPool& pool_;
  bool is_waiting_ = false;
  bool is_in_ = false;  // through the gate
  int code_ = 0;
  int64_t arrived_micros_ = 0;
  size_t request_bytes_ = 0;
  std::optional<grpc::ServerContext> context_;
  std::optional<grpc::ServerAsyncResponseWriter<Message>> responder_;
  grpc::ByteBuffer payload_;
  std::unique_ptr<Message> request_;  // made with the first call
  std::unique_ptr<Message> response_;
};

// A call that waits or is busy belongs to the queue, whose tag it is; an idle one belongs to the pool.
class UnaryPool final : public RpcPool {
 public:
  UnaryPool(const RpcMethod* method, RpcGate* gate, RpcQueue* queue, int num_waiting)
      : method_(method), gate_(gate), queue_(*queue), target_waiting_(num_waiting) {}

  void Fill() override {
    while (num_waiting_ < target_waiting_) WaitWithOne();
  }
  void OnArrived() {
    --num_waiting_;
    queue_.CountBusy(1);
    if (num_waiting_ == 0) WaitWithOne();  // the others are busy: calls must not queue where nobody counts them
  }
  void Append(UnaryCall* call) { queue_.Append(call); }
  void OnFinished(UnaryCall* call) {
    if (num_waiting_ < target_waiting_ && !queue_.is_stopping()) {
      ++num_waiting_;
      call->Wait(queue_.queue());
    } else {
      Keep(call);
    }
    queue_.CountBusy(-1);
  }
  void OnClosed(UnaryCall* call) {
    --num_waiting_;
    Keep(call);
  }

 private:
  void WaitWithOne() {
    std::unique_ptr<UnaryCall> call;
    if (idle_.empty()) {
      call = std::make_unique<UnaryCall>(method_, gate_, this);
    } else {
      call = std::move(idle_.back());
      idle_.pop_back();
    }
    ++num_waiting_;
    call.release()->Wait(queue_.queue());
  }
  void Keep(UnaryCall* call) {
    std::unique_ptr<UnaryCall> owned(call);
    if (idle_.size() < kMaxIdleCalls) idle_.push_back(std::move(owned));
  }

  const RpcMethod* const method_;
  RpcGate* const gate_;
  RpcQueue& queue_;
  const int target_waiting_;
  int num_waiting_ = 0;
  std::vector<std::unique_ptr<UnaryCall>> idle_;
};

void UnaryCall::Wait(grpc::ServerCompletionQueue* queue) {
  is_waiting_ = true;
  context_.emplace();
  responder_.emplace(&*context_);
  method_.service->RequestUnary(method_.index, &*context_, &payload_, &*responder_, queue, static_cast<RpcTag*>(this));
}

void UnaryCall::Proceed(bool ok) {
  if (!is_waiting_) {
    Finished(ok);
  } else if (ok) {
    is_waiting_ = false;
    Arrived();
  } else {  // the server has shut down
    responder_.reset();
    context_.reset();
    pool_.OnClosed(this);
  }
}

void UnaryCall::Arrived() {
  arrived_micros_ = gate_.NowMicros();
  pool_.OnArrived();
  Role role;
  absl::Status status;
  if (!method_.is_probe) status = gate_.Enter(method_, *context_, arrived_micros_, &role);
  is_in_ = status.ok() && !method_.is_probe;
  if (!status.ok()) return Answer(status);
  method_.is_probe ? TakeTurn(arrived_micros_) : pool_.Append(this);
}

void UnaryCall::TakeTurn(int64_t now_micros) {
  absl::Status status;
  if (is_in_) status = gate_.CheckTurn(*context_, now_micros - arrived_micros_);
  if (status.ok()) {
    request_bytes_ = payload_.Length();
    if (request_ == nullptr) request_.reset(method_.request_type->New());
    status = ParseRequest(&payload_, request_.get());
  }
  if (!status.ok()) return Answer(status);
  response_->Clear();
  if (method_.answer) return Answer(method_.answer(*request_, response_.get()));
  method_.start(*request_, response_.get(), [this](const absl::Status& result) { Answer(result); });
}

void UnaryCall::Answer(const absl::Status& status) {
  code_ = RpcCode(status.code());
  if (status.ok()) {
    responder_->Finish(*response_, grpc::Status::OK, static_cast<RpcTag*>(this));
  } else {
    responder_->FinishWithError(ToGrpcStatus(status), static_cast<RpcTag*>(this));
  }
}

void UnaryCall::Finished(bool was_sent) {
  if (!method_.is_probe) {
    gate_.metrics().RecordRequest(method_.method, FinalCode(was_sent, code_, *context_), gate_.NowMicros() - arrived_micros_);
  }
  if (is_in_) gate_.Leave();
  responder_.reset();
  context_.reset();
  payload_.Clear();
  if (request_bytes_ > kRecycledBytes) request_.reset();
  request_bytes_ = 0;
  if (code_ == 0 && static_cast<size_t>(response_->GetCachedSize()) > kRecycledBytes) {
    response_.reset(method_.response_type->New());
  }
  pool_.OnFinished(this);
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const google::rpc::Status rpc_status = ToRpcStatus(status);
  return grpc::Status(static_cast<grpc::StatusCode>(rpc_status.code()), rpc_status.message(),
                      rpc_status.details().empty() ? std::string() : rpc_status.SerializeAsString());
}

absl::Status ParseRequest(grpc::ByteBuffer* payload, Message* message) {
  const grpc::Status status = grpc::SerializationTraits<Message>::Deserialize(payload, message);
  if (status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("message: expected a valid ", message->GetTypeName(), ", found bytes that do not parse"));
}

int FinalCode(bool was_sent, int code, const grpc::ServerContext& context) {
  if (was_sent) return code;
  return static_cast<int>(IsPast(context.raw_deadline()) ? grpc::StatusCode::DEADLINE_EXCEEDED : grpc::StatusCode::CANCELLED);
}

RpcGate::RpcGate(const ServerConfig& config, Metrics* metrics, std::function<int64_t()> now_micros)
    : authenticator_(config.tokens), max_in_flight_(config.max_in_flight),
      max_turn_wait_micros_(int64_t{1000} * config.max_turn_wait_ms), metrics_(*metrics),
      now_micros_(std::move(now_micros)), rate_limiter_(config.rate_limits) {}

absl::Status RpcGate::TakeRoom() {
  const int in_flight = in_flight_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (in_flight <= max_in_flight_) return absl::OkStatus();
  in_flight_.fetch_sub(1, std::memory_order_relaxed);
  metrics_.RecordShed(ShedReason::kInFlight);
  return absl::ResourceExhaustedError("too many calls in flight: try again later");
}

void RpcGate::Leave() { in_flight_.fetch_sub(1, std::memory_order_relaxed); }

// Not as they change: two threads could set them in the other order.
void RpcGate::CollectMetrics() {
  metrics_.Set(Gauge::kRequestsInFlight, in_flight_.load(std::memory_order_relaxed));
  metrics_.Set(Gauge::kOpenStreams, open_streams_.load(std::memory_order_relaxed));
}

absl::Status RpcGate::Enter(const RpcMethod& method, const grpc::ServerContext& context, int64_t now_micros, Role* role) {
  RETURN_IF_ERROR(TakeRoom());
  const absl::Status status = [&]() -> absl::Status {
    // Without tokens everyone may everything, and the limit is that of the role the method is for.
    *role = method.access == Access::kAny ? Role::kAdmin : static_cast<Role>(method.access);
    if (authenticator_.is_enabled()) {
      std::optional<absl::string_view> header;
      const auto found = context.client_metadata().find("authorization");
      if (found != context.client_metadata().end()) header.emplace(found->second.data(), found->second.size());
      const absl::StatusOr<Role> caller = authenticator_.Authenticate(header);
      if (!caller.ok()) {
        metrics_.RecordShed(ShedReason::kUnauthenticated);
        return caller.status();
      }
      *role = *caller;
      const absl::Status allowed = Authorize(*caller, method.access);
      if (!allowed.ok()) {
        metrics_.RecordShed(ShedReason::kPermission);
        return allowed;
      }
    }
    const absl::Status rate = rate_limiter_.Take(*role, now_micros);
    if (!rate.ok()) metrics_.RecordShed(ShedReason::kRateLimit);
    RETURN_IF_ERROR(rate);
    return CheckDeadline(context);
  }();
  if (!status.ok()) Leave();
  return status;
}

absl::Status RpcGate::CheckTurn(const grpc::ServerContext& context, int64_t waited_micros) {
  RETURN_IF_ERROR(CheckDeadline(context));
  if (waited_micros <= max_turn_wait_micros_) return absl::OkStatus();
  metrics_.RecordShed(ShedReason::kTurnWait);
  return absl::ResourceExhaustedError(absl::StrCat("the call waited ", waited_micros / 1000, " ms for its turn, the most is ",
                                                   max_turn_wait_micros_ / 1000, ": try again later"));
}

absl::Status RpcGate::EnterBatch(Role role, int64_t now_micros) {
  RETURN_IF_ERROR(TakeRoom());
  const absl::Status rate = rate_limiter_.Take(role, now_micros);
  if (rate.ok()) return rate;
  metrics_.RecordShed(ShedReason::kRateLimit);
  Leave();
  return rate;
}

RpcQueue::RpcQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue, const RpcGate* gate)
    : queue_(std::move(queue)), gate_(*gate) {}

RpcQueue::~RpcQueue() {
  if (is_shut_down_) return;
  CHECK(!thread_.joinable());  // Stop comes first
  queue_->Shutdown();          // never started: the server did not
  void* tag;
  bool ok;
  while (queue_->Next(&tag, &ok)) {
  }
}

void RpcQueue::AddMethod(const RpcMethod* method, RpcGate* gate, int num_waiting) {
  AddPool(std::make_unique<UnaryPool>(method, gate, this, num_waiting));
}

void RpcQueue::Start() {
  for (const auto& pool : pools_) pool->Fill();
  thread_ = std::thread([this] { Run(); });
}

void RpcQueue::BeginDrain() {
  for (const auto& pool : pools_) pool->BeginDrain();
}

void RpcQueue::Stop() {
  if (!thread_.joinable()) return;
  stop_alarm_.Set(queue_.get(), gpr_now(GPR_CLOCK_MONOTONIC), static_cast<RpcTag*>(&stop_tag_));
  thread_.join();
}

void RpcQueue::ShutDownWhenDone() {
  if (!is_stopping_ || num_busy_ != 0 || is_shut_down_) return;
  is_shut_down_ = true;
  queue_->Shutdown();
}

bool RpcQueue::TakeIn() {
  void* tag;
  bool ok;
  for (int taken = 0; taken < kMostTakenIn; ++taken) {
    if (taken == 0 && waiting_.empty()) {
      if (!queue_->Next(&tag, &ok)) return false;
    } else {
      const auto next = queue_->AsyncNext(&tag, &ok, gpr_time_0(GPR_CLOCK_MONOTONIC));
      if (next == grpc::CompletionQueue::SHUTDOWN) return false;
      if (next == grpc::CompletionQueue::TIMEOUT) return true;
    }
    static_cast<RpcTag*>(tag)->Proceed(ok);
    ShutDownWhenDone();
  }
  return true;
}

void RpcQueue::GiveTurns() {
  if (waiting_.empty()) return;
  const int64_t now = gate_.NowMicros();
  const int64_t most = gate_.max_turn_wait_micros();
  const bool is_late = now - waiting_.front()->arrived_micros() > most / 2;
  WaitingCall* const next = is_late ? waiting_.back() : waiting_.front();
  is_late ? waiting_.pop_back() : waiting_.pop_front();
  next->TakeTurn(now);
  for (int refused = 0; refused < kMostTakenIn && !waiting_.empty(); ++refused) {
    WaitingCall* const oldest = waiting_.front();
    if (now - oldest->arrived_micros() <= most) break;
    waiting_.pop_front();
    oldest->TakeTurn(now);  // CheckTurn refuses it
  }
}

void RpcQueue::Run() {
  while (TakeIn()) GiveTurns();
}

}  // namespace offerd
