#include "bench/load/generator.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include "absl/strings/str_cat.h"
#include "bench/load/process_stat.h"
#include "core/check.h"
#include "offerd/v1/feedback_service.pb.h"
#include "offerd/v1/offer_service.pb.h"

namespace offerd {
namespace {

constexpr int64_t kNanos = 1'000'000'000;
constexpr uint64_t kCheckEvery = 64;

int64_t NowNanos() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * kNanos + now.tv_nsec;
}

void SleepUntil(int64_t nanos) {
  const timespec until = {static_cast<time_t>(nanos / kNanos), static_cast<long>(nanos % kNanos)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

double OwnCpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + 1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

// Another run, other ids: a server that lives on must not take them for repeats.
uint32_t RunNumber() { return static_cast<uint32_t>(MixHash(static_cast<uint64_t>(time(nullptr)), static_cast<uint64_t>(NowNanos())) & 0xffffffff); }

std::vector<std::shared_ptr<grpc::Channel>> Connect(const LoadOptions& options) {
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection for each channel
  for (int i = 0; i < options.channels; ++i) {
    channels.push_back(grpc::CreateCustomChannel(options.target, grpc::InsecureChannelCredentials(), arguments));
    if (!channels.back()->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) return {};
  }
  return channels;
}

bool ParseBytes(grpc::ByteBuffer* bytes, google::protobuf::Message* message) {
  return grpc::SerializationTraits<google::protobuf::Message>::Deserialize(bytes, message).ok();
}

bool IsRich(CallKind kind, grpc::ByteBuffer* bytes) {
  if (kind == CallKind::kRankOffers) {
    v1::RankOffersResponse response;
    return ParseBytes(bytes, &response) && response.slots_size() + response.packed().index_size() > 0;
  }
  if (kind != CallKind::kSendFeedback) {
    v1::ItemList list;
    return ParseBytes(bytes, &list) && list.entries_size() > 0;
  }
  v1::SendFeedbackResponse response;
  return ParseBytes(bytes, &response) && response.results_size() > 0 &&
         std::all_of(response.results().begin(), response.results().end(), [](const auto& r) { return r.fate() == v1::APPLIED; });
}

// The counted part of a run: CPU time is read at both its ends.
struct Window {
  Window(const LoadOptions& options, int64_t start)
      : pid(options.server_pid), begin(start + static_cast<int64_t>(options.warmup_seconds * 1e9)),
        end(begin + static_cast<int64_t>(options.seconds * 1e9)) {}

  bool Holds(int64_t nanos) const { return nanos >= begin && nanos < end; }
  void Read(bool is_end, LoadResult& result) {
    const double sign = is_end ? 1 : -1;
    const ProcessStat server = ReadProcessStat(pid);
    result.server_cpu_seconds += sign * server.cpu_seconds;
    result.server_resident_bytes = server.resident_bytes;
    result.client_cpu_seconds += sign * OwnCpuSeconds();
  }
  // Called often, by one thread; reads each end once.
  void Pass(int64_t now, LoadResult& result) {
    if (!has_begun && now >= begin) {
      has_begun = true;
      Read(false, result);
    }
    if (!has_ended && now >= end) {
      has_ended = true;
      Read(true, result);
    }
  }

  const int pid;
  const int64_t begin, end;
  bool has_begun = false, has_ended = false;
};

struct Call {
  CallKind kind = CallKind::kRankOffers;
  int64_t due = 0;
  std::optional<grpc::ClientContext> context;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  grpc::ByteBuffer request, response;
  grpc::Status status;
};

// Hands calls that are done from the queue's thread to the sending one.
class FreeCalls {
 public:
  explicit FreeCalls(size_t room) : calls_(room) {}
  void Put(Call* call) {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    calls_[tail % calls_.size()] = call;
    tail_.store(tail + 1, std::memory_order_release);
  }
  Call* Take() {
    if (head_ == tail_.load(std::memory_order_acquire)) return nullptr;
    return calls_[head_++ % calls_.size()];
  }

 private:
  std::vector<Call*> calls_;
  std::atomic<size_t> tail_{0};
  size_t head_ = 0;
};

class Generator {
 public:
  Generator(const LoadOptions& options, std::vector<std::shared_ptr<grpc::Channel>> channels)
      : options_(options), traffic_(options.traffic, RunNumber()), window_(options, NowNanos()),
        calls_(static_cast<size_t>(options.is_open ? options.max_outstanding : options.in_flight)) {
    for (auto& channel : channels) stubs_.push_back(std::make_unique<grpc::GenericStub>(std::move(channel)));
  }

  LoadResult RunClosed() {
    for (Call& call : calls_) Send(&call, NowNanos());
    size_t under_way = calls_.size();
    while (under_way > 0) {
      Call* call = Next();
      const int64_t now = NowNanos();
      window_.Pass(now, result_);
      Record(*call, now, window_.Holds(now));
      if (now < window_.end) {
        Send(call, now);
      } else {
        --under_way;
      }
    }
    return Finish();
  }

  LoadResult RunOpen() {
    FreeCalls free(calls_.size() + 1);
    for (Call& call : calls_) free.Put(&call);
    std::atomic<int64_t> sent{0}, done{0};
    std::atomic<bool> has_all{false};
    int64_t offered = 0, unsent = 0;
    LoadResult ends;  // the sending thread reads CPU time, the queue's thread counts calls
    const auto send_all = [&] {
      prctl(PR_SET_TIMERSLACK, 1);
      Arrivals arrivals(options_.arrivals, options_.rate, options_.traffic.seed);
      const int64_t start = window_.begin - static_cast<int64_t>(options_.warmup_seconds * 1e9);
      for (int64_t due = start + arrivals.Next(); due < window_.end; due = start + arrivals.Next()) {
        int64_t now = NowNanos();
        if (now < due) {
          SleepUntil(due);
          now = NowNanos();
        }
        window_.Pass(now, ends);
        if (window_.Holds(due)) ++offered;
        Call* call = free.Take();
        while (call == nullptr && now < window_.end) {
          SleepUntil(NowNanos() + 20'000);
          now = NowNanos();
          call = free.Take();
        }
        if (call == nullptr || now >= window_.end) {
          if (call != nullptr) idle_.push_back(call);
          unsent += window_.Holds(due);
          continue;
        }
        sent.fetch_add(1, std::memory_order_relaxed);
        Send(call, due);
      }
      SleepUntil(window_.end);
      window_.Pass(NowNanos(), ends);
      has_all.store(true, std::memory_order_release);
    };
    std::thread sender(send_all);
    while (!(has_all.load(std::memory_order_acquire) && done.load() == sent.load())) {
      Call* call = NextFor(std::chrono::milliseconds(100));
      if (call == nullptr) continue;
      const int64_t now = NowNanos();
      Record(*call, now, window_.Holds(call->due));
      done.fetch_add(1, std::memory_order_relaxed);
      free.Put(call);
    }
    sender.join();
    result_.offered = offered;
    result_.unsent = unsent;
    result_.server_cpu_seconds = ends.server_cpu_seconds;
    result_.server_resident_bytes = ends.server_resident_bytes;
    result_.client_cpu_seconds = ends.client_cpu_seconds;
    return Finish();
  }

 private:
  void Send(Call* call, int64_t due) {
    call->due = due;
    call->kind = traffic_.NextKind();
    traffic_.Fill(call->kind, &call->request);
    call->context.emplace();
    if (options_.deadline_seconds > 0) {
      const gpr_timespec after = gpr_time_from_nanos(static_cast<int64_t>(options_.deadline_seconds * 1e9), GPR_TIMESPAN);
      call->context->set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), after));
    }
    grpc::GenericStub& stub = *stubs_[next_stub_++ % stubs_.size()];
    call->reader = stub.PrepareUnaryCall(&*call->context, CallKindPath(call->kind), call->request, &queue_);
    call->reader->StartCall();
    call->reader->Finish(&call->response, &call->status, call);
  }

  Call* Next() {
    void* tag;
    bool ok;
    CHECK(queue_.Next(&tag, &ok));
    return static_cast<Call*>(tag);
  }
  Call* NextFor(std::chrono::milliseconds time) {
    void* tag;
    bool ok;
    if (queue_.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + time) != grpc::CompletionQueue::GOT_EVENT) return nullptr;
    return static_cast<Call*>(tag);
  }

  void Record(Call& call, int64_t now, bool is_counted) {
    const int64_t latency = now - call.due;
    ++result_.all_answered;
    if (!call.status.ok()) {
      if (is_counted) ++result_.errors[call.status.error_code()];
    } else {
      if (is_counted) {
        result_.latency[static_cast<size_t>(call.kind)].Record(latency);
        ++result_.ok;
        if (options_.deadline_seconds == 0 || static_cast<double>(latency) <= options_.deadline_seconds * 1e9) ++result_.in_time;
      }
      if (++answers_ % kCheckEvery == 0) {
        ++result_.checked;
        if (!IsRich(call.kind, &call.response)) ++result_.poor;
      }
    }
    call.reader.reset();
    call.context.reset();
    call.response.Clear();
  }

  LoadResult Finish() {
    result_.seconds = options_.seconds;
    queue_.Shutdown();
    void* tag;
    bool ok;
    while (queue_.Next(&tag, &ok)) {
    }
    return std::move(result_);
  }

  const LoadOptions& options_;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  grpc::CompletionQueue queue_;
  Traffic traffic_;
  Window window_;
  std::vector<Call> calls_;
  std::vector<Call*> idle_;
  size_t next_stub_ = 0;
  uint64_t answers_ = 0;
  LoadResult result_;
};

// Writes while fewer than in_flight batches wait for their acknowledgements, reads all the time, ends with the last one.
class StreamRun {
 public:
  StreamRun(const LoadOptions& options, std::shared_ptr<grpc::Channel> channel)
      : options_(options), traffic_(options.traffic, RunNumber()), stub_(std::move(channel)), window_(options, NowNanos()),
        sent_at_(static_cast<size_t>(options.in_flight)) {}

  LoadResult Run() {
    stream_ = stub_.PrepareCall(&context_, "/offerd.v1.FeedbackService/StreamFeedback", &queue_);
    stream_->StartCall(Tag(kStart));
    while (!is_finished_) {
      void* tag;
      bool ok;
      CHECK(queue_.Next(&tag, &ok));
      now_ = NowNanos();
      window_.Pass(now_, result_);
      On(static_cast<int>(reinterpret_cast<intptr_t>(tag)), ok);
    }
    queue_.Shutdown();
    result_.seconds = options_.seconds;
    return std::move(result_);
  }

 private:
  enum { kStart = 1, kWrite, kRead, kDone, kFinish };
  static void* Tag(int tag) { return reinterpret_cast<void*>(static_cast<intptr_t>(tag)); }

  void On(int tag, bool ok) {
    if (tag == kFinish) {
      is_finished_ = true;
      if (!status_.ok()) ++result_.errors[status_.error_code()];
      return;
    }
    if (tag == kStart && ok) stream_->Read(&acknowledgement_, Tag(kRead));
    if (tag == kStart || tag == kWrite) is_writing_ = false;
    if (tag == kRead && ok) {
      Acknowledged();
      stream_->Read(&acknowledgement_, Tag(kRead));
    }
    if (tag == kRead && !ok) {  // the server has ended the stream: after our WritesDone, or because it failed
      stream_->Finish(&status_, Tag(kFinish));
      is_over_ = true;
    }
    if (!is_over_ && !is_writing_ && !is_half_closed_ && ok) WriteMore();
  }

  void WriteMore() {
    if (now_ >= window_.end) {
      is_half_closed_ = true;
      stream_->WritesDone(Tag(kDone));
      return;
    }
    if (sent_ - acknowledged_ >= options_.in_flight) return;
    sent_at_[static_cast<size_t>(sent_ % options_.in_flight)] = now_;
    traffic_.FillBatch(++sent_, &batch_);
    is_writing_ = true;
    stream_->Write(batch_, Tag(kWrite));
  }

  void Acknowledged() {
    v1::FeedbackAcknowledgement& message = parsed_;
    ++result_.checked;
    ++result_.all_answered;
    if (!ParseBytes(&acknowledgement_, &message) || message.client_sequence() != acknowledged_ + 1 || message.applied() != options_.traffic.events) {
      ++result_.poor;
    }
    const int64_t at = sent_at_[static_cast<size_t>(acknowledged_++ % options_.in_flight)];
    if (!window_.Holds(now_)) return;
    ++result_.ok;
    ++result_.in_time;
    result_.latency[static_cast<size_t>(CallKind::kSendFeedback)].Record(now_ - at);
  }

  const LoadOptions& options_;
  Traffic traffic_;
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  Window window_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::ByteBuffer batch_, acknowledgement_;
  v1::FeedbackAcknowledgement parsed_;
  grpc::Status status_;
  std::vector<int64_t> sent_at_;  // ring by number of batch
  int64_t now_ = 0;
  int64_t sent_ = 0, acknowledged_ = 0;
  bool is_writing_ = true, is_half_closed_ = false, is_over_ = false, is_finished_ = false;
  LoadResult result_;
};

}  // namespace

int64_t LoadResult::answered() const {
  int64_t out = ok;
  for (const auto& [code, count] : errors) out += count;
  return out;
}

Histogram LoadResult::AllLatency() const {
  Histogram all;
  for (const Histogram& one : latency) all.Merge(one);
  return all;
}

absl::StatusOr<LoadResult> RunLoad(const LoadOptions& options) {
  auto channels = Connect(options);
  if (channels.empty()) return absl::UnavailableError(absl::StrCat("target: nobody answers at ", options.target));
  const auto generator = std::make_unique<Generator>(options, std::move(channels));
  return options.is_open ? generator->RunOpen() : generator->RunClosed();
}

absl::StatusOr<LoadResult> RunStream(const LoadOptions& options) {
  auto channels = Connect(options);
  if (channels.empty()) return absl::UnavailableError(absl::StrCat("target: nobody answers at ", options.target));
  return StreamRun(options, channels[0]).Run();
}

}  // namespace offerd
