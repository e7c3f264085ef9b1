#pragma once
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

// The packaged Abseil has no status matchers.
namespace offerd {

inline const absl::Status& GetStatus(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& GetStatus(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << GetStatus(arg);
  return GetStatus(arg).ok();
}

MATCHER_P2(StatusIs, code, message_part, "") {
  *result_listener << GetStatus(arg);
  return GetStatus(arg).code() == code && ::testing::Matches(::testing::HasSubstr(message_part))(std::string(GetStatus(arg).message()));
}

#define EXPECT_OK(expression) EXPECT_THAT((expression), ::offerd::IsOk())
#define ASSERT_OK(expression) ASSERT_THAT((expression), ::offerd::IsOk())

}  // namespace offerd
