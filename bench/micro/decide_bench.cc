// What a decision, a shown slot and a publication cost, beside a bare Eigen product of the same size as yardstick.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "core/check.h"
#include "core/decide.h"
#include "core/learn/fold.h"
#include "core/rng.h"

namespace offerd {
namespace {

constexpr TimeMicros kNow = 1'500'000'000 * kMicrosPerSecond;

void Log(Fold& fold, Change change) {
  LogEntry entry;
  entry.sequence = fold.state().sequence + 1;
  entry.time = kNow;
  entry.change = std::move(change);
  CHECK(fold.Apply(entry).ok());
}

Feature Numeric(const std::string& name, FactScope scope, const std::string& fact) {
  Feature feature;
  feature.kind = Feature::Kind::kNumeric;
  feature.name = name;
  feature.fact = {scope, fact};
  return feature;
}

// A shop with `offers` offers, one customer with 60 visits, and a linear policy over d columns: 8 computed facts, the rest
// crosses of them.
Fold MakeShop(int offers, int dim) {
  Fold fold;
  Policy policy;
  policy.name = "learned";
  policy.kind = PolicyKind::kLinear;
  const std::vector<std::string> facts = {"own_offer_rate", "own_offer_rate_decayed", "own_category_rate", "offer_rate",
                                          "offer_rate_fast", "days_since_offer", "offer_due", "category_rate"};
  for (const std::string& fact : facts) policy.features.features.push_back(Numeric(fact, FactScope::kComputed, fact));
  for (size_t l = 0; static_cast<int>(policy.features.features.size()) < dim; ++l) {
    Feature cross;
    cross.kind = Feature::Kind::kCross;
    cross.left = facts[l % facts.size()];
    cross.right = facts[(l / facts.size()) % facts.size()];
    cross.name = absl::StrCat("cross", l);
    policy.features.features.push_back(cross);
  }
  Log(fold, PolicySet{policy});
  Placement placement;
  placement.name = "home";
  placement.policy = "learned";
  placement.mode = Mode::kLive;
  placement.matrix_share = 0;
  Log(fold, PlacementSet{placement});
  ItemsUpserted items;
  OffersUpserted added;
  for (int i = 0; i < 4 * offers; ++i) {
    Item item;
    item.id = ItemId(absl::StrCat("item-", i));
    item.category_path = {absl::StrCat("category-", i % 50)};
    items.items.push_back(item);
  }
  for (int i = 0; i < offers; ++i) {
    Offer offer;
    offer.id = OfferId(absl::StrCat("offer-", i));
    for (int k = 0; k < 4; ++k) offer.item_ids.push_back(absl::StrCat("item-", 4 * i + k));
    added.offers.push_back(offer);
  }
  Log(fold, items);
  Log(fold, added);
  Rng rng(1);
  for (int v = 0; v < 60; ++v) {
    Event event;
    event.id = EventId(absl::StrCat("event-", v));
    event.kind = EventKind::kPurchase;
    event.customer_id = CustomerId("customer");
    event.time = kNow - (60 - v) * 3 * kMicrosPerDay;
    event.order_id = absl::StrCat("order-", v);
    event.fate = Fate::kApplied;
    for (int l = 0; l < 10; ++l) event.lines.push_back({absl::StrCat("item-", rng.NextBits() % static_cast<uint64_t>(4 * offers)), 1, 0});
    Log(fold, event);
  }
  return fold;
}

RankRequest MakeRequest(const std::vector<std::string>& ids) {
  RankRequest request;
  request.placement = "home";
  request.customer_id = "customer";
  for (const std::string& id : ids) request.candidates.push_back({id, {}});
  return request;
}

void BM_Decide(benchmark::State& state) {
  const int n = static_cast<int>(state.range(0));
  const Fold fold = MakeShop(1000, static_cast<int>(state.range(1)));
  std::vector<std::string> ids;
  for (int i = 0; i < n; ++i) ids.push_back(absl::StrCat("offer-", i));
  const RankRequest request = MakeRequest(ids);
  DecideScratch scratch;
  Decision decision;
  uint64_t seed = 0;
  for (auto _ : state) {
    CHECK(Decide(fold.state(), request, ++seed, kNow, scratch, decision).ok());
    benchmark::DoNotOptimize(decision.slots.data());
  }
}
BENCHMARK(BM_Decide)->ArgsProduct({{50, 500}, {16, 45, 64}});

// Estimate and a bag of 32: n x d times d x 33 in float. BM_BareProduct is the yardstick, Eigen's own kernel.
void BM_Score(benchmark::State& state) {
  const int d = static_cast<int>(state.range(1));
  const LinearPolicy policy = *LinearPolicy::Publish(LinearStatistics(d), PublicationParameters());
  const FloatRowMatrix x = FloatRowMatrix::Random(state.range(0), d);
  FloatRowMatrix scores;
  for (auto _ : state) {
    policy.Score(x, scores);
    benchmark::DoNotOptimize(scores.data());
  }
}
BENCHMARK(BM_Score)->ArgsProduct({{50, 500}, {16, 64, 128, 512, 2048}});

void BM_BareProduct(benchmark::State& state) {
  const FloatRowMatrix x = FloatRowMatrix::Random(state.range(0), state.range(1));
  const Eigen::MatrixXf theta = Eigen::MatrixXf::Random(state.range(1), 33);
  FloatRowMatrix scores(state.range(0), 33);
  for (auto _ : state) {
    scores.noalias() = x * theta;
    benchmark::DoNotOptimize(scores.data());
  }
}
BENCHMARK(BM_BareProduct)->ArgsProduct({{50, 500}, {16, 64, 128, 512, 2048}});

// The learner: a decision with ten shown slots, of which one is rewarded; items a second are slots.
void BM_Learn(benchmark::State& state) {
  constexpr int kSlots = 10;
  const int d = static_cast<int>(state.range(0));
  LinearStatistics statistics(d);
  const FloatRowMatrix x = FloatRowMatrix::Random(kSlots, d);
  std::vector<ShownSlot> slots;
  for (int i = 0; i < kSlots; ++i) slots.push_back({{x.data() + i * d, static_cast<size_t>(d)}, {}, 0});
  const Eigen::VectorXf rewarded = x.row(3).transpose();
  for (auto _ : state) {
    CHECK(statistics.AddShown(slots).ok());
    CHECK(statistics.ApplyReward(rewarded, {}, 0, 1).ok());
  }
  state.SetItemsProcessed(state.iterations() * kSlots);
}
BENCHMARK(BM_Learn)->Arg(16)->Arg(45)->Arg(64)->Arg(128)->Arg(512)->Arg(2048);

void BM_Publish(benchmark::State& state) {
  const int d = static_cast<int>(state.range(0));
  LinearStatistics statistics(d);
  for (int i = 0; i < 2 * d; ++i) CHECK(statistics.AddShown(Eigen::VectorXf::Random(d), {}, i % 2).ok());
  PublicationParameters parameters;
  for (auto _ : state) benchmark::DoNotOptimize(LinearPolicy::Publish(statistics, parameters).ok());
}
BENCHMARK(BM_Publish)->Arg(45)->Arg(64)->Arg(128)->Arg(512)->Arg(2048);

// The state's copy and the first changes after it: what publishing after every event costs.
void BM_PublishStateAfterEvent(benchmark::State& state) {
  Fold fold = MakeShop(1000, 45);
  int number = 0;
  for (auto _ : state) {
    const State copy = fold.state();
    Event event;
    event.id = EventId("x");
    event.kind = EventKind::kPurchase;
    event.customer_id = CustomerId("customer");
    event.time = kNow;
    event.order_id = absl::StrCat("bench-", number++);
    event.fate = Fate::kApplied;
    event.lines = {{"item-1", 1, 0}, {"item-77", 1, 0}};
    Log(fold, event);
    benchmark::DoNotOptimize(copy.sequence);
  }
}
BENCHMARK(BM_PublishStateAfterEvent);

}  // namespace
}  // namespace offerd
