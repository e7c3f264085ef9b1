// A shop whose truth is known, played with the server's own learner; needs no server. The work is in cli/simulate/.
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/simulate/simulate.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

void Print(const std::vector<simulate::ExplorerRun>& runs, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {{"explorer", "seed", "reward", "oracle", "regret", "last tenth %"}};
  for (const simulate::ExplorerRun& run : runs) {
    rows.push_back({run.explorer, absl::StrCat(run.seed), absl::StrFormat("%.4f", run.reward), absl::StrFormat("%.4f", run.oracle),
                    absl::StrFormat("%.0f", run.regret), absl::StrFormat("%.2f", 100 * run.last_tenth)});
  }
  out << FormatTable(rows);
}

absl::Status RunSimulate(Session& session, const simulate::SimulateOptions& options) {
  simulate::Progress progress;
  if (session.err_is_terminal) {
    progress = [&session](const std::string& explorer, uint64_t seed, int64_t decisions) {
      session.err << "\r" << explorer << ", seed " << seed << ": " << FormatCount(decisions) << " decisions   " << std::flush;
    };
  }
  const auto runs = simulate::Simulate(options, progress);
  if (session.err_is_terminal) session.err << "\r\n";
  if (!runs.ok()) return absl::IsInvalidArgument(runs.status()) ? UsageError(runs.status().message()) : runs.status();
  if (session.json) {
    session.out << Dump(simulate::ToJson(options, *runs));
  } else {
    Print(*runs, session.out);
  }
  return absl::OkStatus();
}

}  // namespace

void AddSimulate(CLI::App& app, Session& session) {
  auto options = std::make_shared<simulate::SimulateOptions>();
  CLI::App* command = AddCommand(app, "simulate", "Play explorers in a made-up shop whose truth is known: regret against the best possible", session,
                                 [&session, options] { return RunSimulate(session, *options); });
  command->add_option("--decisions", options->decisions, "of each run")->check(CLI::Range(int64_t{10}, int64_t{100'000'000}))->capture_default_str();
  command->add_option("--seed", options->shop.seed, "of the first run")->capture_default_str();
  command->add_option("--seeds", options->seeds, "runs of each explorer")->check(CLI::Range(1, 1000))->capture_default_str();
  command->add_option("--explorer", options->explorers, "as of offerctl learn, or random; may be repeated; default: the default explorer")->allow_extra_args(false);
  command->add_option("--delay-days", options->delay_days, "mean delay of rewards")->check(CLI::Range(0.0, 100.0))->capture_default_str();
  command->add_option("--duplicates", options->duplicate_share, "share of events sent twice")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  command->add_flag("--money", options->is_money, "rewards are money: --hit-value a hit");
  command->add_option("--hit-value", options->shop.hit_value)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--candidates", options->shop.candidates)->check(CLI::Range(1, 1000))->capture_default_str();
  command->add_option("--offers", options->shop.offers, "live at once")->check(CLI::Range(1, 10'000))->capture_default_str();
  command->add_option("--customers", options->shop.customers)->check(CLI::Range(1, 1'000'000))->capture_default_str();
  command->add_option("--visits-a-day", options->shop.visits_a_day)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--drift", options->shop.drift, "how far tastes turn in a year")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  command->add_option("--season", options->shop.season, "so much more at weekends")->check(CLI::Range(0.0, 10.0))->capture_default_str();
  command->add_option("--refunds", options->shop.refund_share, "share of hits taken back")->check(CLI::Range(0.0, 1.0))->capture_default_str();
}

}  // namespace offerd::cli
