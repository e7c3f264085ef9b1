#pragma once
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/rpc.h"

namespace offerd {

// The streams of one method on one queue, each an object that serves one stream at a time, again and again. Objects are
// never freed before the pool, so that another thread may look at all of them; one that serves nothing must bear that.
//
// A Stream has Wait(grpc::ServerCompletionQueue*), which asks for the next call, and BeginDrain(), from any thread. It calls
// OnArrived, then OnFinished; or OnClosed when the server shut down instead.
template <typename Stream>
class StreamPool final : public RpcPool {
 public:
  using Make = std::function<std::unique_ptr<Stream>(StreamPool*)>;
  StreamPool(RpcQueue* queue, int num_waiting, Make make) : queue_(*queue), target_waiting_(num_waiting), make_(std::move(make)) {}

  void Fill() override {
    while (num_waiting_ < target_waiting_) WaitWithOne();
  }
  void BeginDrain() override {
    ForEach([](Stream& stream) { stream.BeginDrain(); });
  }
  template <typename Do>  // any thread
  void ForEach(const Do& what) {
    std::vector<Stream*> streams;
    {
      absl::MutexLock lock(&mu_);
      for (const auto& stream : streams_) streams.push_back(stream.get());
    }
    for (Stream* stream : streams) what(*stream);
  }

  // Queue's thread only, as is the rest.
  void OnArrived() {
    --num_waiting_;
    queue_.CountBusy(1);
    if (num_waiting_ == 0) WaitWithOne();
  }
  void OnFinished(Stream* stream) {
    if (num_waiting_ < target_waiting_ && !queue_.is_stopping()) {
      ++num_waiting_;
      stream->Wait(queue_.queue());
    } else {
      idle_.push_back(stream);
    }
    queue_.CountBusy(-1);
  }
  void OnClosed(Stream* stream) {
    --num_waiting_;
    idle_.push_back(stream);
  }

 private:
  void WaitWithOne() {
    Stream* stream = nullptr;
    if (!idle_.empty()) {
      stream = idle_.back();
      idle_.pop_back();
    } else {
      std::unique_ptr<Stream> made = make_(this);
      stream = made.get();
      absl::MutexLock lock(&mu_);
      streams_.push_back(std::move(made));
    }
    ++num_waiting_;
    stream->Wait(queue_.queue());
  }

  RpcQueue& queue_;
  const int target_waiting_;
  const Make make_;
  // Queue's thread only.
  int num_waiting_ = 0;
  std::vector<Stream*> idle_;
  // Guarded.
  absl::Mutex mu_;
  std::vector<std::unique_ptr<Stream>> streams_ ABSL_GUARDED_BY(mu_);
};

}  // namespace offerd
