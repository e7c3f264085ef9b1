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
  }
  return "none";
}

Exclusion CheckGate(const GateContext& context, OfferIndex index, const CatalogueOffer& entry) {
  const Offer& offer = *entry.offer;
  if (context.now < offer.starts_at) return Exclusion::kNotStarted;
  if (context.now >= offer.ends_at) return Exclusion::kEnded;
  if (!offer.markets.empty() && !Contains(offer.markets, context.market)) return Exclusion::kMarket;
  const OfferUse& use = context.catalogue->UseOf(index);
  if (offer.stock > 0 && use.redemptions >= offer.stock) return Exclusion::kStock;
  if (!context.catalogue->IsAvailable(entry, context.market)) return Exclusion::kStock;
  if (offer.budget_micros > 0 && use.spent_micros >= offer.budget_micros) return Exclusion::kBudget;
  if (offer.requires_consent && !context.has_consent) return Exclusion::kConsent;
  if (!IsEligible(context, offer)) return Exclusion::kEligibility;
  return Exclusion::kNone;
}

}  // namespace offerd
