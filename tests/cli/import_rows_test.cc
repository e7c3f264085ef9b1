#include "cli/import_rows.h"

#include "cli/cells.h"
#include "tests/support/status_matchers.h"

namespace offerd::cli {
namespace {

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// A mapping of roles to columns of the same names, in this order.
ColumnMapping Map(const char* kind, const std::vector<std::string>& roles, const std::vector<std::string>& constants = {}) {
  std::vector<std::string> declarations = constants;
  for (const std::string& role : roles) declarations.push_back(role + "=" + role);
  absl::StatusOr<ColumnMapping> mapping = ColumnMapping::Parse(*FindImportKind(kind), declarations);
  EXPECT_OK(mapping);
  EXPECT_OK(mapping->Bind(roles));
  return *mapping;
}

TEST(ImportRowsTest, ItemFromCells) {
  const ColumnMapping columns = Map("items", {"id", "category_path", "brand", "price", "cost", "attribute.size", "attribute.colour", "attribute.none"}, {"currency=:EUR"});
  v1::Item item;
  ASSERT_OK(ConvertRow(columns, {2, {"a1", "Food > Dairy>Milk", "Own", "0.29", "0.1", "1.5", "red", ""}, ""}, &item));
  EXPECT_THAT(item.category_path(), ::testing::ElementsAre("Food", "Dairy", "Milk"));
  EXPECT_EQ(item.price_micros(), 290'000);
  EXPECT_EQ(item.cost_micros(), 100'000);
  EXPECT_EQ(item.currency(), "EUR");
  ASSERT_EQ(item.attributes_size(), 2) << "an empty cell is no attribute";
  EXPECT_EQ(item.attributes(0).number(), 1.5);
  EXPECT_EQ(item.attributes(1).text(), "red");
}

TEST(ImportRowsTest, OfferFromCells) {
  const ColumnMapping columns = Map("offers", {"id", "items", "starts_at", "ends_at", "budget", "stock", "requires_consent", "only_sent", "audiences"});
  v1::Offer offer;
  ASSERT_OK(ConvertRow(columns, {2, {"o", "1|2|3", "1509944400", "2017-12-01", "100", "7", "yes", "0", "x|y"}, ""}, &offer));
  EXPECT_THAT(offer.item_ids(), ::testing::ElementsAre("1", "2", "3"));
  EXPECT_EQ(offer.starts_at().seconds(), 1'509'944'400);
  EXPECT_EQ(FormatTime(offer.ends_at()), "2017-12-01T00:00:00Z");
  EXPECT_EQ(offer.budget_micros(), 100'000'000);
  EXPECT_EQ(offer.stock(), 7);
  EXPECT_TRUE(offer.requires_consent());
  EXPECT_FALSE(offer.only_sent());
  EXPECT_THAT(ConvertRow(columns, {2, {"o", "", "soon", "", "", "", "", "", ""}, ""}, &offer), StatusIs(kInvalid, "starts_at: \"soon\""));
  EXPECT_THAT(ConvertRow(columns, {2, {"", "", "", "", "", "", "", "", ""}, ""}, &offer), StatusIs(kInvalid, "id: empty"));
}

TEST(ImportRowsTest, CustomerFromCells) {
  v1::Customer customer;
  ASSERT_OK(ConvertRow(Map("customers", {"id", "consent", "campaigns", "attribute.income"}), {2, {"c", "denied", "8|13", "4"}, ""}, &customer));
  EXPECT_EQ(customer.consent(), v1::CONSENT_DENIED);
  EXPECT_THAT(customer.campaigns(), ::testing::ElementsAre("8", "13"));
  EXPECT_EQ(customer.attributes(0).number(), 4);
}

class EventRowsTest : public ::testing::Test {
 protected:
  absl::Status Add(int64_t line, const std::string& order, const std::string& customer, const std::string& item, const std::string& revenue = "1.5") {
    return rows_.Add({line, {order, customer, "100", item, "2", revenue}, ""}, &done_);
  }
  const ColumnMapping columns_ = Map("events", {"order", "customer", "time", "item", "quantity", "revenue"}, {"kind=:purchase"});
  EventRows rows_{columns_, true};
  std::vector<Imported<v1::Event>> done_;
};

TEST_F(EventRowsTest, NeighbouringRowsOfAnOrderAreOneEvent) {
  ASSERT_OK(Add(2, "A", "c", "1"));
  ASSERT_OK(Add(3, "A", "c", "2"));
  ASSERT_OK(Add(4, "B", "c", "3"));
  ASSERT_EQ(done_.size(), 1u);
  rows_.Finish(&done_);
  ASSERT_EQ(done_.size(), 2u);
  EXPECT_EQ(done_[0].message.event_id(), "import-A");
  EXPECT_EQ(done_[0].message.lines_size(), 2);
  EXPECT_EQ(done_[0].message.lines(1).revenue_micros(), 1'500'000);
  EXPECT_EQ(done_[0].rows, 2);
  EXPECT_TRUE(done_[0].message.history());
  EXPECT_EQ(done_[1].message.event_id(), "import-B");
  EXPECT_EQ(done_[1].line, 4);
}

TEST_F(EventRowsTest, OrderThatComesBackIsRefusedNotTakenForARepeat) {
  ASSERT_OK(Add(2, "A", "c", "1"));
  ASSERT_OK(Add(3, "B", "c", "2"));
  EXPECT_THAT(Add(4, "A", "c", "3"), StatusIs(kInvalid, "sort the file by order"));
}

TEST_F(EventRowsTest, RowThatDisagreesWithItsOrderIsRefused) {
  ASSERT_OK(Add(2, "A", "c", "1"));
  EXPECT_THAT(Add(3, "A", "d", "2"), StatusIs(kInvalid, "customer: differs from the first row of order \"A\" on line 2"));
  ASSERT_OK(Add(4, "A", "c", "2"));
  rows_.Finish(&done_);
  EXPECT_EQ(done_[0].message.lines_size(), 2);
}

TEST_F(EventRowsTest, BadCellsNameTheirRole) {
  EXPECT_THAT(Add(2, "A", "c", "1", "1.2.3"), StatusIs(kInvalid, "revenue: \"1.2.3\""));
  EXPECT_THAT(Add(2, "A", "c", ""), StatusIs(kInvalid, "item: empty"));
}

TEST_F(EventRowsTest, VeryLongOrderBecomesSeveralEvents) {
  for (int i = 0; i < 2100; ++i) ASSERT_OK(Add(2 + i, "A", "c", std::to_string(i)));
  rows_.Finish(&done_);
  ASSERT_EQ(done_.size(), 3u);
  EXPECT_EQ(done_[0].message.lines_size(), 1000);
  EXPECT_EQ(done_[1].message.event_id(), "import-A-part2");
  EXPECT_EQ(done_[2].message.event_id(), "import-A-part3");
  EXPECT_EQ(done_[2].rows, 100);
}

TEST(EventRowsIdsTest, RowsWithoutOrderGetAnIdFromLineAndCells) {
  const ColumnMapping columns = Map("events", {"customer", "item"}, {"kind=:view"});
  std::vector<Imported<v1::Event>> first, again, other;
  for (auto* done : {&first, &again}) {
    EventRows rows(columns, false);
    ASSERT_OK(rows.Add({2, {"c", "x"}, ""}, done));
    ASSERT_OK(rows.Add({3, {"c", "x"}, ""}, done));
    rows.Finish(done);
  }
  EXPECT_EQ(first[0].message.event_id(), again[0].message.event_id());
  EXPECT_NE(first[0].message.event_id(), first[1].message.event_id());
  EventRows rows(columns, false);
  ASSERT_OK(rows.Add({2, {"c", "y"}, ""}, &other));
  rows.Finish(&other);
  EXPECT_NE(first[0].message.event_id(), other[0].message.event_id());
}

TEST(EventRowsIdsTest, GivenIdAndKindKeepEventsApart) {
  const ColumnMapping columns = Map("events", {"id", "kind", "order", "item"});
  EventRows rows(columns, false);
  std::vector<Imported<v1::Event>> done;
  ASSERT_OK(rows.Add({2, {"e1", "purchase", "A", "x"}, ""}, &done));
  ASSERT_OK(rows.Add({3, {"e1", "purchase", "A", "y"}, ""}, &done));
  ASSERT_OK(rows.Add({4, {"e2", "purchase", "A", "z"}, ""}, &done));
  ASSERT_OK(rows.Add({5, {"", "refund", "A", "z"}, ""}, &done));
  rows.Finish(&done);
  ASSERT_EQ(done.size(), 3u);
  EXPECT_EQ(done[0].message.event_id(), "e1");
  EXPECT_EQ(done[0].message.lines_size(), 2);
  EXPECT_EQ(done[1].message.event_id(), "e2");
  EXPECT_EQ(done[2].message.event_id(), "import-refund-A");
}

}  // namespace
}  // namespace offerd::cli
