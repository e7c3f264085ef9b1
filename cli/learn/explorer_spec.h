#pragma once
#include <string>

#include "absl/status/statusor.h"
#include "core/records.h"

namespace offerd::learn {

// What --explorer says; scale and bag size belong to the policy.
struct ExplorerChoice {
  ExplorerSpec spec;
  double scale = 0.3;  // thompson
  int bag_size = 32;   // thompson
  std::string text;    // canonical: "ucb:strength=0.5"
};

// NAME[:key=value,...] of greedy, epsilon_greedy (epsilon), softmax (strength), inverse_gap (strength), ucb (strength),
// thompson (scale, bag), bounded_shuffle (reach); all but greedy take epsilon too. Without a name: the default explorer of a
// placement without a randomised share. InvalidArgument names what was expected.
absl::StatusOr<ExplorerChoice> ParseExplorer(const std::string& text);

}  // namespace offerd::learn
