#pragma once
#include <string>

#include "absl/status/status.h"
#include "cli/learn/trainer.h"

namespace offerd::cli {

// Appends what was learned to the log of a store that no server has open: the policy under `name` (set where it is not there, or
// with the same features and half-life), its sums, and a kept publication. All of it or nothing.
//
// Errors  What Store says of a store that is missing, locked or damaged; FailedPrecondition where a policy of that name is another
//         model, or forgets and has learned already.
absl::Status PublishLearned(const learn::Trainer& trainer, const std::string& store_path, const std::string& name);

}  // namespace offerd::cli
