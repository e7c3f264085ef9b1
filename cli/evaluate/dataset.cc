#include "cli/evaluate/dataset.h"

namespace offerd::evaluate {

absl::Span<const HistoryEntry> Histories::Of(uint32_t user) const {
  if (user >= num_users()) return {};
  return absl::MakeConstSpan(entries).subspan(entry_offsets[user], entry_offsets[user + 1] - entry_offsets[user]);
}

absl::Span<const uint32_t> Histories::BasketsOf(uint32_t user) const {
  if (user >= num_users()) return {};
  return absl::MakeConstSpan(baskets).subspan(basket_offsets[user], basket_offsets[user + 1] - basket_offsets[user]);
}

}  // namespace offerd::evaluate
