#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/candidates/catalogue.h"
#include "core/features/fact_columns.h"
#include "core/features/feature_list.h"
#include "core/features/population.h"
#include "core/features/profile.h"
#include "core/types.h"

namespace offerd {

// A fact given inline; belongs to the caller.
struct NamedFact {
  absl::string_view name;
  Fact fact;
};

// Everything the facts about one candidate are taken from.
struct FactSources {
  TimeMicros now = 0;
  absl::Span<const NamedFact> context;
  const Profile* profile = nullptr;  // null: unknown, or consent denied
  const Catalogue* catalogue = nullptr;
  const Population* population = nullptr;
  const absl::flat_hash_map<OfferIndex, double>* cart_scores = nullptr;  // null: no cart, or no table for it
};

// A candidate as facts see it.
struct FactCandidate {
  OfferIndex index = kNoOffer;
  const OfferRow* row = nullptr;      // null: the catalogue does not know it
  absl::Span<const NamedFact> facts;      // given inline
};

// What the computed facts of n candidates share: looked up once, read by many. Memory of FactPlan::Fill, reused; one per thread.
struct FactScratch {
  // A candidate of which the customer's visits held something. Most of them held nothing, and need no look.
  struct Held {
    int32_t candidate = 0;
    const Affinity* affinity = nullptr;
    double decayed = 0;  // DecayedAt of the decision, where a fact reads it
  };
  // Population rates by candidate (n); 0 for those that the catalogue does not know.
  struct Rates {
    std::vector<double> slow, fast;
  };
  std::vector<Held> offers, categories, brands;  // ascending by candidate
  std::vector<Affinity> summed;                  // what `offers` point to, where it had to be summed
  Rates offer_rates, category_rates, brand_rates;
  std::vector<int32_t> unknown;  // candidates that the catalogue does not know
};

// The facts that a feature list reads, found once when the policy is set: which come with the request, which from the
// customer or the catalogue, and which the server computes. docs/features.md lists the computed ones.
//
// Threads  Immutable once made.
// Errors   Make: InvalidArgument names an unknown computed fact and lists the known ones.
class FactPlan {
 public:
  static absl::StatusOr<FactPlan> Make(absl::Span<const FactName> names);

  // All facts of all candidates, in the order of the names. A candidate's facts do not depend on the others'.
  void Fill(const FactSources& sources, absl::Span<const FactCandidate> candidates, FactScratch& scratch, FactColumns& facts) const;

  // Names of the computed facts, with what each says: the source of docs/features.md.
  struct Description {
    absl::string_view name;
    absl::string_view text;
  };
  static absl::Span<const Description> Computed();

 private:
  void FindHeld(const FactSources& sources, absl::Span<const FactCandidate> candidates, FactScratch& scratch) const;
  void FindRates(const FactSources& sources, absl::Span<const FactCandidate> candidates, FactScratch& scratch) const;

  struct Reader {
    FactScope scope;
    int computed = -1;  // number in Computed()
    std::string name;
    bool shared = false;
  };
  std::vector<Reader> readers_;
  bool reads_offer_affinity_ = false;
  bool reads_name_affinity_ = false;
  bool reads_decayed_ = false;
  bool reads_rates_ = false;
};

}  // namespace offerd
