#pragma once
#include <cstdint>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "cli/session.h"
#include "core/types.h"
#include "offerd/v1/admin_service.pb.h"

namespace offerd::cli {

inline constexpr double kEvidenceSeconds = 600;  // a call that goes through the log may take so long

// What `offerctl policy evaluate --policy` was given.
struct PolicyLogArguments {
  std::string policy, placement, from, to;
  uint64_t version = 0;
};

// The time that an option names; `time` stays where the option is absent.
absl::Status ReadTimeOption(const char* option, const std::string& text, TimeMicros& time);

absl::Status EvaluateOnServer(Session& session, const PolicyLogArguments& arguments);
void PrintEvaluation(const v1::PolicyEvaluation& evaluation, std::ostream& out);

// `offerctl policy rollback --placement`
absl::Status RollBackOnPlacement(Session& session, const std::string& placement, const std::string& reason);

}  // namespace offerd::cli
