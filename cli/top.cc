#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/commands.h"
#include "cli/format.h"
#include "cli/top/block.h"
#include "cli/top/endpoint.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

struct TopOptions {
  std::string metrics = "127.0.0.1:9464";
  double interval_seconds = 2;
  bool once = false;
};

top::ServerState ToState(const v1::ServerStatus& status) {
  top::ServerState state{.is_ready = status.ready(), .store_error = status.store_error(), .policies = {}, .guards = {}};
  for (const v1::PolicyStatus& policy : status.policies()) {
    state.policies.push_back({policy.policy().name(), policy.policy().version(), policy.shown(), policy.residual_deviation(),
                              policy.apprentice_decisions(), policy.apprentice_agreements()});
  }
  for (const v1::GuardStatus& guard : status.guards()) {
    state.guards.push_back({guard.placement(), guard.is_on(), guard.off_because(), guard.decisions()});
  }
  return state;
}

// What a screen shows in place of the last block.
//
// A terminal is drawn again from its first place; anything else gets one block, or with --json one line, behind the other.
class Screen {
 public:
  Screen(Session& session, bool once)
      : session_(session), once_(once), is_terminal_(!once && !session.json && &session.out == &std::cout && isatty(STDOUT_FILENO) != 0) {}

  bool is_terminal() const { return is_terminal_; }

  // False: whoever read it is gone.
  bool Show(const std::string& block) {
    winsize size{};
    if (!is_terminal_) {
      session_.out << (is_first_ ? "" : "\n") << block;
    } else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
      session_.out << kHomeAndClear << top::FitTo(block, size.ws_row, size.ws_col);
    } else {
      session_.out << kHomeAndClear << block;
    }
    is_first_ = false;
    return Flush();
  }

  bool Show(const Json& json) {
    session_.out << (once_ ? Dump(json) : json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    return Flush();
  }

 private:
  static constexpr char kHomeAndClear[] = "\x1b[H\x1b[2J";

  bool Flush() { return static_cast<bool>(session_.out.flush()); }

  Session& session_;
  const bool once_, is_terminal_;
  bool is_first_ = true;
};

// Reads one server again and again.
class Reader {
 public:
  Reader(top::Endpoint endpoint, std::unique_ptr<Client> client, std::string server, double timeout_seconds)
      : endpoint_(std::move(endpoint)), client_(std::move(client)), server_(std::move(server)), timeout_seconds_(timeout_seconds) {}

  const std::string& address() const { return endpoint_.address(); }

  // The metrics must be there. GetStatus may fail: the reading says why. It is not asked without the metrics, since each call to a server
  // that is away makes gRPC wait longer before it tries again.
  absl::StatusOr<top::Reading> Read() {
    top::Reading reading;
    ASSIGN_OR_RETURN(reading.samples, endpoint_.Fetch(timeout_seconds_));
    const absl::Time now = absl::Now();
    reading.unix_seconds = absl::ToDoubleSeconds(now - absl::UnixEpoch());
    reading.steady_seconds = SteadySeconds();
    v1::ServerStatus status;
    const absl::Status called = client_->Call(client_->admin(), &v1::AdminService::Stub::GetStatus, v1::GetStatusRequest(), &status);
    if (called.ok()) {
      reading.state = ToState(status);
    } else {
      reading.no_state_because = absl::StrCat(absl::StatusCodeToString(called.code()), " from ", server_, ": ", called.message());
    }
    return reading;
  }

  static double SteadySeconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

 private:
  const top::Endpoint endpoint_;
  const std::unique_ptr<Client> client_;
  const std::string server_;
  const double timeout_seconds_;
};

bool ShowAway(const absl::Status& status, const TopOptions& options, const Session& session, Screen& screen) {
  if (session.json) return screen.Show(Json{{"address", options.metrics}, {"error", std::string(status.message())}});
  return screen.Show(absl::StrFormat("no metrics now: %s\ntrying again every %g s\n", std::string(status.message()), options.interval_seconds));
}

absl::Status Watch(const TopOptions& options, const Session& session, Reader& reader, Screen& screen) {
  std::optional<top::Reading> before;
  double next = Reader::SteadySeconds();
  for (bool is_shown = true; is_shown;) {
    absl::StatusOr<top::Reading> after = reader.Read();
    if (!after.ok() && options.once) return after.status();
    if (!after.ok()) {
      is_shown = ShowAway(after.status(), options, session, screen);
    } else {
      if (before.has_value()) {
        const top::Interval interval = top::Measure(*before, *after);
        is_shown = session.json ? screen.Show(top::ToJson(interval, reader.address())) : screen.Show(top::ToBlock(interval, reader.address()));
        if (options.once && is_shown) return absl::OkStatus();
      } else if (screen.is_terminal()) {
        screen.Show(absl::StrFormat("%s answers; the first numbers come in %g s\n", reader.address(), options.interval_seconds));
      }
      before = *std::move(after);
    }
    // A slow answer shortens the next wait, so that blocks come at even times, but not by more than half: too short an interval says little.
    const double now = Reader::SteadySeconds();
    next = std::max(next + options.interval_seconds, now + options.interval_seconds / 2);
    absl::SleepFor(absl::Seconds(next - now));
  }
  return absl::UnavailableError("cannot write to standard output any more");
}

absl::Status RunTop(Session& session, const TopOptions& options) {
  const absl::StatusOr<top::Endpoint> endpoint = top::Endpoint::Parse(options.metrics);
  if (!endpoint.ok()) return UsageError(absl::StrCat("--metrics: ", endpoint.status().message()));
  if (std::isnan(options.interval_seconds)) return UsageError("--interval: expected 0.1 to 3600 seconds, found nan");  // Range lets it pass
  // A server that hangs must not hold the screen for much longer than an interval.
  const double timeout_seconds = std::min(std::max(options.interval_seconds, 1.0), session.connection.timeout_seconds);
  session.connection.timeout_seconds = timeout_seconds;
  ASSIGN_OR_RETURN(std::unique_ptr<Client> client, session.Connect());
  Reader reader(*endpoint, std::move(client), session.connection.server, timeout_seconds);
  Screen screen(session, options.once);
  return Watch(options, session, reader, screen);
}

}  // namespace

void AddTop(CLI::App& app, Session& session) {
  const auto options = std::make_shared<TopOptions>();
  CLI::App* command = AddCommand(app, "top", "Live: requests, latencies, queues and learning of a running server", session,
                                 [&session, options] { return RunTop(session, *options); });
  command->add_option("--metrics", options->metrics, "host:port of its metrics, metrics_listen of its configuration")->capture_default_str();
  command->add_option("--interval", options->interval_seconds, "seconds between two readings")->capture_default_str()->check(CLI::Range(0.1, 3'600.0));
  command->add_flag("--once", options->once, "one block after one interval, then the end");
}

}  // namespace offerd::cli
