// Searches the parameters of list methods on validation data; needs no server. The work is in cli/evaluate/.
#include <memory>

#include "cli/commands.h"
#include "cli/evaluate/tune_command.h"

namespace offerd::cli {
namespace {

using evaluate::Subject;
using evaluate::TuneArguments;

absl::Status RunTune(Session& session, const TuneArguments& arguments) {
  const absl::StatusOr<evaluate::TunePlan> plan = evaluate::MakeTunePlan(arguments);
  if (!plan.ok()) return UsageError(plan.status().message());
  return evaluate::RunTune(*plan, {session.out, session.err, session.err_is_terminal, session.json});
}

CLI::App* AddSubject(CLI::App& parent, Session& session, const char* name, const char* description, const char* roles,
                     const std::shared_ptr<TuneArguments>& arguments) {
  CLI::App* command = AddCommand(parent, name, description, session, [&session, arguments] { return RunTune(session, *arguments); });
  evaluate::Arguments& data = arguments->data;
  command->add_option("--columns", data.columns, roles)->delimiter(',')->allow_extra_args(false);
  command->add_option("--delimiter", data.delimiter, "comma, tab, semicolon or one character")->capture_default_str();
  command->add_option("--method", data.methods, "NAME[:key=value,...] to start from; may be repeated; without it those that build makes")
      ->allow_extra_args(false);
  AddMemoryOption(command, &data.memory_bytes, "most that a method's build may take, such as 8GB; default: 80 % of what is free");
  command->add_option("--valid-share", arguments->valid_share, "the last of the rows by time that validate")->capture_default_str();
  command->add_option("--metric", arguments->metric, "hit_rate, mrr, ndcg, recall, precision or map; default by protocol");
  command->add_option("--k", arguments->cutoff, "length of the list")->capture_default_str();
  command->add_option("--budget", arguments->budget_seconds, "seconds for all methods together")->capture_default_str();
  command->add_option("--trials", arguments->trials, "settings of each method at most")->capture_default_str();
  command->add_option("--seed", arguments->seed, "of the search")->capture_default_str();
  command->add_option("--output", arguments->output, "file for the best setting of a table, as `offerctl build --config` reads it");
  return command;
}

std::shared_ptr<TuneArguments> MakeArguments(Subject subject) {
  auto arguments = std::make_shared<TuneArguments>();
  arguments->data.subject = subject;
  return arguments;
}

}  // namespace

void AddTune(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("tune", "Search the parameters of list methods on validation data: sessions, baskets");
  command->require_subcommand(1);
  const auto sessions = MakeArguments(Subject::kSessions);
  CLI::App* by_session = AddSubject(*command, session, "sessions", "By the next click of validation sessions", "role=name: session, item; time", sessions);
  by_session->add_option("--train", sessions->data.train, "clicks to learn from; plain, gzip or zstd")->required();
  by_session->add_option("--valid", sessions->data.test, "validation clicks; without it the last of --train by time");
  by_session->add_option("--min-prefix", sessions->data.min_prefix, "clicks of a session before the first prediction")->capture_default_str();

  const auto baskets = MakeArguments(Subject::kBaskets);
  CLI::App* by_basket = AddSubject(*command, session, "baskets", "By hidden items of the last baskets, or each user's last basket",
                                   "role=name: basket, item; user, time", baskets);
  by_basket->add_option("--baskets", baskets->data.baskets, "purchases; plain, gzip or zstd")->required();
  by_basket->add_option("--protocol", baskets->data.protocol, "leave-one-out or next-basket")->capture_default_str();
  by_basket->add_option("--test-from", baskets->data.test_from, "baskets from this time on are not looked at: they are the test");
  by_basket->add_flag("--basket-lines", baskets->data.basket_lines, "one basket a line, its items separated by the delimiter, no header");
}

}  // namespace offerd::cli
