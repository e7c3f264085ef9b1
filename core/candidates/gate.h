#pragma once
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/candidates/catalogue.h"
#include "core/features/profile.h"
#include "core/types.h"

namespace offerd {

// Why an offer may not be shown. Names are those of RankOffersResponse.Excluded.reason.
enum class Exclusion : uint8_t { kNone, kNotStarted, kEnded, kMarket, kStock, kEligibility, kConsent, kBudget, kCustomer, kFrequency };
inline constexpr int kNumExclusions = 10;
absl::string_view ExclusionName(Exclusion exclusion);

// Who asks, as far as the gate cares.
struct GateContext {
  TimeMicros now = 0;
  absl::string_view market;
  const Profile* profile = nullptr;  // null: unknown, or consent denied
  bool has_consent = false;          // to personal offers
  const Catalogue* catalogue = nullptr;
  absl::Span<const FrequencyCap> frequency_caps;  // of the placement

  // Nothing of the asker, the placement or the catalogue forbids an offer that is OfferRow::is_plain.
  bool IsPlain() const;
};

// The one gate: every list passes it when candidates are gathered, and again, slot by slot, before it leaves. It reads only
// the state the request pinned. Dates are half open, [starts_at, ends_at).
Exclusion CheckGate(const GateContext& context, OfferIndex index);
// The same for offers in a row: `is_plain` is context.IsPlain(), asked once.
Exclusion CheckGate(const GateContext& context, OfferIndex index, bool is_plain);

}  // namespace offerd
