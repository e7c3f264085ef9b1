#pragma once
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/candidates/catalogue.h"
#include "core/records.h"
#include "core/types.h"

namespace offerd {

inline constexpr double kAffinityHalfLifeDays = 56;

// 2^(-days between / half-life); 1 when `later` is not later.
double Decay(TimeMicros earlier, TimeMicros later, double half_life_days);

// What visits of one customer held of one thing.
struct Affinity {
  enum class Kind : uint32_t { kCategory = 1, kBrand = 2, kOffer = 3 };
  uint64_t key = 0;         // kind in the upper half, number in the lower
  uint32_t visits = 0;      // that held it
  uint32_t last_visit = 0;  // number of the last such visit, from 1
  double decayed = 0;       // the same with half-life 56 days, as of `last`
  TimeMicros first = 0;
  TimeMicros last = 0;

  double DecayedAt(TimeMicros now) const { return decayed * Decay(last, now, kAffinityHalfLifeDays); }
};

constexpr uint64_t AffinityKey(Affinity::Kind kind, uint32_t index) {
  return (static_cast<uint64_t>(kind) << 32) | index;
}

// What is known of one customer. A visit is an order: everything with one order id.
//
// The recent visits are kept whole, within a stated number of bytes; the oldest leave first. Categories, brands and offers
// have running sums besides, which forget nothing. An offer created or changed after the customer's last visit is summed from
// the kept visits when asked for: the same arithmetic in the same order, so the same bits.
//
// Threads  A value; changed by the learner only.
// Cost     AddVisit O(lines x offers that cover them + affinities), and where more offers changed since the last visit than that O(kept
//          items x offers that cover them); Find O(log affinities).
class Profile {
 public:
  struct Visit {
    TimeMicros time = 0;
    uint64_t order = 0;       // hash of the order id, 0 = none
    uint32_t num_items = 0;
  };

  // Something looked at, searched for, wished for or put in a cart.
  struct Interest {
    TimeMicros time = 0;
    ItemIndex item{};
    EventKind kind = EventKind::kUnspecified;
  };
  // An offer that was shown, where a placement caps how often.
  struct Exposure {
    TimeMicros time = 0;
    OfferIndex offer{};
  };
  static constexpr size_t kMaxExposures = 256;  // kept, the newest: 4,096 bytes besides

  static constexpr size_t kMaxInterests = 64;  // kept, the newest: 1,024 bytes besides those of the visits

  Customer customer;        // id, attributes, what was sent; empty id for somebody seen only in events
  bool registered = false;  // upserted, not only seen

  // Folds lines of an order in. Lines of the order of the last visit join it. `items` may repeat. Returns true when this began
  // a visit. `touched` gets the items that were not yet in the visit, ascending.
  bool AddVisit(TimeMicros time, uint64_t order, absl::Span<const ItemIndex> items, const Catalogue& catalogue,
                Sequence sequence, int64_t max_bytes, std::vector<ItemIndex>& touched);

  // Takes over what another customer did, who turned out to be the same: visits by time, sums and counts added up, interests. What
  // is declared of this customer stays; campaigns and audiences of the other are added.
  void Absorb(Profile other, const Catalogue& catalogue, int64_t max_bytes);

  void AddInterest(TimeMicros time, EventKind kind, ItemIndex item);

  void AddExposure(TimeMicros time, OfferIndex offer);
  int CountShown(OfferIndex offer, TimeMicros after) const;  // of those kept, later than `after`

  // nullptr when never held. For offers see OfferAffinity.
  const Affinity* Find(Affinity::Kind kind, uint32_t index) const;

  // As Find, but right also for an offer younger than the last visit; `scratch` holds the sum then.
  const Affinity* OfferAffinity(OfferIndex index, const Catalogue& catalogue, Affinity& scratch) const;
  // Of such an offer.
  bool IsOlderThan(const OfferRow& offer) const { return offer.coverage_sequence > folded_sequence_; }

  uint32_t num_visits() const { return num_visits_; }
  TimeMicros first_visit() const { return first_visit_; }
  TimeMicros last_visit() const { return last_visit_; }
  int64_t num_lines() const { return num_lines_; }  // distinct items of each visit, summed
  double DecayedVisits(TimeMicros now) const { return decayed_visits_ * Decay(last_visit_, now, kAffinityHalfLifeDays); }

  absl::Span<const Visit> visits() const { return visits_; }       // kept whole, oldest first
  absl::Span<const ItemIndex> items() const { return items_; }     // of the kept visits, one after the other, ascending in each
  absl::Span<const Affinity> affinities() const { return affinities_; }  // ascending by key
  absl::Span<const Interest> interests() const { return interests_; }    // in log order
  absl::Span<const Exposure> exposures() const { return exposures_; }    // in log order
  Sequence folded_sequence() const { return folded_sequence_; }
  int64_t history_bytes() const {
    return static_cast<int64_t>(visits_.size() * sizeof(Visit) + items_.size() * sizeof(ItemIndex));
  }

  // All of it, for storage.
  struct Parts {
    Sequence folded_sequence = 0;
    uint32_t num_visits = 0;
    TimeMicros first_visit = 0;
    TimeMicros last_visit = 0;
    int64_t num_lines = 0;
    double decayed_visits = 0;
    std::vector<Visit> visits;
    std::vector<ItemIndex> items;
    std::vector<Affinity> affinities;
    std::vector<Interest> interests;
    std::vector<Exposure> exposures;
  };
  Parts ToParts() const;
  void SetParts(Parts parts);

 private:
  void Count(uint64_t key, TimeMicros time);
  // Sums over the kept visits, as Count would have, one by one. False when no visit held it.
  bool SumOfHistory(absl::Span<const ItemIndex> covered, Affinity& sum) const;
  void AbsorbVisits(const Profile& other);
  void AbsorbAffinities(const Profile& other, bool other_is_later);
  void CatchUpWithCatalogue(const Catalogue& catalogue);
  void FindChangedOffers(const Catalogue& catalogue, std::vector<OfferIndex>& changed) const;
  void Trim(int64_t max_bytes);

  std::vector<Visit> visits_;
  std::vector<ItemIndex> items_;
  std::vector<Affinity> affinities_;
  std::vector<Interest> interests_;
  std::vector<Exposure> exposures_;
  Sequence folded_sequence_ = 0;  // log record of the last visit
  uint32_t num_visits_ = 0;
  TimeMicros first_visit_ = 0;
  TimeMicros last_visit_ = 0;
  int64_t num_lines_ = 0;
  double decayed_visits_ = 0;  // as of last_visit_
};

}  // namespace offerd
