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

// What the computed facts of one candidate share: looked up once, read by many.
struct CandidateView {
  const Affinity* offer = nullptr;  // null: never held
  const Affinity* category = nullptr;
  const Affinity* brand = nullptr;
  Affinity summed;  // what `offer` points to, where it had to be summed
  Population::Rates offer_rates, category_rates, brand_rates;
};

// The facts that a feature list reads, found once when the policy is set: which come with the request, which from the
// customer or the catalogue, and which the server computes. docs/features.md lists the computed ones.
//
// Threads  Immutable once made.
// Errors   Make: InvalidArgument names an unknown computed fact and lists the known ones.
class FactPlan {
 public:
  static absl::StatusOr<FactPlan> Make(absl::Span<const FactName> names);

  // All facts of all candidates, in the order of the names. `views` is scratch, reused. A candidate's facts do not depend on the
  // others'.
  void Fill(const FactSources& sources, absl::Span<const FactCandidate> candidates, std::vector<CandidateView>& views,
            FactColumns& facts) const;

  // Names of the computed facts, with what each says: the source of docs/features.md.
  struct Description {
    absl::string_view name;
    absl::string_view text;
  };
  static absl::Span<const Description> Computed();

 private:
  void FillViews(const FactSources& sources, absl::Span<const FactCandidate> candidates, std::vector<CandidateView>& views) const;

  struct Reader {
    FactScope scope;
    int computed = -1;  // number in Computed()
    std::string name;
    bool shared = false;
  };
  std::vector<Reader> readers_;
  bool reads_offer_affinity_ = false;
  bool reads_name_affinity_ = false;
  bool reads_rates_ = false;
};

}  // namespace offerd
