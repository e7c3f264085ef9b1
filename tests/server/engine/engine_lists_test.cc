#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>

#include "core/similarity/item_ids.h"
#include "store/decision_records.h"
#include "store/recovery.h"
#include "store/table_artefact.h"
#include "store/table_shelf.h"
#include "tests/server/engine/shop.h"

namespace offerd {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

// A shop with a folder of tables and a placement "cart" that reads the table "together".
class ListShop : public Shop {
 public:
  ListShop() {
    root = fs::temp_directory_path() / absl::StrCat("offerd-lists-", ::testing::UnitTest::GetInstance()->random_seed(), "-", getpid(), "-",
                                                    ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root);
    config.tables_path = root.string();
    OpenFurnished();
    v1::Placement placement = MakePlacement();
    placement.set_name("cart");
    placement.clear_policy();
    placement.set_slate_size(10);
    v1::Strategy& strategy = *placement.mutable_lists()->add_strategies();
    strategy.set_kind(v1::Strategy::NEIGHBOURS);
    strategy.set_table("together");
    EXPECT_OK(SetPlacement(placement));
  }
  ~ListShop() {
    engine = nullptr;
    fs::remove_all(root);
  }

  // i0 goes with these, the first best.
  uint64_t Build(const std::vector<std::string>& neighbours) {
    const std::vector<std::string> names = {"i0", "i1", "i2", "i3", "i4", "i5"};
    const ItemIds ids(names);
    ItemTable rows;
    float score = 10;
    for (const std::string& neighbour : neighbours) {
      rows.neighbours.push_back(*ids.view().Find(neighbour));
      rows.scores.push_back(score--);
    }
    rows.offsets.push_back(rows.neighbours.size());
    for (size_t i = 1; i < names.size(); ++i) rows.offsets.push_back(rows.neighbours.size());
    TableContent content;
    content.kind = "cosine";
    content.ids = ids.view();
    content.rows = rows.view();
    const auto version = WriteTable(config.tables_path, "together", content, kOpening);
    EXPECT_OK(version);
    return version.ok() ? *version : 0;
  }
  absl::Status Publish(uint64_t version, v1::TableStatus* status) {
    v1::PublishTableRequest request;
    request.set_name("together");
    request.set_version(version);
    status->Clear();
    return Call(&Engine::PublishTable, request, status);
  }
  absl::Status RollBack(uint64_t version, v1::TableStatus* status) {
    v1::RollBackTableRequest request;
    request.set_name("together");
    request.set_version(version);
    status->Clear();
    return Call(&Engine::RollBackTable, request, status);
  }
  v1::ItemList CrossSell(const std::string& item = "i0") {
    v1::CrossSellRequest request;
    request.set_placement("cart");
    request.add_cart()->set_item_id(item);
    v1::ItemList list;
    EXPECT_OK(engine->CrossSell(request, &list));
    return list;
  }
  static std::vector<std::string> Ids(const v1::ItemList& list) {
    std::vector<std::string> ids;
    for (const auto& entry : list.entries()) ids.push_back(entry.item_id());
    return ids;
  }
  // Changes one byte of every array of a version.
  void Damage(uint64_t version) {
    for (const auto& entry : fs::directory_iterator(root / "together" / absl::StrCat(version))) {
      if (entry.path().extension() == ".json" || entry.file_size() == 0) continue;
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      const int first = file.get();
      file.seekp(0);
      file.put(static_cast<char>(first ^ 1));
    }
  }

  fs::path root;
};

TEST(EngineListsTest, APublishedTableAnswersAndSaysWhichVersionItWas) {
  ListShop shop;
  const v1::ItemList before = shop.CrossSell();
  EXPECT_THAT(before.entries(), IsEmpty());
  EXPECT_THAT(before.missing_tables(), ElementsAre("together"));
  v1::TableStatus status;
  EXPECT_THAT(shop.Publish(0, &status), StatusIs(absl::StatusCode::kNotFound, "together"));
  const uint64_t version = shop.Build({"i3", "i1"});
  ASSERT_OK(shop.Publish(0, &status));
  EXPECT_EQ(status.version(), version);
  EXPECT_TRUE(status.is_loaded());
  EXPECT_EQ(status.items(), 6);
  EXPECT_EQ(status.entries(), 2);
  const v1::ItemList list = shop.CrossSell();
  EXPECT_THAT(ListShop::Ids(list), ElementsAre("i3", "i1"));
  EXPECT_EQ(list.entries(0).because_item_id(), "i0");
  ASSERT_EQ(list.tables_size(), 1);
  EXPECT_EQ(list.tables(0).version(), version);
}

TEST(EngineListsTest, ADamagedTableIsRefusedWholeAndTheOldOneGoesOn) {
  ListShop shop;
  v1::TableStatus status;
  shop.Build({"i3", "i1"});
  ASSERT_OK(shop.Publish(0, &status));
  const uint64_t second = shop.Build({"i2"});
  shop.Damage(second);
  EXPECT_THAT(shop.Publish(second, &status), StatusIs(absl::StatusCode::kInvalidArgument, "refused"));
  EXPECT_THAT(ListShop::Ids(shop.CrossSell()), ElementsAre("i3", "i1"));
}

TEST(EngineListsTest, RollBacksGoBackStepByStepAndSurviveARestart) {
  ListShop shop;
  v1::TableStatus status;
  for (const char* neighbour : {"i1", "i2", "i3"}) {
    shop.Build({neighbour});
    ASSERT_OK(shop.Publish(0, &status));
  }
  EXPECT_THAT(status.previous_versions(), ElementsAre(1, 2));
  EXPECT_THAT(ListShop::Ids(shop.CrossSell()), ElementsAre("i3"));
  ASSERT_OK(shop.RollBack(0, &status));
  EXPECT_EQ(status.version(), 2u);
  ASSERT_OK(shop.RollBack(0, &status));
  EXPECT_EQ(status.version(), 1u);
  EXPECT_THAT(ListShop::Ids(shop.CrossSell()), ElementsAre("i1"));
  EXPECT_THAT(shop.RollBack(0, &status), StatusIs(absl::StatusCode::kNotFound, "version"));
  EXPECT_THAT(shop.RollBack(3, &status), StatusIs(absl::StatusCode::kNotFound, "version")) << "forgotten by the roll back";
  shop.Crash();
  shop.Open();
  EXPECT_THAT(ListShop::Ids(shop.CrossSell()), ElementsAre("i1"));
  ASSERT_OK(shop.Snapshot());
  shop.Crash();
  shop.Open();
  EXPECT_THAT(ListShop::Ids(shop.CrossSell()), ElementsAre("i1"));
}

TEST(EngineListsTest, WithoutItsFilesAServerStartsAndSaysWhatIsMissing) {
  ListShop shop;
  v1::TableStatus status;
  const uint64_t version = shop.Build({"i3"});
  ASSERT_OK(shop.Publish(0, &status));
  shop.Crash();
  shop.Damage(version);
  shop.Open();
  EXPECT_THAT(shop.CrossSell().missing_tables(), ElementsAre("together"));
  v1::ListTablesResponse tables;
  ASSERT_OK(shop.Call(&Engine::ListTables, v1::ListTablesRequest(), &tables));
  ASSERT_EQ(tables.tables_size(), 1);
  EXPECT_EQ(tables.tables(0).version(), version);
  EXPECT_FALSE(tables.tables(0).is_loaded());
  const uint64_t second = shop.Build({"i4"});
  ASSERT_OK(shop.Publish(0, &status));
  EXPECT_THAT(tables.tables(0).available_versions(), ElementsAre(version));
  EXPECT_THAT(status.available_versions(), ElementsAre(version, second));
  EXPECT_THAT(ListShop::Ids(shop.CrossSell()), ElementsAre("i4"));
}

TEST(EngineListsTest, TheCartsScoreIsAFeatureOfOffersAndReplaysToTheBit) {
  ListShop shop;
  v1::TableStatus status;
  shop.Build({"i3", "i1"});
  ASSERT_OK(shop.Publish(0, &status));
  v1::Policy policy = Shop::MakePolicy("with cart");
  v1::Feature& feature = *policy.mutable_linear()->mutable_features()->add_features();
  feature.set_name("cart");
  feature.mutable_numeric()->set_fact("computed.cart_score");
  feature.mutable_numeric()->set_missing_value(-1);
  ASSERT_OK(shop.SetPolicy(policy));
  v1::Placement placement = Shop::MakePlacement();
  placement.set_policy("with cart");
  placement.set_slate_size(6);
  placement.set_cart_table("together");
  ASSERT_OK(shop.SetPlacement(placement));
  v1::RankOffersRequest request = Shop::RankRequestOf("r1", "ann", kOpening);
  request.add_cart()->set_item_id("i0");
  shop.Rank(request);
  shop.Rank("r2", "ann", kOpening);  // without a cart
  ASSERT_OK(shop.Snapshot());
  shop.Crash();
  const auto store = shop.OpenStore();
  std::map<std::string, std::map<std::string, float>> carts;
  ASSERT_OK(store->ReadLog(1, store->last_sequence(), [&](const v1::stored::LogRecord& record) {
    if (!record.has_decision()) return absl::OkStatus();
    for (const auto& slot : record.decision().slots()) {
      const auto x = BytesToFloats(slot.x(), "x");
      EXPECT_OK(x);
      carts[RequestOf(record.decision())->request_id()][slot.offer_id()] = (*x)[x->size() - 1];
    }
    return absl::OkStatus();
  }));
  EXPECT_EQ(carts["r1"]["o3"], 10);
  EXPECT_EQ(carts["r1"]["o1"], 9);
  EXPECT_EQ(carts["r1"]["o5"], 0);
  EXPECT_EQ(carts["r2"]["o3"], -1);
  TableShelf shelf(shop.config.tables_path);
  const auto report = Replay(*store, nullptr, shelf.Source());
  ASSERT_OK(report);
  EXPECT_EQ(report->differences, 0) << ::testing::PrintToString(report->examples);
  EXPECT_EQ(report->decisions, 2);
}

TEST(EngineListsTest, WrongRequestsNameTheField) {
  ListShop shop;
  v1::ItemList list;
  v1::CrossSellRequest cart;
  cart.set_placement("cart");
  cart.add_cart();
  EXPECT_THAT(shop.engine->CrossSell(cart, &list), StatusIs(absl::StatusCode::kInvalidArgument, "cart[0].item_id"));
  cart.mutable_cart(0)->set_item_id("i0");
  for (int i = 0; i < 100; ++i) cart.add_cart()->set_item_id("i1");
  EXPECT_THAT(shop.engine->CrossSell(cart, &list), StatusIs(absl::StatusCode::kInvalidArgument, "cart"));
  v1::RecommendItemsRequest items;
  items.set_placement("home");
  EXPECT_THAT(shop.engine->RecommendItems(items, &list), StatusIs(absl::StatusCode::kFailedPrecondition, "lists"));
  v1::PublishTableRequest request;
  request.set_name("../outside");
  v1::TableStatus status;
  EXPECT_THAT(shop.Call(&Engine::PublishTable, request, &status), StatusIs(absl::StatusCode::kInvalidArgument, "name"));
}

TEST(EngineListsTest, TwoRollBacksAtOnceGoBackTwice) {
  ListShop shop;
  v1::TableStatus status;
  std::vector<uint64_t> versions;
  for (const char* neighbour : {"i1", "i2", "i3"}) {
    versions.push_back(shop.Build({neighbour}));
    ASSERT_OK(shop.Publish(versions.back(), &status));
  }
  v1::RollBackTableRequest request;
  request.set_name("together");
  v1::TableStatus responses[2];
  absl::Notification done[2];
  for (int i = 0; i < 2; ++i) {
    shop.engine->RollBackTable(request, &responses[i], [&done, i](const absl::Status& answer) {
      EXPECT_OK(answer);
      done[i].Notify();
    });
  }
  for (absl::Notification& each : done) each.WaitForNotification();
  EXPECT_EQ(responses[0].version(), versions[1]);
  EXPECT_EQ(responses[1].version(), versions[0]);
}

}  // namespace
}  // namespace offerd
