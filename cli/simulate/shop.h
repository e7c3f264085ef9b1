#pragma once
#include <cstdint>
#include <vector>

#include "cli/learn/stream.h"
#include "core/rng.h"

namespace offerd::simulate {

// A made-up shop with rates like the Complete Journey stream: by default 1.7 % per candidate, 50 candidates, 4 money units a hit.
struct ShopOptions {
  uint64_t seed = 1;
  int customers = 2'000;
  int markets = 3;
  int categories = 40;
  int offers = 200;             // live at once
  int candidates = 50;          // of a visit
  double offer_days = 28;       // an offer's life; then another takes its place
  int64_t visits_a_day = 2'000;
  double hit_value = 4;         // money units, where rewards are money
  double season = 0.2;          // weekends: so much more of everything
  double drift = 0.2;           // how far tastes turn in a year, as a share of themselves
  double examination = 0.7;     // of each slot, as a share of the one before it: the first is always looked at
  double refund_share = 0.02;   // of hits that are taken back later
};

// One visit and the truth about it.
struct Visit {
  learn::StreamDecision decision;      // rewards drawn: 0 or 1
  std::vector<double> probability;     // of a hit, per candidate, were it in the first slot; refunds left out
};

// Hits are independent with probability
//   season x (.0012 + affinity (.2 + .06 habit + .05 thrift x discount + .04 weekend) + .012 popularity + .006 thrift x discount + .004 fresh x curious)
// of the customer's affinity to the offer's category (a few categories of 40 are liked, most not at all), habit, thrift and curiosity
// (standard normal, halved, within +-1), and the offer's popularity, discount and freshness (uniform or of its age); the weights of the first two
// products turn slowly. What a policy sees are these quantities, except the weights; context: habit, thrift, curious, weekend,
// market. The rate is about 1.7 % per candidate.
//
// Threads  Not safe. The same seed gives the same visits.
class Shop {
 public:
  explicit Shop(const ShopOptions& options);

  void Next(Visit* visit);

  const ShopOptions& options() const { return options_; }

 private:
  struct Customer {
    double habit = 0, thrift = 0, curious = 0;
    int market = 0;
    std::vector<float> affinity;  // by category, [0, 1]
  };
  struct Offer {
    int64_t number = 0;
    int category = 0;
    double popularity = 0, discount = 0, price = 0;
    double born_days = 0;
  };

  Offer MakeOffer(double now_days);
  double Probability(const Customer& customer, const Offer& offer, double now_days, bool weekend) const;

  const ShopOptions options_;
  Rng rng_;
  std::vector<Customer> customers_;
  std::vector<Offer> offers_;
  std::vector<int> order_;
  int64_t number_ = 0;
  int64_t next_offer_ = 0;
};

}  // namespace offerd::simulate
