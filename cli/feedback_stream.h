#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "cli/client.h"

namespace offerd::cli {

// Sends batches of events through StreamFeedback with up to kInFlight of them unacknowledged. A stream that breaks with a
// retryable code is opened again after a pause and everything unacknowledged is sent again; the server counts repeats once.
//
// Threads  Send and Finish from one thread; `acknowledged` is called from it. One reader thread per open stream, joined
//          before the next one opens and by the destructor.
class FeedbackStream {
 public:
  using Acknowledged = std::function<void(const v1::FeedbackBatch& batch, const v1::FeedbackAcknowledgement& acknowledgement)>;

  FeedbackStream(Client& client, Acknowledged acknowledged) : client_(client), acknowledged_(std::move(acknowledged)) {}
  ~FeedbackStream();

  // Blocks while kInFlight batches are unacknowledged. The number is given here. A failure is final: nothing more can be sent.
  absl::Status Send(v1::FeedbackBatch batch);
  absl::Status Finish();  // waits for all acknowledgements

  const std::deque<v1::FeedbackBatch>& unacknowledged() const { return unacknowledged_; }

  static constexpr size_t kInFlight = 8;

 private:
  void Open();
  absl::Status Close();
  // Until at most `limit` batches are unacknowledged.
  absl::Status Settle(size_t limit);
  absl::Status Recover();
  void WriteUnsent();
  void ReadAll();

  Client& client_;
  const Acknowledged acknowledged_;
  std::deque<v1::FeedbackBatch> unacknowledged_;
  size_t written_ = 0;  // of unacknowledged_, into the open stream
  int64_t next_sequence_ = 1;
  int failures_ = 0;  // since the last acknowledgement
  bool timed_out_ = false;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::FeedbackBatch, v1::FeedbackAcknowledgement>> stream_;
  std::thread reader_;

  absl::Mutex mu_;
  std::deque<v1::FeedbackAcknowledgement> received_ ABSL_GUARDED_BY(mu_);
  bool reader_done_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace offerd::cli
