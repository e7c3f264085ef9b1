#include "core/candidates/gate.h"

#include <algorithm>
#include <string>
#include <vector>

namespace offerd {
namespace {

bool Contains(const std::vector<std::string>& list, absl::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool SharesEntry(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::any_of(a.begin(), a.end(), [&b](const std::string& value) { return Contains(b, value); });
}

bool IsEligible(const GateContext& context, const Offer& offer) {
  if (offer.audiences.empty() && !offer.only_sent) return true;
  if (context.profile == nullptr) return false;
  const Customer& customer = context.profile->customer;
  if (!offer.audiences.empty() && !SharesEntry(offer.audiences, customer.audiences)) return false;
  return !offer.only_sent || Contains(customer.campaigns, offer.campaign);
}

// The customer, or the shop for them, wants none of it.
bool IsUnwanted(const Customer& customer, const Offer& offer) {
  return Contains(customer.excluded_offers, offer.id.value()) || (!offer.category.empty() && Contains(customer.excluded_categories, offer.category));
}

bool IsShownOut(const GateContext& context, OfferIndex index) {
  for (const FrequencyCap& cap : context.frequency_caps) {
    TimeMicros since = INT64_MIN;
    if (cap.period == FrequencyCap::Period::kDay) since = context.now - kMicrosPerDay;
    if (cap.period == FrequencyCap::Period::kWeek) since = context.now - 7 * kMicrosPerDay;
    if (context.profile->CountShown(index, since) >= cap.count) return true;
  }
  return false;
}

Exclusion CheckBeyondDates(const GateContext& context, OfferIndex index, const CatalogueOffer& entry) {
  const Offer& offer = *entry.offer;
  if (!offer.markets.empty() && !Contains(offer.markets, context.market)) return Exclusion::kMarket;
  const OfferUse& use = context.catalogue->UseOf(index);
  if (offer.stock > 0 && use.redemptions >= offer.stock) return Exclusion::kStock;
  if (!context.catalogue->IsAvailable(entry, context.market)) return Exclusion::kStock;
  if (offer.budget_micros > 0 && use.spent_micros >= offer.budget_micros) return Exclusion::kBudget;
  if (offer.requires_consent && !context.has_consent) return Exclusion::kConsent;
  if (!IsEligible(context, offer)) return Exclusion::kEligibility;
  if (context.profile != nullptr && IsUnwanted(context.profile->customer, offer)) return Exclusion::kCustomer;
  if (context.profile != nullptr && IsShownOut(context, index)) return Exclusion::kFrequency;
  return Exclusion::kNone;
}

}  // namespace

absl::string_view ExclusionName(Exclusion exclusion) {
  switch (exclusion) {
    case Exclusion::kNone: return "none";
    case Exclusion::kNotStarted: return "not_started";
    case Exclusion::kEnded: return "ended";
    case Exclusion::kMarket: return "market";
    case Exclusion::kStock: return "stock";
    case Exclusion::kEligibility: return "eligibility";
    case Exclusion::kConsent: return "consent";
    case Exclusion::kBudget: return "budget";
    case Exclusion::kCustomer: return "customer";
    case Exclusion::kFrequency: return "frequency";
  }
  return "none";
}

bool GateContext::IsPlain() const {
  if (catalogue->has_restricted_items()) return false;
  if (profile == nullptr) return true;
  const Customer& customer = profile->customer;
  return customer.excluded_offers.empty() && customer.excluded_categories.empty() && frequency_caps.empty();
}

Exclusion CheckGate(const GateContext& context, OfferIndex index) { return CheckGate(context, index, context.IsPlain()); }

Exclusion CheckGate(const GateContext& context, OfferIndex index, bool is_plain) {
  const OfferRow& row = context.catalogue->RowOf(index);
  if (context.now < row.starts_at) return Exclusion::kNotStarted;
  if (context.now >= row.ends_at) return Exclusion::kEnded;
  if (is_plain && row.is_plain) return Exclusion::kNone;
  return CheckBeyondDates(context, index, context.catalogue->OfferAt(index));
}

}  // namespace offerd
