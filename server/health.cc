#include "server/health.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <google/protobuf/wrappers.pb.h>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/stream_pool.h"

namespace offerd {
namespace {

// Debian packages no grpc/health/v1/health.proto. These two have the same bytes on the wire as its messages.
using Request = google::protobuf::StringValue;   // HealthCheckRequest { string service = 1; }
using Response = google::protobuf::Int32Value;   // HealthCheckResponse { ServingStatus status = 1; }

constexpr int kServing = 1;
constexpr int kNotServing = 2;
constexpr int kServiceUnknown = 3;
constexpr int kCheckIndex = 0;
constexpr int kWatchIndex = 1;
constexpr int kNumWaiting = 2;

}  // namespace

class HealthService::Raw final : public grpc::Service, public RawService {
 public:
  Raw() {
    using Kind = grpc::internal::RpcMethod;
    AddMethod(new grpc::internal::RpcServiceMethod("/grpc.health.v1.Health/Check", Kind::NORMAL_RPC, nullptr));  // owned there
    AddMethod(new grpc::internal::RpcServiceMethod("/grpc.health.v1.Health/Watch", Kind::SERVER_STREAMING, nullptr));
    MarkMethodRaw(kCheckIndex);
    MarkMethodRaw(kWatchIndex);
  }
  grpc::Service* service() override { return this; }
  const google::protobuf::ServiceDescriptor* descriptor() const override { return nullptr; }  // known by its methods alone
  void RequestUnary(int index, grpc::ServerContext* context, grpc::ByteBuffer* request,
                    grpc::internal::ServerAsyncStreamingInterface* responder, grpc::ServerCompletionQueue* queue,
                    void* tag) override {
    RequestAsyncUnary(index, context, request, responder, queue, queue, tag);
  }
  void RequestStream(int, grpc::ServerContext*, grpc::internal::ServerAsyncStreamingInterface*, grpc::ServerCompletionQueue*,
                     void*) override {}
  void RequestWatch(grpc::ServerContext* context, grpc::ByteBuffer* request,
                    grpc::internal::ServerAsyncStreamingInterface* stream, grpc::ServerCompletionQueue* queue, void* tag) {
    RequestAsyncServerStreaming(kWatchIndex, context, request, stream, queue, queue, tag);
  }
};

// One watcher at a time. Threads as in feedback_stream.cc: a lock around what happened, operations started outside of it,
// reuse on the queue's thread once Finish has completed and the call is known to be over.
class HealthWatch {
 public:
  using Pool = StreamPool<HealthWatch>;
  HealthWatch(HealthService* health, Pool* pool) : health_(*health), pool_(*pool) {}

  void Wait(grpc::ServerCompletionQueue* queue) {
    context_.emplace();
    context_->AsyncNotifyWhenDone(over_tag_.get());
    stream_.emplace(&*context_);
    health_.raw_->RequestWatch(&*context_, &payload_, &*stream_, queue, arrived_tag_.get());
  }
  void BeginDrain() { Wake(); }
  void Wake() {  // any thread
    Note([] {});
  }

 private:
  using Tag = MemberTag<HealthWatch>;

  // Notes what happened and starts what follows from it.
  template <typename Change>
  void Note(const Change& change) {
    int write = 0;
    bool finish = false;
    {
      absl::MutexLock lock(&mu_);
      change();
      if (!is_open_ || is_writing_ || is_finishing_) return;
      const int status = health_.StatusOf(name_);
      if (is_over_ || (health_.gate_.is_draining() && sent_ == status)) {
        finish = is_finishing_ = true;
      } else if (status != sent_) {
        is_writing_ = true;
        write = sent_ = status;
      }
    }
    if (finish) {
      stream_->Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is shutting down"), finished_tag_.get());
    } else if (write != 0) {
      response_.set_value(write);
      stream_->Write(response_, written_tag_.get());
    }
  }

  void OnArrived(bool ok) {
    if (!ok) {  // the server has shut down
      stream_.reset();
      context_.reset();
      pool_.OnClosed(this);
      return;
    }
    pool_.OnArrived();
    Request request;
    const bool is_request = ParseRequest(&payload_, &request).ok();
    Note([&] {
      mu_.AssertHeld();
      is_open_ = true;
      name_ = is_request ? request.value() : "?";
    });
  }
  void OnWritten(bool) {  // a broken call is over soon
    Note([this] {
      mu_.AssertHeld();
      is_writing_ = false;
    });
  }
  void OnOver(bool) {
    Note([this] {
      mu_.AssertHeld();
      is_over_ = true;
    });
    ReuseWhenDone();
  }
  void OnFinished(bool) {
    {
      absl::MutexLock lock(&mu_);
      is_finished_ = true;
    }
    ReuseWhenDone();
  }
  void ReuseWhenDone() {
    {
      absl::MutexLock lock(&mu_);
      if (!is_finished_ || !is_over_) return;
      is_open_ = is_over_ = is_finishing_ = is_finished_ = false;
      sent_ = 0;
    }
    stream_.reset();
    context_.reset();
    payload_.Clear();
    pool_.OnFinished(this);
  }

  HealthService& health_;
  Pool& pool_;
  Tag arrived_tag_{this, &HealthWatch::OnArrived};
  Tag written_tag_{this, &HealthWatch::OnWritten};
  Tag finished_tag_{this, &HealthWatch::OnFinished};
  Tag over_tag_{this, &HealthWatch::OnOver};
  std::optional<grpc::ServerContext> context_;
  std::optional<grpc::ServerAsyncWriter<Response>> stream_;
  grpc::ByteBuffer payload_;
  Response response_;  // whoever started the write

  absl::Mutex mu_;
  std::string name_ ABSL_GUARDED_BY(mu_);
  int sent_ ABSL_GUARDED_BY(mu_) = 0;  // or being sent
  bool is_open_ ABSL_GUARDED_BY(mu_) = false;
  bool is_writing_ ABSL_GUARDED_BY(mu_) = false;
  bool is_finishing_ ABSL_GUARDED_BY(mu_) = false;
  bool is_finished_ ABSL_GUARDED_BY(mu_) = false;
  bool is_over_ ABSL_GUARDED_BY(mu_) = false;  // the caller has gone, or has our status
};

HealthService::HealthService(RpcGate* gate) : gate_(*gate), raw_(std::make_unique<Raw>()), names_{Name()} {
  check_.is_probe = true;
  check_.service = raw_.get();
  check_.index = kCheckIndex;
  check_.request_type = &Request::default_instance();
  check_.response_type = &Response::default_instance();
  check_.answer = [this](const google::protobuf::Message& request, google::protobuf::Message* response) -> absl::Status {
    const int status = StatusOf(static_cast<const Request&>(request).value());
    if (status == kServiceUnknown) return absl::NotFoundError("service: expected \"\" or one of this server");
    static_cast<Response*>(response)->set_value(status);
    return absl::OkStatus();
  };
}

HealthService::~HealthService() = default;

grpc::Service* HealthService::service() { return raw_.get(); }

void HealthService::AddTo(RpcQueue* queue) {
  queue->AddMethod(&check_, &gate_, kNumWaiting);
  auto watches = std::make_unique<HealthWatch::Pool>(
      queue, kNumWaiting, [this](HealthWatch::Pool* pool) { return std::make_unique<HealthWatch>(this, pool); });
  wake_.push_back([pool = watches.get()] { pool->ForEach([](HealthWatch& watch) { watch.Wake(); }); });
  queue->AddPool(std::move(watches));
}

int HealthService::StatusOf(const std::string& name) const {
  const auto known = std::find_if(names_.begin(), names_.end(), [&name](const Name& each) { return each.text == name; });
  if (known == names_.end()) return kServiceUnknown;
  if (known->needs_store && is_store_failing_.load(std::memory_order_seq_cst)) return kNotServing;
  return is_serving_.load(std::memory_order_seq_cst) && !gate_.is_draining() ? kServing : kNotServing;
}

void HealthService::SetStoreFailing(bool is_failing) {
  is_store_failing_.store(is_failing, std::memory_order_seq_cst);
  for (const auto& wake : wake_) wake();
}

void HealthService::SetServing(bool is_serving) {
  is_serving_.store(is_serving, std::memory_order_seq_cst);
  for (const auto& wake : wake_) wake();
}

}  // namespace offerd
