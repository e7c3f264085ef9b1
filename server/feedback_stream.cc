#include "server/feedback_stream.h"

#include <array>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/bad_request.h"
#include "server/stream_pool.h"

namespace offerd {
namespace {

constexpr size_t kMaxBatches = 64;
constexpr size_t kKeptBatches = 4;  // whose memory a stream that has ended keeps

struct Batch {
  v1::SendFeedbackRequest request;
  v1::SendFeedbackResponse response;
  int64_t client_sequence = 0;
  int64_t arrived_micros = 0;
  bool is_in = false;    // through the gate
  bool is_done = false;  // written under the stream's lock, as is status
  absl::Status status;
};

// One stream at a time, again and again.
//
// Threads  Events come on the queue's thread, results on any. Each takes the lock, notes what happened, decides which
//          operations may start (a flag says that each is under way, so only one thread starts it), lets the lock go and
//          starts them. An object is reused only from the queue's thread, when Finish has completed and no read is under
//          way; Finish starts only when no batch is with the handlers and no write is under way.
class FeedbackStream {
 public:
  using Pool = StreamPool<FeedbackStream>;
  FeedbackStream(const RpcMethod* method, Handlers* handlers, RpcGate* gate, Pool* pool)
      : method_(*method), handlers_(*handlers), gate_(*gate), pool_(*pool) {}

  void Wait(grpc::ServerCompletionQueue* queue);
  void BeginDrain();  // any thread

 private:
  using Stream = grpc::ServerAsyncReaderWriter<v1::FeedbackAcknowledgement, grpc::ByteBuffer>;

  using Tag = MemberTag<FeedbackStream>;

  struct Actions {
    bool read = false;
    Batch* write = nullptr;
    std::optional<absl::Status> finish;
  };

  void OnArrived(bool ok);
  void OnRead(bool ok);
  void OnWritten(bool ok);
  void OnFinished(bool ok);
  void OnResult(Batch* batch, const absl::Status& status);  // any thread

  Batch* NewBatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Actions Decide() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Start(Actions actions);
  void FillAcknowledgement(Batch* batch);
  void ReuseWhenDone();

  // Fixed after construction.
  const RpcMethod& method_;
  Handlers& handlers_;
  RpcGate& gate_;
  Pool& pool_;
  Tag arrived_tag_{this, &FeedbackStream::OnArrived};
  Tag read_tag_{this, &FeedbackStream::OnRead};
  Tag written_tag_{this, &FeedbackStream::OnWritten};
  Tag finished_tag_{this, &FeedbackStream::OnFinished};

  // Made and unmade on the queue's thread while nothing is under way.
  std::optional<grpc::ServerContext> context_;
  std::optional<Stream> stream_;
  // Queue's thread only.
  Role role_ = Role::kFeedback;
  bool is_in_ = false;
  int64_t arrived_micros_ = 0;
  v1::FeedbackBatch parsed_;
  // Whoever started the operation that uses it.
  grpc::ByteBuffer payload_;
  v1::FeedbackAcknowledgement acknowledgement_;

  absl::Mutex mu_;
  std::array<std::unique_ptr<Batch>, kMaxBatches> ring_ ABSL_GUARDED_BY(mu_);
  size_t oldest_ ABSL_GUARDED_BY(mu_) = 0;       // not acknowledged yet
  size_t num_batches_ ABSL_GUARDED_BY(mu_) = 0;
  int num_with_handlers_ ABSL_GUARDED_BY(mu_) = 0;
  bool is_open_ ABSL_GUARDED_BY(mu_) = false;
  bool is_reading_ ABSL_GUARDED_BY(mu_) = false;
  bool is_writing_ ABSL_GUARDED_BY(mu_) = false;
  bool is_finishing_ ABSL_GUARDED_BY(mu_) = false;
  bool is_finished_ ABSL_GUARDED_BY(mu_) = false;
  bool no_more_reads_ ABSL_GUARDED_BY(mu_) = false;  // half-closed, broken, or a batch failed
  bool is_broken_ ABSL_GUARDED_BY(mu_) = false;      // a write failed
  bool is_draining_ ABSL_GUARDED_BY(mu_) = false;
  bool was_half_closed_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);        // of the first batch that failed
  int code_ ABSL_GUARDED_BY(mu_) = 0;
};

void FeedbackStream::Wait(grpc::ServerCompletionQueue* queue) {
  context_.emplace();
  stream_.emplace(&*context_);
  method_.service->RequestStream(method_.index, &*context_, &*stream_, queue, arrived_tag_.get());
}

void FeedbackStream::OnArrived(bool ok) {
  if (!ok) {  // the server has shut down
    stream_.reset();
    context_.reset();
    pool_.OnClosed(this);
    return;
  }
  arrived_micros_ = gate_.NowMicros();
  pool_.OnArrived();
  const absl::Status status = gate_.Enter(method_, *context_, arrived_micros_, &role_);
  is_in_ = status.ok();
  if (is_in_) gate_.CountStream(1);
  Actions actions;
  {
    absl::MutexLock lock(&mu_);
    is_open_ = true;
    failure_ = status;
    no_more_reads_ = !status.ok();
    is_draining_ = gate_.is_draining();  // BeginDrain comes after the gate's mark: either it or we see it
    actions = Decide();
  }
  Start(std::move(actions));
}

void FeedbackStream::BeginDrain() {
  Actions actions;
  {
    absl::MutexLock lock(&mu_);
    if (!is_open_) return;
    is_draining_ = true;
    actions = Decide();
  }
  Start(std::move(actions));
}

Batch* FeedbackStream::NewBatch() {
  std::unique_ptr<Batch>& batch = ring_[(oldest_ + num_batches_) % kMaxBatches];
  if (batch == nullptr) batch = std::make_unique<Batch>();
  ++num_batches_;
  batch->is_done = false;
  batch->is_in = false;
  batch->status = absl::OkStatus();
  return batch.get();
}

void FeedbackStream::OnRead(bool ok) {
  Batch* batch = nullptr;
  absl::Status status;
  const int64_t now = gate_.NowMicros();
  bool is_in = false;
  if (ok) {
    status = gate_.EnterBatch(role_, now);
    is_in = status.ok();
    if (is_in) status = ParseRequest(&payload_, &parsed_);
  }
  Actions actions;
  {
    absl::MutexLock lock(&mu_);
    is_reading_ = false;
    if (!ok) {
      no_more_reads_ = true;
      was_half_closed_ = true;
    } else if (!is_finishing_) {
      batch = NewBatch();
      batch->is_in = is_in;
      batch->arrived_micros = now;
      if (status.ok()) {
        batch->client_sequence = parsed_.client_sequence();
        batch->request.mutable_events()->Swap(parsed_.mutable_events());
        batch->response.Clear();
        ++num_with_handlers_;
      } else {
        batch->is_done = true;
        batch->status = status;
        no_more_reads_ = true;
      }
    }
    actions = Decide();
  }
  if (is_in && (batch == nullptr || !status.ok())) gate_.Leave();
  const bool is_for_handlers = batch != nullptr && status.ok();
  Start(std::move(actions));
  if (is_for_handlers) {  // counted as being with the handlers already, so the stream cannot end before its result
    handlers_.SendFeedback(batch->request, &batch->response,
                           [this, batch](const absl::Status& result) { OnResult(batch, result); });
  }
  ReuseWhenDone();
}

void FeedbackStream::OnResult(Batch* batch, const absl::Status& status) {
  gate_.metrics().Record(Timer::kStreamBatch, gate_.NowMicros() - batch->arrived_micros);
  gate_.Leave();
  Actions actions;
  {
    absl::MutexLock lock(&mu_);
    --num_with_handlers_;
    batch->is_done = true;
    batch->status = status;
    actions = Decide();
  }
  Start(std::move(actions));
}

void FeedbackStream::OnWritten(bool ok) {
  Actions actions;
  {
    absl::MutexLock lock(&mu_);
    is_writing_ = false;
    if (!ok) is_broken_ = true;
    oldest_ = (oldest_ + 1) % kMaxBatches;
    --num_batches_;
    actions = Decide();
  }
  Start(std::move(actions));
}

FeedbackStream::Actions FeedbackStream::Decide() {
  Actions actions;
  if (!is_open_ || is_finishing_) return actions;
  while (!is_writing_ && num_batches_ > 0) {
    Batch* batch = ring_[oldest_].get();
    if (!batch->is_done) break;
    if (failure_.ok()) failure_ = batch->status;
    if (failure_.ok() && !is_broken_) {
      is_writing_ = true;
      actions.write = batch;
      break;
    }
    oldest_ = (oldest_ + 1) % kMaxBatches;  // nobody to tell, or nothing more to say
    --num_batches_;
  }
  if (!failure_.ok() || is_broken_) no_more_reads_ = true;
  if (!is_reading_ && !no_more_reads_ && !is_draining_ && num_batches_ < kMaxBatches) {
    is_reading_ = true;
    actions.read = true;
  }
  if (num_batches_ == 0 && !is_writing_ && num_with_handlers_ == 0 && (no_more_reads_ || is_draining_)) {
    is_finishing_ = true;
    if (!failure_.ok()) {
      actions.finish = failure_;
    } else if (was_half_closed_ || is_broken_) {
      actions.finish = absl::OkStatus();
    } else {
      actions.finish = absl::UnavailableError("the server is shutting down: send again from the first unacknowledged batch");
    }
    code_ = RpcCode(actions.finish->code());
  }
  return actions;
}

// The last operation started is the last touch of the object: from then on the queue's thread may reuse it.
void FeedbackStream::Start(Actions actions) {
  if (actions.read) stream_->Read(&payload_, read_tag_.get());
  if (actions.write != nullptr) {
    FillAcknowledgement(actions.write);
    stream_->Write(acknowledgement_, written_tag_.get());
  }
  if (actions.finish.has_value()) stream_->Finish(ToGrpcStatus(*actions.finish), finished_tag_.get());
}

void FeedbackStream::FillAcknowledgement(Batch* batch) {
  acknowledgement_.Clear();
  acknowledgement_.set_client_sequence(batch->client_sequence);
  int applied = 0;
  for (v1::EventResult& result : *batch->response.mutable_results()) {
    if (result.fate() == v1::APPLIED) {
      ++applied;
    } else {
      acknowledgement_.add_others()->Swap(&result);
    }
  }
  acknowledgement_.set_applied(applied);
}

void FeedbackStream::OnFinished(bool ok) {
  int code = 0;
  {
    absl::MutexLock lock(&mu_);
    is_finished_ = true;
    code = code_;
  }
  gate_.metrics().RecordRequest(method_.method, FinalCode(ok, code, *context_), gate_.NowMicros() - arrived_micros_);
  ReuseWhenDone();
}

void FeedbackStream::ReuseWhenDone() {
  {
    absl::MutexLock lock(&mu_);
    if (!is_finished_ || is_reading_) return;
    is_open_ = is_finishing_ = is_finished_ = no_more_reads_ = is_broken_ = is_draining_ = was_half_closed_ = false;
    failure_ = absl::OkStatus();
    oldest_ = 0;
    num_batches_ = 0;
    for (size_t i = kKeptBatches; i < kMaxBatches; ++i) ring_[i].reset();
  }
  if (is_in_) {
    gate_.CountStream(-1);
    gate_.Leave();
  }
  stream_.reset();
  context_.reset();
  payload_.Clear();
  pool_.OnFinished(this);
}

}  // namespace

std::unique_ptr<RpcPool> MakeFeedbackStreams(const RpcMethod* method, Handlers* handlers, RpcGate* gate, RpcQueue* queue,
                                             int num_waiting) {
  return std::make_unique<FeedbackStream::Pool>(queue, num_waiting, [method, handlers, gate](FeedbackStream::Pool* pool) {
    return std::make_unique<FeedbackStream>(method, handlers, gate, pool);
  });
}

}  // namespace offerd
