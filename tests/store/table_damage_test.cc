#include <sys/stat.h>

#include <cmath>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "table_fixture.h"

// Whatever is wrong with an artefact, it is refused whole.
namespace offerd {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class TableDamageTest : public TableFolderTest {
 protected:
  // Loading fails in both ways, with one of the two codes for that, and names the place.
  void ExpectRefused(const std::string& part, const std::string& what) {
    for (const TableMemory memory : {TableMemory::kCopied, TableMemory::kMapped}) {
      const auto table = LoadTable(root(), "t", 1, memory);
      EXPECT_TRUE(absl::IsDataLoss(table.status()) || absl::IsInvalidArgument(table.status()))
          << what << ": " << table.status();
      EXPECT_THAT(std::string(table.status().message()), HasSubstr(part)) << what;
    }
  }

  void PutByte(const std::string& file, size_t at, char byte) {
    std::fstream(File(file), std::ios::binary | std::ios::in | std::ios::out)
        .seekp(static_cast<std::streamoff>(at))
        .put(byte);
  }

  void ExpectEveryFlipAndCutIsRefused() {
    for (const std::string& file : Files()) {
      const std::string bytes = ReadWholeFile(File(file));
      const std::string part = file == "manifest.xxh3" ? "manifest.json" : file;
      for (size_t at = 0; at < bytes.size(); ++at) {
        const char flipped = static_cast<char>(bytes[at] ^ (1 << at % 8));
        PutByte(file, at, flipped);
        ExpectRefused(part, absl::StrCat(file, " byte ", at));
        PutByte(file, at, bytes[at]);
      }
      for (const size_t size : {size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
        if (file == "manifest.xxh3" && size == bytes.size() - 1) continue;  // the line's end says nothing
        WriteBytes(File(file), bytes.substr(0, size));
        ExpectRefused(part, absl::StrCat(file, " cut at ", size));
      }
      WriteBytes(File(file), bytes + std::string(8, '\0'));
      ExpectRefused(part, file + " with more at its end");
      fs::remove(File(file));
      ExpectRefused(file, file + " missing");
      WriteBytes(File(file), bytes);
      ASSERT_OK(LoadTable(root(), "t", 1));
    }
  }

  void ExpectShardRefused(const std::string& file, const std::string& bytes, const std::string& why) {
    const std::string before = ReadWholeFile(File(file));
    ReplaceShard(file, bytes);
    ExpectRefused(why, why);
    ReplaceShard(file, before);
    ASSERT_OK(LoadTable(root(), "t", 1)) << "not put back: " << file;
  }

  void ExpectManifestRefused(const std::string& why, const std::function<void(v1::TableManifest&)>& edit) {
    const std::string before = ReadWholeFile(File("manifest.json"));
    EditManifest(edit);
    ExpectRefused(why, why);
    SignManifest(before);
  }
};

TEST_F(TableDamageTest, EveryFlippedByteAndEveryCutOfATableWithRows) {
  Write(RowsSample().content());
  ExpectEveryFlipAndCutIsRefused();
}

TEST_F(TableDamageTest, EveryFlippedByteAndEveryCutOfATableWithSessions) {
  Write(SessionsSample().content());
  ExpectEveryFlipAndCutIsRefused();
}

TEST_F(TableDamageTest, FilesOfAnotherPlaceOrVersion) {
  RowsSample sample;
  Write(sample.content());
  sample.table.scores[0] = 4;
  ASSERT_OK(WriteTable(root(), "t", sample.content(), kCreated));
  const std::string scores = ReadWholeFile(File("row_scores.f32"));
  WriteBytes(File("row_scores.f32"), ReadWholeFile(File("row_neighbours.u32")));
  ExpectRefused("row_scores.f32", "neighbours as scores");
  WriteBytes(File("row_scores.f32"), ReadWholeFile(folder_.path("t/2/row_scores.f32")));
  ExpectRefused("row_scores.f32", "scores of version 2");
  WriteBytes(File("row_scores.f32"), scores);
  ASSERT_OK(LoadTable(root(), "t", 1));
  fs::copy(folder_.path("t/2"), folder_.path("t/3"));
  EXPECT_THAT(LoadTable(root(), "t", 3), StatusIs(absl::StatusCode::kInvalidArgument, "holds version 2 of table t"));
  fs::copy(folder_.path("t"), folder_.path("u"), fs::copy_options::recursive);
  EXPECT_THAT(LoadTable(root(), "u", 1), StatusIs(absl::StatusCode::kInvalidArgument, "holds version 1 of table t"));
}

TEST_F(TableDamageTest, AManifestOfAnotherFormat) {
  Write(RowsSample().content());
  ExpectManifestRefused("format is 'parquet'", [](v1::TableManifest& manifest) { manifest.set_format("parquet"); });
  ExpectManifestRefused("format version 2, this program knows 1",
                        [](v1::TableManifest& manifest) { manifest.set_format_version(2); });
  const std::string text = ReadWholeFile(File("manifest.json"));
  SignManifest(absl::StrReplaceAll(text, {{"\"kind\"", "\"colour\": 1, \"kind\""}}));
  ExpectRefused("colour", "a field that is not known");
  SignManifest("[]");
  ExpectRefused("no manifest", "no object");
  SignManifest(std::string(2 << 20, ' '));
  ExpectRefused("expected at most 1048576", "a large file");
}

TEST_F(TableDamageTest, APipeIsNotWaitedFor) {
  for (const std::string file : {"manifest.json", "manifest.xxh3", "row_scores.f32"}) {
    fs::remove_all(folder_.path("t"));
    Write(RowsSample().content());
    fs::remove(File(file));
    ASSERT_EQ(mkfifo(File(file).c_str(), 0644), 0);
    ExpectRefused("is no file", file);
  }
}

TEST_F(TableDamageTest, SessionNumbersWhoseSumsWouldOverflow) {
  Write(SessionsSample().content());
  ExpectShardRefused("item_idf.f64", RawBytes(std::vector<double>{1, 2e18, 1}), "below 0 or above 1e+18");
  ExpectManifestRefused("idf_weight is at least 0 and at most 1e+18",
                        [](v1::TableManifest& manifest) { manifest.mutable_sessions()->set_idf_weight(2e18); });
}

TEST_F(TableDamageTest, AManifestThatDoesNotFitItsFiles) {
  Write(RowsSample().content());
  const auto shard = [](v1::TableManifest& manifest, int index) { return manifest.mutable_shards(index); };
  ExpectManifestRefused("the manifest lacks id_bytes.u8",
                        [&](v1::TableManifest& manifest) { manifest.mutable_shards()->DeleteSubrange(0, 1); });
  ExpectManifestRefused("names a file twice",
                        [&](v1::TableManifest& manifest) { *manifest.add_shards() = manifest.shards(0); });
  ExpectManifestRefused("unknown shard, ../../x",
                        [&](v1::TableManifest& manifest) { manifest.add_shards()->set_file("../../x"); });
  ExpectManifestRefused("id_bytes.u8 as 18 u32",
                        [&](v1::TableManifest& manifest) { shard(manifest, 0)->set_element("u32"); });
  ExpectManifestRefused("id_bytes.u8 as 19 u8 in 18 bytes",
                        [&](v1::TableManifest& manifest) { shard(manifest, 0)->set_count(19); });
  ExpectManifestRefused("has 18 bytes, the manifest says 19", [&](v1::TableManifest& manifest) {
    shard(manifest, 0)->set_count(19);
    shard(manifest, 0)->set_bytes(19);
  });
  ExpectManifestRefused("id_bytes.u8' is damaged",
                        [&](v1::TableManifest& manifest) { shard(manifest, 0)->set_checksum("0123456789abcdef"); });
  ExpectManifestRefused("counts say 5 items",
                        [&](v1::TableManifest& manifest) { manifest.mutable_counts()->set_items(5); });
  ExpectManifestRefused("counts say 4 items and 7 entries",
                        [&](v1::TableManifest& manifest) { manifest.mutable_counts()->set_entries(7); });
  ExpectManifestRefused("the manifest lacks item_offsets.u64",
                        [&](v1::TableManifest& manifest) { manifest.set_kind("vmis"); });
  ExpectManifestRefused("kind cosine with sessions", [&](v1::TableManifest& manifest) { manifest.mutable_sessions(); });
}

TEST_F(TableDamageTest, SessionsThatCannotBeAsked) {
  Write(SessionsSample().content());
  ExpectManifestRefused("kind vmis without sessions", [](v1::TableManifest& manifest) { manifest.clear_sessions(); });
  ExpectManifestRefused("at least 0",
                        [](v1::TableManifest& manifest) { manifest.mutable_sessions()->set_idf_weight(-1); });
  ExpectManifestRefused("are 1 to",
                        [](v1::TableManifest& manifest) { manifest.mutable_sessions()->set_last_items(0); });
  ExpectManifestRefused("2 sessions of item 0, of 1",
                        [](v1::TableManifest& manifest) { manifest.mutable_sessions()->set_sessions_per_item(1); });
}

TEST_F(TableDamageTest, RowsThatDoNotHangTogether) {
  Write(RowsSample().content());  // offsets 0 2 3 3 6, neighbours 1 3 | 0 | | 2 0 1, scores 2.5 -1 | .25 | | 3 1 1
  const auto offsets = [&](const std::vector<uint64_t>& values, const std::string& why) {
    ExpectShardRefused("row_offsets.u64", RawBytes(values), why);
  };
  offsets({1, 2, 3, 3, 6}, "begins with 1");
  offsets({0, 3, 2, 3, 6}, "offset 2 is less than the one before");
  offsets({0, 2, 3, 3, 5}, "ends with 5, but there are 6 entries");
  offsets({0, 2, 3, 3, 1'000'000}, "ends with 1000000, but there are 6 entries");
  offsets({0, 2, 3, 6}, "4 offsets, expected 5");
  const auto neighbours = [&](const std::vector<uint32_t>& values, const std::string& why) {
    ExpectShardRefused("row_neighbours.u32", RawBytes(values), why);
  };
  neighbours({1, 4, 0, 2, 0, 1}, "item 0 has neighbour 4 of 4 items");
  neighbours({1, 3, 0, 2, 2, 1}, "item 3 has neighbour 2 twice");
  const auto scores = [&](const std::vector<float>& values, const std::string& why) {
    ExpectShardRefused("row_scores.f32", RawBytes(values), why);
  };
  scores({2.5f, 3, 0.25f, 3, 1, 1}, "the row of item 0 is not in descending order");
  scores({2.5f, NAN, 0.25f, 3, 1, 1}, "item 0 has a score that is not finite");
  scores({INFINITY, -1, 0.25f, 3, 1, 1}, "item 0 has a score that is not finite");
  scores({3e38f, -1, 0.25f, 3, 1, 1}, "beyond 1e+18");
  scores({2.5f, -3e38f, 0.25f, 3, 1, 1}, "beyond 1e+18");
  scores({2.5f, -1, 0.25f, 3, 1}, "5 scores of 6 neighbours");
}

TEST_F(TableDamageTest, IdsThatDoNotHangTogether) {
  Write(RowsSample().content());  // "7" "12" "\xc3\xa9" "clair" "zucchini": 1 + 2 + 7 + 8 bytes
  const std::string bytes = ReadWholeFile(File("id_bytes.u8"));
  const auto other = [&](size_t at, const std::string& piece) {
    return std::string(bytes).replace(at, piece.size(), piece);
  };
  ExpectShardRefused("id_bytes.u8", other(3, "\xe9"), "id 2 is not UTF-8");
  ExpectShardRefused("id_bytes.u8", other(3, "\xed\xa0\x80"), "id 2 is not UTF-8");  // a surrogate
  ExpectShardRefused("id_bytes.u8", other(3, "\xc0\xaf"), "id 2 is not UTF-8");      // longer than it need be
  ExpectShardRefused("id_bytes.u8", other(9, "\xc3"), "id 2 is not UTF-8");          // cut in a character
  ExpectShardRefused("id_bytes.u8", other(0, "x"), "id 0 is not found");
  const auto offsets = [&](const std::vector<uint64_t>& values, const std::string& why) {
    ExpectShardRefused("id_offsets.u64", RawBytes(values), why);
  };
  offsets({0, 0, 3, 10, 18}, "id 0 has 0 bytes");
  offsets({0, 1, 3, 10, 17}, "ends with 17, but there are 18 entries");
  offsets({0, 1, 10, 3, 18}, "offset 3 is less than the one before");
}

TEST_F(TableDamageTest, TwoEqualIdsOrOneTooLong) {
  RowsSample sample;
  sample.ids = ItemIds(std::vector<std::string>{"7", "12", "12", "zucchini"});
  EXPECT_THAT(WriteTable(root(), "t", sample.content(), kCreated),
              StatusIs(absl::StatusCode::kInvalidArgument, "ids 1 and 2 are the same"));
  sample.ids = ItemIds(std::vector<std::string>{"7", "12", std::string(257, 'x'), "zucchini"});
  EXPECT_THAT(WriteTable(root(), "t", sample.content(), kCreated),
              StatusIs(absl::StatusCode::kInvalidArgument, "id 2 has 257 bytes"));
  sample.ids = ItemIds(std::vector<std::string>{"7", "12", std::string(256, 'x'), "zucchini"});
  Write(sample.content());
}

TEST_F(TableDamageTest, SlotsInWhichASearchWouldGoWrong) {
  Write(RowsSample().content());
  const std::vector<uint32_t> slots = RowsSample().ids.slots;
  const auto expect = [&](std::vector<uint32_t> values, const std::string& why) {
    ExpectShardRefused("id_slots.u32", RawBytes(values), why);
  };
  expect(std::vector<uint32_t>(7, 0), "7 slots for 4 ids");
  expect(std::vector<uint32_t>(4, 1), "4 slots for 4 ids");
  expect(std::vector<uint32_t>(slots.size(), 1), "8 slots are used by 4 ids");  // a search would never end
  std::vector<uint32_t> beyond = slots;
  *std::find(beyond.begin(), beyond.end(), 4u) = 5;
  expect(beyond, "number 4 of 4 ids");
  std::vector<uint32_t> swapped = slots;
  std::iter_swap(std::find(swapped.begin(), swapped.end(), 1u), std::find(swapped.begin(), swapped.end(), 0u));
  expect(swapped, "id 0 is not found");
}

TEST_F(TableDamageTest, SessionsThatDoNotHangTogether) {
  Write(SessionsSample().content());
  const SessionsSample sample;
  const SessionIndexView view = sample.index.view();
  const auto changed = [](auto span, size_t at, auto value) {
    std::vector<typename decltype(span)::value_type> values(span.begin(), span.end());
    values[at] = static_cast<typename decltype(span)::value_type>(value);
    return RawBytes(values);
  };
  const size_t last_item = view.item_offsets.size() - 1;
  ExpectShardRefused("item_offsets.u64", changed(view.item_offsets, last_item, 99), "item_offsets.u64: ends with 99");
  ExpectShardRefused("item_sessions.u32", changed(view.item_sessions, 0, 77), "item 0 has session 77 of");
  ExpectShardRefused("item_sessions.u32", changed(view.item_sessions, 1, 0),
                     "the sessions of item 0 are not ascending");
  ExpectShardRefused("session_offsets.u64", changed(view.session_offsets, 1, 99),
                     "offset 2 is less than the one before");
  ExpectShardRefused("session_items.u32", changed(view.session_items, 0, 3), "session 0 has item 3 of 3");
  ExpectShardRefused("session_items.u32", changed(view.session_items, 0, view.session_items[1]),
                     "session 0 has item 1 twice");
  ExpectShardRefused("item_idf.f64", changed(view.idf, 2, NAN), "not finite");
  ExpectShardRefused("item_idf.f64", changed(view.idf, 2, -0.5), "below 0");
  ExpectShardRefused("item_idf.f64", RawBytes(std::vector<double>{1, 2}), "2 numbers for 3 items");
}

}  // namespace
}  // namespace offerd
