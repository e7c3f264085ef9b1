#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/learn/explorer_spec.h"
#include "cli/learn/stream.h"
#include "core/decide.h"
#include "core/learn/fold.h"

namespace offerd::learn {

struct TrainerOptions {
  std::string policy = "linear";  // or random
  FeatureList features;
  ExplorerChoice explorer;
  double ridge = 0;  // 0: by marginal likelihood
  double half_life_days = 0;
  double largest_reward = 1;
  int64_t reward_delay = 0;  // decisions
  int64_t settle_after_seconds = 0;  // of the stream's time; as of a placement
  int64_t publish_every = 0;  // 0: after every decision up to 1,000, then every 50
  int slots = 1;
  uint64_t seed = 1;
  double duplicate_share = 0;  // of rewards that are sent twice
  double refund_share = 0;     // of rewards that are taken back as soon as they were paid
};

// What became of one decision.
struct Outcome {
  bool is_counted = false;      // full information, or the draw was the logged one
  double reward = 0;            // of all shown slots
  double greedy_reward = 0;     // full information: of the best by score; else the estimate of that
  double expected_reward = 0;   // replay: the estimate of the drawn one
  double probability = 0;       // of the first slot
  int shown = 0;                // candidate in the first slot
};

// A policy in a shop of its own, in memory: decisions, rewards and publications are log records that the server's own fold applies, and
// the server's own Decide draws.
//
// Threads  Not safe.
// Errors   InvalidArgument for features that make no policy.
class Trainer {
 public:
  static absl::StatusOr<std::unique_ptr<Trainer>> Make(TrainerOptions options);

  absl::StatusOr<Outcome> Step(const StreamDecision& decision);

  // Pays what is still held back, and publishes.
  absl::Status Finish();

  const Fold& fold() const { return fold_; }
  const LinearPolicy* model() const;  // null: the policy learns nothing
  int columns() const;

 private:
  struct Reward {
    int64_t number = 0;  // of the decision
    int64_t due = 0;     // before this decision
    TimeMicros time = 0;
    std::vector<std::pair<std::string, double>> slots;  // what was shown and earned
  };

  explicit Trainer(TrainerOptions options);
  absl::Status Start();
  absl::Status Write(TimeMicros time, Change change);
  absl::Status Pay(const Reward& reward);
  absl::Status Publish();
  void MakeRequest(const StreamDecision& decision);
  Outcome Judge(const StreamDecision& decision) const;
  absl::Status Learn(const StreamDecision& decision, const Outcome& outcome);

  const TrainerOptions options_;
  Fold fold_;
  RankRequest request_;
  DecideScratch scratch_;
  Decision decision_;
  std::multimap<int64_t, Reward> held_;  // by due
  int64_t number_ = 0;
  int64_t since_publication_ = 0;
  TimeMicros now_ = 0;
};

}  // namespace offerd::learn
