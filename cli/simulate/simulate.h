#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/format.h"
#include "cli/simulate/shop.h"

namespace offerd::simulate {

struct SimulateOptions {
  ShopOptions shop;
  int64_t decisions = 200'000;
  int seeds = 1;                        // runs, with seeds shop.seed, shop.seed + 1, ..
  std::vector<std::string> explorers;   // as --explorer of offerctl learn; "random" too; empty: the default one
  double delay_days = 0;                // mean of an exponential delay of rewards
  double duplicate_share = 0;           // of events that are sent twice
  bool is_money = false;                // rewards of hit_value instead of 1
  int points = 50;                      // of the regret curve
};

struct ExplorerRun {
  std::string explorer;
  uint64_t seed = 0;
  double reward = 0;             // true mean of what was shown, a decision
  double oracle = 0;             // of the best candidate
  double regret = 0;             // cumulative, of all decisions
  double last_tenth = 0;         // regret a decision in the last tenth, as a share of the oracle's reward there
  std::vector<double> curve;     // cumulative regret at `points` even steps
};

using Progress = std::function<void(const std::string& explorer, uint64_t seed, int64_t decisions)>;

// Plays policies against the shop with the server's own learner and draw; every policy's value is known, because the shop is.
// Regret counts true probabilities, not drawn hits.
absl::StatusOr<std::vector<ExplorerRun>> Simulate(const SimulateOptions& options, const Progress& progress);

cli::Json ToJson(const SimulateOptions& options, const std::vector<ExplorerRun>& runs);

}  // namespace offerd::simulate
