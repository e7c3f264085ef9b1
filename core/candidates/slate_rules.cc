#include "core/candidates/slate_rules.h"

#include <algorithm>
#include <cmath>

namespace offerd {
namespace {

constexpr size_t kMaxCoveredLines = 100;  // items of shown offers that the table is asked about

double Jaccard(const std::vector<ItemIndex>& a, const std::vector<ItemIndex>& b) {
  if (a.empty() || b.empty()) return 0;
  size_t both = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i] == b[j]) {
      ++both, ++i, ++j;
    } else if (a[i] < b[j]) {
      ++i;
    } else {
      ++j;
    }
  }
  return static_cast<double>(both) / static_cast<double>(a.size() + b.size() - both);
}

}  // namespace

void SlateRulesHook::Start(const SlateRulesInput& input) {
  input_ = input;
  has_masked_ = false;
  covered_.clear();
  neighbours_.clear();
  lines_.clear();
  pin_of_.assign(input.ids.size(), -1);
  for (const Pin& pin : input.rules->pins) {
    const auto at = std::find(input.ids.begin(), input.ids.end(), absl::string_view(pin.offer_id));
    if (at != input.ids.end() && pin.slot < input.slots) pin_of_[static_cast<size_t>(at - input.ids.begin())] = pin.slot;
  }
  spread_ = 0;
  const auto is_finite = [](double score) { return std::isfinite(score); };
  double lowest = 0, highest = 0;
  bool any = false;
  for (const double score : input.mean) {
    if (!is_finite(score)) continue;
    lowest = any ? std::min(lowest, score) : score;
    highest = any ? std::max(highest, score) : score;
    any = true;
  }
  spread_ = highest - lowest;
}

bool SlateRulesHook::IsCapped(const CatalogueOffer& offer, absl::Span<const SlateSlot> slate) const {
  int same_category = 0, same_brand = 0;
  for (const SlateSlot& slot : slate) {
    const CatalogueOffer* shown = input_.offers[static_cast<size_t>(slot.candidate)];
    if (shown == nullptr) continue;
    same_category += offer.category != kNoName && shown->category == offer.category;
    same_brand += offer.brand != kNoName && shown->brand == offer.brand;
  }
  const SlateRules& rules = *input_.rules;
  return (rules.max_per_category > 0 && same_category >= rules.max_per_category) ||
         (rules.max_per_brand > 0 && same_brand >= rules.max_per_brand);
}

void SlateRulesHook::CoverItems(const CatalogueOffer& offer) {
  const size_t before = covered_.size();
  covered_.insert(covered_.end(), offer.items.begin(), offer.items.end());
  std::inplace_merge(covered_.begin(), covered_.begin() + static_cast<std::ptrdiff_t>(before), covered_.end());
  covered_.erase(std::unique(covered_.begin(), covered_.end()), covered_.end());
  if (input_.table == nullptr) return;
  for (const ItemIndex item : offer.items) {
    if (lines_.size() == kMaxCoveredLines) break;
    const auto number = input_.table->ids.Find(input_.catalogue->ItemAt(item).id.value());
    const auto is_same = [&](const CartLine& line) { return line.item == *number; };
    if (number.has_value() && std::none_of(lines_.begin(), lines_.end(), is_same)) lines_.push_back({*number, 1});
  }
  scorer_.Accumulate(input_.table->rows, lines_);
  neighbours_.clear();
  float largest = 0;
  for (const TableItem item : scorer_.touched()) largest = std::max(largest, scorer_.score(item));
  for (const TableItem item : scorer_.touched()) {
    const ItemIndex* index = input_.catalogue->FindItem(input_.table->ids.IdOf(item));
    const float score = scorer_.score(item);
    if (index != nullptr && score > 0) neighbours_[*index] = static_cast<double>(score / largest);
  }
}

double SlateRulesHook::ShareCovered(const CatalogueOffer& offer) const {
  if (offer.items.empty()) return 0;
  double covered = 0;
  for (const ItemIndex item : offer.items) {
    if (std::binary_search(covered_.begin(), covered_.end(), item)) {
      covered += 1;
    } else if (const auto found = neighbours_.find(item); found != neighbours_.end()) {
      covered += found->second;
    }
  }
  return covered / static_cast<double>(offer.items.size());
}

double SlateRulesHook::Likeness(const CatalogueOffer& a, const CatalogueOffer& b) const {
  const double category = a.category != kNoName && a.category == b.category ? 0.5 : 0;
  const double brand = a.brand != kNoName && a.brand == b.brand ? 0.2 : 0;
  return category + brand + 0.3 * Jaccard(a.items, b.items);
}

void SlateRulesHook::Apply(absl::Span<const SlateSlot> slate, SlateChange& change) {
  const SlateRules& rules = *input_.rules;
  const int slot = static_cast<int>(slate.size());
  const CatalogueOffer* last = slate.empty() ? nullptr : input_.offers[static_cast<size_t>(slate.back().candidate)];
  const auto at_pin = std::find(pin_of_.begin(), pin_of_.end(), slot);
  for (size_t i = 0; i < pin_of_.size(); ++i) {
    const CatalogueOffer* offer = input_.offers[i];
    bool allowed = pin_of_[i] < 0 ? at_pin == pin_of_.end() : pin_of_[i] == slot;
    if (allowed && pin_of_[i] < 0 && offer != nullptr && IsCapped(*offer, slate)) allowed = false;
    change.allowed[i] = allowed;
    has_masked_ |= !allowed;
  }
  if (!input_.adjusts_scores || last == nullptr) return;
  if (rules.cannibalisation > 0) CoverItems(*last);
  const double diversity = rules.diversity > 0 ? rules.diversity / (1 - rules.diversity) * spread_ : 0;
  if (rules.cannibalisation == 0 && diversity == 0) return;
  change.scores_changed = true;
  for (size_t i = 0; i < pin_of_.size(); ++i) {
    const CatalogueOffer* offer = input_.offers[i];
    if (offer == nullptr) continue;
    if (rules.cannibalisation > 0) change.shrink[i] = rules.cannibalisation * ShareCovered(*offer);
    if (diversity > 0) change.lower[i] = std::max(change.lower[i], diversity * Likeness(*offer, *last));
  }
}

}  // namespace offerd
