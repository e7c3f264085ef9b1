#include "server/auth.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace offerd {
namespace {

constexpr int64_t kClockStepMicros = 100'000;

}  // namespace

absl::string_view RoleText(Role role) {
  switch (role) {
    case Role::kFrontend: return "FRONTEND";
    case Role::kFeedback: return "FEEDBACK";
    case Role::kCatalogue: return "CATALOGUE";
    case Role::kAdmin: return "ADMIN";
  }
  return "";
}

bool ConstantTimeEquals(absl::string_view a, absl::string_view b) {
  volatile unsigned char difference = a.size() == b.size() ? 0 : 1;
  const size_t n = std::min(a.size(), b.size());
  for (size_t i = 0; i < n; ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

absl::StatusOr<Role> Authenticator::Authenticate(std::optional<absl::string_view> authorization) const {
  if (!is_enabled()) return Role::kAdmin;
  if (!authorization.has_value()) {
    return absl::UnauthenticatedError("metadata: expected authorization \"Bearer TOKEN\", found none");
  }
  constexpr absl::string_view kScheme = "Bearer ";
  if (!absl::StartsWithIgnoreCase(*authorization, kScheme)) {
    return absl::UnauthenticatedError("metadata: expected authorization \"Bearer TOKEN\", found another scheme");
  }
  const absl::string_view token = absl::StripAsciiWhitespace(authorization->substr(kScheme.size()));
  int found = -1;
  for (size_t i = 0; i < tokens_.size(); ++i) {  // all of them, so that the time does not tell which one fitted
    if (ConstantTimeEquals(token, tokens_[i].token)) found = static_cast<int>(i);
  }
  if (found < 0) return absl::UnauthenticatedError("metadata: expected the token of a role, found an unknown one");
  return tokens_[static_cast<size_t>(found)].role;
}

absl::Status Authorize(Role role, Access access) {
  if (role == Role::kAdmin || access == Access::kAny || static_cast<int>(role) == static_cast<int>(access)) {
    return absl::OkStatus();
  }
  const Role wanted = static_cast<Role>(access);
  return absl::PermissionDeniedError(absl::StrCat("expected a token of role ", RoleText(wanted),
                                                  wanted == Role::kAdmin ? "" : " or ADMIN", ", found one of ", RoleText(role)));
}

RateLimiter::RateLimiter(const std::vector<RateLimit>& limits) {
  for (const RateLimit& limit : limits) {
    Bucket& bucket = buckets_[static_cast<size_t>(limit.role)];
    bucket.is_limited = true;
    bucket.tokens_per_micro = limit.requests_per_second / 1e6;
    bucket.burst = std::max(1.0, limit.burst);
    absl::MutexLock lock(&bucket.mu);
    bucket.tokens = bucket.burst;
  }
}

absl::Status RateLimiter::Take(Role role, int64_t now_micros) {
  Bucket& bucket = buckets_[static_cast<size_t>(role)];
  if (!bucket.is_limited) return absl::OkStatus();
  {
    absl::MutexLock lock(&bucket.mu);
    // Threads may come a little out of order; further back the clock was set.
    if (bucket.last_micros == INT64_MIN || now_micros < bucket.last_micros - kClockStepMicros) bucket.last_micros = now_micros;
    if (now_micros > bucket.last_micros) {
      const double passed = static_cast<double>(now_micros - bucket.last_micros);
      bucket.tokens = std::min(bucket.burst, bucket.tokens + passed * bucket.tokens_per_micro);
      bucket.last_micros = now_micros;
    }
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return absl::OkStatus();
    }
  }
  return absl::ResourceExhaustedError(absl::StrCat("rate limit of role ", RoleText(role), " reached: try again later"));
}

}  // namespace offerd
