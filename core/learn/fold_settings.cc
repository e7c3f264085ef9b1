#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/hash.h"
#include "core/learn/fold.h"

// The rest of fold.h: catalogue and customers, placements, policies and their publications, tables.
namespace offerd {
namespace {

constexpr double kDoubt = 3;        // shown slots a column that halve the variance of a bag from twice to once
constexpr double kWidestScale = 1;  // of a bag that has seen little, unless more is declared

// A bag's width while few slots were shown for each column: sigma is not known well then, and a bag too narrow follows the first
// luck. docs/learning.md has the evidence.
double WidenedScale(double scale, int dim, double weight) {
  if (scale >= kWidestScale) return scale;
  return std::min(kWidestScale, scale * std::sqrt(1 + kDoubt * dim / (weight + 1)));
}

}  // namespace


void Fold::FoldIn(const ItemsUpserted& change, const LogEntry&) {
  for (const Item& item : change.items) state_.catalogue.UpsertItem(item, std::max<TimeMicros>(1, state_.now));
}

void Fold::FoldIn(const OffersUpserted& change, const LogEntry& entry) {
  const std::vector<OfferIndex> changed = state_.catalogue.UpsertOffers(change.offers, entry.sequence);
  state_.population.RecountOffers(changed, state_.catalogue, state_.customers);
}

void Fold::FoldIn(const ItemDeleted& change, const LogEntry&) { state_.catalogue.DeleteItem(change.id); }
void Fold::FoldIn(const OfferDeleted& change, const LogEntry&) { state_.catalogue.DeleteOffer(change.id); }

void Fold::FoldIn(const CustomersUpserted& change, const LogEntry&) {
  for (const Customer& customer : change.customers) {
    Profile& profile = state_.customers.Mutate(customer.id.value());
    profile.customer = customer;
    profile.registered = true;
  }
}

void Fold::FoldIn(const PlacementSet& change, const LogEntry& entry) {
  SetPlacement(change.placement, entry.sequence);
}

void Fold::FoldIn(const PlacementDeleted& change, const LogEntry&) {
  state_.placements.Erase(change.name);
  state_.guards.Erase(change.name);
  state_.examinations.Erase(change.name);
  DeclareLargestRewards();
}

void Fold::DeclareLargestRewards() {
  for (auto& [name, learning] : learning_) {
    double largest = 0;
    state_.placements.ForEach([&, policy = name](absl::string_view, const std::shared_ptr<const PlacementState>& placement) {
      if (placement->placement.policy == policy) largest = std::max(largest, placement->placement.reward.largest);
    });
    if (largest == 0) largest = 1;
    if (largest != learning.largest_reward) {
      learning.largest_reward = largest;
      learning.has_news = true;
    }
  }
}

PolicyState* Fold::MutatePolicy(absl::string_view name) {
  const auto* found = state_.policies.Find(name);
  if (found == nullptr) return nullptr;
  auto copy = std::make_shared<PolicyState>(**found);
  PolicyState* raw = copy.get();
  state_.policies.Mutate(name) = std::move(copy);
  return raw;
}

void Fold::FoldIn(const PolicySet& change, const LogEntry& entry) {
  const PolicyState* before = state_.FindPolicy(change.policy.name);
  auto policy = std::make_shared<PolicyState>();
  if (before != nullptr) *policy = *before;
  policy->policy = change.policy;
  if (change.policy.kind != PolicyKind::kLinear) {
    policy->encoder = nullptr;
    policy->plan = nullptr;
    policy->in_force = nullptr;
    policy->kept.clear();
    policy->model_sequence = entry.sequence;
    learning_.erase(change.policy.name);
    state_.policies.Mutate(change.policy.name) = std::move(policy);
    return;
  }
  auto encoder = Encoder::Make(change.policy.features);
  if (!encoder.ok()) return;  // checked before it was logged
  auto plan = FactPlan::Make(encoder->facts());
  if (!plan.ok()) return;
  const bool same_model = before != nullptr && before->encoder != nullptr &&
                          before->encoder->fingerprint() == encoder->fingerprint() &&
                          before->policy.half_life_days == change.policy.half_life_days;
  if (same_model) {
    learning_.at(change.policy.name).has_news = true;
    state_.policies.Mutate(change.policy.name) = std::move(policy);
    return;
  }
  policy->encoder = std::make_shared<Encoder>(*std::move(encoder));
  policy->plan = std::make_shared<FactPlan>(*std::move(plan));
  policy->model_sequence = entry.sequence;
  policy->in_force = nullptr;  // its numbers belong to other columns
  policy->kept.clear();
  policy->is_pinned = false;
  PolicyLearning learning;
  learning.statistics = LinearStatistics(policy->encoder->dim());
  learning_.insert_or_assign(change.policy.name, std::move(learning));
  state_.policies.Mutate(change.policy.name) = policy;
  DeclareLargestRewards();
  // An empty model explores at once.
  Publication record;
  record.policy = change.policy.name;
  record.version = policy->newest_version + 1;
  record.included_sequence = entry.sequence;
  record.lambda = change.policy.ridge;
  record.bag_size = change.policy.bag_size;
  record.scale = WidenedScale(change.policy.scale, policy->encoder->dim(), 0);
  record.bag_seed = BagSeed(record.policy, record.version);
  auto published = MakePublication(*policy, record);
  if (!published.ok()) {
    ++state_.counters.failed_publications;
    return;
  }
  policy->newest_version = record.version;
  policy->in_force = std::make_shared<PublishedPolicy>(*std::move(published));
}

double Fold::ForgettingToNewest(const Policy& policy, const PolicyLearning& learning) const {
  if (policy.half_life_days <= 0 || !learning.has_epoch) return 1;
  return std::exp2(static_cast<double>(learning.half_lives) - learning.HalfLivesSince(policy.half_life_days, learning.newest));
}

// As declared; else by marginal likelihood, looked for again whenever a tenth more slots were shown.
void Fold::ChooseRidge(const Policy& policy, Publication& record) const {
  const PolicyLearning& learning = learning_.at(policy.name);
  const int64_t shown = learning.statistics.num_shown();
  record.lambda = policy.ridge_set ? policy.ridge : learning.ridge;
  record.lambda_shown = learning.ridge_shown;
  if (policy.ridge_set || shown <= learning.ridge_shown + learning.ridge_shown / 10) return;
  const auto best = BestRidge(learning.statistics,
                              {ForgettingToNewest(policy, learning), learning.largest_reward / 2, learning.ridge});
  if (best.ok()) record.lambda = *best;  // else the publication will say what is wrong
  record.lambda_shown = shown;
}

absl::StatusOr<PublishedPolicy> Fold::MakePublication(const PolicyState& policy, Publication record) const {
  const PolicyLearning& learning = learning_.at(record.policy);
  PublicationParameters parameters;
  parameters.policy = record.policy;
  parameters.version = record.version;
  parameters.lambda = record.lambda;
  parameters.bag_size = record.bag_size;
  parameters.scale = record.scale;
  parameters.prior_deviation = learning.largest_reward / 2;
  parameters.bag_seed = record.bag_seed;
  parameters.forgetting_to_T = ForgettingToNewest(policy.policy, learning);
  auto published = LinearPolicy::Publish(learning.statistics, parameters);
  if (!published.ok()) return published.status();
  record.sigma = published->sigma();
  return PublishedPolicy{std::move(record), *std::move(published)};
}

bool Fold::HasNews(const std::string& policy) const {
  const auto it = learning_.find(policy);
  return it != learning_.end() && it->second.has_news;
}

absl::StatusOr<Publication> Fold::Prepare(const std::string& name, bool kept) {
  const PolicyState* policy = state_.FindPolicy(name);
  if (policy == nullptr) return absl::NotFoundError(absl::StrCat("no policy named '", name, "'"));
  if (policy->encoder == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("policy '", name, "' learns nothing: there is nothing to publish"));
  }
  Publication record;
  record.policy = name;
  record.version = policy->newest_version + 1;
  record.included_sequence = state_.sequence;
  record.reference_micros = learning_.at(name).newest;
  ChooseRidge(policy->policy, record);
  record.bag_size = policy->policy.bag_size;
  const PolicyLearning& learning = learning_.at(name);
  record.scale = WidenedScale(policy->policy.scale, learning.statistics.dim(),
                              ForgettingToNewest(policy->policy, learning) * learning.statistics.total_weight());
  record.bag_seed = BagSeed(name, record.version);
  record.kept = kept;
  auto published = MakePublication(*policy, record);
  if (!published.ok()) return published.status();
  record.sigma = published->record.sigma;
  prepared_ = std::make_shared<PublishedPolicy>(*std::move(published));
  return record;
}

void Fold::FoldIn(const Publication& publication, const LogEntry&) {
  const PolicyState* found = state_.FindPolicy(publication.policy);
  if (found == nullptr || found->encoder == nullptr) return;
  std::shared_ptr<const PublishedPolicy> published = std::move(prepared_);
  prepared_ = nullptr;
  if (published == nullptr || published->record.policy != publication.policy ||
      published->record.version != publication.version || published->record.kept != publication.kept) {
    auto made = MakePublication(*found, publication);
    if (!made.ok()) {
      ++state_.counters.failed_publications;
      return;
    }
    published = std::make_shared<PublishedPolicy>(*std::move(made));
  }
  PolicyState& policy = *MutatePolicy(publication.policy);
  policy.newest_version = publication.version;
  if (publication.kept) {
    policy.is_pinned = false;
    policy.kept.push_back(published);
    if (policy.kept.size() > PolicyState::kMaxKept) policy.kept.erase(policy.kept.begin());
  }
  if (!policy.is_pinned) policy.in_force = std::move(published);
  if (const auto learning = learning_.find(publication.policy); learning != learning_.end()) {
    learning->second.has_news = false;
    learning->second.ridge = publication.lambda;
    learning->second.ridge_shown = publication.lambda_shown;
  }
}

void Fold::FoldIn(const LearnedSums& sums, const LogEntry&) {
  const auto found = learning_.find(sums.policy);
  const PolicyState* policy = state_.FindPolicy(sums.policy);
  if (found == learning_.end() || policy == nullptr) return;
  PolicyLearning& learning = found->second;
  if (learning.statistics.dim() != sums.statistics.dim()) return;
  const bool is_fresh = learning.statistics.num_shown() == 0;
  if (!is_fresh && policy->policy.half_life_days > 0) return;
  if (is_fresh) {
    learning.has_epoch = sums.has_epoch;
    learning.epoch = sums.epoch;
    learning.half_lives = sums.half_lives;
    learning.newest = sums.newest;
  }
  if (!learning.statistics.Merge(sums.statistics).ok()) {
    ++state_.counters.refused_updates;
    return;
  }
  learning.newest = std::max(learning.newest, sums.newest);
  learning.has_news = true;
}

void Fold::FoldIn(const FoldLimits& limits, const LogEntry&) { limits_ = limits; }

// Versions stand in the order in which they came into force; a roll back forgets those after the one it goes back to.
void Fold::FoldIn(const TablePublished& published, const LogEntry&) {
  const TableState* before = state_.tables.Find(published.name);
  std::vector<TablePublished> versions;
  if (before != nullptr) versions = before->versions;
  const auto is_same = [&published](const TablePublished& version) { return version.IsSameTable(published); };
  const auto known = std::find_if(versions.begin(), versions.end(), is_same);
  if (known == versions.end()) {
    versions.push_back({published.name, published.version, published.checksum});
  } else if (published.rolled_back) {
    versions.erase(known + 1, versions.end());
  } else {
    std::rotate(known, known + 1, versions.end());
  }
  if (versions.size() > TableState::kMaxKept) versions.erase(versions.begin());
  RestoreTable(published.name, std::move(versions));
}

void Fold::RestoreTable(const std::string& name, std::vector<TablePublished> versions) {
  TableState& state = state_.tables.Mutate(name);
  state.table = table_source_ == nullptr || versions.empty() ? nullptr : table_source_(versions.back());
  state.versions = std::move(versions);
}

void Fold::FoldIn(const RollBack& roll_back, const LogEntry&) {
  PolicyState* policy = MutatePolicy(roll_back.policy);
  if (policy == nullptr) return;
  for (const auto& kept : policy->kept) {
    if (kept->record.version != roll_back.version) continue;
    policy->in_force = kept;
    policy->is_pinned = true;
    return;
  }
}

}  // namespace offerd
