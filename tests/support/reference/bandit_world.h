#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/eval/logged_action.h"
#include "core/rng.h"

namespace offerd {

// A small simulated shop whose truth is known by enumeration: three contexts, some actions, rewards of 0 or 1. Logging and
// target policy are softmaxes of the given temperatures; the reward model is a little wrong on purpose.
class BanditWorld {
 public:
  static constexpr int kContexts = 3;

  // Logging scores are noise and target scores the true means, times their strengths: 0 is uniform.
  BanditWorld(int actions, double logging_strength, double target_strength, uint64_t seed) : actions_(actions) {
    Rng rng(seed);
    for (int c = 0; c < kContexts; ++c) {
      std::vector<double> logging, target, means;
      for (int a = 0; a < actions; ++a) {
        means.push_back(0.1 + 0.5 * rng.NextUniform());
        logging.push_back(std::exp(logging_strength * rng.NextNormal()));
        target.push_back(std::exp(target_strength * means.back()));
      }
      means_.push_back(means);
      logging_.push_back(Normalized(logging));
      target_.push_back(Normalized(target));
    }
  }

  double TrueValue() const {
    double value = 0;
    for (int c = 0; c < kContexts; ++c) {
      for (int a = 0; a < actions_; ++a) value += target_[c][a] * means_[c][a] / kContexts;
    }
    return value;
  }

  // One decision. The customer's taste is added to every action's mean: up to 0.1 is still a probability.
  LoggedAction Draw(Rng& rng, int context, double taste) const {
    const int action = Choose(logging_[context], rng.NextUniform());
    LoggedAction row;
    row.propensity = logging_[context][action];
    row.target_probability = target_[context][action];
    row.reward = rng.NextUniform() < means_[context][action] + taste ? 1 : 0;
    row.q_logged = Model(context, action);
    for (int a = 0; a < actions_; ++a) row.q_target += target_[context][a] * Model(context, a);
    return row;
  }
  LoggedAction Draw(Rng& rng) const { return Draw(rng, static_cast<int>(kContexts * rng.NextUniform()), 0); }

  // A list of two different actions, drawn one after the other. Its rewards depend on their own actions alone, the second
  // counts half as much; so all slate estimators aim at the same TrueListValue.
  std::vector<LoggedAction> DrawList(Rng& rng, bool is_marginal) const {
    const int c = static_cast<int>(kContexts * rng.NextUniform());
    const int first = Choose(logging_[c], rng.NextUniform());
    const int second = Choose(Without(logging_[c], first), rng.NextUniform());
    std::vector<LoggedAction> list(2);
    list[0].propensity = logging_[c][first];
    list[0].target_probability = target_[c][first];
    list[0].reward = rng.NextUniform() < means_[c][first] ? 1 : 0;
    list[1].position = 2;
    list[1].propensity = is_marginal ? Second(logging_[c])[second] : Without(logging_[c], first)[second];
    list[1].target_probability = is_marginal ? Second(target_[c])[second] : Without(target_[c], first)[second];
    list[1].reward = rng.NextUniform() < means_[c][second] / 2 ? 1 : 0;
    list[1].q_logged = Model(c, second) / 2;
    list[1].q_target = ModelledSecond(c, first);
    list[0].q_logged = Model(c, first) + ModelledSecond(c, first);
    for (int a = 0; a < actions_; ++a) list[0].q_target += target_[c][a] * (Model(c, a) + ModelledSecond(c, a));
    return list;
  }

  double TrueListValue() const {
    double value = TrueValue();
    for (int c = 0; c < kContexts; ++c) {
      const std::vector<double> second = Second(target_[c]);
      for (int a = 0; a < actions_; ++a) value += second[a] * means_[c][a] / 2 / kContexts;
    }
    return value;
  }

 private:
  static std::vector<double> Normalized(std::vector<double> weights) {
    double sum = 0;
    for (const double weight : weights) sum += weight;
    for (double& weight : weights) weight /= sum;
    return weights;
  }
  static std::vector<double> Without(std::vector<double> probabilities, int action) {
    probabilities[action] = 0;
    return Normalized(std::move(probabilities));
  }
  // Of the second position whatever the first.
  std::vector<double> Second(const std::vector<double>& probabilities) const {
    std::vector<double> second(probabilities.size(), 0);
    for (int first = 0; first < actions_; ++first) {
      const std::vector<double> given = Without(probabilities, first);
      for (int a = 0; a < actions_; ++a) second[a] += probabilities[first] * given[a];
    }
    return second;
  }
  static int Choose(const std::vector<double>& probabilities, double uniform) {
    int action = 0;
    while (action + 1 < static_cast<int>(probabilities.size()) && uniform >= probabilities[action]) {
      uniform -= probabilities[action++];
    }
    while (probabilities[action] == 0) --action;  // rounding at the end
    return action;
  }
  double Model(int context, int action) const { return 0.8 * means_[context][action] + 0.05; }
  double ModelledSecond(int context, int first) const {
    const std::vector<double> given = Without(target_[context], first);
    double value = 0;
    for (int a = 0; a < actions_; ++a) value += given[a] * Model(context, a) / 2;
    return value;
  }

  int actions_;
  std::vector<std::vector<double>> means_, logging_, target_;  // by context and action
};

}  // namespace offerd
