// offerd --config FILE [--check_config]: reads the configuration, recovers, serves, and on SIGTERM drains, makes a snapshot
// and exits 0. Everything is built on this stack in dependency order.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/config.h"
#include "server/engine.h"
#include "server/listen_check.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/service.h"
#include "server/version.h"

namespace offerd {
namespace {

constexpr absl::Duration kDrainTime = absl::Seconds(20);

TimeMicros WallMicros() { return absl::ToUnixMicros(absl::Now()); }

int Fail(const absl::Status& status) {
  Log(LogLevel::kError, "not_started", {{"reason", status.ToString()}});
  return 1;
}

int Serve(const std::string& config_path, sigset_t* signals) {
  const auto config = LoadConfig(config_path);
  if (!config.ok()) {
    std::fprintf(stderr, "%s\n", std::string(config.status().message()).c_str());
    return 1;
  }
  SetLogLevel(config->log_level);
  // Before anything is changed: a second server on this machine must not leave a store behind.
  const absl::Status can_listen = CheckCanListen("listen", config->listen);
  if (!can_listen.ok()) return Fail(can_listen);
  if (!config->metrics_listen.empty()) {
    const absl::Status can_export = CheckCanListen("metrics_listen", config->metrics_listen);
    if (!can_export.ok()) return Fail(can_export);
  }
  if (!config->unix_socket.empty()) {
    const absl::Status can_listen_at = CheckCanListenAt("unix_socket", config->unix_socket);
    if (!can_listen_at.ok()) return Fail(can_listen_at);
  }
  StoreOptions options;
  options.min_free_bytes = config->min_free_bytes;
  auto store = Store::OpenAt(config->store_path, options);
  if (!store.ok()) return Fail(store.status());
  Metrics metrics(kVersion, WallMicros);
  auto engine = Engine::Create(*config, *std::move(store), &metrics, WallMicros);
  if (!engine.ok()) return Fail(engine.status());
  auto service = Service::Start(*config, engine->get(), &metrics, WallMicros);
  if (!service.ok()) return Fail(service.status());
  metrics.OnScrape([&engine, &service] {
    (*engine)->CollectMetrics();
    (*service)->CollectMetrics();
  });
  std::unique_ptr<MetricsExporter> exporter;
  if (!config->metrics_listen.empty()) {
    auto started = MetricsExporter::Start(config->metrics_listen, &metrics);
    if (!started.ok()) return Fail(started.status());
    exporter = *std::move(started);
  }
  (*engine)->OnStoreFailing([&service](bool is_failing) { (*service)->SetStoreFailing(is_failing); });
  (*engine)->Start();
  (*service)->SetReady(true);
  Log(LogLevel::kInfo, "ready", {{"port", (*service)->port()},
                                 {"metrics_port", exporter == nullptr ? 0 : exporter->port()},
                                 {"version", kVersion},
                                 {"unix_socket", config->unix_socket}});
  int signal = 0;
  sigwait(signals, &signal);
  Log(LogLevel::kInfo, "draining", {{"signal", signal}});
  (*service)->Drain(absl::Now() + kDrainTime);
  exporter = nullptr;
  const absl::Status stopped = (*engine)->Stop();
  if (!stopped.ok()) Log(LogLevel::kError, "last_snapshot_failed", {{"reason", stopped.ToString()}});
  Log(LogLevel::kInfo, "stopped");
  return 0;
}

int Main(int argc, char** argv) {
  std::string config_path;
  bool check_only = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--config" && i + 1 < argc) {
      config_path = argv[++i];
    } else if (argument.rfind("--config=", 0) == 0) {
      config_path = argument.substr(std::strlen("--config="));
    } else if (argument == "--check_config") {
      check_only = true;
    } else if (argument == "--version") {
      std::printf("offerd %s\n", kVersion);
      return 0;
    } else {
      std::fprintf(stderr, "usage: offerd --config FILE [--check_config] | --version\n");
      return argument == "--help" ? 0 : 2;
    }
  }
  if (config_path.empty()) {
    std::fprintf(stderr, "usage: offerd --config FILE [--check_config] | --version\n");
    return 2;
  }
  if (check_only) return CheckConfig(config_path, std::cout) ? 0 : 1;
  // Before any thread starts, so that every thread inherits it and sigwait gets them all.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return Serve(config_path, &signals);
}

}  // namespace
}  // namespace offerd

int main(int argc, char** argv) {
  // The packaged Abseil keeps a graph of all locks behind one of its own: for tests, which run without this line.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return offerd::Main(argc, argv);
}
