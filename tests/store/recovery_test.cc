#include "store/recovery.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/server/engine/shop.h"

namespace offerd {
namespace {

// A store that a server left behind in full swing.
class RecoveryTest : public ::testing::Test {
 protected:
  void Trade(uint32_t seed, int steps, int snapshots_kept, int snapshot_every) {
    shop_.config.snapshots_kept = snapshots_kept;
    shop_.OpenFurnished();
    Traffic traffic(shop_, seed);
    traffic.snapshot_every = snapshot_every;
    traffic.Run(steps);
    shop_.Crash();
  }
  uint64_t RecoveredDigest() {
    const auto recovery = Recover(*shop_.OpenStore());
    EXPECT_OK(recovery);
    return recovery.ok() ? StateDigest(recovery->fold->Image()) : 0;
  }
  void DamageBase(Sequence sequence) {
    const auto kv = shop_.disk.Mount();
    for (const Family family : {Family::kCatalog, Family::kProfiles, Family::kPolicies}) {
      const auto it = kv->Iterate(family, NumberKey(sequence), NumberKey(sequence + 1));
      if (!it->valid()) continue;
      ASSERT_OK(shop_.disk.Corrupt(family, std::string(it->key()), -1));
      return;
    }
    FAIL() << "no base " << sequence;
  }
  // The newest record of a kind that a test accepts.
  template <typename Accept>
  v1::stored::LogRecord Newest(Accept&& accept) {
    const auto log = shop_.Log();
    for (auto it = log.rbegin(); it != log.rend(); ++it) {
      if (accept(*it)) return *it;
    }
    ADD_FAILURE() << "no such record";
    return {};
  }
  ReplayReport ReplayOf() {
    auto report = Replay(*shop_.OpenStore());
    EXPECT_OK(report);
    return report.ok() ? *std::move(report) : ReplayReport();
  }

  Shop shop_;
};

// 1970-01-01 is day 0, which is a day like any other.
TEST_F(RecoveryTest, DemandOfTheFirstDayIsNotLost) {
  shop_.OpenFurnished();
  EXPECT_EQ(shop_.Send(Shop::Purchase("e", "ann", {}, kMinute)).fate(), v1::APPLIED);
  const auto sequence = shop_.Snapshot();
  ASSERT_OK(sequence);
  shop_.Crash();
  const auto store = shop_.OpenStore();
  Fold loaded;
  ASSERT_OK(LoadImage(*store, *sequence, loaded));
  uint32_t bought = 0;  // in no market, which counts for all of them only
  loaded.state().demand.markets().ForEach([&](absl::string_view, const ItemDemand::Market& market) {
    for (size_t i = 0; i < market.items.size(); ++i) bought += market.items[i].today;
  });
  EXPECT_EQ(bought, 1u);
}

TEST_F(RecoveryTest, EmptyStoreIsAnEmptyFold) {
  const auto recovery = Recover(*shop_.OpenStore());
  ASSERT_OK(recovery);
  EXPECT_EQ(recovery->base, 0u);
  EXPECT_EQ(recovery->replayed, 0);
  EXPECT_EQ(ReplayOf().records, 0);
}

TEST_F(RecoveryTest, DamagedNewestBaseIsSetAsideAndTheOneBeforeLeadsToTheSameState) {
  Trade(11, 200, 3, 40);
  const uint64_t digest = RecoveredDigest();
  const auto bases = shop_.OpenStore()->ListBases();
  ASSERT_GE(bases.size(), 2u);
  DamageBase(bases[0].manifest.sequence());
  const auto store = shop_.OpenStore();
  const auto recovery = Recover(*store);
  ASSERT_OK(recovery);
  EXPECT_EQ(recovery->base, bases[1].manifest.sequence());
  ASSERT_EQ(recovery->set_aside.size(), 1u);
  EXPECT_THAT(recovery->set_aside[0], ::testing::HasSubstr(absl::StrCat("base ", bases[0].manifest.sequence())));
  EXPECT_EQ(StateDigest(recovery->fold->Image()), digest);
  EXPECT_EQ(store->ListBases()[0].state, BaseInfo::State::kDamaged) << "it stays, for who wants to look at it";
}

TEST_F(RecoveryTest, AllBasesDamagedAndTheWholeLogThereIsNoLoss) {
  Trade(12, 100, 1000, 40);
  const uint64_t digest = RecoveredDigest();
  for (const BaseInfo& base : shop_.OpenStore()->ListBases()) DamageBase(base.manifest.sequence());
  const auto recovery = Recover(*shop_.OpenStore());
  ASSERT_OK(recovery);
  EXPECT_EQ(recovery->base, 0u);
  EXPECT_EQ(StateDigest(recovery->fold->Image()), digest);
}

TEST_F(RecoveryTest, NoSoundBaseAndAPrunedLogIsDataLoss) {
  Trade(13, 200, 2, 40);
  ASSERT_GT(shop_.OpenStore()->first_sequence(), 1u);
  for (const BaseInfo& base : shop_.OpenStore()->ListBases()) DamageBase(base.manifest.sequence());
  EXPECT_THAT(Recover(*shop_.OpenStore()), StatusIs(absl::StatusCode::kDataLoss, "base"));
  EXPECT_THAT(Replay(*shop_.OpenStore()), StatusIs(absl::StatusCode::kDataLoss, "base"));
}

TEST_F(RecoveryTest, DamagedLogIsDataLoss) {
  Trade(14, 60, 3, 1000);
  const auto record = Newest([](const auto& r) { return r.has_decision(); });
  ASSERT_OK(shop_.disk.Corrupt(Family::kLog, NumberKey(record.sequence()), -1));
  EXPECT_THAT(Recover(*shop_.OpenStore()), StatusIs(absl::StatusCode::kDataLoss, absl::StrCat(record.sequence())));
}

TEST_F(RecoveryTest, HonestLogReplaysWithoutADifference) {
  Trade(15, 300, 1000, 70);
  const ReplayReport report = ReplayOf();
  EXPECT_EQ(report.differences, 0) << ::testing::PrintToString(report.examples);
  EXPECT_GT(report.decisions, 50);
  EXPECT_GT(report.publications, 5);
  EXPECT_EQ(report.skipped, 0);
  EXPECT_EQ(report.state_digest, RecoveredDigest());
}

TEST_F(RecoveryTest, AlteredProbabilityIsFoundAndNamed) {
  Trade(16, 200, 1000, 1000);
  auto record = Newest([](const auto& r) { return r.has_decision() && r.decision().slots_size() > 1; });
  auto& slot = *record.mutable_decision()->mutable_slots(1);
  slot.set_probability(slot.probability() * 1.001);
  shop_.Rewrite(record);
  const ReplayReport report = ReplayOf();
  EXPECT_EQ(report.differences, 1);
  ASSERT_FALSE(report.examples.empty());
  EXPECT_THAT(report.examples[0], ::testing::HasSubstr(absl::StrCat("decision at ", record.sequence(), ": slot 1")));
}

TEST_F(RecoveryTest, AlteredFeatureOfAShownSlotIsFoundAndNamed) {
  Trade(17, 200, 1000, 1000);
  auto record = Newest([](const auto& r) { return r.has_decision() && r.decision().slots_size() > 0 && !r.decision().slots(0).x().empty(); });
  std::string& x = *record.mutable_decision()->mutable_slots(0)->mutable_x();
  x[1] = static_cast<char>(x[1] ^ 1);  // a low bit of the first float
  shop_.Rewrite(record);
  const ReplayReport report = ReplayOf();
  EXPECT_GE(report.differences, 1);
  ASSERT_FALSE(report.examples.empty());
  EXPECT_THAT(report.examples[0], ::testing::HasSubstr(absl::StrCat("decision at ", record.sequence(), ": slot 0")));
}

TEST_F(RecoveryTest, AlteredSigmaOfAPublicationIsFoundAndNamed) {
  Trade(18, 200, 1000, 1000);
  auto record = Newest([](const auto& r) { return r.has_publication(); });
  record.mutable_publication()->set_sigma(record.publication().sigma() + 1e-9);
  shop_.Rewrite(record);
  const ReplayReport report = ReplayOf();
  EXPECT_GE(report.differences, 1);
  ASSERT_FALSE(report.examples.empty());
  EXPECT_THAT(report.examples[0], ::testing::HasSubstr(absl::StrCat("publication ", record.publication().version(), " of learn")));
}

// A base is the state: what is loaded has the digest of what was written, and goes on like it.
TEST_F(RecoveryTest, LoadedImageEqualsTheWrittenOneAndGoesOnAlike) {
  Trade(19, 400, 1000, 1000);
  const auto log = shop_.Log();
  Fold fold;
  bool had_older_placement = false, had_kept = false, had_deleted = false, had_open = false;
  std::unique_ptr<Fold> loaded;
  for (const auto& record : log) {
    const auto entry = FromProto(record);
    ASSERT_OK(entry);
    ASSERT_OK(fold.Apply(*entry));
    if (loaded != nullptr) ASSERT_OK(loaded->Apply(*entry));
    if (record.sequence() % 37 != 0) continue;
    const State& state = fold.state();
    fold.open_decisions().ForEach([&](absl::string_view, const OpenDecision& open) {
      had_open = true;
      had_older_placement |= state.FindPlacement(open.placement->placement.name) != open.placement.get();
    });
    had_kept |= !state.FindPolicy("learn")->kept.empty();
    had_deleted |= state.catalogue.offer_table().by_id.size() < state.catalogue.offer_table().offers.size();
    if (loaded != nullptr) ASSERT_EQ(StateDigest(loaded->Image()), StateDigest(fold.Image())) << "at " << record.sequence();
    const auto store = shop_.OpenStore();
    auto writer = store->BeginBase(record.sequence(), 1);
    ASSERT_OK(writer);
    ASSERT_OK(WriteImage(fold.Image(), **writer));
    ASSERT_OK((*writer)->Finish());
    writer->reset();
    loaded = std::make_unique<Fold>();
    ASSERT_OK(LoadImage(*store, record.sequence(), *loaded));
    ASSERT_EQ(StateDigest(loaded->Image()), StateDigest(fold.Image())) << "at " << record.sequence();
  }
  EXPECT_TRUE(had_open);
  EXPECT_TRUE(had_older_placement);
  EXPECT_TRUE(had_kept);
  EXPECT_TRUE(had_deleted);
}

// As bases were written before affinities became arrays. Returns how many it has.
int ToMessages(v1::stored::BaseCustomer& customer) {
  const int n = customer.affinity_key_size();
  for (int i = 0; i < n; ++i) {
    v1::stored::BaseAffinity& added = *customer.add_affinities();
    added.set_key(customer.affinity_key(i));
    added.set_visits(customer.affinity_visits(i));
    added.set_last_visit(customer.affinity_last_visit(i));
    added.set_decayed(customer.affinity_decayed(i));
    added.set_first_micros(customer.affinity_first_micros(i));
    added.set_last_micros(customer.affinity_last_micros(i));
  }
  customer.clear_affinity_key();
  customer.clear_affinity_visits();
  customer.clear_affinity_last_visit();
  customer.clear_affinity_decayed();
  customer.clear_affinity_first_micros();
  customer.clear_affinity_last_micros();
  return n;
}

TEST_F(RecoveryTest, ReadsCustomersAsTheyWereWrittenBefore) {
  Trade(23, 200, 1000, 1000);
  Fold fold;
  for (const auto& record : shop_.Log()) {
    const auto entry = FromProto(record);
    ASSERT_OK(entry);
    ASSERT_OK(fold.Apply(*entry));
  }
  const Sequence sequence = fold.state().sequence;
  const auto store = shop_.OpenStore();
  std::vector<v1::stored::BaseRecord> records;
  const auto write = [&](auto&& fill) {
    auto writer = store->BeginBase(sequence, 1);
    ASSERT_OK(writer);
    fill(**writer);
    ASSERT_OK((*writer)->Finish());
  };
  write([&](Store::BaseWriter& writer) { ASSERT_OK(WriteImage(fold.Image(), writer)); });
  ASSERT_OK(store->ReadBase(sequence, [&](const v1::stored::BaseRecord& record) {
    records.push_back(record);
    return absl::OkStatus();
  }));
  ASSERT_OK(store->DeleteBase(sequence));
  int affinities = 0;
  for (auto& record : records) {
    if (record.has_customer()) affinities += ToMessages(*record.mutable_customer());
  }
  EXPECT_GT(affinities, 20);
  write([&](Store::BaseWriter& writer) {
    for (const auto& record : records) ASSERT_OK(writer.Add(record));
  });
  Fold loaded;
  ASSERT_OK(LoadImage(*store, sequence, loaded));
  EXPECT_EQ(StateDigest(loaded.Image()), StateDigest(fold.Image()));
}

TEST_F(RecoveryTest, DigestTellsStatesApart) {
  shop_.OpenFurnished();
  shop_.Crash();
  const uint64_t before = RecoveredDigest();
  shop_.Open();
  (void)shop_.Rank("r", "ann", kOpening);
  shop_.Crash();
  EXPECT_NE(RecoveredDigest(), before);
}

}  // namespace
}  // namespace offerd
