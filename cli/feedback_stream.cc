#include "cli/feedback_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "core/status_macros.h"

namespace offerd::cli {

FeedbackStream::~FeedbackStream() {
  if (stream_ == nullptr) return;
  context_->TryCancel();
  Close().IgnoreError();
}

void FeedbackStream::Open() {
  context_ = std::make_unique<grpc::ClientContext>();
  client_.PrepareStream(*context_);
  stream_ = client_.feedback().StreamFeedback(context_.get());
  written_ = 0;
  timed_out_ = false;
  {
    absl::MutexLock lock(&mu_);
    reader_done_ = false;
    received_.clear();
  }
  reader_ = std::thread([this] { ReadAll(); });
}

void FeedbackStream::ReadAll() {
  v1::FeedbackAcknowledgement acknowledgement;
  while (stream_->Read(&acknowledgement)) {
    absl::MutexLock lock(&mu_);
    received_.push_back(std::move(acknowledgement));
  }
  absl::MutexLock lock(&mu_);
  reader_done_ = true;
}

absl::Status FeedbackStream::Close() {
  stream_->WritesDone();
  reader_.join();
  const grpc::Status status = stream_->Finish();
  stream_.reset();
  if (timed_out_) {
    return FromGrpc(grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED,
                                 absl::StrCat("no acknowledgement within ", static_cast<double>(client_.timeout().count()) / 1e6, " s")));
  }
  return client_.Explain(FromGrpc(status));
}

void FeedbackStream::WriteUnsent() {
  while (written_ < unacknowledged_.size() && stream_->Write(unacknowledged_[written_])) ++written_;
}

absl::Status FeedbackStream::Send(v1::FeedbackBatch batch) {
  RETURN_IF_ERROR(Settle(kInFlight - 1));
  batch.set_client_sequence(next_sequence_++);
  unacknowledged_.push_back(std::move(batch));
  if (stream_ == nullptr) Open();
  WriteUnsent();  // a failed write shows in the next Settle
  return absl::OkStatus();
}

absl::Status FeedbackStream::Settle(size_t limit) {
  while (unacknowledged_.size() > limit) {
    std::deque<v1::FeedbackAcknowledgement> received;
    bool done = false;
    {
      absl::MutexLock lock(&mu_);
      const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !received_.empty() || reader_done_; };
      const bool in_time = mu_.AwaitWithTimeout(absl::Condition(&ready), absl::Microseconds(client_.timeout().count()));
      received.swap(received_);
      done = reader_done_ && received.empty();
      timed_out_ = !in_time;
    }
    for (const v1::FeedbackAcknowledgement& acknowledgement : received) {
      if (unacknowledged_.empty() || acknowledgement.client_sequence() != unacknowledged_.front().client_sequence()) {
        return absl::InternalError(absl::StrCat("the server acknowledged batch ", acknowledgement.client_sequence(), " out of order"));
      }
      acknowledged_(unacknowledged_.front(), acknowledgement);
      unacknowledged_.pop_front();
      --written_;
      failures_ = 0;
    }
    if (timed_out_) context_->TryCancel();
    if (done || timed_out_) RETURN_IF_ERROR(Recover());
  }
  return absl::OkStatus();
}

absl::Status FeedbackStream::Recover() {
  absl::Status status = Close();
  if (status.ok()) status = FromGrpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server ended the stream without acknowledging everything"));
  if (!IsRetryable(status) || failures_ == Client::kRepeats) return status;
  std::this_thread::sleep_for(Backoff(failures_++));
  Open();
  WriteUnsent();
  return absl::OkStatus();
}

absl::Status FeedbackStream::Finish() {
  if (stream_ == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(Settle(0));
  return Close();
}

}  // namespace offerd::cli
