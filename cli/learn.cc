// A policy over a recorded stream, with the server's own learner; needs no server. The work is in cli/learn/.
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/learn/learn.h"
#include "cli/learn_publish.h"
#include "cli/text.h"
#include "core/status_macros.h"
#include "store/records.h"

namespace offerd::cli {
namespace {

struct Arguments {
  std::string stream, policy = "linear", explorer, features, publish, name = "learned";
  double ridge = 0, half_life_days = 0;
  int64_t reward_delay = 0, settle_after = 0, publish_every = 0;
  uint64_t seed = 1;
  int passes = 1, slots = 1;
};

void Print(const Arguments& arguments, const learn::LearnReport& report, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {
      {"policy", arguments.policy == "linear" ? absl::StrCat("linear, ", report.explorer, ", ", report.columns, " columns") : arguments.policy},
      {"decisions", absl::StrCat(FormatCount(report.decisions), ", ", FormatCount(report.matched), " counted")},
      {"reward", absl::StrCat(FormatNumber(report.reward_mean), " a decision, 95 % interval ", FormatNumber(report.interval_lo), " to ",
                              FormatNumber(report.interval_hi))},
      {"last half", FormatNumber(report.reward_mean_last_half)},
      {"exploration", absl::StrCat("cost ", FormatNumber(100 * report.exploration_cost), " % in the last half")}};
  if (arguments.policy == "linear") {
    rows.push_back({"learned", absl::StrCat("ridge ", FormatNumber(report.ridge), ", residual deviation ", FormatNumber(report.sigma), ", checksum ",
                                            report.state_checksum)});
  }
  rows.push_back({"seconds", FormatNumber(report.seconds)});
  out << FormatTable(rows);
  if (!arguments.publish.empty()) out << "policy " << arguments.name << " published in " << arguments.publish << "\n";
  for (const std::string& note : report.notes) out << "note: " << note << "\n";
}

absl::StatusOr<learn::LearnOptions> ToOptions(const Arguments& arguments) {
  learn::LearnOptions options;
  options.stream = arguments.stream;
  options.passes = arguments.passes;
  options.trainer.policy = arguments.policy;
  ASSIGN_OR_RETURN(options.trainer.explorer, learn::ParseExplorer(arguments.explorer));
  options.trainer.ridge = arguments.ridge;
  options.trainer.half_life_days = arguments.half_life_days;
  options.trainer.reward_delay = arguments.reward_delay;
  options.trainer.settle_after_seconds = arguments.settle_after;
  options.trainer.publish_every = arguments.publish_every;
  options.trainer.slots = arguments.slots;
  options.trainer.seed = arguments.seed;
  options.has_features = !arguments.features.empty();
  if (options.has_features) {
    v1::FeatureList list;
    RETURN_IF_ERROR(ReadTextProto(arguments.features, &list));
    ASSIGN_OR_RETURN(options.trainer.features, FromProto(list));
  }
  return options;
}

absl::Status RunLearn(Session& session, const Arguments& arguments) {
  absl::StatusOr<learn::LearnOptions> options = ToOptions(arguments);
  if (!options.ok()) return UsageError(options.status().message());
  learn::Progress progress;
  if (session.err_is_terminal) {
    progress = [&session](int64_t decisions, double mean) {
      session.err << "\r" << FormatCount(decisions) << " decisions, reward " << FormatNumber(mean) << "   " << std::flush;
    };
  }
  std::unique_ptr<learn::Trainer> trainer;
  const auto report = learn::Learn(*std::move(options), progress, &trainer);
  if (session.err_is_terminal) session.err << "\r\n";
  if (!report.ok()) return report.status();
  if (!arguments.publish.empty()) RETURN_IF_ERROR(PublishLearned(*trainer, arguments.publish, arguments.name));
  if (session.json) {
    session.out << Dump(learn::ToJson(*report));
  } else {
    Print(arguments, *report, session.out);
  }
  return absl::OkStatus();
}

}  // namespace

void AddLearn(CLI::App& app, Session& session) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = AddCommand(app, "learn", "Run a policy over a recorded stream of decisions with the server's own learner", session,
                                 [&session, arguments] { return RunLearn(session, *arguments); });
  command->add_option("--stream", arguments->stream, "decisions as JSON lines; plain, gzip or zstd")->required();
  command->add_option("--policy", arguments->policy, "linear or random")->capture_default_str();
  command->add_option("--explorer", arguments->explorer,
                      "NAME[:key=value,...]: thompson (scale, bag), greedy, epsilon_greedy, softmax (strength), inverse_gap (strength), ucb (strength), "
                      "bounded_shuffle (reach); epsilon; default: thompson");
  command->add_option("--features", arguments->features, "a declared FeatureList as protobuf text; default: made from the stream");
  command->add_option("--ridge", arguments->ridge, "default: by marginal likelihood")->check(CLI::PositiveNumber);
  command->add_option("--half-life", arguments->half_life_days, "of what was learned, in days; default: none")->check(CLI::PositiveNumber);
  command->add_option("--reward-delay", arguments->reward_delay, "decisions between a choice and its reward")->check(CLI::Range(int64_t{0}, int64_t{1'000'000}))->capture_default_str();
  command->add_option("--settle-after", arguments->settle_after, "seconds of the stream's time that a decision is held back from learning")
      ->check(CLI::Range(int64_t{0}, int64_t{31'536'000}))->capture_default_str();
  command->add_option("--seed", arguments->seed, "of the draws")->capture_default_str();
  command->add_option("--publish", arguments->publish, "folder of a store that no server has open: what was learned becomes a policy there");
  command->add_option("--name", arguments->name, "of that policy")->capture_default_str();
  command->add_option("--passes", arguments->passes, "over the stream")->check(CLI::Range(1, 1000))->capture_default_str();
  command->add_option("--slots", arguments->slots, "of each decision; every one is rewarded and teaches")->check(CLI::Range(1, 100))->capture_default_str();
  command->add_option("--publish-every", arguments->publish_every, "decisions; default: 1 up to 1,000 decisions, then 50")->check(CLI::PositiveNumber);
}

}  // namespace offerd::cli
