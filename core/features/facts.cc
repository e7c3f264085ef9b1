#include "core/features/facts.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"

namespace offerd {
namespace {

// Order is that of kDescriptions.
enum Computed : int {
  kHour, kWeekday, kIsKnown, kVisits, kDaysSinceVisit, kMeanBasketSize, kVisitsPerWeek,  // the same for all candidates
  kFirstOfCandidate,
  kOwnOfferCount = kFirstOfCandidate, kOwnOfferCountDecayed, kOwnOfferRate, kOwnOfferRateDecayed,
  kOwnCategoryCount, kOwnCategoryCountDecayed, kOwnCategoryRate, kOwnCategoryRateDecayed,
  kOwnBrandRate, kOwnBrandRateDecayed,
  kDaysSinceOffer, kDaysSinceCategory, kOfferDue, kCategoryDue, kOfferMeanGapDays, kCategoryMeanGapDays,
  kOfferBoughtEver, kOfferBoughtLastVisit,
  kOfferRate, kOfferRateFast, kOfferTrend, kCategoryRate, kCategoryRateFast, kBrandRate,
  kOfferItems, kOfferPrice, kOfferMargin, kOfferRemainingStock, kOfferAgeDays, kOfferDaysLeft, kSent, kCartScore,
  kNumComputed
};

constexpr FactPlan::Description kDescriptions[kNumComputed] = {
    {"hour", "hour of the day of the decision, UTC, 0 to 23"},
    {"weekday", "day of the week of the decision, UTC, 0 = Monday to 6 = Sunday"},
    {"is_known", "1 when the customer has at least one visit, else 0"},
    {"visits", "visits (orders) of the customer"},
    {"days_since_visit", "days since the customer's last visit; missing without one"},
    {"mean_basket_size", "distinct items a visit of the customer; missing without one"},
    {"visits_per_week", "visits a week since the first one, counting at least one week; missing without one"},
    {"own_offer_count", "visits of the customer that held an item the offer covers"},
    {"own_offer_count_decayed", "the same, a visit fading with half-life 56 days"},
    {"own_offer_rate", "(own_offer_count + 5 offer_rate) / (visits + 5)"},
    {"own_offer_rate_decayed", "the same with counts and visits fading, half-life 56 days"},
    {"own_category_count", "visits of the customer that held an item of the offer's category"},
    {"own_category_count_decayed", "the same, fading with half-life 56 days"},
    {"own_category_rate", "(own_category_count + 5 category_rate) / (visits + 5)"},
    {"own_category_rate_decayed", "the same with counts and visits fading, half-life 56 days"},
    {"own_brand_rate", "as own_category_rate, for the offer's brand"},
    {"own_brand_rate_decayed", "as own_category_rate_decayed, for the offer's brand"},
    {"days_since_offer", "days since the customer's last visit that held a covered item; missing if none did"},
    {"days_since_category", "days since the last visit that held an item of the category; missing if none did"},
    {"offer_due", "days_since_offer / offer_mean_gap_days, at most 2; missing with fewer than two such visits"},
    {"category_due", "days_since_category / category_mean_gap_days, at most 2; missing with fewer than two such visits"},
    {"offer_mean_gap_days", "mean days between the visits that held a covered item, at least 1; missing with fewer than two"},
    {"category_mean_gap_days", "mean days between the visits that held an item of the category, at least 1; missing with fewer than two"},
    {"offer_bought_ever", "1 when a visit held a covered item, else 0"},
    {"offer_bought_last_visit", "1 when the last visit held a covered item, else 0"},
    {"offer_rate", "share of all customers' visits that held a covered item, fading with half-life 28 days"},
    {"offer_rate_fast", "the same with half-life 7 days"},
    {"offer_trend", "offer_rate_fast / offer_rate, at most 4; missing when offer_rate is 0"},
    {"category_rate", "share of all customers' visits that held an item of the category, half-life 28 days"},
    {"category_rate_fast", "the same with half-life 7 days"},
    {"brand_rate", "share of all customers' visits that held an item of the brand, half-life 28 days"},
    {"offer_items", "number of items the offer covers"},
    {"offer_price", "mean price of the covered items that were known when the offer came, major units"},
    {"offer_margin", "mean price less cost of the same items, major units"},
    {"offer_remaining_stock", "stock less redemptions; missing for offers without a stock limit"},
    {"offer_age_days", "days since the offer started; missing without a start"},
    {"offer_days_left", "days until the offer ends; missing without an end"},
    {"sent", "1 when the offer's campaign was sent to the customer, else 0"},
    {"cart_score", "how well the best covered item goes with the request's cart, by the placement's cart_table: the sum of its scores "
                   "over the cart's lines; 0 for an item in no row; missing without a cart or a published table"},
};

constexpr double kPriorVisits = 5;

double Days(TimeMicros span) { return static_cast<double>(span) / static_cast<double>(kMicrosPerDay); }
double DaysSince(TimeMicros then, TimeMicros now) { return std::max(0.0, Days(now - then)); }

Fact FindIn(absl::Span<const NamedFact> facts, absl::string_view name) {
  for (const NamedFact& fact : facts) {
    if (fact.name == name) return fact.fact;
  }
  return Fact::Missing();
}

Fact FindIn(const std::vector<NamedValue>& values, absl::string_view name) {
  for (const NamedValue& value : values) {
    if (value.name == name) return value.is_text ? Fact::Text(value.text) : Fact::Number(value.number);
  }
  return Fact::Missing();
}

Fact SharedFact(int computed, const FactSources& sources) {
  const Profile* profile = sources.profile;
  const bool has_visits = profile != nullptr && profile->num_visits() > 0;
  switch (computed) {
    case kHour: {
      const TimeMicros since_midnight = sources.now - DayOf(sources.now) * kMicrosPerDay;
      return Fact::Number(static_cast<double>(since_midnight / (3600 * kMicrosPerSecond)));
    }
    case kWeekday: return Fact::Number(WeekdayOf(DayOf(sources.now)));
    case kIsKnown: return Fact::Number(has_visits ? 1 : 0);
    case kVisits: return Fact::Number(has_visits ? profile->num_visits() : 0);
    default: break;
  }
  if (!has_visits) return Fact::Missing();
  switch (computed) {
    case kDaysSinceVisit: return Fact::Number(DaysSince(profile->last_visit(), sources.now));
    case kMeanBasketSize: return Fact::Number(static_cast<double>(profile->num_lines()) / profile->num_visits());
    case kVisitsPerWeek:
      return Fact::Number(profile->num_visits() / std::max(1.0, DaysSince(profile->first_visit(), sources.now) / 7));
    default: return Fact::Missing();
  }
}

double SmoothedRate(double count, double visits, double population_rate) {
  return (count + kPriorVisits * population_rate) / (visits + kPriorVisits);
}

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

double MeanGap(const Affinity* affinity) {
  if (affinity->visits < 2 || affinity->last <= affinity->first) return kMissing;
  return std::max(1.0, Days(affinity->last - affinity->first) / (affinity->visits - 1));
}

double Due(const Affinity* affinity, TimeMicros now) {
  const double gap = MeanGap(affinity);
  return std::isnan(gap) ? gap : std::min(2.0, DaysSince(affinity->last, now) / gap);
}

double DaysSinceLast(const Affinity* affinity, TimeMicros now) { return DaysSince(affinity->last, now); }

// Which keys a customer's affinities surely do not hold. Most candidates are nothing that the customer has had before, and a search for each
// of them would find that out by five comparisons.
class KeyFilter {
 public:
  explicit KeyFilter(absl::Span<const Affinity> affinities) : is_used_(affinities.size() <= kMaxKeys) {
    if (!is_used_) return;
    for (const Affinity& affinity : affinities) words_[At(affinity.key) / 64] |= uint64_t{1} << (At(affinity.key) % 64);
  }
  bool MayHold(uint64_t key) const { return !is_used_ || (words_[At(key) / 64] >> (At(key) % 64) & 1) != 0; }

 private:
  static constexpr size_t kMaxKeys = 1024;  // beyond, most bits would be set
  static constexpr int kBits = 12;
  static size_t At(uint64_t key) { return static_cast<size_t>((key * 0x9e3779b97f4a7c15) >> (64 - kBits)); }
  const bool is_used_;
  uint64_t words_[(size_t{1} << kBits) / 64] = {};
};

// One computed fact of all candidates: which one is asked once, not for each.
class ComputedColumn {
 public:
  ComputedColumn(const FactSources& sources, absl::Span<const FactCandidate> candidates, const FactScratch& scratch,
                 absl::Span<double> column)
      : sources_(sources), now_(sources.now), candidates_(candidates), scratch_(scratch), column_(column) {
    const Profile* profile = sources.profile;
    if (profile == nullptr || profile->num_visits() == 0) return;
    visits_ = profile->num_visits();
    decayed_visits_ = profile->DecayedVisits(now_);
  }

  void Fill(int computed) {
    if (!FillOwn(computed) && !FillRate(computed)) FillOffer(computed);
    for (const int32_t i : scratch_.unknown) column_[static_cast<size_t>(i)] = kMissing;
  }

 private:
  using Held = FactScratch::Held;

  // f(candidate) of every candidate that the catalogue knows.
  template <typename F>
  void Each(F f) {
    for (size_t i = 0; i < column_.size(); ++i) {
      if (candidates_[i].row != nullptr) column_[i] = f(candidates_[i]);
    }
  }

  // f(what was held) of the candidates of which something was, `otherwise` of the rest.
  template <typename F>
  bool EachHeld(absl::Span<const Held> held, double otherwise, F f) {
    std::fill(column_.begin(), column_.end(), otherwise);
    for (const Held& of : held) column_[static_cast<size_t>(of.candidate)] = f(of);
    return true;
  }

  bool Rates(const std::vector<double>& rates) {
    std::copy(rates.begin(), rates.end(), column_.begin());
    return true;
  }

  bool Counts(absl::Span<const Held> held) {
    return EachHeld(held, 0, [](const Held& of) { return static_cast<double>(of.affinity->visits); });
  }
  bool DecayedCounts(absl::Span<const Held> held) {
    return EachHeld(held, 0, [](const Held& of) { return of.decayed; });
  }
  bool SmoothedRates(absl::Span<const Held> held, const std::vector<double>& rates) {
    for (size_t i = 0; i < column_.size(); ++i) column_[i] = SmoothedRate(0, visits_, rates[i]);
    for (const Held& of : held) {
      const size_t i = static_cast<size_t>(of.candidate);
      column_[i] = SmoothedRate(of.affinity->visits, visits_, rates[i]);
    }
    return true;
  }
  bool SmoothedDecayedRates(absl::Span<const Held> held, const std::vector<double>& rates) {
    for (size_t i = 0; i < column_.size(); ++i) column_[i] = SmoothedRate(0, decayed_visits_, rates[i]);
    for (const Held& of : held) {
      const size_t i = static_cast<size_t>(of.candidate);
      column_[i] = SmoothedRate(of.decayed, decayed_visits_, rates[i]);
    }
    return true;
  }

  // What the customer did with it. False: `computed` is none of these, here and below.
  bool FillOwn(int computed) {
    const auto& [offers, categories, brands, summed, offer_rates, category_rates, brand_rates, unknown] = scratch_;
    switch (computed) {
      case kOwnOfferCount: return Counts(offers);
      case kOwnOfferCountDecayed: return DecayedCounts(offers);
      case kOwnOfferRate: return SmoothedRates(offers, offer_rates.slow);
      case kOwnOfferRateDecayed: return SmoothedDecayedRates(offers, offer_rates.slow);
      case kOwnCategoryCount: return Counts(categories);
      case kOwnCategoryCountDecayed: return DecayedCounts(categories);
      case kOwnCategoryRate: return SmoothedRates(categories, category_rates.slow);
      case kOwnCategoryRateDecayed: return SmoothedDecayedRates(categories, category_rates.slow);
      case kOwnBrandRate: return SmoothedRates(brands, brand_rates.slow);
      case kOwnBrandRateDecayed: return SmoothedDecayedRates(brands, brand_rates.slow);
      case kDaysSinceOffer: return EachHeld(offers, kMissing, [this](const Held& of) { return DaysSinceLast(of.affinity, now_); });
      case kDaysSinceCategory: return EachHeld(categories, kMissing, [this](const Held& of) { return DaysSinceLast(of.affinity, now_); });
      case kOfferDue: return EachHeld(offers, kMissing, [this](const Held& of) { return Due(of.affinity, now_); });
      case kCategoryDue: return EachHeld(categories, kMissing, [this](const Held& of) { return Due(of.affinity, now_); });
      case kOfferMeanGapDays: return EachHeld(offers, kMissing, [](const Held& of) { return MeanGap(of.affinity); });
      case kCategoryMeanGapDays: return EachHeld(categories, kMissing, [](const Held& of) { return MeanGap(of.affinity); });
      case kOfferBoughtEver: return EachHeld(offers, 0, [](const Held&) { return 1.0; });
      case kOfferBoughtLastVisit:
        return EachHeld(offers, 0, [this](const Held& of) { return of.affinity->last_visit == sources_.profile->num_visits() ? 1.0 : 0.0; });
      default: return false;
    }
  }

  bool FillRate(int computed) {
    const FactScratch::Rates& offer = scratch_.offer_rates;
    switch (computed) {
      case kOfferRate: return Rates(offer.slow);
      case kOfferRateFast: return Rates(offer.fast);
      case kOfferTrend:
        for (size_t i = 0; i < column_.size(); ++i) {
          column_[i] = offer.slow[i] <= 0 ? kMissing : std::min(4.0, offer.fast[i] / offer.slow[i]);
        }
        return true;
      case kCategoryRate: return Rates(scratch_.category_rates.slow);
      case kCategoryRateFast: return Rates(scratch_.category_rates.fast);
      case kBrandRate: return Rates(scratch_.brand_rates.slow);
      default: return false;
    }
  }

  void FillOffer(int computed) {
    using Candidate = FactCandidate;
    switch (computed) {
      case kOfferItems: return Each([](const Candidate& c) { return static_cast<double>(c.row->num_items); });
      case kOfferPrice: return Each([](const Candidate& c) { return c.row->mean_price; });
      case kOfferMargin: return Each([](const Candidate& c) { return c.row->mean_margin; });
      case kOfferRemainingStock: return Each([this](const Candidate& c) { return RemainingStock(c); });
      case kOfferAgeDays:
        return Each([this](const Candidate& c) {
          const TimeMicros start = c.row->starts_at;
          return start == INT64_MIN ? kMissing : DaysSince(start, now_);
        });
      case kOfferDaysLeft:
        return Each([this](const Candidate& c) {
          const TimeMicros end = c.row->ends_at;
          return end == kForever ? kMissing : std::max(0.0, Days(end - now_));
        });
      case kSent: return Each([this](const Candidate& c) { return WasSent(c) ? 1.0 : 0.0; });
      case kCartScore: return Each([this](const Candidate& c) { return CartScore(c); });
      default: std::fill(column_.begin(), column_.end(), kMissing);
    }
  }

  const Offer& OfferOf(const FactCandidate& candidate) const { return *sources_.catalogue->OfferAt(candidate.index).offer; }
  double RemainingStock(const FactCandidate& candidate) const {
    const int64_t stock = OfferOf(candidate).stock;
    return stock == 0 ? kMissing : static_cast<double>(stock - sources_.catalogue->UseOf(candidate.index).redemptions);
  }
  bool WasSent(const FactCandidate& candidate) const {
    if (sources_.profile == nullptr) return false;
    const auto& sent = sources_.profile->customer.campaigns;
    return std::find(sent.begin(), sent.end(), OfferOf(candidate).campaign) != sent.end();
  }
  double CartScore(const FactCandidate& candidate) const {
    if (sources_.cart_scores == nullptr) return kMissing;
    const auto found = sources_.cart_scores->find(candidate.index);
    return found == sources_.cart_scores->end() ? 0 : found->second;
  }

  const FactSources& sources_;
  const TimeMicros now_;
  absl::Span<const FactCandidate> candidates_;
  const FactScratch& scratch_;
  absl::Span<double> column_;
  double visits_ = 0, decayed_visits_ = 0;
};

}  // namespace

absl::Span<const FactPlan::Description> FactPlan::Computed() { return kDescriptions; }

absl::StatusOr<FactPlan> FactPlan::Make(absl::Span<const FactName> names) {
  FactPlan plan;
  for (const FactName& name : names) {
    Reader reader{name.scope, -1, name.name, name.scope == FactScope::kContext || name.scope == FactScope::kCustomer};
    if (name.scope == FactScope::kComputed) {
      for (int i = 0; i < kNumComputed; ++i) {
        if (kDescriptions[i].name == name.name) reader.computed = i;
      }
      if (reader.computed < 0) {
        std::string known;
        for (const Description& description : kDescriptions) absl::StrAppend(&known, known.empty() ? "" : ", ", description.name);
        return absl::InvalidArgumentError(
            absl::StrCat("fact computed.", name.name, ": expected one of ", known, "; found '", name.name, "'"));
      }
      reader.shared = reader.computed < kFirstOfCandidate;
      const int c = reader.computed;
      const bool of_offer = c <= kOwnOfferRateDecayed || c == kDaysSinceOffer || c == kOfferDue || c == kOfferMeanGapDays ||
                            c == kOfferBoughtEver || c == kOfferBoughtLastVisit;
      const bool of_name = (c >= kOwnCategoryCount && c <= kOwnBrandRateDecayed) || c == kDaysSinceCategory ||
                           c == kCategoryDue || c == kCategoryMeanGapDays;
      if (!reader.shared && of_offer) plan.reads_offer_affinity_ = true;
      if (of_name) plan.reads_name_affinity_ = true;
      if (c == kOwnOfferCountDecayed || c == kOwnOfferRateDecayed || c == kOwnCategoryCountDecayed || c == kOwnCategoryRateDecayed ||
          c == kOwnBrandRateDecayed) {
        plan.reads_decayed_ = true;
      }
      if (!reader.shared && (c <= kOwnBrandRateDecayed || (c >= kOfferRate && c <= kBrandRate))) plan.reads_rates_ = true;
    }
    plan.readers_.push_back(std::move(reader));
  }
  return plan;
}

void FactPlan::FindHeld(const FactSources& sources, absl::Span<const FactCandidate> candidates, FactScratch& scratch) const {
  scratch.offers.clear();
  scratch.categories.clear();
  scratch.brands.clear();
  scratch.summed.clear();
  scratch.unknown.clear();
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].row == nullptr) scratch.unknown.push_back(static_cast<int32_t>(i));
  }
  if (sources.profile == nullptr || !(reads_offer_affinity_ || reads_name_affinity_)) return;
  const Profile& profile = *sources.profile;
  const KeyFilter filter(profile.affinities());
  scratch.summed.reserve(candidates.size());  // it must not move
  const auto add = [&](std::vector<FactScratch::Held>& held, size_t i, const Affinity* affinity) {
    if (affinity == nullptr) return;
    held.push_back({static_cast<int32_t>(i), affinity, reads_decayed_ ? affinity->DecayedAt(sources.now) : 0});
  };
  const auto find = [&](std::vector<FactScratch::Held>& held, size_t i, Affinity::Kind kind, uint32_t index) {
    if (filter.MayHold(AffinityKey(kind, index))) add(held, i, profile.Find(kind, index));
  };
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].row == nullptr) continue;
    const OfferRow& offer = *candidates[i].row;
    if (reads_offer_affinity_ && profile.IsOlderThan(offer)) {
      Affinity& summed = scratch.summed.emplace_back();
      add(scratch.offers, i, profile.OfferAffinity(candidates[i].index, *sources.catalogue, summed));
    } else if (reads_offer_affinity_) {
      find(scratch.offers, i, Affinity::Kind::kOffer, static_cast<uint32_t>(candidates[i].index));
    }
    if (!reads_name_affinity_) continue;
    if (offer.category != kNoName) find(scratch.categories, i, Affinity::Kind::kCategory, static_cast<uint32_t>(offer.category));
    if (offer.brand != kNoName) find(scratch.brands, i, Affinity::Kind::kBrand, static_cast<uint32_t>(offer.brand));
  }
}

void FactPlan::FindRates(const FactSources& sources, absl::Span<const FactCandidate> candidates, FactScratch& scratch) const {
  if (!reads_rates_) return;
  const size_t n = candidates.size();
  const Population::AsOf rates(*sources.population, sources.now);
  FactScratch::Rates* const all[] = {&scratch.offer_rates, &scratch.category_rates, &scratch.brand_rates};
  for (FactScratch::Rates* column : all) {
    column->slow.resize(n);
    column->fast.resize(n);
  }
  const auto set = [](FactScratch::Rates& column, size_t i, const Population::Rates& visits) {
    column.slow[i] = visits.slow;
    column.fast[i] = visits.fast;
  };
  for (size_t i = 0; i < n; ++i) {
    const OfferRow* offer = candidates[i].row;
    set(scratch.offer_rates, i, offer == nullptr ? Population::Rates{} : rates.OfferVisits(candidates[i].index));
    set(scratch.category_rates, i, offer == nullptr ? Population::Rates{} : rates.NameVisits(offer->category));
    set(scratch.brand_rates, i, offer == nullptr ? Population::Rates{} : rates.NameVisits(offer->brand));
  }
  const double all_slow = rates.all_slow(), all_fast = rates.all_fast();
  for (FactScratch::Rates* column : all) {
    for (double& slow : column->slow) slow = Population::AsOf::Share(slow, all_slow);
    for (double& fast : column->fast) fast = Population::AsOf::Share(fast, all_fast);
  }
}

void FactPlan::Fill(const FactSources& sources, absl::Span<const FactCandidate> candidates, FactScratch& scratch, FactColumns& facts) const {
  const int n = static_cast<int>(candidates.size());
  facts.Reset(static_cast<int>(readers_.size()), n);
  FindHeld(sources, candidates, scratch);
  FindRates(sources, candidates, scratch);
  for (size_t at = 0; at < readers_.size(); ++at) {
    const Reader& reader = readers_[at];
    const int fact = static_cast<int>(at);
    if (reader.scope == FactScope::kContext) {
      facts.SetShared(fact, FindIn(sources.context, reader.name));
    } else if (reader.scope == FactScope::kCustomer) {
      if (sources.profile != nullptr) facts.SetShared(fact, FindIn(sources.profile->customer.attributes, reader.name));
    } else if (reader.shared) {
      facts.SetShared(fact, SharedFact(reader.computed, sources));
    } else if (reader.scope == FactScope::kComputed) {
      ComputedColumn(sources, candidates, scratch, facts.MutableNumbers(fact)).Fill(reader.computed);
    } else {
      facts.MutableNumbers(fact);
      for (int i = 0; i < n; ++i) {
        const FactCandidate& candidate = candidates[static_cast<size_t>(i)];
        Fact value = Fact::Missing();
        if (reader.scope == FactScope::kCandidate) {
          value = FindIn(candidate.facts, reader.name);
        } else if (candidate.row != nullptr) {
          value = FindIn(sources.catalogue->OfferAt(candidate.index).offer->attributes, reader.name);
        }
        facts.Set(fact, i, value);
      }
    }
  }
}

}  // namespace offerd
