#include "offerd_client/feedback_stream.h"

#include <algorithm>
#include <utility>

namespace offerd::client {

using Lock = std::unique_lock<std::mutex>;

FeedbackStream::FeedbackStream(v1::FeedbackService::Stub& stub, const Options& options, Acknowledged acknowledged)
    : stub_(stub), options_(options), acknowledged_(std::move(acknowledged)), thread_([this] { Run(); }) {}

FeedbackStream::~FeedbackStream() { Stop(); }

Outcome FeedbackStream::Send(std::vector<v1::Event> events) {
  const Lock lock(mu_);
  if (!failure_.ok()) return failure_;
  if (is_closing_) return Failure(grpc::StatusCode::FAILED_PRECONDITION, "the feedback stream is closed");
  if (batches_.size() >= options_.max_unacknowledged) {
    Outcome full = Failure(grpc::StatusCode::RESOURCE_EXHAUSTED,
                           std::to_string(batches_.size()) + " batches wait for an acknowledgement already" + LastErrorText());
    full.is_buffer_full = true;
    return full;
  }
  v1::FeedbackBatch& batch = batches_.emplace_back();
  batch.set_client_sequence(next_sequence_++);
  for (v1::Event& event : events) *batch.add_events() = std::move(event);
  changed_.notify_all();
  return {};
}

Outcome FeedbackStream::Flush(std::chrono::milliseconds timeout) {
  Lock lock(mu_);
  const bool in_time = changed_.wait_for(lock, timeout, [this] { return batches_.empty() || !failure_.ok(); });
  if (in_time) return failure_;
  return Failure(grpc::StatusCode::DEADLINE_EXCEEDED, std::to_string(batches_.size()) + " batches not acknowledged within " +
                                                          std::to_string(timeout.count()) + " ms" + LastErrorText());
}

Outcome FeedbackStream::Close(std::chrono::milliseconds timeout) {
  Outcome outcome = Flush(timeout);
  Stop();
  return outcome;
}

void FeedbackStream::Stop() {
  {
    const Lock lock(mu_);
    is_closing_ = true;
    progress_ = std::chrono::steady_clock::now();
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

FeedbackStream::Counts FeedbackStream::counts() const {
  const Lock lock(mu_);
  return counts_;
}

std::vector<v1::FeedbackBatch> FeedbackStream::Unacknowledged() const {
  const Lock lock(mu_);
  return {batches_.begin(), batches_.end()};
}

std::string FeedbackStream::LastErrorText() const {
  return last_error_.ok() ? "" : "; last error: " + CodeName(last_error_.code) + ": " + last_error_.message;
}

void FeedbackStream::Run() {
  Lock lock(mu_);
  for (int failures = 0;;) {
    changed_.wait(lock, [this] { return !batches_.empty() || is_closing_; });
    if (is_closing_) return;
    const int64_t acknowledged = counts_.acknowledged;
    lock.unlock();
    const Outcome ended = RunConnection();
    lock.lock();
    if (is_closing_) return;
    failures = counts_.acknowledged > acknowledged ? 1 : failures + 1;
    last_error_ = ended;
    // A server that shuts down cancels streams that arrive too late; we cancel none whose end is not known here already.
    if (!ended.IsRetryable() && ended.code != grpc::StatusCode::CANCELLED) {
      failure_ = ended;
      changed_.notify_all();
      return;
    }
    changed_.wait_for(lock, Pause(options_, failures, ended.retry_delay), [this] { return is_closing_; });
    if (is_closing_) return;
    ++counts_.reconnects;
  }
}

Outcome FeedbackStream::RunConnection() {
  grpc::ClientContext context;
  if (!options_.token.empty()) context.AddMetadata("authorization", "Bearer " + options_.token);
  {
    const Lock lock(mu_);
    written_ = 0;
    progress_ = std::chrono::steady_clock::now();
    connection_is_over_ = false;
  }
  const std::unique_ptr<Stream> stream = stub_.StreamFeedback(&context);
  std::thread writer([&] { WriteBatches(*stream); });
  Outcome refused;
  std::thread reader([&] {
    refused = ReadAcknowledgements(*stream);
    if (!refused.ok()) context.TryCancel();
    const Lock lock(mu_);
    connection_is_over_ = true;
    changed_.notify_all();
  });

  bool is_stalled = false;
  for (Lock lock(mu_); !connection_is_over_;) {
    const bool is_waiting = written_ > 0 || is_closing_;
    const Time limit = progress_ + options_.ack_timeout;
    is_stalled = is_waiting && std::chrono::steady_clock::now() >= limit;
    if (is_stalled || (is_closing_ && !batches_.empty())) {  // closing: nobody waits for them any more
      context.TryCancel();
      changed_.wait(lock, [this] { return connection_is_over_; });
    } else if (is_waiting) {
      changed_.wait_until(lock, limit);
    } else {
      changed_.wait(lock);
    }
  }
  reader.join();
  writer.join();
  const grpc::Status status = stream->Finish();
  if (!refused.ok()) return refused;
  if (is_stalled) {
    return Failure(grpc::StatusCode::UNAVAILABLE, "no acknowledgement within " + std::to_string(options_.ack_timeout.count()) + " ms");
  }
  return status.ok() ? Failure(grpc::StatusCode::UNAVAILABLE, "the server ended the stream") : FromGrpc(status, 1);
}

void FeedbackStream::WriteBatches(Stream& stream) {
  while (true) {
    v1::FeedbackBatch batch;
    {
      Lock lock(mu_);
      changed_.wait(lock, [this] { return connection_is_over_ || written_ < batches_.size() || is_closing_; });
      if (connection_is_over_) return;
      if (written_ == batches_.size()) break;
      if (written_ == 0) {
        progress_ = std::chrono::steady_clock::now();
        changed_.notify_all();  // from now on there is something to wait for
      }
      batch = batches_[written_++];
    }
    if (!stream.Write(batch)) return;  // the reader sees the end, too
  }
  stream.WritesDone();
}

Outcome FeedbackStream::ReadAcknowledgements(Stream& stream) {
  v1::FeedbackAcknowledgement acknowledgement;
  while (stream.Read(&acknowledgement)) {
    if (Outcome outcome = Take(acknowledgement); !outcome.ok()) return outcome;
  }
  return {};
}

Outcome FeedbackStream::Take(const v1::FeedbackAcknowledgement& acknowledgement) {
  Lock lock(mu_);
  if (written_ == 0 || batches_.front().client_sequence() != acknowledgement.client_sequence()) {
    return Failure(grpc::StatusCode::INTERNAL,
                   "the server acknowledged batch " + std::to_string(acknowledgement.client_sequence()) + " out of order");
  }
  if (acknowledged_) {
    const v1::FeedbackBatch& batch = batches_.front();  // stays where it is while others are added
    lock.unlock();
    acknowledged_(batch, acknowledgement);
    lock.lock();
  }
  counts_.acknowledged += batches_.front().events_size();
  counts_.applied += acknowledgement.applied();
  for (const v1::EventResult& result : acknowledgement.others()) ++(result.fate() == v1::DUPLICATE ? counts_.duplicate : counts_.other);
  batches_.pop_front();
  --written_;
  progress_ = std::chrono::steady_clock::now();
  changed_.notify_all();
  return {};
}

}  // namespace offerd::client
