#include "core/candidates/slate_rules.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "tests/core/log_writer.h"
#include "tests/support/reference/slate_reference.h"

namespace offerd {
namespace {

// Offers o0 to o5 with items, categories and brands of their own, drawn by a given explorer under rules.
class SlateRulesTest : public ::testing::Test {
 protected:
  SlateRulesTest() {
    const auto add = [&](int i, const std::string& category, const std::string& brand, std::vector<std::string> items) {
      for (const std::string& item : items) log_.Write(kDayZero, ItemsUpserted{{MakeItem(item, category, brand)}});
      Offer offer = MakeOffer(absl::StrCat("o", i), std::move(items));
      offer.category = category;
      offers_.push_back(offer);
    };
    add(0, "tea", "leaf", {"a", "b"});
    add(1, "tea", "leaf", {"b", "c"});
    add(2, "tea", "hill", {"d"});
    add(3, "pot", "leaf", {"e", "f"});
    add(4, "pot", "hill", {"g"});
    add(5, "cake", "", {"a"});
    log_.Write(kDayZero, OffersUpserted{offers_});
    for (const Offer& offer : offers_) {
      const OfferIndex index = log_.state().catalogue.FindOffer(offer.id.value());
      entries_.push_back(&log_.state().catalogue.OfferAt(index));
      ids_.push_back(offer.id.value());
    }
    mean_ = {0.6, 0.5, 0.4, 0.3, 0.2, 0.55};
    input_.num_candidates = 6;
    input_.mean = mean_;
    input_.tie_rank = ties_;
    input_.slots = 6;
    input_.explorer = {ExplorerKind::kGreedy, 0};
  }

  std::vector<SlateSlot> Draw(uint64_t seed = 1) {
    SlateRulesInput rules;
    rules.rules = &rules_;
    rules.catalogue = &log_.state().catalogue;
    rules.offers = entries_;
    rules.ids = ids_;
    rules.mean = mean_;
    rules.slots = input_.slots;
    hook_.Start(rules);
    Rng rng(seed);
    std::vector<SlateSlot> slate;
    DrawSlateWithRules(
        input_, [this](absl::Span<const SlateSlot> placed, SlateChange& change) { hook_.Apply(placed, change); }, rng, scratch_, slate);
    return slate;
  }
  std::string Shown(uint64_t seed = 1) {
    std::string shown;
    for (const SlateSlot& slot : Draw(seed)) absl::StrAppend(&shown, slot.candidate);
    return shown;
  }

  LogWriter log_;
  std::vector<Offer> offers_;
  std::vector<const CatalogueOffer*> entries_;
  std::vector<absl::string_view> ids_;
  std::vector<double> mean_;
  std::vector<int32_t> ties_ = {0, 1, 2, 3, 4, 5};
  SlateRules rules_;
  SlateRulesHook hook_;
  SlateInput input_;
  SlateScratch scratch_;
};

TEST_F(SlateRulesTest, WithoutRulesTheOrderIsByScore) {
  EXPECT_EQ(Shown(), "051234");
  EXPECT_FALSE(hook_.has_masked());
}

TEST_F(SlateRulesTest, CapsEndASlateAndSayThatTheyDid) {
  rules_.max_per_category = 1;
  EXPECT_EQ(Shown(), "053");
  EXPECT_TRUE(hook_.has_masked());
  rules_.max_per_category = 0;
  rules_.max_per_brand = 1;
  EXPECT_EQ(Shown(), "052") << "no brand is no brand in common";
}

TEST_F(SlateRulesTest, APinnedOfferStandsInItsSlotAndNowhereElse) {
  rules_.pins = {{"o4", 1}, {"o0", 9}, {"unknown", 0}};
  EXPECT_EQ(Shown(), "045123") << "a pin beyond the slate, or of no candidate, is none";
  EXPECT_TRUE(hook_.HasPin(1, 4));
  EXPECT_EQ(Draw()[1].probability, 1.0);
  rules_.max_per_category = 1;
  rules_.pins = {{"o1", 2}, {"o2", 3}};
  EXPECT_EQ(Shown(), "05123") << "pins are not held back by caps";
}

TEST_F(SlateRulesTest, CannibalisationLowersByTheShareCovered) {
  rules_.cannibalisation = 1;
  // o0 covers a and b: of o5 all, so its score falls to 0; of o1 half: .25.
  EXPECT_EQ(Shown(), "023145");
  rules_.cannibalisation = 0.1;
  EXPECT_EQ(Shown(), "051234") << ".55 - .055 still passes .5 x .95";
}

TEST_F(SlateRulesTest, DiversityFollowsMaximalMarginalRelevance) {
  rules_.diversity = 0.6;
  // The slow twin: score - m / (1 - m) x spread x likeness to the most alike shown.
  const auto likeness = [&](int a, int b) {
    const auto& x = *entries_[static_cast<size_t>(a)];
    const auto& y = *entries_[static_cast<size_t>(b)];
    double both = 0;
    for (const ItemIndex item : x.items) both += std::count(y.items.begin(), y.items.end(), item);
    const double jaccard = both / (static_cast<double>(x.items.size() + y.items.size()) - both);
    return (x.category == y.category ? 0.5 : 0) + (x.brand != kNoName && x.brand == y.brand ? 0.2 : 0) + 0.3 * jaccard;
  };
  std::vector<int> expected;
  while (expected.size() < 6) {
    int best = -1;
    double best_score = 0;
    for (int i = 0; i < 6; ++i) {
      if (std::count(expected.begin(), expected.end(), i) > 0) continue;
      double alike = 0;
      for (const int shown : expected) alike = std::max(alike, likeness(i, shown));
      const double score = mean_[static_cast<size_t>(i)] - 0.6 / 0.4 * 0.4 * alike;
      if (best < 0 || score > best_score) {
        best = i;
        best_score = score;
      }
    }
    expected.push_back(best);
  }
  std::string text;
  for (const int i : expected) absl::StrAppend(&text, i);
  EXPECT_EQ(Shown(), text);
  EXPECT_NE(Shown(), "051234");
}

TEST_F(SlateRulesTest, ScoresOfAnOrderAreNotLowered) {
  rules_.cannibalisation = 1;
  rules_.max_per_brand = 1;
  SlateRulesInput rules{&rules_, &log_.state().catalogue, nullptr, entries_, ids_, mean_, 6, false};
  hook_.Start(rules);
  std::vector<uint8_t> allowed(6, 1);
  std::vector<double> shrink(6, 0), lower(6, 0);
  SlateChange change{absl::MakeSpan(allowed), absl::MakeSpan(shrink), absl::MakeSpan(lower), false};
  const std::vector<SlateSlot> slate = {{0, 1, 1, true}};
  hook_.Apply(slate, change);
  EXPECT_FALSE(change.scores_changed);
  EXPECT_EQ(allowed[1], 0);
}

// Whole slates under every rule appear as often as the logged probabilities say.
void ExpectFrequencies(const std::map<std::vector<int32_t>, int64_t>& counts, const std::map<std::vector<int32_t>, double>& logged) {
  std::vector<int64_t> observed;
  std::vector<double> probabilities;
  double sum = 0;
  for (const auto& [slate, probability] : logged) {
    observed.push_back(counts.at(slate));
    probabilities.push_back(probability);
    sum += probability;
  }
  EXPECT_GT(sum, 0.9999);  // slates that were never drawn are the rest
  EXPECT_LT(ChiSquareDeviate(observed, probabilities), kChiSquareLimit);
}

class SlateRulesFrequencySlow : public SlateRulesTest {
 protected:
  void Run(int draws) {
    FloatRowMatrix bag(6, 33);
    Rng noise(3);
    for (int i = 0; i < 6; ++i) {
      for (int m = 0; m < 33; ++m) bag(i, m) = static_cast<float>(mean_[static_cast<size_t>(i)] + 0.2 * noise.NextNormal());
    }
    input_.bag_scores = &bag;
    input_.slots = 3;
    std::map<std::vector<int32_t>, int64_t> counts;
    std::map<std::vector<int32_t>, double> logged;
    for (int i = 0; i < draws; ++i) {
      const std::vector<SlateSlot> slate = Draw(MixHash(77, static_cast<uint64_t>(i)));
      std::vector<int32_t> candidates;
      double probability = 1;
      for (const SlateSlot& slot : slate) {
        candidates.push_back(slot.candidate);
        probability *= slot.probability;
      }
      ++counts[candidates];
      logged[candidates] = probability;
    }
    ExpectFrequencies(counts, logged);
  }
};

TEST_F(SlateRulesFrequencySlow, EveryExplorerUnderAllRules) {
  rules_.max_per_category = 2;
  rules_.cannibalisation = 0.7;
  rules_.diversity = 0.3;
  rules_.pins = {{"o4", 1}};
  input_.random = {0.2, RandomKind::kUniform, 3};
  for (const auto& [kind, strength] : {std::pair(ExplorerKind::kGreedy, 0.0), std::pair(ExplorerKind::kEpsilonGreedy, 0.0),
                                       std::pair(ExplorerKind::kThompson, 0.0), std::pair(ExplorerKind::kSoftmax, 0.2),
                                       std::pair(ExplorerKind::kInverseGap, 10.0), std::pair(ExplorerKind::kBoundedShuffle, 0.0)}) {
    SCOPED_TRACE(static_cast<int>(kind));
    input_.explorer = {kind, 0.1, strength, 2};
    Run(1'000'000);
  }
}

}  // namespace
}  // namespace offerd
