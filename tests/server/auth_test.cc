#include "server/auth.h"

#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

constexpr int64_t kSecond = 1'000'000;

Authenticator TwoTokens() {
  return Authenticator({{Role::kFrontend, "front-token-0123456789"}, {Role::kAdmin, "admin-token-0123456789"}});
}

TEST(AuthenticatorTest, WithoutTokensEveryCallerIsAdmin) {
  const Authenticator open({});
  EXPECT_FALSE(open.is_enabled());
  EXPECT_EQ(*open.Authenticate(std::nullopt), Role::kAdmin);
}

TEST(AuthenticatorTest, KnowsEachTokenByItsRole) {
  const Authenticator authenticator = TwoTokens();
  EXPECT_EQ(*authenticator.Authenticate("Bearer front-token-0123456789"), Role::kFrontend);
  EXPECT_EQ(*authenticator.Authenticate("bearer admin-token-0123456789"), Role::kAdmin);
  EXPECT_EQ(*authenticator.Authenticate("BEARER  admin-token-0123456789 "), Role::kAdmin);
}

TEST(AuthenticatorTest, RefusesEverythingElseWithoutRepeatingIt) {
  const Authenticator authenticator = TwoTokens();
  for (const char* header : {"", "Bearer", "Bearer ", "Basic front-token-0123456789", "Bearer front-token-012345678",
                             "Bearer front-token-01234567890", "front-token-0123456789", "Bearer FRONT-token-0123456789"}) {
    const auto role = authenticator.Authenticate(absl::string_view(header));
    EXPECT_THAT(role, StatusIs(absl::StatusCode::kUnauthenticated, "expected")) << header;
    EXPECT_THAT(std::string(role.status().message()), ::testing::Not(::testing::HasSubstr("0123")));
  }
  EXPECT_THAT(authenticator.Authenticate(std::nullopt), StatusIs(absl::StatusCode::kUnauthenticated, "found none"));
}

TEST(AuthorizeTest, OnlyTheRoleItselfAndAdmin) {
  for (int role = 0; role < kNumRoles; ++role) {
    for (int access = 0; access <= kNumRoles; ++access) {
      const bool is_allowed = role == access || role == static_cast<int>(Role::kAdmin) || access == static_cast<int>(Access::kAny);
      EXPECT_EQ(Authorize(static_cast<Role>(role), static_cast<Access>(access)).code(),
                is_allowed ? absl::StatusCode::kOk : absl::StatusCode::kPermissionDenied);
    }
  }
}

TEST(AuthorizeTest, NamesEveryRoleThatWouldDoOnce) {
  EXPECT_EQ(Authorize(Role::kFrontend, Access::kAdmin).message(), "expected a token of role ADMIN, found one of FRONTEND");
  EXPECT_EQ(Authorize(Role::kFrontend, Access::kFeedback).message(), "expected a token of role FEEDBACK or ADMIN, found one of FRONTEND");
}

TEST(ConstantTimeEqualsTest, IsEquality) {
  EXPECT_TRUE(ConstantTimeEquals("", ""));
  EXPECT_TRUE(ConstantTimeEquals("abc", "abc"));
  EXPECT_FALSE(ConstantTimeEquals("abc", "abd"));
  EXPECT_FALSE(ConstantTimeEquals("abc", "ab"));
  EXPECT_FALSE(ConstantTimeEquals("", "a"));
}

TEST(RateLimiterTest, BurstThenTheRate) {
  RateLimiter limiter({{Role::kFrontend, 2, 3}});
  int64_t now = 100 * kSecond;
  for (int i = 0; i < 3; ++i) EXPECT_OK(limiter.Take(Role::kFrontend, now));
  EXPECT_THAT(limiter.Take(Role::kFrontend, now), StatusIs(absl::StatusCode::kResourceExhausted, "FRONTEND"));
  now += kSecond / 2;  // one token
  EXPECT_OK(limiter.Take(Role::kFrontend, now));
  EXPECT_FALSE(limiter.Take(Role::kFrontend, now).ok());
  now += 1000 * kSecond;  // never more than the burst
  for (int i = 0; i < 3; ++i) EXPECT_OK(limiter.Take(Role::kFrontend, now));
  EXPECT_FALSE(limiter.Take(Role::kFrontend, now).ok());
}

TEST(RateLimiterTest, OtherRolesAreNotLimited) {
  RateLimiter limiter({{Role::kFrontend, 1, 1}});
  EXPECT_FALSE(limiter.limits(Role::kAdmin));
  for (int i = 0; i < 100; ++i) EXPECT_OK(limiter.Take(Role::kAdmin, 0));
}

TEST(RateLimiterTest, AClockSetBackAddsNothingAndStillRuns) {
  RateLimiter limiter({{Role::kFeedback, 1, 1}});
  EXPECT_OK(limiter.Take(Role::kFeedback, 100 * kSecond));
  EXPECT_FALSE(limiter.Take(Role::kFeedback, 50 * kSecond).ok());
  EXPECT_OK(limiter.Take(Role::kFeedback, 101 * kSecond));
}

// Else a clock that was wrong by an hour would let nobody in for an hour.
TEST(RateLimiterTest, TheBucketRefillsFromWhereTheClockWasSetBackTo) {
  RateLimiter limiter({{Role::kFeedback, 1, 1}});
  EXPECT_OK(limiter.Take(Role::kFeedback, 10'000 * kSecond));
  EXPECT_FALSE(limiter.Take(Role::kFeedback, 50 * kSecond).ok());
  EXPECT_OK(limiter.Take(Role::kFeedback, 51 * kSecond));
  EXPECT_FALSE(limiter.Take(Role::kFeedback, 51 * kSecond).ok());
}

}  // namespace
}  // namespace offerd
