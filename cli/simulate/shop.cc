#include "cli/simulate/shop.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace offerd::simulate {
namespace {

constexpr TimeMicros kStart = 18'000 * kMicrosPerDay;  // a Monday would do as well

double HalfNormal(Rng& rng) { return std::clamp(0.5 * rng.NextNormal(), -1.0, 1.0); }

}  // namespace

Shop::Shop(const ShopOptions& options) : options_(options), rng_(options.seed) {
  for (int i = 0; i < options_.customers; ++i) {
    Customer customer;
    customer.habit = HalfNormal(rng_);
    customer.thrift = HalfNormal(rng_);
    customer.curious = HalfNormal(rng_);
    customer.market = static_cast<int>(rng_.NextBits() % static_cast<uint64_t>(options_.markets));
    customer.affinity.resize(static_cast<size_t>(options_.categories));
    for (float& affinity : customer.affinity) {
      const double u = rng_.NextUniform();
      affinity = u < 0.85 ? 0.0f : static_cast<float>(std::pow(rng_.NextUniform(), 2));
    }
    customers_.push_back(std::move(customer));
  }
  for (int i = 0; i < options_.offers; ++i) offers_.push_back(MakeOffer(-options_.offer_days * rng_.NextUniform()));
}

Shop::Offer Shop::MakeOffer(double now_days) {
  Offer offer;
  offer.number = next_offer_++;
  offer.category = static_cast<int>(rng_.NextBits() % static_cast<uint64_t>(options_.categories));
  offer.popularity = std::pow(rng_.NextUniform(), 2);
  offer.discount = rng_.NextUniform();
  offer.price = rng_.NextUniform();
  offer.born_days = now_days;
  return offer;
}

double Shop::Probability(const Customer& customer, const Offer& offer, double now_days, bool weekend) const {
  const double turn = options_.drift * std::sin(2 * 3.14159265358979 * now_days / 365);
  const double affinity = customer.affinity[static_cast<size_t>(offer.category)];
  const double fresh = std::max(0.0, 1 - (now_days - offer.born_days) / options_.offer_days);
  const double taste = 0.2 * (1 + turn) + 0.06 * (1 - turn) * customer.habit + 0.05 * customer.thrift * offer.discount + (weekend ? 0.04 : 0);
  const double base = 0.0012 + affinity * taste + 0.012 * offer.popularity + 0.006 * customer.thrift * offer.discount + 0.004 * fresh * customer.curious;
  return std::clamp(base * (weekend ? 1 + options_.season : 1), 0.0001, 0.95);
}

void Shop::Next(Visit* visit) {
  const double now_days = static_cast<double>(number_) / static_cast<double>(options_.visits_a_day);
  const bool weekend = static_cast<int64_t>(now_days) % 7 >= 5;
  for (Offer& offer : offers_) {
    if (now_days - offer.born_days >= options_.offer_days) offer = MakeOffer(now_days);
  }
  const size_t who = static_cast<size_t>(rng_.NextBits() % customers_.size());
  const Customer& customer = customers_[who];
  learn::StreamDecision& decision = visit->decision;
  decision.time = kStart + static_cast<TimeMicros>(now_days * static_cast<double>(kMicrosPerDay));
  decision.customer = absl::StrCat("c", who);
  decision.context = {{"habit", false, customer.habit, ""},
                      {"thrift", false, customer.thrift, ""},
                      {"curious", false, customer.curious, ""},
                      {"weekend", false, weekend ? 1.0 : 0.0, ""},
                      {"market", true, 0, absl::StrCat("m", customer.market)}};
  order_.resize(offers_.size());
  for (size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<int>(i);
  const size_t size = std::min(offers_.size(), static_cast<size_t>(options_.candidates));
  decision.candidates.resize(size);
  visit->probability.resize(size);
  for (size_t i = 0; i < size; ++i) {
    std::swap(order_[i], order_[i + rng_.NextBits() % (order_.size() - i)]);
    const Offer& offer = offers_[static_cast<size_t>(order_[i])];
    learn::StreamDecision::Candidate& candidate = decision.candidates[i];
    candidate.id = absl::StrCat("o", offer.number);
    candidate.features = {{"affinity", false, static_cast<double>(customer.affinity[static_cast<size_t>(offer.category)]), ""},
                          {"affinity_discount", false, customer.affinity[static_cast<size_t>(offer.category)] * offer.discount, ""},
                          {"popularity", false, offer.popularity, ""},
                          {"discount", false, offer.discount, ""},
                          {"price", false, offer.price, ""},
                          {"fresh", false, std::max(0.0, 1 - (now_days - offer.born_days) / options_.offer_days), ""}};
    const double probability = Probability(customer, offer, now_days, weekend);
    candidate.reward = rng_.NextUniform() < probability ? 1.0 : 0.0;
    visit->probability[i] = probability * (1 - options_.refund_share);
  }
  ++number_;
}

}  // namespace offerd::simulate
