#include "server/bad_request.h"

#include <string>

#include "server/utf8.h"
#include "tests/support/status_matchers.h"

namespace offerd {
namespace {

google::rpc::BadRequest DetailsOf(const absl::Status& status) {
  google::rpc::BadRequest details;
  const auto payload = status.GetPayload(kBadRequestUrl);
  EXPECT_TRUE(payload.has_value() && details.ParseFromString(std::string(*payload)));
  return details;
}

TEST(FieldErrorsTest, NothingWrongIsOk) { EXPECT_OK(FieldErrors().ToStatus()); }

TEST(FieldErrorsTest, NamesTheFirstAndCountsAll) {
  FieldErrors errors;
  errors.Add("candidates[3].offer_id", "expected 1 to 256 bytes, found 0");
  errors.Add("slate_size", "expected 0 or more, found -1");
  EXPECT_EQ(errors.count(), 2);
  const absl::Status status = errors.ToStatus();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "candidates[3].offer_id: expected 1 to 256 bytes, found 0 (2 problems)");
  const auto details = DetailsOf(status);
  ASSERT_EQ(details.field_violations_size(), 2);
  EXPECT_EQ(details.field_violations(1).field(), "slate_size");
  EXPECT_EQ(details.field_violations(1).description(), "expected 0 or more, found -1");
}

TEST(FieldErrorsTest, ThousandsOfProblemsFitAHeader) {
  FieldErrors errors;
  for (int i = 0; i < 5000; ++i) errors.Add("field" + std::string(1000, 'x'), std::string(1000, 'y'));
  const google::rpc::Status status = ToRpcStatus(errors.ToStatus());
  EXPECT_THAT(status.message(), ::testing::HasSubstr("(5000 problems)"));
  EXPECT_EQ(status.details_size(), 1);
  EXPECT_LT(status.ByteSizeLong(), 4000u);
}

TEST(ToRpcStatusTest, KeepsCodeMessageAndPayload) {
  const google::rpc::Status status = ToRpcStatus(BadRequest("name", "expected one"));
  EXPECT_EQ(status.code(), 3);
  EXPECT_EQ(status.message(), "name: expected one");
  ASSERT_EQ(status.details_size(), 1);
  EXPECT_EQ(status.details(0).type_url(), "type.googleapis.com/google.rpc.BadRequest");
}

TEST(ToRpcStatusTest, BytesThatAreNoTextAndLongMessagesBecomeText) {
  const google::rpc::Status status = ToRpcStatus(absl::InternalError("a\xff" + std::string(5000, 'b')));
  EXPECT_LE(status.message().size(), 600u);
  EXPECT_TRUE(IsValidUtf8(status.message()));
}

TEST(RpcCodeTest, IsTheNumberOnTheWire) {
  EXPECT_EQ(RpcCode(absl::StatusCode::kOk), 0);
  EXPECT_EQ(RpcCode(absl::StatusCode::kResourceExhausted), 8);
  EXPECT_EQ(RpcCode(absl::StatusCode::kUnauthenticated), 16);
  EXPECT_EQ(RpcCode(static_cast<absl::StatusCode>(99)), 2);
}

TEST(Utf8Test, AcceptsExactlyWhatIsWellFormed) {
  for (const char* text : {"", "plain ascii of some length", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "12345678\xc3\xa9" "12345678"}) {
    EXPECT_TRUE(IsValidUtf8(text)) << text;
  }
  for (const char* text : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x80\x80", "\xe2\x82", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                           "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "12345678\xff", "1234567\xc3", "\xe2\x28\xa1"}) {
    EXPECT_FALSE(IsValidUtf8(text));
  }
  EXPECT_TRUE(IsValidUtf8(absl::string_view("a\0b", 3)));
}

TEST(Utf8Test, EveryCodePointAndNoSurrogate) {
  for (uint32_t c = 0; c <= 0x10ffff; ++c) {
    std::string text;
    if (c < 0x80) {
      text = {static_cast<char>(c)};
    } else if (c < 0x800) {
      text = {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
    } else if (c < 0x10000) {
      text = {static_cast<char>(0xe0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
    } else {
      text = {static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)), static_cast<char>(0x80 | (c >> 6 & 63)),
              static_cast<char>(0x80 | (c & 63))};
    }
    ASSERT_EQ(IsValidUtf8(text), c < 0xd800 || c > 0xdfff) << c;
  }
}

TEST(Utf8Test, CutNeverSplitsACharacter) {
  EXPECT_EQ(CutUtf8("a\xc3\xa9z", 2), "a");
  EXPECT_EQ(CutUtf8("a\xc3\xa9z", 3), "a\xc3\xa9");
  EXPECT_EQ(CutUtf8("a\xff" "b", 100), "a\xef\xbf\xbd" "b");
  EXPECT_EQ(CutUtf8("\xc3", 100), "\xef\xbf\xbd");
}

}  // namespace
}  // namespace offerd
