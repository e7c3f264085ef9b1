#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace offerd {

// Who calls. ADMIN may do everything, the others what their services offer.
enum class Role : uint8_t { kFrontend, kFeedback, kCatalogue, kAdmin };
inline constexpr int kNumRoles = 4;
absl::string_view RoleText(Role role);  // "FRONTEND" and so on, as in config.proto

// Whom a method is for; kAny is every caller with a good token.
enum class Access : uint8_t { kFrontend, kFeedback, kCatalogue, kAdmin, kAny };

struct RoleToken {
  Role role = Role::kFrontend;
  std::string token;
};

// Knows the callers by their tokens. Without tokens there is no authentication and every caller is an ADMIN.
//
// Threads  Safe; nothing changes after construction.
// Cost     Compares with every token in a time that depends on lengths only.
class Authenticator {
 public:
  explicit Authenticator(std::vector<RoleToken> tokens) : tokens_(std::move(tokens)) {}

  bool is_enabled() const { return !tokens_.empty(); }

  // `authorization` is that header's value, nullopt when absent: "Bearer TOKEN", the first word in any case. Unauthenticated
  // says what is wrong, never what was sent.
  absl::StatusOr<Role> Authenticate(std::optional<absl::string_view> authorization) const;

 private:
  const std::vector<RoleToken> tokens_;
};

absl::Status Authorize(Role role, Access access);  // PermissionDenied

// True when equal; takes as long for any two texts of the same lengths.
bool ConstantTimeEquals(absl::string_view a, absl::string_view b);

struct RateLimit {
  Role role = Role::kFrontend;
  double requests_per_second = 0;
  double burst = 0;
};

// A token bucket for each limited role, full at first.
//
// Threads  Safe.
// Errors   ResourceExhausted when the bucket is empty. A clock that goes backwards adds nothing, and refilling goes on from there.
class RateLimiter {
 public:
  explicit RateLimiter(const std::vector<RateLimit>& limits);

  bool limits(Role role) const { return buckets_[static_cast<int>(role)].is_limited; }
  absl::Status Take(Role role, int64_t now_micros);  // one request

 private:
  struct Bucket {
    // Fixed after construction.
    bool is_limited = false;
    double tokens_per_micro = 0;
    double burst = 0;
    // Guarded.
    absl::Mutex mu;
    double tokens ABSL_GUARDED_BY(mu) = 0;
    int64_t last_micros ABSL_GUARDED_BY(mu) = INT64_MIN;
  };
  std::array<Bucket, kNumRoles> buckets_;
};

}  // namespace offerd
