#include "cli/offerctl.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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
    AddTop,        // top.cc
    AddPlay,       // play.cc
    AddReplay,     // replay.cc
    AddLog,        // log_export.cc
    AddEvaluate,   // evaluate.cc
    AddTune,       // tune.cc
    AddLearn,      // learn.cc
    AddSimulate,   // simulate.cc
    AddBuild,      // build.cc
    AddTable,      // table.cc
    AddRecommend,  // recommend.cc
};

// Why a word that should be a command is none; empty where that is not what was wrong.
std::string UnknownCommand(const CLI::App& app) {
  const CLI::App* level = &app;
  std::string path;
  while (!level->get_subcommands().empty()) {
    level = level->get_subcommands().front();
    absl::StrAppend(&path, level->get_name(), " ");
  }
  std::vector<std::string> names;
  for (const CLI::App* command : level->get_subcommands([](const CLI::App*) { return true; })) names.push_back(command->get_name());
  for (const std::string& word : app.remaining(/*recurse=*/true)) {
    if (names.empty() || absl::StartsWith(word, "-")) continue;
    return absl::StrCat("offerctl ", path, word, ": there is no such command; there are ", absl::StrJoin(names, ", "));
  }
  return "";
}

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

absl::StatusOr<std::unique_ptr<Client>> Session::Connect() const {
  if (const std::string warning = ConnectionWarning(connection); !warning.empty()) err << "warning: " << warning << "\n";
  return Client::Connect(connection);
}

CLI::Option* AddMemoryOption(CLI::App* command, uint64_t* bytes, const char* what) {
  const auto check = [](std::string& text) {
    const std::string given = text;
    const bool is_number = !text.empty() && absl::ascii_isdigit(static_cast<unsigned char>(text[0]));
    if (is_number && CLI::AsSizeValue(false)(text).empty() && text != "0") return std::string();
    return absl::StrCat("\"", given, "\" is no number of bytes above 0, such as 8GB");
  };
  return command->add_option("--memory", *bytes, what)->transform(CLI::Validator(check, "BYTES"));
}

void BuildApp(CLI::App& app, Session& session) {
  app.name("offerctl");
  app.description("The command line of offerd, the offer-decision server");
  app.fallthrough();  // global options may stand behind the command
  app.require_subcommand(1);
  app.add_option("--server", session.connection.server, "host:port of offerd, or unix:/PATH of its socket")->capture_default_str();
  CLI::Option* token = app.add_option("--token", session.connection.token, "bearer token of the role; other users of this machine can see it: prefer --token-file");
  app.add_option("--token-file", session.connection.token_file, "file whose first line is the bearer token")->excludes(token);
  CLI::Option* ca =
      app.add_option("--tls-ca", session.connection.tls_ca, "PEM file of the authority that signed the server's certificate; without it no TLS");
  CLI::Option* certificate =
      app.add_option("--tls-cert", session.connection.tls_cert, "PEM file of a certificate to show to a server that asks for one")->needs(ca);
  CLI::Option* key = app.add_option("--tls-key", session.connection.tls_key, "PEM file of its key")->needs(certificate);
  certificate->needs(key);
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
    if (const std::string unknown = UnknownCommand(app); error.get_exit_code() != 0 && !unknown.empty()) {
      session.err << unknown << "\n";
      return 2;
    }
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
