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
  SlateDraw(const SlateInput& input, SlateScratch& scratch) : input_(input), s_(scratch) {
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
    s_.mean_.assign(input.mean.begin(), input.mean.end());
    for (double& mean : s_.mean_) {
      if (std::isnan(mean)) mean = -std::numeric_limits<double>::infinity();
    }
    has_bag_ =
        input.explorer.kind == ExplorerKind::kThompson && input.bag_scores != nullptr && input.bag_scores->cols() > 1;
    CHECK(!has_bag_ || static_cast<size_t>(input.bag_scores->rows()) == n);
    s_.winners_.Reset();
    s_.is_open_.assign(n, 0);
    s_.is_placed_.assign(n, 0);
    s_.mask_.assign(n, 1);
    if (!input.allowed.empty()) std::copy(input.allowed.begin(), input.allowed.end(), s_.mask_.begin());
    if (input.random.kind == RandomKind::kBounded && (input.random.share > 0 || input.forced_shuffle)) FindBaseRanks();
  }

  absl::Span<uint8_t> mask() { return absl::MakeSpan(s_.mask_); }
  absl::Span<uint8_t> is_placed() { return absl::MakeSpan(s_.is_placed_); }

  // False if no candidate is open; the results are then zero.
  bool FillSlot(int slot, absl::Span<double> probability, absl::Span<double> explorer_probability) {
    const bool some_opened = FindOpen();
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
      s_.winners_.Update(*input_.bag_scores, s_.open_by_tie_, s_.is_open_, some_opened || winners_skipped_opening_);
      winners_skipped_opening_ = false;
      winners = s_.winners_.winners();
    }
    ExplorerDistribution(input_.explorer, s_.mean_, winners, s_.open_by_tie_, explorer_probability);
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

  void Draw(SlateMask mask, Rng& rng, std::vector<SlateSlot>& slate) {
    slate.clear();
    s_.probability_.resize(s_.mean_.size());
    s_.explorer_probability_.resize(s_.mean_.size());
    for (int slot = 0; slot < input_.slots; ++slot) {
      mask(slate, absl::MakeSpan(s_.mask_));
      if (!FillSlot(slot, absl::MakeSpan(s_.probability_), absl::MakeSpan(s_.explorer_probability_))) break;
      const int32_t candidate = Pick(s_.probability_, rng.NextUniform());
      slate.push_back({candidate, s_.probability_[candidate], s_.explorer_probability_[candidate]});
      s_.is_placed_[candidate] = 1;
    }
  }

 private:
  void FindBaseRanks() {
    if (!input_.base_rank.empty()) {
      base_rank_ = input_.base_rank;
      return;
    }
    const std::vector<double>& mean = s_.mean_;
    const absl::Span<const int32_t> tie_rank = input_.tie_rank;
    s_.order_.assign(s_.by_tie_.begin(), s_.by_tie_.end());
    std::sort(s_.order_.begin(), s_.order_.end(), [&mean, tie_rank](int32_t a, int32_t b) {
      return mean[a] != mean[b] ? mean[a] > mean[b] : tie_rank[a] < tie_rank[b];
    });
    s_.own_base_.resize(s_.order_.size());
    for (size_t rank = 0; rank < s_.order_.size(); ++rank) s_.own_base_[s_.order_[rank]] = static_cast<int32_t>(rank);
    base_rank_ = s_.own_base_;
  }

  // True if a candidate is open that was not before.
  bool FindOpen() {
    bool some_opened = false;
    s_.open_by_tie_.resize(s_.by_tie_.size());
    size_t num_open = 0;
    for (int32_t candidate : s_.by_tie_) {
      const bool is_open = s_.mask_[candidate] != 0 && s_.is_placed_[candidate] == 0;
      some_opened |= is_open && s_.is_open_[candidate] == 0;
      s_.is_open_[candidate] = is_open;
      s_.open_by_tie_[num_open] = candidate;
      num_open += is_open;
    }
    s_.open_by_tie_.resize(num_open);
    return some_opened;
  }

  int32_t Forced(int slot) {
    if (!input_.forced_shuffle || input_.random.kind != RandomKind::kBounded) return -1;
    int32_t first = s_.open_by_tie_.front();
    for (int32_t candidate : s_.open_by_tie_) {
      if (base_rank_[candidate] < base_rank_[first]) first = candidate;
    }
    if (int64_t{base_rank_[first]} > int64_t{slot} - input_.random.reach) return -1;
    winners_skipped_opening_ = true;  // the bag is not looked at in this slot
    return first;
  }

  int64_t Distance(int32_t candidate, int slot) const { return std::abs(int64_t{base_rank_[candidate]} - slot); }

  void MixRandom(int slot, absl::Span<const double> explorer_probability, absl::Span<double> probability) {
    const double share = input_.random.share;
    if (share == 0) {
      std::copy(explorer_probability.begin(), explorer_probability.end(), probability.begin());
      return;
    }
    for (size_t i = 0; i < probability.size(); ++i) probability[i] = (1 - share) * explorer_probability[i];
    int64_t reach = std::numeric_limits<int64_t>::max();
    int64_t num_within = static_cast<int64_t>(s_.open_by_tie_.size());
    const bool is_bounded = input_.random.kind == RandomKind::kBounded;
    if (is_bounded) {
      for (int32_t candidate : s_.open_by_tie_) reach = std::min(reach, Distance(candidate, slot));
      reach = std::max<int64_t>(reach, input_.random.reach);
      num_within = std::count_if(s_.open_by_tie_.begin(), s_.open_by_tie_.end(),
                                 [&](int32_t candidate) { return Distance(candidate, slot) <= reach; });
    }
    const double part = share / static_cast<double>(num_within);
    for (int32_t candidate : s_.open_by_tie_) {
      if (!is_bounded || Distance(candidate, slot) <= reach) probability[candidate] += part;
    }
  }

  const SlateInput& input_;
  SlateScratch& s_;
  absl::Span<const int32_t> base_rank_;
  bool has_bag_ = false;
  bool winners_skipped_opening_ = false;
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
  DrawSlate(
      input, [](absl::Span<const SlateSlot>, absl::Span<uint8_t>) {}, rng, scratch, slate);
}

void DrawSlate(const SlateInput& input, SlateMask mask, Rng& rng, SlateScratch& scratch,
               std::vector<SlateSlot>& slate) {
  SlateDraw(input, scratch).Draw(mask, rng, slate);
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
