#pragma once
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/session.h"

namespace offerd::cli {

struct PlayOptions {
  std::string stream, placement, market, output, offer_names, offer_items;
  std::vector<std::string> compare;
  std::vector<std::string> offer_items_columns = {"id=offer_id", "items=item_ids"};
  int slots = 5;
  int64_t start = 0;
  int64_t limit = 0;
  double value_cap = 20;
  double retry_seconds = 0;
};

// Plays a recorded stream, one visit after the other.
absl::Status RunPlay(Session& session, const PlayOptions& options);

}  // namespace offerd::cli
