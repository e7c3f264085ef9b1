#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "offerd/v1/feedback_service.grpc.pb.h"
#include "offerd_client/options.h"
#include "offerd_client/outcome.h"

namespace offerd::client {

// Keeps every batch until the server acknowledges it. A connection that breaks is made anew, for as long as the stream lives, and what
// was not acknowledged is sent again in order; the server recognises repeats by their event_id. An error that no repeat can cure ends
// the stream: Send and Flush return it, and Unacknowledged has what was not taken.
//
// Threads  Safe. One thread lives as long as the stream, two as long as each connection; the destructor joins them without waiting
//          for acknowledgements.
class FeedbackStream {
 public:
  // Events, but for reconnects.
  struct Counts {
    int64_t acknowledged = 0;
    int64_t applied = 0;
    int64_t duplicate = 0;  // the server had them already: counted once all the same
    int64_t other = 0;      // late, orphan or refused: `acknowledged` tells which
    int64_t reconnects = 0;
  };
  // Called from a thread of the stream, before Flush returns. It may call Send, nothing that waits.
  using Acknowledged = std::function<void(const v1::FeedbackBatch& batch, const v1::FeedbackAcknowledgement& acknowledgement)>;

  FeedbackStream(v1::FeedbackService::Stub& stub, const Options& options, Acknowledged acknowledged);
  ~FeedbackStream();

  // Takes one batch at once; is_buffer_full when max_unacknowledged batches wait already.
  Outcome Send(std::vector<v1::Event> events);
  // Waits until everything sent is acknowledged; DEADLINE_EXCEEDED after `timeout`: nothing is lost then.
  Outcome Flush(std::chrono::milliseconds timeout);
  // Flush, then the end of the stream, also when Flush fails: what was not acknowledged by then stays in Unacknowledged.
  Outcome Close(std::chrono::milliseconds timeout);

  Counts counts() const;
  std::vector<v1::FeedbackBatch> Unacknowledged() const;

 private:
  using Time = std::chrono::steady_clock::time_point;
  using Stream = grpc::ClientReaderWriter<v1::FeedbackBatch, v1::FeedbackAcknowledgement>;

  void Run();
  Outcome RunConnection();  // from opening to the end of one connection; what ended it
  void WriteBatches(Stream& stream);
  Outcome ReadAcknowledgements(Stream& stream);  // OK when the server has no more to say
  Outcome Take(const v1::FeedbackAcknowledgement& acknowledgement);
  void Stop();
  std::string LastErrorText() const;  // mu_ held

  v1::FeedbackService::Stub& stub_;
  const Options options_;
  const Acknowledged acknowledged_;

  mutable std::mutex mu_;
  std::condition_variable changed_;
  // Guarded by mu_.
  std::deque<v1::FeedbackBatch> batches_;  // unacknowledged, oldest first
  size_t written_ = 0;                     // of batches_, into the present connection
  int64_t next_sequence_ = 1;
  Counts counts_;
  Time progress_;  // when the present wait for an acknowledgement began
  bool connection_is_over_ = false;
  bool is_closing_ = false;
  Outcome failure_;     // final
  Outcome last_error_;

  std::thread thread_;  // last: it uses everything above
};

}  // namespace offerd::client
