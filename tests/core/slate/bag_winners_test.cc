#include "core/slate/bag_winners.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "core/rng.h"

namespace offerd {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

int32_t SlowWinner(const FloatRowMatrix& scores, const std::vector<int32_t>& open_by_tie, int member) {
  int32_t winner = -1;
  float best = 0;
  for (int32_t candidate : open_by_tie) {
    float score = scores(candidate, member + 1);
    if (std::isnan(score)) score = -kInf;
    if (winner < 0 || score > best) {
      winner = candidate;
      best = score;
    }
  }
  return winner;
}

FloatRowMatrix FewDistinctScores(int n, int members, Rng& rng) {
  FloatRowMatrix scores(n, members + 1);
  for (float& score : scores.reshaped()) {
    const double u = rng.NextUniform();
    score = u < 0.05 ? kNan : u < 0.1 ? -kInf : static_cast<float>(rng.NextBits() % 5);
  }
  return scores;
}

// Candidates close, most of them, and open, one after the other.
void ExpectSlowWinners(int n, int members, double share_of_openings, Rng& rng) {
  const FloatRowMatrix scores = FewDistinctScores(n, members, rng);
  std::vector<int32_t> by_tie(static_cast<size_t>(n));
  std::iota(by_tie.begin(), by_tie.end(), 0);
  for (int i = n - 1; i > 0; --i) std::swap(by_tie[i], by_tie[rng.NextBits() % (i + 1)]);
  std::vector<uint8_t> is_open(static_cast<size_t>(n), 1);
  BagWinners winners;
  for (int step = 0; step < 2 * n; ++step) {
    std::vector<int32_t> open_by_tie;
    for (int32_t candidate : by_tie) {
      if (is_open[candidate]) open_by_tie.push_back(candidate);
    }
    const bool looks = rng.NextUniform() < 0.8;  // changes add up where nobody looks
    if (!open_by_tie.empty() && looks) {
      winners.Update(scores, open_by_tie);
      ASSERT_EQ(winners.winners().size(), static_cast<size_t>(members));
      for (int m = 0; m < members; ++m) ASSERT_EQ(winners.winners()[m], SlowWinner(scores, open_by_tie, m)) << m;
    }
    const bool opens = open_by_tie.empty() || rng.NextUniform() < share_of_openings;
    const int32_t candidate = opens ? static_cast<int32_t>(rng.NextBits() % n) : open_by_tie[rng.NextBits() % open_by_tie.size()];
    if (opens && is_open[candidate] == 0) winners.Reset();
    if (!opens) winners.Close(candidate);
    is_open[candidate] = opens;
  }
}

TEST(BagWinnersTest, FollowsCandidatesThatCloseAndOpen) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int n = 1 + static_cast<int>(rng.NextBits() % 20);
    ExpectSlowWinners(n, 1 + static_cast<int>(rng.NextBits() % 40), 0.5, rng);
  }
}

TEST(BagWinnersTest, FollowsManyCandidatesThatClose) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int n = 100 + static_cast<int>(rng.NextBits() % 400);
    ExpectSlowWinners(n, 1 + static_cast<int>(rng.NextBits() % 70), 0.02, rng);
  }
}

// One scratch serves one request after the other, of different sizes.
TEST(BagWinnersTest, ForgetsTheSizesOfTheLastTime) {
  Rng rng(7);
  BagWinners winners;
  for (const auto& [n, members] : {std::pair(40, 32), std::pair(3, 5), std::pair(300, 33), std::pair(1, 1)}) {
    const FloatRowMatrix scores = FewDistinctScores(n, members, rng);
    std::vector<int32_t> open_by_tie(static_cast<size_t>(n));
    std::iota(open_by_tie.begin(), open_by_tie.end(), 0);
    winners.Reset();
    winners.Update(scores, open_by_tie);
    ASSERT_EQ(winners.winners().size(), static_cast<size_t>(members));
    for (int m = 0; m < members; ++m) EXPECT_EQ(winners.winners()[m], SlowWinner(scores, open_by_tie, m)) << n << " " << m;
  }
}

}  // namespace
}  // namespace offerd
