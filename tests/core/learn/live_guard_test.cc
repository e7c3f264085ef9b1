#include "core/learn/live_guard.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/rng.h"
#include "gtest/gtest.h"

namespace offerd {
namespace {

// What the guard sees of a placement with 10 offers, one slot and a share of 30 % over the first `reach` offers of the fixed order (10:
// over all), where live and the fixed order disagree and each of their offers is taken with a probability of its own.
struct Trade {
  double live_rate = 0.1;
  double fixed_rate = 0.1;
  int reach = 10;

  static constexpr double kShare = 0.3, kOthers = 0.05;

  // live_rate at which all of live, share included, earns `part` of what the fixed order would.
  static Trade Earning(double part, int reach) {
    Trade trade{0.1, 0.1, reach};
    const double shared = kShare * ((reach == 10 ? 2 : 1) * 0.1 + (reach - 2) * kOthers) / reach;
    trade.live_rate = (part * ((1 - kShare) * 0.1 + shared) - shared) / (1 - kShare);
    return trade;
  }
  void Show(Rng& rng, LiveGuard& guard) const {
    const double p_favourite = 1 - kShare + kShare / reach, p_other = kShare / reach;
    const double shown = rng.NextUniform();
    double rate = kOthers, ratio = 1;  // both draw the others with the same probability
    if (shown < p_favourite) {
      rate = live_rate;
      ratio = p_other / p_favourite;
    } else if (shown < p_favourite + p_other) {
      rate = fixed_rate;
      ratio = p_favourite / p_other;
    }
    const double earned = rng.NextUniform() < rate ? 1 : 0;
    guard.Add({&ratio, 1}, {&earned, 1});
  }
};

// Decisions until the guard speaks up, at most `most`; 0: it does not. Looks as often as the server does, and more.
int64_t DecisionsUntilBelow(LiveGuard& guard, const Trade& trade, int64_t most, Rng& rng) {
  for (int64_t i = 1; i <= most; ++i) {
    trade.Show(rng, guard);
    if (i % 100 == 0 && guard.Judge(0).is_below) return i;
  }
  return 0;
}

// A gain of its own, whatever the baseline: W 0 and a reward as far above it.
void AddGain(LiveGuard& guard, double gain) {
  const double weight = 0, reward = guard.baseline().mean() + gain;
  guard.Add({&weight, 1}, {&reward, 1});
}

TEST(LiveGuardTest, SaysNothingBeforeItKnows) {
  LiveGuard guard;
  EXPECT_FALSE(guard.Judge(0).is_known);
  for (int i = 0; i < LiveGuard::kLeast - 1; ++i) AddGain(guard, -1 - i % 2);
  EXPECT_FALSE(guard.Judge(0).is_known);
  EXPECT_FALSE(guard.Judge(0).is_below);
  AddGain(guard, -1);
  EXPECT_TRUE(guard.Judge(0).is_known);
  EXPECT_TRUE(guard.Judge(0).is_below);
  EXPECT_FALSE(guard.Judge(-10).is_below);
}

TEST(LiveGuardTest, TheBaselineTakesOutNoiseAndNothingElse) {
  Rng rng(9);
  LiveGuard guard;
  double plain = 0, plain_squares = 0, weights = 0;
  constexpr int kDecisions = 200'000;
  for (int i = 0; i < kDecisions; ++i) {
    const double weight = rng.NextUniform() < 0.1 ? 5.5 : 0.5;  // mean 1
    const double reward = 10 + rng.NextUniform();
    guard.Add({&weight, 1}, {&reward, 1});
    plain += (1 - weight) * reward;
    plain_squares += (1 - weight) * (1 - weight) * reward * reward;
    weights += weight;
  }
  ASSERT_NEAR(weights / kDecisions, 1, 0.02);
  double squares = 0;
  for (const LiveGuard::Block& block : guard.blocks()) squares += block.squares;
  EXPECT_NEAR(guard.Judge(0).gain, 0, 0.01);
  EXPECT_LT(squares, plain_squares / 100);
  EXPECT_GT(std::abs(plain / kDecisions - guard.Judge(0).gain), 0);
}

TEST(LiveGuardTest, MeanAndWidthAreThoseOfTheFormula) {
  LiveGuard guard;
  double sum = 0, squares = 0;
  Rng rng(3);
  const int t = 12'345;
  for (int i = 0; i < t; ++i) {
    const double gain = rng.NextUniform() - 0.3;
    sum += gain;
    squares += gain * gain;
    AddGain(guard, gain);
  }
  const LiveGuard::Verdict verdict = guard.Judge(0);
  const double mean = sum / t, deviation = std::sqrt(squares / t - mean * mean);
  const double log_alpha = -2 * std::log(0.05);
  const double rho2 = (log_alpha + std::log(log_alpha) + 1) / LiveGuard::kTightest;
  const double half = deviation * std::sqrt(2 * (t * rho2 + 1) / (double{t} * t * rho2) * std::log(std::sqrt(t * rho2 + 1) / 0.05));
  EXPECT_EQ(verdict.decisions, t);
  EXPECT_NEAR(verdict.gain, mean, 1e-9);
  EXPECT_NEAR(verdict.lower_bound, mean - half, 1e-9);
  EXPECT_NEAR(verdict.upper_bound, mean + half, 1e-9);
}

TEST(LiveGuardTest, JoiningOldBlocksKeepsTheWhole) {
  LiveGuard guard;
  const int64_t n = LiveGuard::kBlockSize * static_cast<int64_t>(LiveGuard::kMaxBlocks + 7) + 11;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double gain = static_cast<double>(i % 7) - 3;
    sum += gain;
    AddGain(guard, gain);
  }
  EXPECT_EQ(guard.blocks().size(), LiveGuard::kMaxBlocks);
  EXPECT_EQ(guard.begun(), static_cast<int64_t>(LiveGuard::kMaxBlocks) + 8);
  EXPECT_EQ(guard.Judge(0).decisions, n);
  EXPECT_NEAR(guard.Judge(0).gain, sum / static_cast<double>(n), 1e-9);
  const LiveGuard again = LiveGuard::FromParts(guard.blocks(), guard.begun(), guard.baseline());
  EXPECT_EQ(again.Judge(0).upper_bound, guard.Judge(0).upper_bound);
}

TEST(LiveGuardTest, WhatIsNotFiniteIsLeftOut) {
  LiveGuard guard;
  for (int i = 0; i < 2000; ++i) AddGain(guard, 0.5);
  AddGain(guard, std::numeric_limits<double>::quiet_NaN());
  AddGain(guard, std::numeric_limits<double>::infinity());
  AddGain(guard, 1e200);
  EXPECT_EQ(guard.Judge(0).decisions, 2000);
  EXPECT_NEAR(guard.Judge(0).gain, 0.5, 1e-9);
}

// Live turns 20 % worse than the fixed order, from the first day on or after 100,000 good decisions: noticed within 100,000
// decisions in at least 48 of 50 runs, where the share is bounded around the fixed order (reach 3 of a first slot: four offers).
TEST(LiveGuardSlow, NoticesATurnForTheWorse) {
  for (const int reach : {4, 10}) {
    for (const int64_t good : {int64_t{0}, int64_t{100'000}}) {
      int noticed = 0;
      for (uint64_t run = 0; run < 50; ++run) {
        Rng rng(1000 + run);
        LiveGuard guard;
        ASSERT_EQ(DecisionsUntilBelow(guard, Trade::Earning(1.2, reach), good, rng), 0) << run;
        noticed += DecisionsUntilBelow(guard, Trade::Earning(0.8, reach), 100'000, rng) > 0 ? 1 : 0;
      }
      RecordProperty(absl::StrCat("noticed_reach_", reach, "_after_", good), noticed);
      if (reach == 4) EXPECT_GE(noticed, 48) << good;
    }
  }
}

// Not worse, or a little better: at most 5 % of runs may think otherwise, however long one looks on.
TEST(LiveGuardSlow, SeldomSpeaksUpForNothing) {
  for (const double part : {1.0, 1.05}) {
    for (const int reach : {4, 10}) {
      int wrong = 0;
      for (uint64_t run = 0; run < 200; ++run) {
        Rng rng(77 + run);
        LiveGuard guard;
        wrong += DecisionsUntilBelow(guard, Trade::Earning(part, reach), 200'000, rng) > 0 ? 1 : 0;
      }
      RecordProperty(absl::StrCat("wrong_at_", part, "_reach_", reach), wrong);
      EXPECT_LE(wrong, 10) << part << " " << reach;
    }
  }
}

}  // namespace
}  // namespace offerd
