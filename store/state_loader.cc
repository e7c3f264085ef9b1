#include <algorithm>
#include <deque>
#include <future>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "store/records.h"
#include "store/state_records.h"

// The reading half of state_records.h.
namespace offerd {
namespace {

using v1::stored::BaseRecord;

NameIndex LoadedName(uint32_t stored) { return stored == 0 ? kNoName : NameIndex{stored - 1}; }

absl::Status ReadAffinities(const v1::stored::BaseCustomer& stored, std::vector<Affinity>& affinities) {
  const int n = stored.affinity_key_size();
  if (stored.affinity_visits_size() != n || stored.affinity_decayed_size() != n || stored.affinity_first_micros_size() != n ||
      stored.affinity_last_micros_size() != n || stored.affinity_last_visit_size() != n) {
    return absl::InvalidArgumentError("stored customer: affinities of unequal length");
  }
  affinities.reserve(static_cast<size_t>(n + stored.affinities_size()));
  for (int i = 0; i < n; ++i) {
    affinities.push_back({stored.affinity_key(i), stored.affinity_visits(i), stored.affinity_last_visit(i), stored.affinity_decayed(i),
                          stored.affinity_first_micros(i), stored.affinity_last_micros(i)});
  }
  for (const v1::stored::BaseAffinity& affinity : stored.affinities()) {
    affinities.push_back({affinity.key(), affinity.visits(), affinity.last_visit(), affinity.decayed(), affinity.first_micros(),
                          affinity.last_micros()});
  }
  return absl::OkStatus();
}

absl::StatusOr<Profile> ToProfile(const v1::stored::BaseCustomer& stored, size_t num_items) {
  Profile profile;
  ASSIGN_OR_RETURN(profile.customer, FromProto(stored.customer()));
  profile.registered = stored.registered();
  Profile::Parts parts;
  parts.folded_sequence = stored.folded_sequence();
  parts.num_visits = stored.visits();
  parts.first_visit = stored.first_visit_micros();
  parts.last_visit = stored.last_visit_micros();
  parts.num_lines = stored.lines();
  parts.decayed_visits = stored.decayed_visits();
  int64_t held = 0;
  if (stored.visit_time_micros_size() != stored.visit_size_size() ||
      stored.visit_order_size() != stored.visit_size_size()) {
    return absl::InvalidArgumentError("stored customer: visits of unequal length");
  }
  parts.visits.reserve(static_cast<size_t>(stored.visit_size_size()));
  for (int i = 0; i < stored.visit_size_size(); ++i) {
    parts.visits.push_back({stored.visit_time_micros(i), stored.visit_order(i), stored.visit_size(i)});
    held += stored.visit_size(i);
  }
  if (held != stored.visit_items_size())
    return absl::InvalidArgumentError("stored customer: visits and items do not fit");
  parts.items.reserve(static_cast<size_t>(stored.visit_items_size()));
  for (const uint32_t item : stored.visit_items()) {
    if (item >= num_items)
      return absl::InvalidArgumentError("stored customer: an item number that was never given out");
    parts.items.push_back(ItemIndex{item});
  }
  RETURN_IF_ERROR(ReadAffinities(stored, parts.affinities));
  if (stored.interest_kinds_size() != stored.interest_items_size() ||
      stored.interest_time_micros_size() != stored.interest_items_size()) {
    return absl::InvalidArgumentError("stored customer: views of unequal length");
  }
  for (int i = 0; i < stored.interest_items_size(); ++i) {
    if (stored.interest_items(i) >= num_items || stored.interest_kinds(i) >= static_cast<uint32_t>(kNumEventKinds)) {
      return absl::InvalidArgumentError("stored customer: a view of what cannot be");
    }
    parts.interests.push_back({stored.interest_time_micros(i), ItemIndex{stored.interest_items(i)},
                               static_cast<EventKind>(stored.interest_kinds(i))});
  }
  if (stored.exposure_offers_size() != stored.exposure_time_micros_size()) {
    return absl::InvalidArgumentError("stored customer: expected a time for every exposure");
  }
  for (int i = 0; i < stored.exposure_offers_size(); ++i) {
    parts.exposures.push_back({stored.exposure_time_micros(i), OfferIndex{stored.exposure_offers(i)}});
  }
  profile.SetParts(std::move(parts));
  return profile;
}

absl::StatusOr<SeasonCounts> ToSeasons(const v1::stored::BaseMarketCounts& stored) {
  SeasonCounts seasons;
  if (stored.weekdays_size() == 0 && stored.months_size() == 0) return seasons;
  if (stored.weekdays_size() != 7 || stored.months_size() != 12) {
    return absl::InvalidArgumentError("stored market counts: expected 7 weekdays and 12 months");
  }
  seasons.year = stored.year();
  std::copy(stored.weekdays().begin(), stored.weekdays().end(), seasons.weekdays);
  std::copy(stored.months().begin(), stored.months().end(), seasons.months);
  return seasons;
}

absl::StatusOr<std::shared_ptr<const PublishedPolicy>> ToPublished(const v1::stored::BasePublication& stored) {
  ASSIGN_OR_RETURN(Publication record, FromProto(stored.publication()));
  LinearPolicy::Parts parts;
  parts.version = record.version;
  parts.sigma = record.sigma;
  parts.lambda = stored.lambda();
  parts.weight = stored.weight();
  ASSIGN_OR_RETURN(parts.theta, BytesToDoubles(stored.theta(), "theta"));
  ASSIGN_OR_RETURN(const Eigen::VectorXf coefficients, BytesToFloats(stored.coefficients(), "coefficients"));
  ASSIGN_OR_RETURN(parts.lower, BytesToLower(stored.factor(), stored.dim(), 1, "factor"));
  if (parts.theta.size() != stored.dim() || coefficients.size() % stored.dim() != 0) {
    return absl::InvalidArgumentError("stored publication: sizes do not fit");
  }
  parts.coefficients =
      Eigen::Map<const Eigen::MatrixXf>(coefficients.data(), stored.dim(), coefficients.size() / stored.dim());
  ASSIGN_OR_RETURN(LinearPolicy policy, LinearPolicy::FromParts(std::move(parts)));
  return std::make_shared<const PublishedPolicy>(PublishedPolicy{std::move(record), std::move(policy)});
}

// Puts the records of a base into a fold, in the order in which WriteAll wrote them.
class Loader {
 public:
  explicit Loader(Fold& fold) : fold_(fold), state_(fold.MutableState()) {}

  absl::Status Add(const BaseRecord& record) {
    switch (record.part_case()) {
      case BaseRecord::kHeader:
        return AddHeader(record.header());
      case BaseRecord::kName:
        state_.catalogue.RestoreName(record.name().index(), record.name().name());
        break;
      case BaseRecord::kItem:
        return AddItem(record.item());
      case BaseRecord::kOffer:
        return AddOffer(record.offer());
      case BaseRecord::kCustomer: {
        FinishOffers();
        ASSIGN_OR_RETURN(Profile profile, ToProfile(record.customer(), state_.catalogue.num_item_numbers()));
        const std::string id = profile.customer.id.value();
        state_.customers.Mutate(id) = std::move(profile);
        break;
      }
      case BaseRecord::kPopulation: {
        FinishOffers();
        const auto& p = record.population();
        state_.population.Restore(p.kind(), p.index(), {static_cast<int32_t>(p.day()), p.today(), p.slow(), p.fast()});
        break;
      }
      case BaseRecord::kMarketCounts: {
        const auto& p = record.market_counts().counts();
        if (p.kind() == 3 && p.index() >= state_.catalogue.num_item_numbers()) {
          return absl::InvalidArgumentError("stored market counts: an item number that was never given out");
        }
        ASSIGN_OR_RETURN(const SeasonCounts seasons, ToSeasons(record.market_counts()));
        state_.demand.Restore(record.market_counts().market(), p.kind(), p.index(), {static_cast<int32_t>(p.day()), p.today(), p.slow(), p.fast()}, seasons);
        break;
      }
      case BaseRecord::kTable: {
        AddTable(record.table());
        break;
      }
      case BaseRecord::kPlacement: {
        ASSIGN_OR_RETURN(PlacementState placement, ToPlacement(record.placement()));
        const std::string name = placement.placement.name;
        state_.placements.Mutate(name) = std::make_shared<PlacementState>(std::move(placement));
        break;
      }
      case BaseRecord::kRelease:
        return AddRelease(record.release());
      case BaseRecord::kGuard: {
        std::deque<LiveGuard::Block> blocks;
        for (const auto& block : record.guard().blocks()) blocks.push_back({block.count(), block.sum(), block.squares()});
        state_.guards.Mutate(record.guard().placement()) = LiveGuard::FromParts(std::move(blocks), record.guard().begun(), {record.guard().slots(), record.guard().rewards()});
        break;
      }
      case BaseRecord::kExamination:
        return AddExamination(record.examination());
      case BaseRecord::kPolicy:
        return AddPolicy(record.policy());
      case BaseRecord::kPublication:
        return AddPublication(record.publication());
      case BaseRecord::kOpenDecision:
        return AddOpenDecision(record.open_decision());
      case BaseRecord::PART_NOT_SET:
        return absl::InvalidArgumentError("stored base: a record of no known kind");
    }
    return absl::OkStatus();
  }

  void Finish() {
    FinishOffers();
    for (const auto& table : reading_) table.wait();
    for (auto& [name, versions] : tables_) fold_.RestoreTable(name, std::move(versions));  // finds what was read meanwhile
  }

 private:
  // Its file is read while the rest of the base is.
  void AddTable(const v1::stored::BaseTable& stored) {
    std::vector<TablePublished>& versions = tables_[stored.name()];
    for (const auto& version : stored.versions()) versions.push_back(FromProto(version));
    const TableSource& source = fold_.table_source();
    if (source == nullptr || versions.empty()) return;
    reading_.push_back(std::async(std::launch::async, [&source, published = versions.back()] { return source(published); }).share());
  }

  absl::Status AddHeader(const v1::stored::Header& header) {
    state_.sequence = header.sequence();
    state_.now = header.now_micros();
    fold_.RestoreLimits({header.limits().profile_bytes(), header.limits().max_open_decisions()});
    int at = 0;
    state_.counters.ForEach([&](int64_t& count) { count = at < header.counters_size() ? header.counters(at++) : 0; });
    return absl::OkStatus();
  }

  absl::Status AddItem(const v1::stored::BaseItem& stored) {
    if (!stored.known()) {
      state_.catalogue.RestoreItem(stored.index(), stored.item().item_id(), stored.arrived_micros(), nullptr);
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const Item item, FromProto(stored.item()));
    state_.catalogue.RestoreItem(stored.index(), stored.item().item_id(), stored.arrived_micros(), &item);
    return absl::OkStatus();
  }

  absl::Status AddOffer(const v1::stored::BaseOffer& stored) {
    if (stored.index() != offers_.size()) return absl::InvalidArgumentError("stored base: offers out of order");
    auto offer = std::make_shared<CatalogueOffer>();
    if (stored.known()) {
      ASSIGN_OR_RETURN(Offer loaded, FromProto(stored.offer()));
      offer->offer = std::make_shared<Offer>(std::move(loaded));
    }
    offer->id = OfferId(stored.offer().offer_id());
    offer->coverage_sequence = stored.coverage_sequence();
    offer->category = LoadedName(stored.category());
    offer->brand = LoadedName(stored.brand());
    offer->mean_price = stored.mean_price();
    offer->mean_margin = stored.mean_margin();
    if (stored.redemptions() != 0 || stored.spent_micros() != 0) {
      state_.catalogue.MutateUse(OfferIndex{stored.index()}) = {stored.redemptions(), stored.spent_micros()};
    }
    offers_.push_back(std::move(offer));
    return absl::OkStatus();
  }

  void FinishOffers() {
    if (!offers_.empty()) state_.catalogue.RestoreOffers(std::move(offers_));
    offers_.clear();
  }

  static absl::StatusOr<PlacementState> ToPlacement(const v1::stored::BasePlacement& stored) {
    PlacementState placement;
    ASSIGN_OR_RETURN(placement.placement, FromProto(stored.placement()));
    placement.sequence = stored.sequence();
    return placement;
  }

  absl::Status AddRelease(const v1::stored::BaseRelease& stored) {
    if (!v1::Mode_IsValid(stored.previous_mode())) return absl::InvalidArgumentError("stored release: a mode that is unknown");
    const auto* kept = state_.releases.Find(stored.placement());
    auto history = kept == nullptr ? std::make_shared<ReleaseHistory>() : std::make_shared<ReleaseHistory>(**kept);
    history->entries.push_back({stored.time_micros(), stored.tested(), stored.changed(), stored.previous_policy(),
                                static_cast<Mode>(stored.previous_mode()), stored.report()});
    state_.releases.Mutate(stored.placement()) = std::move(history);
    return absl::OkStatus();
  }

  absl::Status AddExamination(const v1::stored::BaseExamination& stored) {
    if (stored.rewards_size() != stored.estimates_size()) {
      return absl::InvalidArgumentError(absl::StrCat("stored examination: expected as many estimates as rewards, ", stored.rewards_size(),
                                                     ", found ", stored.estimates_size()));
    }
    std::vector<ExaminationSums::Slot> slots;
    for (int i = 0; i < stored.rewards_size(); ++i) slots.push_back({stored.rewards(i), stored.estimates(i)});
    state_.examinations.Mutate(stored.placement()) = ExaminationSums::FromParts(stored.begun(), std::move(slots), stored.first_squared());
    return absl::OkStatus();
  }

  absl::Status AddPolicy(const v1::stored::BasePolicy& stored) {
    auto policy = std::make_shared<PolicyState>();
    ASSIGN_OR_RETURN(policy->policy, FromProto(stored.policy()));
    policy->model_sequence = stored.model_sequence();
    policy->newest_version = stored.newest_version();
    policy->is_pinned = stored.pinned();
    if (stored.dim() > 0) {
      ASSIGN_OR_RETURN(Encoder encoder, Encoder::Make(policy->policy.features));
      if (encoder.dim() != stored.dim())
        return absl::InvalidArgumentError("stored policy: features and sums do not fit");
      ASSIGN_OR_RETURN(FactPlan plan, FactPlan::Make(encoder.facts()));
      policy->encoder = std::make_shared<Encoder>(std::move(encoder));
      policy->plan = std::make_shared<FactPlan>(std::move(plan));
      PolicyLearning learning;
      ASSIGN_OR_RETURN(const Eigen::MatrixXd gram, BytesToLower(stored.gram(), stored.dim(), 2, "gram"));
      ASSIGN_OR_RETURN(const Eigen::VectorXd reward_x, BytesToDoubles(stored.reward_x(), "reward_x"));
      ASSIGN_OR_RETURN(learning.statistics, LinearStatistics::FromParts(gram, reward_x, stored.reward_squared(),
                                                                        stored.total_weight(), stored.num_shown()));
      learning.apprentice_decisions = stored.apprentice_decisions();
      learning.apprentice_agreements = stored.apprentice_agreements();
      learning.has_news = stored.has_news();
      learning.has_epoch = stored.has_epoch();
      learning.epoch = stored.epoch_micros();
      learning.half_lives = stored.half_lives();
      learning.newest = stored.newest_micros();
      learning.largest_reward = stored.largest_reward();
      if (stored.ridge() > 0) learning.ridge = stored.ridge();
      learning.ridge_shown = stored.ridge_shown();
      fold_.RestoreLearning(policy->policy.name, std::move(learning));
    }
    const std::string name = policy->policy.name;
    state_.policies.Mutate(name) = std::move(policy);
    return absl::OkStatus();
  }

  absl::Status AddPublication(const v1::stored::BasePublication& stored) {
    const PolicyState* found = state_.FindPolicy(stored.publication().policy());
    if (found == nullptr || found->encoder == nullptr || found->encoder->dim() != stored.dim()) {
      return absl::InvalidArgumentError("stored publication: its policy is missing or of another size");
    }
    ASSIGN_OR_RETURN(auto published, ToPublished(stored));
    auto policy = std::make_shared<PolicyState>(*found);
    if (stored.kept()) policy->kept.push_back(published);
    if (stored.in_force()) policy->in_force = published;
    state_.policies.Mutate(stored.publication().policy()) = std::move(policy);
    return absl::OkStatus();
  }

  absl::Status AddOpenDecision(const v1::stored::BaseOpenDecision& stored) {
    OpenDecision open;
    if (stored.placement().sequence() == 0) {
      const auto* placement = state_.placements.Find(stored.placement().placement().name());
      if (placement == nullptr) return absl::InvalidArgumentError("stored open decision: its placement is missing");
      open.placement = *placement;
    } else {
      ASSIGN_OR_RETURN(PlacementState placement, ToPlacement(stored.placement()));
      open.placement = std::make_shared<PlacementState>(std::move(placement));
    }
    open.learner = stored.learner();
    open.learner_sequence = stored.learner_sequence();
    open.time = stored.time_micros();
    open.window_end = stored.window_end_micros();
    open.close_time = stored.close_micros();
    open.sequence = stored.sequence();
    open.customer_id = stored.customer_id();
    open.settle_time = stored.settle_micros();
    open.is_settled = !stored.held_back();
    open.is_guarded = stored.is_guarded();
    for (const v1::stored::BaseOpenSlot& slot : stored.slots()) {
      OpenSlot added;
      added.offer_id = OfferId(slot.offer_id());
      ASSIGN_OR_RETURN(added.x, BytesToFloats(slot.x(), "x"));
      added.weight = {slot.forgetting(), slot.examination()};
      added.half_lives = slot.half_lives();
      added.is_active = slot.active();
      added.earned = slot.earned();
      added.is_counted = slot.counted();
      added.shown_at = slot.shown_micros();
      added.fixed_ratio = slot.fixed_ratio();
      added.share_weight = slot.share_weight();
      for (const v1::stored::BaseSlotEvent& event : slot.events()) {
        added.events.push_back({event.id(), event.time_micros(), event.weight(), event.amount(), event.reverses(), event.takes_all()});
      }
      open.slots.push_back(std::move(added));
    }
    fold_.RestoreOpen(DecisionId(stored.decision_id()), std::move(open));
    return absl::OkStatus();
  }

  Fold& fold_;
  State& state_;
  std::vector<std::shared_ptr<CatalogueOffer>> offers_;
  std::map<std::string, std::vector<TablePublished>> tables_;
  std::vector<std::shared_future<std::shared_ptr<const ListTable>>> reading_;
};

}  // namespace

absl::Status LoadImage(Store& store, Sequence base, Fold& fold) {
  Loader loader(fold);
  RETURN_IF_ERROR(store.ReadBase(base, [&loader](const BaseRecord& record) { return loader.Add(record); }));
  loader.Finish();
  if (fold.state().sequence != base) {
    return absl::DataLossError(
        absl::StrCat("base ", base, " says that it is the state after record ", fold.state().sequence));
  }
  return absl::OkStatus();
}

}  // namespace offerd
