#include "cli/simulate/simulate.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/learn/default_features.h"
#include "cli/learn/trainer.h"
#include "core/hash.h"
#include "core/status_macros.h"

namespace offerd::simulate {
namespace {

constexpr int64_t kLookedAt = 200;  // visits whose facts make the feature list
constexpr int64_t kDecisionsPerLine = 5'000;

FeatureList FeaturesOf(const ShopOptions& options) {
  Shop shop(options);
  learn::DefaultFeatures features;
  Visit visit;
  for (int64_t i = 0; i < kLookedAt; ++i) {
    shop.Next(&visit);
    features.Add(visit.decision);
  }
  return features.Make().list;
}

struct Sums {
  double reward = 0, oracle = 0;
};

absl::StatusOr<ExplorerRun> Play(const SimulateOptions& options, const std::string& explorer, uint64_t seed, const Progress& progress) {
  ShopOptions shop_options = options.shop;
  shop_options.seed = seed;
  learn::TrainerOptions trainer_options;
  trainer_options.policy = explorer == "random" ? "random" : "linear";
  ASSIGN_OR_RETURN(trainer_options.explorer, learn::ParseExplorer(explorer == "random" ? "" : explorer));
  trainer_options.features = FeaturesOf(shop_options);
  trainer_options.largest_reward = options.is_money ? shop_options.hit_value : 1;
  trainer_options.duplicate_share = options.duplicate_share;
  trainer_options.refund_share = shop_options.refund_share;
  trainer_options.reward_delay = options.delay_days > 0 ? static_cast<int64_t>(20 * options.delay_days * static_cast<double>(shop_options.visits_a_day)) : 0;
  trainer_options.seed = MixHash(seed, StableHash(explorer));
  ASSIGN_OR_RETURN(const std::unique_ptr<learn::Trainer> trainer, learn::Trainer::Make(trainer_options));
  Shop shop(shop_options);
  Rng delays(MixHash(seed, 99));
  ExplorerRun run;
  run.explorer = explorer.empty() ? trainer_options.explorer.text : explorer;
  run.seed = seed;
  Sums all, tenth;
  Visit visit;
  const double unit = options.is_money ? shop_options.hit_value : 1;
  const double mean_delay = options.delay_days * static_cast<double>(shop_options.visits_a_day);
  for (int64_t i = 0; i < options.decisions; ++i) {
    shop.Next(&visit);
    for (auto& candidate : visit.decision.candidates) *candidate.reward *= unit;
    if (mean_delay > 0) {
      visit.decision.delay = std::min(trainer_options.reward_delay, static_cast<int64_t>(-mean_delay * std::log(1 - delays.NextUniform())));
    }
    ASSIGN_OR_RETURN(const learn::Outcome outcome, trainer->Step(visit.decision));
    const double oracle = unit * *std::max_element(visit.probability.begin(), visit.probability.end());
    const double reward = unit * visit.probability[static_cast<size_t>(outcome.shown)];
    all.reward += reward;
    all.oracle += oracle;
    if (i >= options.decisions - options.decisions / 10) {
      tenth.reward += reward;
      tenth.oracle += oracle;
    }
    const int64_t step = std::max<int64_t>(1, options.decisions / options.points);
    if ((i + 1) % step == 0) run.curve.push_back(all.oracle - all.reward);
    if (progress && (i + 1) % kDecisionsPerLine == 0) progress(run.explorer, seed, i + 1);
  }
  run.reward = all.reward / static_cast<double>(options.decisions);
  run.oracle = all.oracle / static_cast<double>(options.decisions);
  run.regret = all.oracle - all.reward;
  run.last_tenth = tenth.oracle == 0 ? 0 : 1 - tenth.reward / tenth.oracle;
  return run;
}

}  // namespace

absl::StatusOr<std::vector<ExplorerRun>> Simulate(const SimulateOptions& options, const Progress& progress) {
  std::vector<ExplorerRun> runs;
  std::vector<std::string> explorers = options.explorers;
  if (explorers.empty()) explorers.emplace_back();
  for (const std::string& explorer : explorers) {
    for (int seed = 0; seed < options.seeds; ++seed) {
      ASSIGN_OR_RETURN(ExplorerRun run, Play(options, explorer, options.shop.seed + static_cast<uint64_t>(seed), progress));
      runs.push_back(std::move(run));
    }
  }
  return runs;
}

cli::Json ToJson(const SimulateOptions& options, const std::vector<ExplorerRun>& runs) {
  cli::Json list = cli::Json::array();
  for (const ExplorerRun& run : runs) {
    list.push_back({{"explorer", run.explorer},
                    {"seed", run.seed},
                    {"reward", run.reward},
                    {"oracle", run.oracle},
                    {"cumulative_regret", run.regret},
                    {"regret_share_last_tenth", run.last_tenth},
                    {"regret_curve", run.curve}});
  }
  const ShopOptions& shop = options.shop;
  return {{"decisions", options.decisions},
          {"delay_days", options.delay_days},
          {"duplicate_share", options.duplicate_share},
          {"money", options.is_money},
          {"shop",
           {{"customers", shop.customers}, {"markets", shop.markets}, {"categories", shop.categories}, {"offers", shop.offers},
            {"candidates", shop.candidates}, {"offer_days", shop.offer_days}, {"visits_a_day", shop.visits_a_day}, {"hit_value", shop.hit_value},
            {"season", shop.season}, {"drift", shop.drift}, {"refund_share", shop.refund_share}}},
          {"runs", std::move(list)}};
}

}  // namespace offerd::simulate
