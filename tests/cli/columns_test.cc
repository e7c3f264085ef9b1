#include "cli/columns.h"

#include "cli/session.h"
#include "tests/support/status_matchers.h"

namespace offerd::cli {
namespace {

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<ColumnMapping> Parse(const char* kind, const std::vector<std::string>& declarations) {
  return ColumnMapping::Parse(*FindImportKind(kind), declarations);
}

TEST(ColumnsTest, WrongDeclarationsAreUsageErrorsThatNameThem) {
  EXPECT_THAT(Parse("items", {"id=a", "colour=b"}), StatusIs(kInvalid, "\"colour\""));
  EXPECT_THAT(Parse("items", {"id=a", "id=b"}), StatusIs(kInvalid, "id is mapped twice"));
  EXPECT_THAT(Parse("items", {"brand=a"}), StatusIs(kInvalid, "need the role id"));
  EXPECT_THAT(Parse("items", {"id"}), StatusIs(kInvalid, "not role=column"));
  EXPECT_THAT(Parse("items", {"id=a", "category=b", "category_path=c"}), StatusIs(kInvalid, "not both"));
  EXPECT_THAT(Parse("items", {"id=a", "attribute.=c"}), StatusIs(kInvalid, "attribute."));
  EXPECT_THAT(Parse("events", {"kind=:purchase", "attribute.x=c"}), StatusIs(kInvalid, "attribute.x"));
  EXPECT_TRUE(IsUsageError(Parse("items", {"id"}).status()));
}

TEST(ColumnsTest, HeaderMustHaveTheColumnOnce) {
  EXPECT_THAT(Parse("items", {"id=sku"})->Bind({"item", "brand"}), StatusIs(kInvalid, "no column \"sku\" for id; the header has item, brand"));
  EXPECT_THAT(Parse("items", {"id=sku"})->Bind({"sku", "sku"}), StatusIs(kInvalid, "2 times"));
}

TEST(ColumnsTest, CellsComeFromColumnsAndConstants) {
  auto mapping = Parse("events", {"kind=:purchase", "order=o", "item=i"});
  ASSERT_OK(mapping);
  ASSERT_OK(mapping->Bind({"i", "unused", "o"}));
  const CsvRow row{2, {"milk", "x", "7"}, ""};
  EXPECT_EQ(mapping->Get("kind", row), "purchase");
  EXPECT_EQ(mapping->Get("order", row), "7");
  EXPECT_EQ(mapping->Get("item", row), "milk");
  EXPECT_EQ(mapping->Get("customer", row), "") << "not mapped";
}

}  // namespace
}  // namespace offerd::cli
