// Compares list methods on recorded sessions, baskets and users; needs no server. The work is in cli/evaluate/.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/commands.h"
#include "cli/evaluate/command.h"

namespace offerd::cli {
namespace {

using evaluate::Arguments;
using evaluate::Subject;

absl::Status RunEvaluate(Session& session, const Arguments& arguments) {
  const absl::StatusOr<evaluate::Plan> plan = evaluate::MakePlan(arguments);
  if (!plan.ok()) return UsageError(plan.status().message());
  return evaluate::RunEvaluate(*plan, {session.out, session.err, session.err_is_terminal, session.json});
}

// CLI11 itself leaves empty parts of a list out.
std::vector<int64_t> ParseCutoffs(const std::string& text) {
  std::vector<int64_t> cutoffs;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    int64_t cutoff = 0;
    if (!absl::SimpleAtoi(part, &cutoff) || cutoff < 1) {
      throw CLI::ValidationError("--k", absl::StrCat("\"", text, "\" is no list of whole numbers from 1 on, separated by commas, such as 5,10,20"));
    }
    cutoffs.push_back(cutoff);
  }
  return cutoffs;
}

// Options that all three have.
CLI::App* AddSubject(CLI::App& parent, Session& session, const char* name, const char* description, const char* roles,
                     const std::shared_ptr<Arguments>& arguments) {
  CLI::App* command = AddCommand(parent, name, description, session, [&session, arguments] { return RunEvaluate(session, *arguments); });
  command->add_option("--columns", arguments->columns, roles)->delimiter(',')->allow_extra_args(false);
  command->add_option("--delimiter", arguments->delimiter, "comma, tab, semicolon or one character")->capture_default_str();
  command->add_option("--method", arguments->methods, "NAME[:key=value,...]; may be repeated")->required()->allow_extra_args(false);
  command
      ->add_option_function<std::vector<std::string>>(
          "--k", [arguments](const std::vector<std::string>& texts) { arguments->cutoffs = ParseCutoffs(absl::StrJoin(texts, ",")); },
          "lengths of the lists, separated by commas")
      ->allow_extra_args(false)
      ->default_str("5,10,20");
  AddMemoryOption(command, &arguments->memory_bytes, "most that a method's build may take, such as 8GB; default: 80 % of what is free");
  return command;
}

std::shared_ptr<Arguments> MakeArguments(Subject subject) {
  auto arguments = std::make_shared<Arguments>();
  arguments->subject = subject;
  return arguments;
}

}  // namespace

void AddEvaluate(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("evaluate", "Compare list methods on recorded data: sessions, baskets, users");
  command->require_subcommand(1);
  const auto sessions = MakeArguments(Subject::kSessions);
  CLI::App* by_session = AddSubject(*command, session, "sessions", "Predict the next click after every click of the test sessions",
                                    "role=name: session, item; time", sessions);
  by_session->add_option("--train", sessions->train, "clicks to learn from; plain, gzip or zstd")->required();
  by_session->add_option("--test", sessions->test, "clicks to predict")->required();
  by_session->add_option("--min-prefix", sessions->min_prefix, "clicks of a session before the first prediction")->capture_default_str();

  const auto baskets = MakeArguments(Subject::kBaskets);
  CLI::App* by_basket = AddSubject(*command, session, "baskets", "Predict hidden items of baskets, or each user's last basket",
                                   "role=name: basket, item; user, time", baskets);
  by_basket->add_option("--baskets", baskets->baskets, "purchases; plain, gzip or zstd")->required();
  by_basket->add_option("--protocol", baskets->protocol, "leave-one-out or next-basket")->capture_default_str();
  by_basket->add_option("--test-from", baskets->test_from, "baskets before this time train, the others test");
  by_basket->add_option("--test-to", baskets->test_to, "baskets from this time on are left out");
  by_basket->add_option("--test-every", baskets->test_every, "instead of --test-from: the last of every so many baskets is test");
  by_basket->add_flag("--basket-lines", baskets->basket_lines, "one basket a line, its items separated by the delimiter, no header");

  const auto users = MakeArguments(Subject::kUsers);
  CLI::App* by_user = AddSubject(*command, session, "users", "Predict the held-out items of each user", "role=name: user, item", users);
  by_user->add_option("--train", users->train, "what users have; plain, gzip or zstd")->required();
  by_user->add_option("--test", users->test, "what was held out of them")->required();
}

}  // namespace offerd::cli
