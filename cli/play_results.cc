#include "cli/play_results.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/cells.h"

namespace offerd::cli {
namespace {

Json ToJson(const ClusterMean& values) {
  const std::optional<Interval> interval = values.Interval95();
  Json json = {{"mean", values.mean()}, {"lo", nullptr}, {"hi", nullptr}};
  if (interval.has_value()) {
    json["lo"] = interval->lo;
    json["hi"] = interval->hi;
  }
  return json;
}

std::string WithInterval(const ClusterMean& values, const char* sign) {
  const std::optional<Interval> interval = values.Interval95();
  const std::string mean = values.mean() >= 0 ? absl::StrFormat("%s%.4f", sign, values.mean()) : absl::StrFormat("%.4f", values.mean());
  return interval.has_value() ? absl::StrFormat("%s [%.4f, %.4f]", mean, interval->lo, interval->hi) : mean;
}

}  // namespace

PlayResults::PlayResults(const std::vector<std::string>& compared, double value_cap) : value_cap_(value_cap) {
  arms_.emplace_back().name = "learned";
  for (const std::string& name : compared) arms_.emplace_back().name = name;
}

PlayResults::Outcome PlayResults::Judge(const v1::RankOffersResponse& answer, const v1::Event& purchase, const OfferBook& book) const {
  Outcome outcome;
  for (int i = 0; i < answer.slots_size(); ++i) {
    const std::optional<int64_t> covered = book.CoveredMicros(answer.slots(i).offer_id(), purchase);
    if (!covered.has_value()) continue;
    outcome.slate_hit = 1;
    if (i > 0) continue;
    outcome.reward = 1;
    const double value = static_cast<double>(*covered) / 1e6;
    outcome.value = value_cap_ > 0 ? std::min(value, value_cap_) : value;
  }
  return outcome;
}

void PlayResults::AddVisit(const Visit& visit, const std::vector<v1::RankOffersResponse>& answers, const OfferBook& book,
                           std::chrono::nanoseconds rank_time) {
  const std::string& customer = visit.request.customer_id();
  ++visits_;
  rank_nanos_.push_back(rank_time.count());
  Outcome learned;
  for (size_t i = 0; i < arms_.size(); ++i) {
    const Outcome outcome = Judge(answers[i], visit.purchase, book);
    if (i == 0) learned = outcome;
    Arm& arm = arms_[i];
    arm.reward.Add(customer, outcome.reward);
    arm.value.Add(customer, outcome.value);
    arm.slate_hits.Add(customer, outcome.slate_hit);
    if (i == 0) continue;
    arm.reward_difference.Add(customer, learned.reward - outcome.reward);
    arm.value_difference.Add(customer, learned.value - outcome.value);
  }
  const v1::RankOffersResponse& answer = answers[0];
  for (const int note : answer.notes()) repeated_ += note == v1::RankOffersResponse::REPEATED ? 1 : 0;
  if (answer.slots_size() == 0) {
    ++empty_slates_;
    return;
  }
  if (answer.slots(0).reason() == v1::RankOffersResponse::EXPLORATION) explored_.Add(customer, learned.reward);
  if (answer.slots(0).reason() == v1::RankOffersResponse::BEST_ESTIMATE) best_estimate_.Add(customer, learned.reward);
  if (learned.reward > 0) last_hit_.emplace(visit, answer);
}

void PlayResults::AddEvent(const v1::EventResult& result, bool retried) {
  if (result.status().code() != 0 || result.fate() == v1::REFUSED) {
    ++refused_;
    return;
  }
  ++acknowledged_;
  // After a failure the first attempt may have been applied without its answer having come through.
  applied_ += result.fate() == v1::APPLIED || (retried && result.fate() == v1::DUPLICATE) ? 1 : 0;
  duplicates_ += result.fate() == v1::DUPLICATE ? 1 : 0;
  late_ += result.fate() == v1::LATE ? 1 : 0;
  orphans_ += result.fate() == v1::ORPHAN ? 1 : 0;
}

double PlayResults::Percentile(double share) const {
  if (rank_nanos_.empty()) return 0;
  std::vector<int64_t> sorted = rank_nanos_;
  const auto rank = std::max<size_t>(1, static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size()))));  // nearest rank
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(rank - 1), sorted.end());
  return static_cast<double>(sorted[rank - 1]) / 1e3;
}

double PlayResults::CallsPerSecond() const {
  const auto total = static_cast<double>(std::accumulate(rank_nanos_.begin(), rank_nanos_.end(), int64_t{0}));
  return total > 0 ? static_cast<double>(rank_nanos_.size()) / total * 1e9 : 0;
}

std::string PlayResults::ProgressHeader(const std::vector<std::string>& compared) {
  std::string line = absl::StrFormat("%9s  %9s", "visits", "learned");
  for (const std::string& name : compared) absl::StrAppend(&line, absl::StrFormat("  %9s", name));
  return absl::StrCat(line, "   (hit rate at slot 1 so far)   p99 us");
}

std::string PlayResults::Progress() const {
  std::string line = absl::StrFormat("%9s", FormatCount(visits_));
  for (const Arm& arm : arms_) absl::StrAppend(&line, absl::StrFormat("  %9.4f", arm.reward.mean()));
  return absl::StrCat(line, absl::StrFormat("  %37.0f", Percentile(0.99)));
}

Json PlayResults::Summary() const {
  Json reward, value, slate_hits, difference = Json::object(), value_difference = Json::object();
  for (const Arm& arm : arms_) {
    reward[arm.name] = ToJson(arm.reward);
    value[arm.name] = ToJson(arm.value);
    slate_hits[arm.name] = ToJson(arm.slate_hits);
    if (&arm == &arms_.front()) continue;
    difference[arm.name] = ToJson(arm.reward_difference);
    value_difference[arm.name] = ToJson(arm.value_difference);
  }
  const double visits = visits_ == 0 ? 1 : static_cast<double>(visits_);
  return {
      {"visits", visits_},
      {"reward", reward},
      {"value", value},
      {"slate_hits", slate_hits},
      {"difference", difference},
      {"value_difference", value_difference},
      {"exploration", {{"share", static_cast<double>(explored_.count()) / visits}, {"reward", explored_.mean()},
                       {"best_estimate_share", static_cast<double>(best_estimate_.count()) / visits}, {"best_estimate_reward", best_estimate_.mean()}}},
      {"rank_offers", {{"p50_us", Percentile(0.5)}, {"p99_us", Percentile(0.99)}, {"per_second", CallsPerSecond()}}},
      {"events", {{"acknowledged", acknowledged_}, {"applied", applied_}, {"duplicates", duplicates_}, {"late", late_},
                  {"orphans", orphans_}, {"refused", refused_}}},
      {"visits_without_candidates", unranked_},
      {"empty_slates", empty_slates_},
      {"answered_from_store", repeated_},
  };
}

std::string PlayResults::Explain(const OfferBook& book) const {
  if (!last_hit_.has_value()) return "";
  const auto& [visit, answer] = *last_hit_;
  std::string text = absl::StrCat("\nOne decision: customer ", visit.request.customer_id(), " on ", FormatTime(visit.request.as_of()), ", ",
                                  answer.candidates(), " offers scored by ", answer.policy(), ", model version ", answer.model_version(), "\n");
  std::vector<std::vector<std::string>> rows = {{"slot", "offer", "score", "probability", "reason", "basket"}};
  for (int i = 0; i < answer.slots_size(); ++i) {
    const auto& slot = answer.slots(i);
    const std::optional<int64_t> covered = book.CoveredMicros(slot.offer_id(), visit.purchase);
    rows.push_back({absl::StrCat(i + 1), book.Label(slot.offer_id()), FormatNumber(slot.score()), FormatNumber(slot.probability()), ReasonInWords(slot.reason()),
                    covered.has_value() ? absl::StrCat("bought for ", FormatMoney(*covered)) : "not bought"});
  }
  const auto& first = answer.slots(0);
  absl::StrAppend(&text, FormatTable(rows), "In words: ", book.Label(first.offer_id()), " stood first because it was ", ReasonInWords(first.reason()));
  if (first.score() > 0 && first.score() <= 1) {
    absl::StrAppend(&text, absl::StrFormat("; the model expected a purchase in one visit of %.1f", 1 / first.score()));
  }
  return absl::StrCat(text, absl::StrFormat("; it had %.1f %% of the draw, and the basket held it.\n", 100 * first.probability()));
}

std::string PlayResults::InWords(const OfferBook& book) const {
  std::string text = absl::StrCat(FormatCount(visits_), " visits ranked", unranked_ == 0 ? "" : absl::StrCat(", ", FormatCount(unranked_), " without candidates"),
                                  "; 95 % intervals in brackets, clustered by customer\n\n");
  std::vector<std::vector<std::string>> rows = {{"policy", "hit rate at slot 1", "sales value at slot 1", "any hit in the slate", "learned minus this (hits)", "learned minus this (value)"}};
  for (const Arm& arm : arms_) {
    const bool own = &arm == &arms_.front();
    rows.push_back({arm.name, WithInterval(arm.reward, ""), WithInterval(arm.value, ""), WithInterval(arm.slate_hits, ""),
                    own ? "" : WithInterval(arm.reward_difference, "+"), own ? "" : WithInterval(arm.value_difference, "+")});
  }
  absl::StrAppend(&text, FormatTable(rows), "\n");
  if (visits_ > 0) {
    absl::StrAppend(&text, absl::StrFormat("Exploration: %.1f %% of first slots were drawn in order to learn, with a hit rate of %.4f; the best estimate's were %.4f.\n"
                                           "What the best estimate would have earned in the explored visits is not known, so this is no exact cost.\n",
                                           100.0 * static_cast<double>(explored_.count()) / static_cast<double>(visits_), explored_.mean(), best_estimate_.mean()));
  }
  absl::StrAppend(&text, absl::StrFormat("RankOffers: half within %.0f us, 99 %% within %.0f us, %.0f a second, one at a time.\n", Percentile(0.5), Percentile(0.99), CallsPerSecond()));
  absl::StrAppend(&text, "Events: ", FormatCount(acknowledged_), " acknowledged, ", FormatCount(applied_), " applied, ", FormatCount(duplicates_), " duplicates");
  if (late_ + orphans_ + refused_ > 0) absl::StrAppend(&text, ", ", late_, " late, ", orphans_, " for unknown decisions, ", refused_, " refused");
  absl::StrAppend(&text, ".\n");
  if (repeated_ > 0) absl::StrAppend(&text, FormatCount(repeated_), " visits were played before and answered from the store.\n");
  if (empty_slates_ > 0) absl::StrAppend(&text, FormatCount(empty_slates_), " visits got an empty slate and count as misses.\n");
  absl::StrAppend(&text, "This shows prediction of recorded purchases, not uplift: what was shown did not change the baskets.\n");
  return absl::StrCat(text, Explain(book));
}

}  // namespace offerd::cli
