#include "cli/learn/learn.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/cluster_mean.h"
#include "cli/learn/default_features.h"
#include "cli/learn/stream.h"
#include "core/status_macros.h"

namespace offerd::learn {
namespace {

constexpr int64_t kDecisionsPerLine = 1000;

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

// The largest reward in size, which a shop would declare: half of it is the deviation before anything was seen.
struct Survey {
  DefaultFeatures features;
  double largest_reward = 0;
};

absl::Status Look(const LearnOptions& options, Survey* survey) {
  ASSIGN_OR_RETURN(StreamReader reader, StreamReader::Open(options.stream));
  StreamDecision decision;
  bool any = false;
  while (true) {
    const absl::StatusOr<bool> more = reader.Next(&decision);
    if (!more.ok()) return InFile(options.stream, more.status());
    if (!*more) break;
    any = true;
    if (!options.has_features) survey->features.Add(decision);
    for (const auto& candidate : decision.candidates) survey->largest_reward = std::max(survey->largest_reward, std::abs(candidate.reward.value_or(0)));
    if (decision.logged.has_value()) survey->largest_reward = std::max(survey->largest_reward, std::abs(decision.logged->reward));
  }
  if (!any) return absl::InvalidArgumentError(absl::StrCat(options.stream, ": expected at least one decision, found none"));
  return absl::OkStatus();
}

// The counted decisions: figures need to know which are the second half.
struct Counted {
  float reward = 0;
  float best = 0;      // of the best by score
  float compared = 0;  // what is compared with it
};

void Summarise(const std::vector<Counted>& counted, LearnReport* report) {
  report->matched = static_cast<int64_t>(counted.size());
  double reward = 0, best = 0, compared = 0;
  const size_t half = counted.size() / 2;
  for (size_t i = half; i < counted.size(); ++i) {
    reward += counted[i].reward;
    best += counted[i].best;
    compared += counted[i].compared;
  }
  const size_t size = counted.size() - half;
  report->reward_mean_last_half = size == 0 ? 0 : reward / static_cast<double>(size);
  report->exploration_cost = best == 0 ? 0 : 1 - compared / best;
}

class Run {
 public:
  Run(const LearnOptions& options, const Progress& progress) : options_(options), progress_(progress) {}

  absl::Status Pass(Trainer& trainer) {
    ASSIGN_OR_RETURN(StreamReader reader, StreamReader::Open(options_.stream));
    StreamDecision decision;
    while (true) {
      const absl::StatusOr<bool> more = reader.Next(&decision);
      if (!more.ok()) return InFile(options_.stream, more.status());
      if (!*more) return absl::OkStatus();
      ASSIGN_OR_RETURN(const Outcome outcome, trainer.Step(decision));
      ++report.decisions;
      if (outcome.is_counted) {
        mean_.Add(decision.customer.empty() ? absl::StrCat("\n", report.decisions) : decision.customer, outcome.reward);
        counted_.push_back({static_cast<float>(outcome.reward), static_cast<float>(outcome.greedy_reward),
                            static_cast<float>(decision.is_full_information() ? outcome.reward : outcome.expected_reward)});
      }
      if (progress_ && report.decisions % kDecisionsPerLine == 0) progress_(report.decisions, mean_.mean());
    }
  }

  void Summarise() {
    learn::Summarise(counted_, &report);
    report.reward_mean = mean_.mean();
    const std::optional<cli::Interval> interval = mean_.Interval95();
    report.interval_lo = interval.has_value() ? interval->lo : report.reward_mean;
    report.interval_hi = interval.has_value() ? interval->hi : report.reward_mean;
  }

  LearnReport report;

 private:
  const LearnOptions& options_;
  const Progress& progress_;
  cli::ClusterMean mean_;
  std::vector<Counted> counted_;
};

}  // namespace

absl::StatusOr<LearnReport> Learn(LearnOptions options, const Progress& progress, std::unique_ptr<Trainer>* trainer) {
  const auto start = std::chrono::steady_clock::now();
  Survey survey;
  RETURN_IF_ERROR(Look(options, &survey));
  std::vector<std::string> notes;
  if (!options.has_features && options.trainer.policy == "linear") {
    DefaultFeatures::Result features = survey.features.Make();
    options.trainer.features = std::move(features.list);
    notes = std::move(features.notes);
  }
  if (survey.largest_reward > 0) options.trainer.largest_reward = survey.largest_reward;
  ASSIGN_OR_RETURN(*trainer, Trainer::Make(options.trainer));
  Run run(options, progress);
  for (int pass = 0; pass < options.passes; ++pass) RETURN_IF_ERROR(run.Pass(**trainer));
  RETURN_IF_ERROR((*trainer)->Finish());
  run.Summarise();
  LearnReport report = std::move(run.report);
  report.notes = std::move(notes);
  report.explorer = options.trainer.explorer.text;
  report.columns = (*trainer)->columns();
  if (const LinearPolicy* model = (*trainer)->model()) {
    report.ridge = model->lambda();
    report.sigma = model->sigma();
    report.state_checksum = absl::StrFormat("%016x", (*trainer)->fold().learning().begin()->second.statistics.Checksum());
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

cli::Json ToJson(const LearnReport& report) {
  return {{"decisions", report.decisions},
          {"matched", report.matched},
          {"reward_mean", report.reward_mean},
          {"reward_mean_last_half", report.reward_mean_last_half},
          {"interval", {report.interval_lo, report.interval_hi}},
          {"exploration_cost", report.exploration_cost},
          {"state_checksum", report.state_checksum},
          {"seconds", report.seconds},
          {"explorer", report.explorer},
          {"columns", report.columns},
          {"ridge", report.ridge},
          {"residual_deviation", report.sigma},
          {"notes", report.notes}};
}

}  // namespace offerd::learn
