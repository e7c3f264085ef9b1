#include "cli/offerctl.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"

namespace offerd::cli {
namespace {

constexpr char kUsage[] = "offerctl/usage";

// A new command is one line here, one in commands.h and a file of its own.
constexpr void (*kCommands[])(CLI::App&, Session&) = {
    AddImport,     // import.cc
    AddRank,       // rank.cc
    AddFeedback,   // feedback.cc
    AddPlacement,  // placement.cc
    AddPolicy,     // policy.cc
    AddSnapshot,   // snapshot.cc
    AddStatus,     // status.cc
    AddPlay,       // play.cc
    AddReplay,     // replay.cc
    AddEvaluate,   // evaluate.cc
    AddTune,       // tune.cc
    AddBuild,      // build.cc
    AddTable,      // table.cc
    AddRecommend,  // recommend.cc
};

// Codes stand before what the server said; our own messages need none.
std::string Line(const absl::Status& status, const std::string& server) {
  const std::string message(status.message());
  if (!IsFromServer(status)) return absl::StrCat("offerctl: ", message);
  return absl::StrCat("offerctl: ", absl::StatusCodeToString(status.code()), " from ", server, ": ", message);
}

}  // namespace

absl::Status UsageError(absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsage, absl::Cord());
  return status;
}

bool IsUsageError(const absl::Status& status) { return status.GetPayload(kUsage).has_value(); }

CLI::App* AddCommand(CLI::App& parent, const char* name, const char* description, Session& session, std::function<absl::Status()> run) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->callback([&session, run = std::move(run)] { session.action = run; });
  return command;
}

void BuildApp(CLI::App& app, Session& session) {
  app.name("offerctl");
  app.description("The command line of offerd, the offer-decision server");
  app.fallthrough();  // global options may stand behind the command
  app.require_subcommand(1);
  app.add_option("--server", session.connection.server, "host:port of offerd")->capture_default_str();
  app.add_option("--token", session.connection.token, "bearer token of the role; other users of this machine can see it: prefer --token-file");
  app.add_option("--token-file", session.connection.token_file, "file whose first line is the bearer token");
  app.add_option("--tls-ca", session.connection.tls_ca, "PEM file of the authority that signed the server's certificate; without it no TLS");
  app.add_flag("--json", session.json, "answer in JSON, for programs");
  app.add_option("--timeout", session.connection.timeout_seconds, "seconds for one call")->capture_default_str()->check(CLI::Range(0.001, 86'400.0));
  for (const auto add : kCommands) add(app, session);
}

int RunOfferctl(const std::vector<std::string>& arguments, Session& session) {
  CLI::App app;
  BuildApp(app, session);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 wants it
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    return app.exit(error, session.out, session.err) == 0 ? 0 : 2;
  }
  const absl::Status status = session.action();
  session.out.flush();
  if (status.ok()) return 0;
  std::string line = Line(status, session.connection.server);
  std::replace(line.begin(), line.end(), '\n', ' ');
  session.err << line << "\n";
  return IsUsageError(status) ? 2 : 1;
}

}  // namespace offerd::cli
