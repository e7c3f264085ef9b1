#include "core/features/facts.h"

#include <algorithm>
#include <cmath>

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

Fact MeanGap(const Affinity* affinity) {
  if (affinity == nullptr || affinity->visits < 2 || affinity->last <= affinity->first) return Fact::Missing();
  return Fact::Number(std::max(1.0, Days(affinity->last - affinity->first) / (affinity->visits - 1)));
}

Fact Due(const Affinity* affinity, TimeMicros now) {
  const Fact gap = MeanGap(affinity);
  if (gap.kind == Fact::Kind::kMissing) return gap;
  return Fact::Number(std::min(2.0, DaysSince(affinity->last, now) / gap.number));
}

// What the computed facts of one candidate share.
struct CandidateView {
  const Affinity* offer = nullptr;
  const Affinity* category = nullptr;
  const Affinity* brand = nullptr;
  Population::Rates offer_rates, category_rates, brand_rates;
  double visits = 0;
  double decayed_visits = 0;
};

Fact Count(const Affinity* affinity) { return Fact::Number(affinity == nullptr ? 0 : affinity->visits); }
double DecayedCount(const Affinity* affinity, TimeMicros now) { return affinity == nullptr ? 0 : affinity->DecayedAt(now); }

Fact OwnRate(const Affinity* affinity, const CandidateView& view, double rate) {
  return Fact::Number(SmoothedRate(affinity == nullptr ? 0 : affinity->visits, view.visits, rate));
}
Fact OwnRateDecayed(const Affinity* affinity, const CandidateView& view, double rate, TimeMicros now) {
  return Fact::Number(SmoothedRate(DecayedCount(affinity, now), view.decayed_visits, rate));
}

Fact CandidateFact(int computed, const FactSources& sources, OfferIndex index, const CatalogueOffer& offer,
                   const CandidateView& view) {
  const TimeMicros now = sources.now;
  switch (computed) {
    case kOwnOfferCount: return Count(view.offer);
    case kOwnOfferCountDecayed: return Fact::Number(DecayedCount(view.offer, now));
    case kOwnOfferRate: return OwnRate(view.offer, view, view.offer_rates.slow);
    case kOwnOfferRateDecayed: return OwnRateDecayed(view.offer, view, view.offer_rates.slow, now);
    case kOwnCategoryCount: return Count(view.category);
    case kOwnCategoryCountDecayed: return Fact::Number(DecayedCount(view.category, now));
    case kOwnCategoryRate: return OwnRate(view.category, view, view.category_rates.slow);
    case kOwnCategoryRateDecayed: return OwnRateDecayed(view.category, view, view.category_rates.slow, now);
    case kOwnBrandRate: return OwnRate(view.brand, view, view.brand_rates.slow);
    case kOwnBrandRateDecayed: return OwnRateDecayed(view.brand, view, view.brand_rates.slow, now);
    case kDaysSinceOffer: return view.offer == nullptr ? Fact::Missing() : Fact::Number(DaysSince(view.offer->last, now));
    case kDaysSinceCategory:
      return view.category == nullptr ? Fact::Missing() : Fact::Number(DaysSince(view.category->last, now));
    case kOfferDue: return Due(view.offer, now);
    case kCategoryDue: return Due(view.category, now);
    case kOfferMeanGapDays: return MeanGap(view.offer);
    case kCategoryMeanGapDays: return MeanGap(view.category);
    case kOfferBoughtEver: return Fact::Number(view.offer == nullptr ? 0 : 1);
    case kOfferBoughtLastVisit:
      return Fact::Number(view.offer != nullptr && view.offer->last_visit == sources.profile->num_visits() ? 1 : 0);
    case kOfferRate: return Fact::Number(view.offer_rates.slow);
    case kOfferRateFast: return Fact::Number(view.offer_rates.fast);
    case kOfferTrend:
      if (view.offer_rates.slow <= 0) return Fact::Missing();
      return Fact::Number(std::min(4.0, view.offer_rates.fast / view.offer_rates.slow));
    case kCategoryRate: return Fact::Number(view.category_rates.slow);
    case kCategoryRateFast: return Fact::Number(view.category_rates.fast);
    case kBrandRate: return Fact::Number(view.brand_rates.slow);
    case kOfferItems: return Fact::Number(static_cast<double>(offer.items.size()));
    case kOfferPrice: return Fact::Number(offer.mean_price);
    case kOfferMargin: return Fact::Number(offer.mean_margin);
    case kOfferRemainingStock:
      if (offer.offer->stock == 0) return Fact::Missing();
      return Fact::Number(static_cast<double>(offer.offer->stock - sources.catalogue->UseOf(index).redemptions));
    case kOfferAgeDays:
      return offer.offer->starts_at == INT64_MIN ? Fact::Missing() : Fact::Number(DaysSince(offer.offer->starts_at, now));
    case kOfferDaysLeft:
      return offer.offer->ends_at == kForever ? Fact::Missing() : Fact::Number(std::max(0.0, Days(offer.offer->ends_at - now)));
    case kSent: {
      if (sources.profile == nullptr) return Fact::Number(0);
      const auto& sent = sources.profile->customer.campaigns;
      return Fact::Number(std::find(sent.begin(), sent.end(), offer.offer->campaign) != sent.end() ? 1 : 0);
    }
    case kCartScore: {
      if (sources.cart_scores == nullptr) return Fact::Missing();
      const auto found = sources.cart_scores->find(index);
      return Fact::Number(found == sources.cart_scores->end() ? 0 : found->second);
    }
    default: return Fact::Missing();
  }
}

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
      if (!reader.shared && (c <= kOwnBrandRateDecayed || (c >= kOfferRate && c <= kBrandRate))) plan.reads_rates_ = true;
    }
    plan.readers_.push_back(std::move(reader));
  }
  return plan;
}

void FactPlan::FillShared(const FactSources& sources, absl::Span<Fact> facts) const {
  for (size_t i = 0; i < readers_.size(); ++i) {
    const Reader& reader = readers_[i];
    facts[i] = Fact::Missing();
    if (reader.scope == FactScope::kContext) {
      facts[i] = FindIn(sources.context, reader.name);
    } else if (reader.scope == FactScope::kCustomer) {
      if (sources.profile != nullptr) facts[i] = FindIn(sources.profile->customer.attributes, reader.name);
    } else if (reader.shared) {
      facts[i] = SharedFact(reader.computed, sources);
    }
  }
}

void FactPlan::FillCandidate(const FactSources& sources, OfferIndex index, const CatalogueOffer* offer,
                             absl::Span<const NamedFact> inline_facts, absl::Span<Fact> facts) const {
  CandidateView view;
  Affinity scratch;
  if (offer != nullptr) {
    if (sources.profile != nullptr) {
      const Profile& profile = *sources.profile;
      view.visits = profile.num_visits();
      view.decayed_visits = profile.num_visits() == 0 ? 0 : profile.DecayedVisits(sources.now);
      if (reads_offer_affinity_) view.offer = profile.OfferAffinity(index, *offer, scratch);
      if (reads_name_affinity_ && offer->category != kNoName) {
        view.category = profile.Find(Affinity::Kind::kCategory, static_cast<uint32_t>(offer->category));
      }
      if (reads_name_affinity_ && offer->brand != kNoName) {
        view.brand = profile.Find(Affinity::Kind::kBrand, static_cast<uint32_t>(offer->brand));
      }
    }
    if (reads_rates_) {
      const Population::AsOf rates(*sources.population, sources.now);
      view.offer_rates = rates.Offer(index);
      view.category_rates = rates.Name(offer->category);
      view.brand_rates = rates.Name(offer->brand);
    }
  }
  for (size_t i = 0; i < readers_.size(); ++i) {
    const Reader& reader = readers_[i];
    if (reader.shared) continue;
    if (reader.scope == FactScope::kCandidate) {
      facts[i] = FindIn(inline_facts, reader.name);
    } else if (offer == nullptr) {
      facts[i] = Fact::Missing();
    } else if (reader.scope == FactScope::kOffer) {
      facts[i] = FindIn(offer->offer->attributes, reader.name);
    } else {
      facts[i] = CandidateFact(reader.computed, sources, index, *offer, view);
    }
  }
}

}  // namespace offerd
