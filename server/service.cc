#include "server/service.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/status_macros.h"
#include "offerd/v1/admin_service.grpc.pb.h"
#include "offerd/v1/catalog_service.grpc.pb.h"
#include "offerd/v1/customer_service.grpc.pb.h"
#include "offerd/v1/feedback_service.grpc.pb.h"
#include "offerd/v1/offer_service.grpc.pb.h"
#include "server/feedback_stream.h"
#include "server/health.h"
#include "server/listen_check.h"
#include "server/log.h"
#include "server/rpc.h"
#include "server/validation.h"

namespace offerd {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

constexpr int kWaitingFrontend = 64;  // calls of the shop's pages that wait on each queue
constexpr int kWaitingOthers = 4;
constexpr int kMaxSyncThreads = 4;  // of reflection, the one synchronous service

// The generated service, all its methods asynchronous and in bytes.
template <typename Generated>
class RawServiceOf final : public Generated, public RawService {
 public:
  explicit RawServiceOf(const ServiceDescriptor* descriptor) : descriptor_(descriptor) {
    for (int i = 0; i < descriptor->method_count(); ++i) this->MarkMethodRaw(i);
  }
  grpc::Service* service() override { return this; }
  const ServiceDescriptor* descriptor() const override { return descriptor_; }
  void RequestUnary(int index, grpc::ServerContext* context, grpc::ByteBuffer* request,
                    grpc::internal::ServerAsyncStreamingInterface* responder, grpc::ServerCompletionQueue* queue,
                    void* tag) override {
    this->RequestAsyncUnary(index, context, request, responder, queue, queue, tag);
  }
  void RequestStream(int index, grpc::ServerContext* context, grpc::internal::ServerAsyncStreamingInterface* stream,
                     grpc::ServerCompletionQueue* queue, void* tag) override {
    this->RequestAsyncBidiStreaming(index, context, stream, queue, queue, tag);
  }

 private:
  const ServiceDescriptor* const descriptor_;
};

const ServiceDescriptor* ServiceOf(const google::protobuf::Descriptor* message_of_the_file) {
  return message_of_the_file->file()->service(0);  // one service a file
}

class MethodTable {
 public:
  explicit MethodTable(Handlers* handlers) : handlers_(*handlers) {}

  template <typename Request, typename Response>
  void Add(RawService* service, Method method, Access access, absl::Status (Handlers::*handle)(const Request&, Response*)) {
    RpcMethod added = Describe<Request, Response>(service, method, access);
    added.answer = [&h = handlers_, handle](const Message& request, Message* response) {
      return (h.*handle)(static_cast<const Request&>(request), static_cast<Response*>(response));
    };
    methods_.push_back(std::move(added));
  }
  template <typename Request, typename Response>
  void Add(RawService* service, Method method, Access access,
           void (Handlers::*handle)(const Request&, Response*, Handlers::Done)) {
    RpcMethod added = Describe<Request, Response>(service, method, access);
    added.start = [&h = handlers_, handle](const Message& request, Message* response, Handlers::Done done) {
      (h.*handle)(static_cast<const Request&>(request), static_cast<Response*>(response), std::move(done));
    };
    methods_.push_back(std::move(added));
  }
  template <typename Request, typename Response>
  static RpcMethod Describe(RawService* service, Method method, Access access) {
    const MethodDescriptor* descriptor = FindMethod(service->descriptor(), method);
    CHECK(descriptor->input_type() == Request::descriptor() && descriptor->output_type() == Response::descriptor());
    RpcMethod out;
    out.method = method;
    out.access = access;
    out.service = service;
    out.index = descriptor->index();
    out.request_type = &Request::default_instance();
    out.response_type = &Response::default_instance();
    return out;
  }

  const std::vector<RpcMethod>& methods() const { return methods_; }

 private:
  static const MethodDescriptor* FindMethod(const ServiceDescriptor* service, Method method) {
    const MethodDescriptor* found = service->FindMethodByName(std::string(MethodText(method)));
    CHECK(found != nullptr);
    return found;
  }

  Handlers& handlers_;
  std::vector<RpcMethod> methods_;
};

std::shared_ptr<grpc::ServerCredentials> CredentialsOf(const ServerConfig& config) {
  if (!config.tls.has_value()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(config.tls->client_ca_pem.empty()
                                                ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                                : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_key_cert_pairs.push_back({config.tls->key_pem, config.tls->certificate_pem});
  options.pem_root_certs = config.tls->client_ca_pem;
  return grpc::SslServerCredentials(options);
}

// gRPC writes text to stderr, where every line is to be JSON.
void LogFromGrpc(gpr_log_func_args* args) {
  const LogLevel level = args->severity == GPR_LOG_SEVERITY_ERROR  ? LogLevel::kWarning
                         : args->severity == GPR_LOG_SEVERITY_INFO ? LogLevel::kInfo
                                                                   : LogLevel::kDebug;
  Log(level, "grpc", {{"message", args->message}});
}

// Nor may Protobuf, which complains of every text that is none: callers can make it do so at will.
void LogFromProtobuf(google::protobuf::LogLevel, const char*, int, const std::string& message) {
  Log(LogLevel::kDebug, "protobuf", {{"message", message}});
}

}  // namespace

// Members die in reverse order: the server before the queues, those before the services and the gate.
class Service::Impl {
 public:
  Impl(const ServerConfig& config, Handlers* handlers, Metrics* metrics, std::function<int64_t()> now_micros)
      : gate_(config, metrics, std::move(now_micros)), handlers_(*handlers), table_(handlers) {}

  absl::Status Start(const ServerConfig& config);
  void SetReady(bool is_ready) { health_.SetServing(is_ready); }
  void SetStoreFailing(bool is_failing) { health_.SetStoreFailing(is_failing); }
  void CollectMetrics() { gate_.CollectMetrics(); }
  void Drain(absl::Time deadline);
  int port() const { return port_; }

 private:
  void AddMethods();
  absl::Status Listen(const ServerConfig& config, grpc::ServerBuilder& builder);

  RpcGate gate_;
  Handlers& handlers_;
  RawServiceOf<v1::OfferService::Service> offers_{ServiceOf(v1::RankOffersRequest::descriptor())};
  RawServiceOf<v1::FeedbackService::Service> feedback_{ServiceOf(v1::SendFeedbackRequest::descriptor())};
  RawServiceOf<v1::CatalogService::Service> catalog_{ServiceOf(v1::UpsertItemsRequest::descriptor())};
  RawServiceOf<v1::CustomerService::Service> customers_{ServiceOf(v1::UpsertCustomersRequest::descriptor())};
  RawServiceOf<v1::AdminService::Service> admin_{ServiceOf(v1::GetStatusRequest::descriptor())};
  HealthService health_{&gate_};
  MethodTable table_;
  RpcMethod stream_method_;
  std::vector<std::unique_ptr<RpcQueue>> queues_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  bool is_drained_ = false;
};

void Service::Impl::AddMethods() {
  const auto f = Access::kFrontend, c = Access::kCatalogue, a = Access::kAdmin;
  table_.Add(&offers_, Method::kRankOffers, f, &Handlers::RankOffers);
  table_.Add(&offers_, Method::kActivate, f, &Handlers::Activate);
  table_.Add(&offers_, Method::kCrossSell, f, &Handlers::CrossSell);
  table_.Add(&offers_, Method::kSimilarItems, f, &Handlers::SimilarItems);
  table_.Add(&offers_, Method::kRecommendItems, f, &Handlers::RecommendItems);
  table_.Add(&offers_, Method::kRecommendNext, f, &Handlers::RecommendNext);
  table_.Add(&feedback_, Method::kSendFeedback, Access::kFeedback, &Handlers::SendFeedback);
  table_.Add(&catalog_, Method::kUpsertItems, c, &Handlers::UpsertItems);
  table_.Add(&catalog_, Method::kUpsertOffers, c, &Handlers::UpsertOffers);
  table_.Add(&catalog_, Method::kGetItem, c, &Handlers::GetItem);
  table_.Add(&catalog_, Method::kGetOffer, c, &Handlers::GetOffer);
  table_.Add(&catalog_, Method::kListItems, c, &Handlers::ListItems);
  table_.Add(&catalog_, Method::kListOffers, c, &Handlers::ListOffers);
  table_.Add(&catalog_, Method::kDeleteItem, c, &Handlers::DeleteItem);
  table_.Add(&catalog_, Method::kDeleteOffer, c, &Handlers::DeleteOffer);
  table_.Add(&customers_, Method::kUpsertCustomers, c, &Handlers::UpsertCustomers);
  table_.Add(&customers_, Method::kGetCustomer, c, &Handlers::GetCustomer);
  table_.Add(&customers_, Method::kMerge, c, &Handlers::Merge);
  table_.Add(&customers_, Method::kEraseCustomer, c, &Handlers::EraseCustomer);
  table_.Add(&admin_, Method::kSetPlacement, a, &Handlers::SetPlacement);
  table_.Add(&admin_, Method::kListPlacements, a, &Handlers::ListPlacements);
  table_.Add(&admin_, Method::kDeletePlacement, a, &Handlers::DeletePlacement);
  table_.Add(&admin_, Method::kEvaluatePolicy, a, &Handlers::EvaluatePolicy);
  table_.Add(&admin_, Method::kPromotePolicy, a, &Handlers::PromotePolicy);
  table_.Add(&admin_, Method::kListReleases, a, &Handlers::ListReleases);
  table_.Add(&admin_, Method::kRollBackPlacement, a, &Handlers::RollBackPlacement);
  table_.Add(&admin_, Method::kSetPolicy, a, &Handlers::SetPolicy);
  table_.Add(&admin_, Method::kListPolicies, a, &Handlers::ListPolicies);
  table_.Add(&admin_, Method::kPublishPolicy, a, &Handlers::PublishPolicy);
  table_.Add(&admin_, Method::kRollBackPolicy, a, &Handlers::RollBackPolicy);
  table_.Add(&admin_, Method::kPublishTable, a, &Handlers::PublishTable);
  table_.Add(&admin_, Method::kRollBackTable, a, &Handlers::RollBackTable);
  table_.Add(&admin_, Method::kListTables, a, &Handlers::ListTables);
  table_.Add(&admin_, Method::kCreateSnapshot, a, &Handlers::CreateSnapshot);
  table_.Add(&admin_, Method::kListSnapshots, a, &Handlers::ListSnapshots);
  table_.Add(&admin_, Method::kVerifySnapshot, a, &Handlers::VerifySnapshot);
  table_.Add(&admin_, Method::kGetStatus, a, &Handlers::GetStatus);
  table_.Add(&admin_, Method::kGetLimits, Access::kAny, &Handlers::GetLimits);
  stream_method_ = MethodTable::Describe<v1::FeedbackBatch, v1::FeedbackAcknowledgement>(
      &feedback_, Method::kStreamFeedback, Access::kFeedback);
}

absl::Status Service::Impl::Start(const ServerConfig& config) {
  AddMethods();
  gpr_set_log_function(&LogFromGrpc);
  google::protobuf::SetLogHandler(&LogFromProtobuf);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();

  grpc::ServerBuilder builder;
  builder.AddListeningPort(config.listen, CredentialsOf(config), &port_);
  if (!config.unix_socket.empty()) {
    RETURN_IF_ERROR(CheckCanListenAt("unix_socket", config.unix_socket));
    builder.AddListeningPort("unix:" + config.unix_socket, grpc::InsecureServerCredentials());  // gRPC replaces a stale one
  }
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // else a second server would share the port in silence
  builder.SetMaxReceiveMessageSize(Limits().max_message_bytes);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 1);
  grpc::ResourceQuota quota;
  quota.SetMaxThreads(kMaxSyncThreads);
  builder.SetResourceQuota(quota);
  const std::array<RawService*, 5> services = {&offers_, &feedback_, &catalog_, &customers_, &admin_};
  for (RawService* service : services) builder.RegisterService(service->service());
  builder.RegisterService(health_.service());
  for (const RawService* each : services) {  // offers are decided from memory, and the admin service can say what is wrong
    health_.AddName(each->descriptor()->full_name(), each != &offers_ && each != &admin_);
  }
  for (int i = 0; i < config.completion_queues; ++i) {
    auto queue = std::make_unique<RpcQueue>(builder.AddCompletionQueue(), &gate_);
    for (const RpcMethod& method : table_.methods()) {
      queue->AddMethod(&method, &gate_, method.service == &offers_ ? kWaitingFrontend : kWaitingOthers);
    }
    queue->AddPool(MakeFeedbackStreams(&stream_method_, &handlers_, &gate_, queue.get(), kWaitingOthers));
    health_.AddTo(queue.get());
    queues_.push_back(std::move(queue));
  }
  RETURN_IF_ERROR(Listen(config, builder));
  for (const auto& queue : queues_) queue->Start();
  return absl::OkStatus();
}

absl::Status Service::Impl::Listen(const ServerConfig& config, grpc::ServerBuilder& builder) {
  const bool has_socket = !config.unix_socket.empty();
  const mode_t before = has_socket ? umask(0077) : 0;  // nobody else connects before the mode of the socket is set
  server_ = builder.BuildAndStart();
  if (has_socket) umask(before);
  if (port_ == 0 || (server_ == nullptr && !has_socket)) {
    return absl::UnavailableError(absl::StrCat("listen: expected a free address of this machine",
                                               config.tls.has_value() ? " and a certificate that fits its key" : "", ", found ",
                                               config.listen, " which cannot be used"));
  }
  if (server_ != nullptr && has_socket && chmod(config.unix_socket.c_str(), 0660) != 0) {
    server_->Shutdown();
    server_ = nullptr;
  }
  if (server_ == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("unix_socket: expected a path where a socket can be made, found ", config.unix_socket, " which cannot be used"));
  }
  return absl::OkStatus();
}

void Service::Impl::Drain(absl::Time deadline) {
  if (is_drained_ || server_ == nullptr) return;
  is_drained_ = true;
  gate_.BeginDrain();
  for (const auto& queue : queues_) queue->BeginDrain();
  server_->Shutdown(absl::ToChronoTime(deadline));
  for (const auto& queue : queues_) queue->Stop();
}

Service::Service(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Service::~Service() { Drain(absl::Now()); }

absl::StatusOr<std::unique_ptr<Service>> Service::Start(const ServerConfig& config, Handlers* handlers, Metrics* metrics,
                                                        std::function<int64_t()> now_micros) {
  auto impl = std::make_unique<Impl>(config, handlers, metrics, std::move(now_micros));
  const absl::Status status = impl->Start(config);
  if (!status.ok()) return status;
  return std::unique_ptr<Service>(new Service(std::move(impl)));
}

int Service::port() const { return impl_->port(); }
void Service::SetReady(bool is_ready) { impl_->SetReady(is_ready); }
void Service::SetStoreFailing(bool is_failing) { impl_->SetStoreFailing(is_failing); }
void Service::CollectMetrics() { impl_->CollectMetrics(); }
void Service::Drain(absl::Time deadline) { impl_->Drain(deadline); }

}  // namespace offerd
