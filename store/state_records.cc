#include "store/state_records.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/hash.h"
#include "core/status_macros.h"
#include "store/records.h"

namespace offerd {
namespace {

using v1::stored::BaseRecord;
using Sink = absl::FunctionRef<absl::Status(const BaseRecord&)>;

uint32_t StoredName(NameIndex index) { return index == kNoName ? 0 : static_cast<uint32_t>(index) + 1; }
NameIndex LoadedName(uint32_t stored) { return stored == 0 ? kNoName : NameIndex{stored - 1}; }

std::string LowerToBytes(const Eigen::MatrixXd& matrix) {
  const Eigen::Index d = matrix.rows();
  Eigen::VectorXd packed(d * (d + 1) / 2);
  Eigen::Index at = 0;
  for (Eigen::Index i = 0; i < d; ++i) {
    for (Eigen::Index j = 0; j <= i; ++j) packed[at++] = matrix(i, j);
  }
  return DoublesToBytes(packed);
}

absl::StatusOr<Eigen::MatrixXd> BytesToLower(const std::string& bytes, int dim, absl::string_view field) {
  ASSIGN_OR_RETURN(const Eigen::VectorXd packed, BytesToDoubles(bytes, field));
  const Eigen::Index d = dim;
  if (d < 1 || d > LinearStatistics::kMaxDim || packed.size() != d * (d + 1) / 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": ", packed.size(), " numbers are no lower triangle of ", dim));
  }
  Eigen::MatrixXd lower = Eigen::MatrixXd::Zero(d, d);
  Eigen::Index at = 0;
  for (Eigen::Index i = 0; i < d; ++i) {
    for (Eigen::Index j = 0; j <= i; ++j) lower(i, j) = packed[at++];
  }
  return lower;
}

absl::Status WriteCatalogue(const Catalogue& catalogue, Sink sink) {
  for (size_t i = 0; i < catalogue.num_names(); ++i) {
    BaseRecord record;
    record.mutable_name()->set_index(static_cast<uint32_t>(i));
    record.mutable_name()->set_name(catalogue.NameOf(NameIndex{static_cast<uint32_t>(i)}));
    RETURN_IF_ERROR(sink(record));
  }
  for (size_t i = 0; i < catalogue.num_item_numbers(); ++i) {
    const CatalogueItem& item = catalogue.ItemAt(ItemIndex{static_cast<uint32_t>(i)});
    BaseRecord record;
    record.mutable_item()->set_index(static_cast<uint32_t>(i));
    record.mutable_item()->set_known(item.item != nullptr);
    if (item.item != nullptr) {
      *record.mutable_item()->mutable_item() = ToProto(*item.item);
    } else {
      record.mutable_item()->mutable_item()->set_item_id(item.id.value());
    }
    RETURN_IF_ERROR(sink(record));
  }
  for (size_t i = 0; i < catalogue.offer_table().offers.size(); ++i) {
    const OfferIndex index{static_cast<uint32_t>(i)};
    const CatalogueOffer& offer = catalogue.OfferAt(index);
    BaseRecord record;
    v1::stored::BaseOffer& stored = *record.mutable_offer();
    stored.set_index(static_cast<uint32_t>(i));
    stored.set_known(offer.offer != nullptr);
    if (offer.offer != nullptr) {
      *stored.mutable_offer() = ToProto(*offer.offer);
    } else {
      stored.mutable_offer()->set_offer_id(offer.id.value());
    }
    stored.set_coverage_sequence(offer.coverage_sequence);
    stored.set_redemptions(catalogue.UseOf(index).redemptions);
    stored.set_spent_micros(catalogue.UseOf(index).spent_micros);
    stored.set_category(StoredName(offer.category));
    stored.set_brand(StoredName(offer.brand));
    stored.set_mean_price(offer.mean_price);
    stored.set_mean_margin(offer.mean_margin);
    RETURN_IF_ERROR(sink(record));
  }
  return absl::OkStatus();
}

BaseRecord ToRecord(const Profile& profile) {
  BaseRecord record;
  v1::stored::BaseCustomer& stored = *record.mutable_customer();
  const Profile::Parts parts = profile.ToParts();
  *stored.mutable_customer() = ToProto(profile.customer);
  stored.set_registered(profile.registered);
  stored.set_folded_sequence(parts.folded_sequence);
  stored.set_visits(parts.num_visits);
  stored.set_first_visit_micros(parts.first_visit);
  stored.set_last_visit_micros(parts.last_visit);
  stored.set_lines(parts.num_lines);
  stored.set_decayed_visits(parts.decayed_visits);
  for (const Profile::Visit& visit : parts.visits) {
    stored.add_visit_time_micros(visit.time);
    stored.add_visit_order(visit.order);
    stored.add_visit_size(visit.num_items);
  }
  for (const ItemIndex item : parts.items) stored.add_visit_items(static_cast<uint32_t>(item));
  for (const Affinity& affinity : parts.affinities) {
    v1::stored::BaseAffinity& added = *stored.add_affinities();
    added.set_key(affinity.key);
    added.set_visits(affinity.visits);
    added.set_decayed(affinity.decayed);
    added.set_first_micros(affinity.first);
    added.set_last_micros(affinity.last);
    added.set_last_visit(affinity.last_visit);
  }
  return record;
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
  for (int i = 0; i < stored.visit_size_size(); ++i) {
    parts.visits.push_back({stored.visit_time_micros(i), stored.visit_order(i), stored.visit_size(i)});
    held += stored.visit_size(i);
  }
  if (held != stored.visit_items_size())
    return absl::InvalidArgumentError("stored customer: visits and items do not fit");
  for (const uint32_t item : stored.visit_items()) {
    if (item >= num_items)
      return absl::InvalidArgumentError("stored customer: an item number that was never given out");
    parts.items.push_back(ItemIndex{item});
  }
  for (const v1::stored::BaseAffinity& affinity : stored.affinities()) {
    parts.affinities.push_back({affinity.key(), affinity.visits(), affinity.last_visit(), affinity.decayed(),
                                affinity.first_micros(), affinity.last_micros()});
  }
  profile.SetParts(std::move(parts));
  return profile;
}

BaseRecord DayCountRecord(int kind, size_t index, const DayCount& count) {
  BaseRecord record;
  v1::stored::BaseDayCounts& stored = *record.mutable_population();
  stored.set_kind(kind);
  stored.set_index(static_cast<uint32_t>(index));
  stored.set_day(count.day);
  stored.set_today(count.today);
  stored.set_slow(count.slow);
  stored.set_fast(count.fast);
  return record;
}

absl::Status WritePopulation(const Population& population, Sink sink) {
  RETURN_IF_ERROR(sink(DayCountRecord(0, 0, population.visits())));
  for (size_t i = 0; i < population.offers().size(); ++i)
    RETURN_IF_ERROR(sink(DayCountRecord(1, i, population.offers()[i])));
  for (size_t i = 0; i < population.names().size(); ++i)
    RETURN_IF_ERROR(sink(DayCountRecord(2, i, population.names()[i])));
  return absl::OkStatus();
}

void ToStored(const PlacementState& placement, v1::stored::BasePlacement& stored) {
  *stored.mutable_placement() = ToProto(placement.placement);
  stored.set_sequence(placement.sequence);
}

BaseRecord ToRecord(const PublishedPolicy& published, bool in_force, bool kept) {
  BaseRecord record;
  v1::stored::BasePublication& stored = *record.mutable_publication();
  const LinearPolicy::Parts parts = published.policy.ToParts();
  *stored.mutable_publication() = ToProto(published.record);
  stored.set_in_force(in_force);
  stored.set_kept(kept);
  stored.set_dim(static_cast<int>(parts.theta.size()));
  stored.set_lambda(parts.lambda);
  stored.set_theta(DoublesToBytes(parts.theta));
  stored.set_coefficients(
      FloatsToBytes(Eigen::Map<const Eigen::VectorXf>(parts.coefficients.data(), parts.coefficients.size())));
  stored.set_factor(LowerToBytes(parts.lower));
  return record;
}

absl::StatusOr<std::shared_ptr<const PublishedPolicy>> ToPublished(const v1::stored::BasePublication& stored) {
  ASSIGN_OR_RETURN(Publication record, FromProto(stored.publication()));
  LinearPolicy::Parts parts;
  parts.version = record.version;
  parts.sigma = record.sigma;
  parts.lambda = stored.lambda();
  ASSIGN_OR_RETURN(parts.theta, BytesToDoubles(stored.theta(), "theta"));
  ASSIGN_OR_RETURN(const Eigen::VectorXf coefficients, BytesToFloats(stored.coefficients(), "coefficients"));
  ASSIGN_OR_RETURN(parts.lower, BytesToLower(stored.factor(), stored.dim(), "factor"));
  if (parts.theta.size() != stored.dim() || coefficients.size() % stored.dim() != 0) {
    return absl::InvalidArgumentError("stored publication: sizes do not fit");
  }
  parts.coefficients =
      Eigen::Map<const Eigen::MatrixXf>(coefficients.data(), stored.dim(), coefficients.size() / stored.dim());
  ASSIGN_OR_RETURN(LinearPolicy policy, LinearPolicy::FromParts(std::move(parts)));
  return std::make_shared<const PublishedPolicy>(PublishedPolicy{std::move(record), std::move(policy)});
}

absl::Status WritePolicy(const PolicyState& policy, const std::map<std::string, PolicyLearning>& all_learning,
                         Sink sink) {
  BaseRecord record;
  v1::stored::BasePolicy& stored = *record.mutable_policy();
  *stored.mutable_policy() = ToProto(policy.policy);
  stored.set_model_sequence(policy.model_sequence);
  stored.set_newest_version(policy.newest_version);
  stored.set_pinned(policy.is_pinned);
  if (const auto it = all_learning.find(policy.policy.name); it != all_learning.end()) {
    const PolicyLearning& learning = it->second;
    stored.set_apprentice_decisions(learning.apprentice_decisions);
    stored.set_apprentice_agreements(learning.apprentice_agreements);
    stored.set_has_news(learning.has_news);
    stored.set_dim(learning.statistics.dim());
    stored.set_gram(LowerToBytes(learning.statistics.gram_lower()));
    stored.set_reward_x(DoublesToBytes(learning.statistics.reward_x()));
    stored.set_reward_squared(learning.statistics.reward_squared());
    stored.set_total_weight(learning.statistics.total_weight());
    stored.set_num_shown(learning.statistics.num_shown());
    stored.set_has_epoch(learning.has_epoch);
    stored.set_epoch_micros(learning.epoch);
    stored.set_half_lives(learning.half_lives);
    stored.set_newest_micros(learning.newest);
    stored.set_largest_reward(learning.largest_reward);
  }
  RETURN_IF_ERROR(sink(record));
  for (const auto& kept : policy.kept) RETURN_IF_ERROR(sink(ToRecord(*kept, kept == policy.in_force, true)));
  const bool written = std::find(policy.kept.begin(), policy.kept.end(), policy.in_force) != policy.kept.end();
  if (policy.in_force != nullptr && !written) RETURN_IF_ERROR(sink(ToRecord(*policy.in_force, true, false)));
  return absl::OkStatus();
}

BaseRecord ToRecord(absl::string_view id, const OpenDecision& open, const State& state) {
  BaseRecord record;
  v1::stored::BaseOpenDecision& stored = *record.mutable_open_decision();
  stored.set_decision_id(std::string(id));
  if (state.FindPlacement(open.placement->placement.name) == open.placement.get()) {
    stored.mutable_placement()->mutable_placement()->set_name(open.placement->placement.name);
  } else {
    ToStored(*open.placement, *stored.mutable_placement());
  }
  stored.set_learner(open.learner);
  stored.set_learner_sequence(open.learner_sequence);
  stored.set_time_micros(open.time);
  stored.set_window_end_micros(open.window_end);
  stored.set_close_micros(open.close_time);
  stored.set_sequence(open.sequence);
  for (const OpenSlot& slot : open.slots) {
    v1::stored::BaseOpenSlot& added = *stored.add_slots();
    added.set_offer_id(slot.offer_id.value());
    added.set_x(FloatsToBytes(slot.x));
    added.set_examination(slot.weight.examination);
    added.set_forgetting(slot.weight.forgetting);
    added.set_half_lives(slot.half_lives);
    added.set_active(slot.is_active);
    added.set_rewarded(slot.is_rewarded);
    added.set_earned(slot.earned);
  }
  return record;
}

absl::Status WriteAll(const FoldImage& image, Sink sink) {
  BaseRecord record;
  v1::stored::Header& header = *record.mutable_header();
  header.set_sequence(image.state.sequence);
  header.set_now_micros(image.state.now);
  Counters counters = image.state.counters;
  counters.ForEach([&header](int64_t count) { header.add_counters(count); });
  header.mutable_limits()->set_profile_bytes(image.limits.profile_bytes);
  header.mutable_limits()->set_max_open_decisions(image.limits.max_open_decisions);
  RETURN_IF_ERROR(sink(record));
  RETURN_IF_ERROR(WriteCatalogue(image.state.catalogue, sink));
  absl::Status status;
  const auto keep_first = [&status](absl::Status next) {
    if (status.ok()) status = std::move(next);
  };
  image.state.customers.ForEach([&](absl::string_view, const Profile& profile) {
    if (status.ok()) keep_first(sink(ToRecord(profile)));
  });
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(WritePopulation(image.state.population, sink));
  image.state.placements.ForEach([&](absl::string_view, const std::shared_ptr<const PlacementState>& placement) {
    BaseRecord stored;
    ToStored(*placement, *stored.mutable_placement());
    keep_first(sink(stored));
  });
  image.state.policies.ForEach([&](absl::string_view, const std::shared_ptr<const PolicyState>& policy) {
    if (status.ok()) keep_first(WritePolicy(*policy, image.learning, sink));
  });
  image.open.ForEach([&](absl::string_view id, const OpenDecision& open) {
    if (status.ok()) keep_first(sink(ToRecord(id, open, image.state)));
  });
  return status;
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
        state_.population.Restore(p.kind(), p.index(), {p.day(), p.today(), p.slow(), p.fast()});
        break;
      }
      case BaseRecord::kPlacement: {
        ASSIGN_OR_RETURN(PlacementState placement, ToPlacement(record.placement()));
        const std::string name = placement.placement.name;
        state_.placements.Mutate(name) = std::make_shared<PlacementState>(std::move(placement));
        break;
      }
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

  void Finish() { FinishOffers(); }

 private:
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
      state_.catalogue.RestoreItem(stored.index(), stored.item().item_id(), nullptr);
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const Item item, FromProto(stored.item()));
    state_.catalogue.RestoreItem(stored.index(), stored.item().item_id(), &item);
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
      ASSIGN_OR_RETURN(const Eigen::MatrixXd gram, BytesToLower(stored.gram(), stored.dim(), "gram"));
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
    for (const v1::stored::BaseOpenSlot& slot : stored.slots()) {
      OpenSlot added;
      added.offer_id = OfferId(slot.offer_id());
      ASSIGN_OR_RETURN(added.x, BytesToFloats(slot.x(), "x"));
      added.weight = {slot.forgetting(), slot.examination()};
      added.half_lives = slot.half_lives();
      added.is_active = slot.active();
      added.is_rewarded = slot.rewarded();
      added.earned = slot.earned();
      open.slots.push_back(std::move(added));
    }
    fold_.RestoreOpen(DecisionId(stored.decision_id()), std::move(open));
    return absl::OkStatus();
  }

  Fold& fold_;
  State& state_;
  std::vector<std::shared_ptr<CatalogueOffer>> offers_;
};

}  // namespace

absl::Status WriteImage(const FoldImage& image, Store::BaseWriter& writer) {
  return WriteAll(image, [&writer](const BaseRecord& record) { return writer.Add(record); });
}

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

uint64_t StateDigest(const FoldImage& image) {
  uint64_t digest = 0;
  std::string bytes;
  (void)WriteAll(image, [&](const BaseRecord& record) {
    bytes.clear();
    record.SerializeToString(&bytes);
    digest = MixHash(digest, StableHash(bytes));
    return absl::OkStatus();
  });
  return digest;
}

}  // namespace offerd
