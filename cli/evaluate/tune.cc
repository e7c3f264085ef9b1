#include "cli/evaluate/tune.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/evaluate/search_space.h"

namespace offerd::evaluate {
namespace {

using Clock = std::chrono::steady_clock;

// Below so many test rows a ninth of them says too little.
constexpr size_t kRowsToHalve = 9 * 9 * 64;
constexpr size_t kThird = 3;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The search of one method.
class Search {
 public:
  Search(const Dataset& data, const MethodSpec& method, const TuneOptions& options, double budget_seconds, const Workers& workers)
      : data_(data),
        options_(options),
        budget_seconds_(budget_seconds),
        workers_(workers),
        axes_(SearchSpace(method.name, data.training.protocol, data.reports[0].times > 0)),
        rng_(options.seed) {
    tuning_.start.spec = method;
  }

  MethodTuning Run() {
    tuning_.status = Measure(1, &tuning_.start);
    tuning_.best = tuning_.start;
    if (tuning_.status.ok() && !axes_.empty()) {
      DrawAtRandom();
      LookAround();
    }
    tuning_.seconds = SecondsSince(start_);
    return std::move(tuning_);
  }

 private:
  bool is_over() const { return SecondsSince(start_) >= budget_seconds_; }

  absl::Status Measure(size_t one_of, Trial* trial) {
    EvaluateOptions evaluate;
    evaluate.cutoffs = {options_.cutoff};
    evaluate.min_prefix = options_.min_prefix;
    evaluate.memory_bytes = options_.memory_bytes;
    evaluate.one_of = one_of;
    const MethodResult result = EvaluateMethod(data_, trial->spec, evaluate, workers_);
    if (!result.status.ok()) return result.status;
    trial->value = result.sums.Mean(0, options_.metric);
    trial->interval = result.sums.Interval(0, options_.metric);
    trial->cases = result.sums.num_cases();
    return absl::OkStatus();
  }

  // On all cases, counted, and kept where it is the best. The first of equals stays.
  void Try(Trial trial) {
    ++tuning_.trials;
    if (!Measure(1, &trial).ok()) return;
    if (trial.value > tuning_.best.value) tuning_.best = std::move(trial);
    if (options_.progress) {
      options_.progress(absl::StrFormat("%s: %d of %d, best %.4f with %s", tuning_.start.spec.name, tuning_.trials, options_.trials,
                                        tuning_.best.value, SpecText(tuning_.best.spec)));
    }
  }

  void DrawAtRandom() {
    std::vector<Trial> trials(static_cast<size_t>(options_.trials / 2));
    for (Trial& trial : trials) trial.spec = RandomSpec(tuning_.start.spec, axes_, &rng_);
    for (size_t one_of = data_.test.rows.size() >= kRowsToHalve ? kThird * kThird : 1; one_of > 1; one_of /= kThird) {
      trials = BestThird(one_of, std::move(trials));
    }
    for (Trial& trial : trials) {
      if (CutShort()) return;
      Try(std::move(trial));
    }
  }

  std::vector<Trial> BestThird(size_t one_of, std::vector<Trial> trials) {
    std::vector<Trial> measured;
    const size_t wanted = (trials.size() + kThird - 1) / kThird;
    for (Trial& trial : trials) {
      if (CutShort()) break;
      if (Measure(one_of, &trial).ok()) measured.push_back(std::move(trial));
    }
    tuning_.trials += static_cast<int64_t>(trials.size() - wanted);
    std::stable_sort(measured.begin(), measured.end(), [](const Trial& a, const Trial& b) { return a.value > b.value; });
    if (measured.size() > wanted) measured.resize(wanted);
    return measured;
  }

  void LookAround() {
    while (tuning_.trials < options_.trials && !CutShort()) {
      Trial trial;
      trial.spec = NearbySpec(tuning_.best.spec, axes_, &rng_);
      Try(std::move(trial));
    }
  }

  bool CutShort() {
    if (is_over()) tuning_.is_cut_short = true;
    return tuning_.is_cut_short;
  }

  const Dataset& data_;
  const TuneOptions& options_;
  const double budget_seconds_;
  const Workers& workers_;
  const std::vector<Axis> axes_;
  const Clock::time_point start_ = Clock::now();
  Rng rng_;
  MethodTuning tuning_;
};

}  // namespace

std::vector<MethodTuning> Tune(const Dataset& data, const std::vector<MethodSpec>& methods, const TuneOptions& options,
                               const Workers& workers) {
  const Clock::time_point start = Clock::now();
  std::vector<MethodTuning> tunings;
  for (size_t i = 0; i < methods.size(); ++i) {
    const double left = std::max(0.0, options.budget_seconds - SecondsSince(start));
    Search search(data, methods[i], options, left / static_cast<double>(methods.size() - i), workers);
    tunings.push_back(search.Run());
  }
  return tunings;
}

}  // namespace offerd::evaluate
