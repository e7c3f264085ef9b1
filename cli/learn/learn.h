#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/format.h"
#include "cli/learn/trainer.h"

namespace offerd::learn {

struct LearnOptions {
  std::string stream;
  bool has_features = false;  // declared; else options.features is made from the stream
  TrainerOptions trainer;
  int passes = 1;
};

struct LearnReport {
  int64_t decisions = 0;  // read, over all passes
  int64_t matched = 0;    // counted: all of them with full information
  double reward_mean = 0;
  double reward_mean_last_half = 0;  // of the second half of the counted decisions
  double interval_lo = 0, interval_hi = 0;  // 95 %, of reward_mean, clustered by customer; both the mean with fewer than two clusters
  // 1 - reward / reward of the best by score, over the last half; in replay both by the policy's own estimates. 0 where nothing
  // can be said.
  double exploration_cost = 0;
  std::string explorer;
  int columns = 0;
  double ridge = 0;
  double sigma = 0;
  std::string state_checksum;
  double seconds = 0;
  std::vector<std::string> notes;
};

using Progress = std::function<void(int64_t decisions, double reward_mean)>;

// Runs the policy over the stream. `trainer` is what it ends as, for publishing.
absl::StatusOr<LearnReport> Learn(LearnOptions options, const Progress& progress, std::unique_ptr<Trainer>* trainer);

cli::Json ToJson(const LearnReport& report);

}  // namespace offerd::learn
