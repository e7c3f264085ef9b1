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

absl::Status WriteCatalogue(const Catalogue& catalogue, Sink sink) {
  for (size_t i = 0; i < catalogue.num_names(); ++i) {
    BaseRecord record;
    record.mutable_name()->set_index(static_cast<uint32_t>(i));
    record.mutable_name()->set_name(catalogue.KeptName(NameIndex{static_cast<uint32_t>(i)}));
    RETURN_IF_ERROR(sink(record));
  }
  for (size_t i = 0; i < catalogue.num_item_numbers(); ++i) {
    const CatalogueItem& item = catalogue.ItemAt(ItemIndex{static_cast<uint32_t>(i)});
    BaseRecord record;
    record.mutable_item()->set_index(static_cast<uint32_t>(i));
    record.mutable_item()->set_known(item.item != nullptr);
    record.mutable_item()->set_arrived_micros(item.arrived);
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
    stored.add_affinity_key(affinity.key);
    stored.add_affinity_visits(affinity.visits);
    stored.add_affinity_decayed(affinity.decayed);
    stored.add_affinity_first_micros(affinity.first);
    stored.add_affinity_last_micros(affinity.last);
    stored.add_affinity_last_visit(affinity.last_visit);
  }
  for (const Profile::Interest& interest : parts.interests) {
    stored.add_interest_items(static_cast<uint32_t>(interest.item));
    stored.add_interest_kinds(static_cast<uint32_t>(interest.kind));
    stored.add_interest_time_micros(interest.time);
  }
  for (const Profile::Exposure& exposure : parts.exposures) {
    stored.add_exposure_offers(static_cast<uint32_t>(exposure.offer));
    stored.add_exposure_time_micros(exposure.time);
  }
  return record;
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

absl::Status WriteDemand(const ItemDemand& demand, Sink sink) {
  absl::Status status;
  demand.markets().ForEach([&](absl::string_view name, const ItemDemand::Market& market) {
    const auto write = [&](int kind, size_t index, const DayCount& count, const SeasonCounts& seasons) {
      BaseRecord record;
      auto& stored = *record.mutable_market_counts();
      stored.set_market(std::string(name));
      *stored.mutable_counts() = DayCountRecord(kind, index, count).population();
      stored.set_year(seasons.year);
      stored.mutable_weekdays()->Add(std::begin(seasons.weekdays), std::end(seasons.weekdays));
      stored.mutable_months()->Add(std::begin(seasons.months), std::end(seasons.months));
      if (status.ok()) status = sink(record);
    };
    write(0, 0, market.orders, market.order_seasons);
    for (size_t i = 0; i < market.items.size(); ++i) {
      const DayCount& count = market.items[i];  // not by its day: 0 is 1970-01-01
      if (count.today != 0 || count.slow != 0 || count.fast != 0) write(3, i, count, market.item_seasons[i]);
    }
  });
  return status;
}

BaseRecord ToRecord(absl::string_view name, const TableState& table) {
  BaseRecord record;
  record.mutable_table()->set_name(std::string(name));
  for (const TablePublished& version : table.versions) *record.mutable_table()->add_versions() = ToProto(version);
  return record;
}

BaseRecord ToRecord(absl::string_view placement, const ReleaseHistory::Entry& entry) {
  BaseRecord record;
  v1::stored::BaseRelease& stored = *record.mutable_release();
  stored.set_placement(std::string(placement));
  stored.set_time_micros(entry.time);
  stored.set_tested(entry.tested);
  stored.set_changed(entry.changed);
  stored.set_previous_policy(entry.previous_policy);
  stored.set_previous_mode(static_cast<int>(entry.previous_mode));
  stored.set_report(entry.report);
  return record;
}

BaseRecord ToRecord(absl::string_view placement, const LiveGuard& guard) {
  BaseRecord record;
  v1::stored::BaseGuard& stored = *record.mutable_guard();
  stored.set_placement(std::string(placement));
  stored.set_begun(guard.begun());
  stored.set_slots(guard.baseline().slots);
  stored.set_rewards(guard.baseline().sum);
  for (const LiveGuard::Block& block : guard.blocks()) {
    v1::stored::BaseGuard::Block& added = *stored.add_blocks();
    added.set_count(block.count);
    added.set_sum(block.sum);
    added.set_squares(block.squares);
  }
  return record;
}

BaseRecord ToRecord(absl::string_view placement, const ExaminationSums& sums) {
  BaseRecord record;
  v1::stored::BaseExamination& stored = *record.mutable_examination();
  stored.set_placement(std::string(placement));
  stored.set_begun(sums.begun());
  for (const ExaminationSums::Slot& slot : sums.slots()) {
    stored.add_rewards(slot.reward);
    stored.add_estimates(slot.estimate);
  }
  stored.set_first_squared(sums.first_squared());
  return record;
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
  stored.set_weight(parts.weight);
  stored.set_theta(DoublesToBytes(parts.theta));
  stored.set_coefficients(
      FloatsToBytes(Eigen::Map<const Eigen::VectorXf>(parts.coefficients.data(), parts.coefficients.size())));
  stored.set_factor(LowerToBytes(parts.lower));
  return record;
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
    stored.set_gram(LowerToBytes(learning.statistics.gram()));
    stored.set_reward_x(DoublesToBytes(learning.statistics.reward_x()));
    stored.set_reward_squared(learning.statistics.reward_squared());
    stored.set_total_weight(learning.statistics.total_weight());
    stored.set_num_shown(learning.statistics.num_shown());
    stored.set_has_epoch(learning.has_epoch);
    stored.set_epoch_micros(learning.epoch);
    stored.set_half_lives(learning.half_lives);
    stored.set_newest_micros(learning.newest);
    stored.set_largest_reward(learning.largest_reward);
    stored.set_ridge(learning.ridge);
    stored.set_ridge_shown(learning.ridge_shown);
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
  stored.set_customer_id(open.customer_id);
  stored.set_settle_micros(open.settle_time);
  stored.set_held_back(!open.is_settled);
  stored.set_is_guarded(open.is_guarded);
  for (const OpenSlot& slot : open.slots) {
    v1::stored::BaseOpenSlot& added = *stored.add_slots();
    added.set_offer_id(slot.offer_id.value());
    added.set_x(FloatsToBytes(slot.x));
    added.set_examination(slot.weight.examination);
    added.set_forgetting(slot.weight.forgetting);
    added.set_half_lives(slot.half_lives);
    added.set_active(slot.is_active);
    added.set_earned(slot.earned);
    added.set_counted(slot.is_counted);
    added.set_shown_micros(slot.shown_at);
    added.set_fixed_ratio(slot.fixed_ratio);
    added.set_share_weight(slot.share_weight);
    for (const SlotEvent& event : slot.events) {
      v1::stored::BaseSlotEvent& stored_event = *added.add_events();
      stored_event.set_id(event.id);
      stored_event.set_time_micros(event.time);
      stored_event.set_weight(event.weight);
      stored_event.set_amount(event.amount);
      stored_event.set_reverses(event.reverses);
      stored_event.set_takes_all(event.takes_all);
    }
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
  absl::Status status;
  const auto keep_first = [&status](absl::Status next) {
    if (status.ok()) status = std::move(next);
  };
  // First, so that a start reads their files while it reads the rest.
  image.state.tables.ForEach([&](absl::string_view name, const TableState& table) { keep_first(sink(ToRecord(name, table))); });
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(WriteCatalogue(image.state.catalogue, sink));
  image.state.customers.ForEach([&](absl::string_view, const Profile& profile) {
    if (status.ok()) keep_first(sink(ToRecord(profile)));
  });
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(WritePopulation(image.state.population, sink));
  RETURN_IF_ERROR(WriteDemand(image.state.demand, sink));
  image.state.placements.ForEach([&](absl::string_view, const std::shared_ptr<const PlacementState>& placement) {
    BaseRecord stored;
    ToStored(*placement, *stored.mutable_placement());
    keep_first(sink(stored));
  });
  image.state.releases.ForEach([&](absl::string_view name, const std::shared_ptr<const ReleaseHistory>& history) {
    for (const ReleaseHistory::Entry& entry : history->entries) keep_first(sink(ToRecord(name, entry)));
  });
  image.state.guards.ForEach([&](absl::string_view name, const LiveGuard& guard) { keep_first(sink(ToRecord(name, guard))); });
  image.state.examinations.ForEach([&](absl::string_view name, const ExaminationSums& sums) { keep_first(sink(ToRecord(name, sums))); });
  image.state.policies.ForEach([&](absl::string_view, const std::shared_ptr<const PolicyState>& policy) {
    if (status.ok()) keep_first(WritePolicy(*policy, image.learning, sink));
  });
  image.open.ForEach([&](absl::string_view id, const OpenDecision& open) {
    if (status.ok()) keep_first(sink(ToRecord(id, open, image.state)));
  });
  return status;
}

}  // namespace

absl::Status WriteImage(const FoldImage& image, Store::BaseWriter& writer) {
  return WriteAll(image, [&writer](const BaseRecord& record) { return writer.Add(record); });
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
