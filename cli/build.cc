// Builds item-item tables and session indexes from files; needs no server. The work is in cli/tables/.
#include <memory>

#include "cli/commands.h"
#include "cli/tables/build_command.h"

namespace offerd::cli {
namespace {

using tables::BuildArguments;

absl::Status RunBuild(Session& session, const BuildArguments& arguments) {
  const absl::StatusOr<tables::BuildPlan> plan = tables::MakeBuildPlan(arguments);
  if (absl::IsInvalidArgument(plan.status())) return UsageError(plan.status().message());
  if (!plan.ok()) return plan.status();
  return tables::RunBuild(*plan, {session.out, session.err, session.err_is_terminal, session.json});
}

void AddInput(CLI::App* command, BuildArguments& arguments) {
  command
      ->add_option("name", arguments.name, "name of the table; with markets there is one NAME.MARKET of each besides")
      ->required();
  command->add_option("--input", arguments.input, "sessions or baskets, a line an item; plain, gzip or zstd")
      ->required();
  command->add_option("--columns", arguments.columns, "role=name: basket or session, item; time, market, user")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--delimiter", arguments.delimiter, "comma, tab, semicolon or one character")
      ->capture_default_str();
  command->add_flag("--basket-lines", arguments.basket_lines,
                    "one basket a line, its items separated by the delimiter, no header");
  command->add_option("--max-length", arguments.max_length, "leave out rows with more distinct items; 0 = none")
      ->capture_default_str();
  command->add_option("--min-item-support", arguments.min_item_support, "leave out items of fewer rows")
      ->capture_default_str();
}

void AddTableOptions(CLI::App* command, BuildArguments& arguments) {
  tables::TableArguments& table = arguments.table;
  command->add_option("--kind", table.kind, "ar, sr, count, confidence, cosine, jaccard, lift, llr, ease or vmis");
  command->add_option("--parameters", table.parameters, "key=value, as of the method in `offerctl evaluate`")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--config", arguments.config_file, "JSON file with kind and parameters, in place of both");
  command->add_option("--keep", table.keep, "neighbours an item; default: that of the kind");
  command->add_option("--half-life", table.half_life_days, "days after which a row counts half");
  command->add_option("--min-support", table.min_support, "leave out pairs of fewer baskets");
}

}  // namespace

void AddBuild(CLI::App& app, Session& session) {
  auto arguments = std::make_shared<BuildArguments>();
  CLI::App* command = AddCommand(app, "build", "Build a table of items that go together, or of sessions", session,
                                 [&session, arguments] { return RunBuild(session, *arguments); });
  AddInput(command, *arguments);
  AddTableOptions(command, *arguments);
  command->add_option("--tables", arguments->root, "folder of the tables (tables_path of the configuration)")
      ->required();
  command->add_option("--threads", arguments->threads, "0 = one a core; the table does not depend on it")
      ->capture_default_str();
  AddMemoryOption(command, &arguments->memory_bytes,
                  "most that kind ease may take, such as 8GB; default: 80 % of what is free");
}

}  // namespace offerd::cli
