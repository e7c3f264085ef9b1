#include "core/slate/slate.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/check.h"

namespace offerd {

// One slate in the making: the input, and what of it was worked out in the scratch.
class SlateDraw {
 public:
  // `only_placed_close`: from the first slot on, candidates close by being placed and in no other way.
  SlateDraw(const SlateInput& input, SlateScratch& scratch, bool only_placed_close = false) : input_(input), s_(scratch) {
    const size_t n = static_cast<size_t>(std::max(input.num_candidates, 0));
    CHECK(input.mean.size() == n && input.tie_rank.size() == n);
    CHECK(input.base_rank.empty() || input.base_rank.size() == n);
    CHECK(input.allowed.empty() || input.allowed.size() == n);
    DCHECK(CheckRandomShare(input.random).ok());
    s_.by_tie_.assign(n, -1);
    for (size_t i = 0; i < n; ++i) {
      const int32_t rank = input.tie_rank[i];
      CHECK(rank >= 0 && static_cast<size_t>(rank) < n && s_.by_tie_[rank] < 0);
      s_.by_tie_[rank] = static_cast<int32_t>(i);
    }
    CopyScores(input.mean, s_.mean_);
    const bool ranks_by_bound = input.explorer.kind == ExplorerKind::kUpperBound && !input.upper_bound.empty();
    CHECK(!ranks_by_bound || input.upper_bound.size() == n);
    if (ranks_by_bound) CopyScores(input.upper_bound, s_.upper_bound_);
    explorer_score_ = ranks_by_bound ? s_.upper_bound_ : s_.mean_;
    has_bag_ =
        input.explorer.kind == ExplorerKind::kThompson && input.bag_scores != nullptr && input.bag_scores->cols() > 1;
    CHECK(!has_bag_ || static_cast<size_t>(input.bag_scores->rows()) == n);
    bag_ = input.bag_scores;
    s_.winners_.Reset();
    s_.is_open_.assign(n, 0);
    s_.is_placed_.assign(n, 0);
    s_.mask_.assign(n, 1);
    if (!input.allowed.empty()) std::copy(input.allowed.begin(), input.allowed.end(), s_.mask_.begin());
    FindRanks(only_placed_close && input.allowed.empty());
  }

  absl::Span<uint8_t> mask() { return absl::MakeSpan(s_.mask_); }
  absl::Span<uint8_t> is_placed() { return absl::MakeSpan(s_.is_placed_); }

  // False if no candidate is open; the results are then zero.
  bool FillSlot(int slot, absl::Span<double> probability, absl::Span<double> explorer_probability) {
    if (!is_open_known_) FindOpen();
    if (s_.open_by_tie_.empty()) {
      std::fill(probability.begin(), probability.end(), 0.0);
      std::fill(explorer_probability.begin(), explorer_probability.end(), 0.0);
      return false;
    }
    if (const int32_t forced = Forced(slot); forced >= 0) {
      std::fill(probability.begin(), probability.end(), 0.0);
      std::fill(explorer_probability.begin(), explorer_probability.end(), 0.0);
      probability[forced] = 1;
      explorer_probability[forced] = 1;
      return true;
    }
    absl::Span<const int32_t> winners;
    if (has_bag_) {
      s_.winners_.Update(*bag_, s_.open_by_tie_);
      winners = s_.winners_.winners();
    }
    if (input_.explorer.kind == ExplorerKind::kBoundedShuffle) {
      Shuffle(slot, explorer_probability);
    } else {
      ExplorerDistribution(input_.explorer, explorer_score_, winners, s_.open_by_tie_, explorer_probability);
    }
    MixRandom(slot, explorer_probability, probability);
    return true;
  }

  // The candidate whose part of [0, 1) holds `uniform`.
  static int32_t Pick(absl::Span<const double> probability, double uniform) {
    double below = 0;
    int32_t last = 0;
    for (size_t i = 0; i < probability.size(); ++i) {
      if (probability[i] == 0) continue;
      last = static_cast<int32_t>(i);
      below += probability[i];
      if (uniform < below) break;
    }
    return last;  // of the last one if rounding left the sum a little below 1
  }

  // Without a rule (null) what is open changes by what is placed alone.
  void Draw(const SlateRule* rule, Rng& rng, std::vector<SlateSlot>& slate) {
    Start(slate);
    for (int slot = 0; slot < input_.slots; ++slot) {
      if (!Prepare(rule, slate)) break;
      Place(Pick(s_.probability_, rng.NextUniform()), slate);
    }
  }

  void Score(const SlateRule* rule, absl::Span<const int32_t> shown, std::vector<double>& probability) {
    std::vector<SlateSlot>& slate = s_.scored_;
    Start(slate);
    probability.assign(shown.size(), 0);
    for (size_t slot = 0; slot < shown.size(); ++slot) {
      if (!Prepare(rule, slate) || s_.probability_[shown[slot]] == 0) return;
      probability[slot] = s_.probability_[shown[slot]];
      Place(shown[slot], slate);
    }
  }

 private:
  void Start(std::vector<SlateSlot>& slate) {
    slate.clear();
    s_.probability_.resize(s_.mean_.size());
    s_.explorer_probability_.resize(s_.mean_.size());
    s_.shrink_.assign(s_.mean_.size(), 0);
    s_.lower_.assign(s_.mean_.size(), 0);
  }

  // The next slot's distribution; false: nobody may stand there.
  bool Prepare(const SlateRule* rule, const std::vector<SlateSlot>& slate) {
    if (rule != nullptr) {
      SlateChange change{absl::MakeSpan(s_.mask_), absl::MakeSpan(s_.shrink_), absl::MakeSpan(s_.lower_), false};
      (*rule)(slate, change);
      if (change.scores_changed) AdjustScores();
      is_open_known_ = false;
    }
    return FillSlot(static_cast<int>(slate.size()), absl::MakeSpan(s_.probability_), absl::MakeSpan(s_.explorer_probability_));
  }

  void Place(int32_t candidate, std::vector<SlateSlot>& slate) {
    slate.push_back({candidate, s_.probability_[candidate], s_.explorer_probability_[candidate], candidate == BestOpen()});
    s_.is_placed_[candidate] = 1;
    s_.is_open_[candidate] = 0;
    s_.winners_.Close(candidate);
    s_.open_by_tie_.erase(std::find(s_.open_by_tie_.begin(), s_.open_by_tie_.end(), candidate));
    is_open_known_ = true;
  }

  int32_t BestOpen() const {
    int32_t best = s_.open_by_tie_.front();
    for (int32_t candidate : s_.open_by_tie_) {
      if (s_.mean_[candidate] > s_.mean_[best]) best = candidate;
    }
    return best;
  }

  void Adjust(absl::Span<const double> from, std::vector<double>& to) const {
    CopyScores(from, to);
    for (size_t i = 0; i < to.size(); ++i) {
      if (std::isfinite(to[i])) to[i] -= s_.shrink_[i] * std::abs(to[i]) + s_.lower_[i];
    }
  }

  void AdjustScores() {
    Adjust(input_.mean, s_.mean_);
    const bool ranks_by_bound = input_.explorer.kind == ExplorerKind::kUpperBound && !input_.upper_bound.empty();
    if (ranks_by_bound) Adjust(input_.upper_bound, s_.upper_bound_);
    if (!has_bag_) return;
    s_.adjusted_bag_ = *input_.bag_scores;
    for (Eigen::Index i = 0; i < s_.adjusted_bag_.rows(); ++i) {
      const float shrink = static_cast<float>(s_.shrink_[static_cast<size_t>(i)]);
      const float lower = static_cast<float>(s_.lower_[static_cast<size_t>(i)]);
      if (shrink == 0 && lower == 0) continue;
      for (Eigen::Index m = 0; m < s_.adjusted_bag_.cols(); ++m) {
        float& score = s_.adjusted_bag_(i, m);
        score -= shrink * std::abs(score) + lower;
      }
    }
    bag_ = &s_.adjusted_bag_;
    s_.winners_.Reset();
  }

  static void CopyScores(absl::Span<const double> from, std::vector<double>& to) {
    to.assign(from.begin(), from.end());
    for (double& score : to) {
      if (std::isnan(score)) score = -std::numeric_limits<double>::infinity();
    }
  }

  // Places by score, and in the base order, where somebody asks for them.
  void FindRanks(bool only_placed_close) {
    const bool is_bounded =
        input_.random.kind == RandomKind::kBounded && (input_.random.share > 0 || input_.forced_shuffle);
    const bool is_shuffle = input_.explorer.kind == ExplorerKind::kBoundedShuffle;
    if (is_shuffle || (is_bounded && input_.base_rank.empty())) RankByMean(only_placed_close);
    base_rank_ = input_.base_rank.empty() ? absl::Span<const int32_t>(s_.own_base_) : input_.base_rank;
  }

  // Where only what is placed closes, somebody of the first s + 1 is open at slot s, and nobody is within reach of it whose place is
  // beyond 2 s or s + reach: the rest stand behind, in no order.
  void RankByMean(bool only_placed_close) {
    const std::vector<double>& mean = s_.mean_;
    const absl::Span<const int32_t> tie_rank = input_.tie_rank;
    s_.order_.assign(s_.by_tie_.begin(), s_.by_tie_.end());
    const int64_t reach = std::max(input_.random.reach, input_.explorer.reach);
    const int64_t most = only_placed_close ? 2 * int64_t{input_.slots} + reach + 1 : std::numeric_limits<int64_t>::max();
    const auto is_before = [&mean, tie_rank](int32_t a, int32_t b) {
      return mean[a] != mean[b] ? mean[a] > mean[b] : tie_rank[a] < tie_rank[b];
    };
    auto end = s_.order_.end();
    if (most < static_cast<int64_t>(s_.order_.size())) {
      end = s_.order_.begin() + most;
      std::nth_element(s_.order_.begin(), end, s_.order_.end(), is_before);
    }
    std::sort(s_.order_.begin(), end, is_before);
    s_.own_base_.resize(s_.order_.size());
    for (size_t rank = 0; rank < s_.order_.size(); ++rank) s_.own_base_[s_.order_[rank]] = static_cast<int32_t>(rank);
  }

  void FindOpen() {
    s_.open_by_tie_.resize(s_.by_tie_.size());
    size_t num_open = 0;
    for (int32_t candidate : s_.by_tie_) {
      const bool is_open = s_.mask_[candidate] != 0 && s_.is_placed_[candidate] == 0;
      const bool was_open = s_.is_open_[candidate] != 0;
      if (is_open && !was_open) s_.winners_.Reset();
      if (was_open && !is_open) s_.winners_.Close(candidate);
      s_.is_open_[candidate] = is_open;
      s_.open_by_tie_[num_open] = candidate;
      num_open += is_open;
    }
    s_.open_by_tie_.resize(num_open);
  }

  int32_t FirstOpen(absl::Span<const int32_t> rank) const {
    int32_t first = s_.open_by_tie_.front();
    for (int32_t candidate : s_.open_by_tie_) {
      if (rank[candidate] < rank[first]) first = candidate;
    }
    return first;
  }

  int32_t Forced(int slot) {
    if (!input_.forced_shuffle || input_.random.kind != RandomKind::kBounded) return -1;
    const int32_t first = FirstOpen(base_rank_);
    if (int64_t{base_rank_[first]} > int64_t{slot} - input_.random.reach) return -1;
    return first;
  }

  // Who is within reach of a slot: those whose place in a base order is at most `distance` from it, which is the reach, or as far
  // as the nearest open candidate. Over all candidates in index order and without branches, for compilers.
  struct Reach {
    const int32_t* rank;
    const uint8_t* is_open;
    int32_t slot;
    int32_t distance;
    int64_t count;  // of the open ones within

    bool Has(size_t i) const { return (is_open[i] != 0) & (std::abs(rank[i] - slot) <= distance); }
  };
  Reach ReachOf(absl::Span<const int32_t> rank, int slot, int reach) const {
    Reach result{rank.data(), s_.is_open_.data(), slot, 0, 0};
    int32_t nearest = std::numeric_limits<int32_t>::max();
    for (size_t i = 0; i < rank.size(); ++i) {
      const int32_t distance = result.is_open[i] != 0 ? std::abs(result.rank[i] - slot) : std::numeric_limits<int32_t>::max();
      nearest = distance < nearest ? distance : nearest;
    }
    result.distance = std::max(nearest, reach);
    int32_t count = 0;
    for (size_t i = 0; i < rank.size(); ++i) count += result.Has(i) ? 1 : 0;
    result.count = count;
    return result;
  }

  void Shuffle(int slot, absl::Span<double> probability) const {
    std::fill(probability.begin(), probability.end(), 0.0);
    const absl::Span<const int32_t> rank = s_.own_base_;
    const int32_t first = FirstOpen(rank);
    if (int64_t{rank[first]} <= int64_t{slot} - input_.explorer.reach) {
      probability[first] = 1;
    } else {
      const Reach reach = ReachOf(rank, slot, input_.explorer.reach);
      for (size_t i = 0; i < probability.size(); ++i) {
        if (reach.Has(i)) probability[i] = 1 / static_cast<double>(reach.count);
      }
    }
    MixEpsilon(input_.explorer.epsilon, s_.open_by_tie_, probability);
  }

  void MixRandom(int slot, absl::Span<const double> explorer_probability, absl::Span<double> probability) {
    const double share = input_.random.share;
    if (share == 0) {
      std::copy(explorer_probability.begin(), explorer_probability.end(), probability.begin());
      return;
    }
    const double rest = 1 - share;
    const double* from = explorer_probability.data();
    double* to = probability.data();
    const size_t n = probability.size();
    if (input_.random.kind == RandomKind::kBounded) {
      const Reach reach = ReachOf(base_rank_, slot, input_.random.reach);
      const double part = share / static_cast<double>(reach.count);
      for (size_t i = 0; i < n; ++i) to[i] = rest * from[i] + (reach.Has(i) ? part : 0.0);
    } else {
      const double part = share / static_cast<double>(s_.open_by_tie_.size());
      const uint8_t* is_open = s_.is_open_.data();
      for (size_t i = 0; i < n; ++i) to[i] = rest * from[i] + (is_open[i] != 0 ? part : 0.0);
    }
  }

  const SlateInput& input_;
  SlateScratch& s_;
  absl::Span<const int32_t> base_rank_;
  absl::Span<const double> explorer_score_;
  const FloatRowMatrix* bag_ = nullptr;  // as the rules left it
  bool has_bag_ = false;
  bool is_open_known_ = false;  // is_open_ and open_by_tie_ are right as they stand
};

absl::Status CheckRandomShare(const RandomShare& random) {
  if (!(random.share >= 0 && random.share <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("random share: expected 0 to 1, found ", random.share));
  }
  if (random.reach < 0)
    return absl::InvalidArgumentError(absl::StrCat("reach: expected at least 0, found ", random.reach));
  return absl::OkStatus();
}

void DrawSlate(const SlateInput& input, Rng& rng, SlateScratch& scratch, std::vector<SlateSlot>& slate) {
  SlateDraw(input, scratch, true).Draw(nullptr, rng, slate);
}

void DrawSlate(const SlateInput& input, SlateMask mask, Rng& rng, SlateScratch& scratch,
               std::vector<SlateSlot>& slate) {
  DrawSlateWithRules(
      input, [mask](absl::Span<const SlateSlot> placed, SlateChange& change) { mask(placed, change.allowed); }, rng, scratch, slate);
}

void DrawSlateWithRules(const SlateInput& input, SlateRule rule, Rng& rng, SlateScratch& scratch, std::vector<SlateSlot>& slate) {
  SlateDraw(input, scratch).Draw(&rule, rng, slate);
}

void ScoreSlate(const SlateInput& input, SlateRule rule, absl::Span<const int32_t> shown, SlateScratch& scratch,
                std::vector<double>& probability) {
  SlateDraw(input, scratch).Score(&rule, shown, probability);
}

void SlotDistribution(const SlateInput& input, int slot, absl::Span<const uint8_t> placed, SlateScratch& scratch,
                      absl::Span<double> probability, absl::Span<double> explorer_probability) {
  const size_t n = input.mean.size();
  CHECK(probability.size() == n && explorer_probability.size() == n && (placed.empty() || placed.size() == n));
  SlateDraw draw(input, scratch);
  std::copy(placed.begin(), placed.end(), draw.is_placed().begin());
  draw.FillSlot(slot, probability, explorer_probability);
}

}  // namespace offerd
