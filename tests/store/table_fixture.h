#pragma once
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "core/hash.h"
#include "core/similarity/item_ids.h"
#include "core/similarity/session_neighbours.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "store/table_artefact.h"
#include "tests/support/shared_data.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

// What the tests of table artefacts share: small tables of both shapes, and ways to damage one on disk.
namespace offerd {

inline constexpr TimeMicros kCreated = 1'500'000'000'123'456;

// Four items; the third one has no neighbours.
struct RowsSample {
  ItemIds ids{std::vector<std::string>{"7", "12", "\xc3\xa9\x63lair", "zucchini"}};
  ItemTable table{{0, 2, 3, 3, 6}, {1, 3, 0, 2, 0, 1}, {2.5f, -1, 0.25f, 3, 1, 1}};

  TableContent content() const {
    TableContent content;
    content.kind = "cosine";
    content.parameters = {{"shrink", "10"}, {"keep", "2"}, {"damping", "0"}};
    content.num_baskets = 11;
    content.num_pairs = 5;
    content.ids = ids.view();
    content.rows = table.view();
    return content;
  }
};

struct SessionsSample {
  ItemIds ids{std::vector<std::string>{"1", "2", "10"}};
  SessionIndex index = Build();

  TableContent content() const {
    TableContent content;
    content.kind = "vmis";
    content.parameters = {{"m", "2"}};
    content.num_baskets = 4;
    content.ids = ids.view();
    content.sessions = index.view();
    content.query = {.neighbours = 7, .last_items = 3, .idf_weight = 0.5, .keep_current = true, .count = 5};
    return content;
  }

 private:
  static SessionIndex Build() {
    Baskets sessions;
    sessions.num_items = 3;
    for (const std::vector<TableItem>& session : {std::vector<TableItem>{0, 1}, {1, 2, 1}, {2, 0}, {0, 1}})
      sessions.Add(session);
    return *SessionIndex::Build(sessions, {40, 20, 30, 10}, {.sessions_per_item = 2, .length_quantile = 1});
  }
};

inline void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

template <typename T>
std::string RawBytes(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// A root with version 1 of table "t" in it.
class TableFolderTest : public ::testing::Test {
 protected:
  void Write(const TableContent& content) {
    const absl::StatusOr<uint64_t> version = WriteTable(root(), "t", content, kCreated);
    ASSERT_OK(version);
    ASSERT_EQ(*version, 1u);
  }

  std::string root() const { return folder_.path(); }
  std::string File(const std::string& name) const { return folder_.path("t/1/" + name); }
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(File(""))) names.push_back(entry.path().filename());
    return names;
  }

  // Puts other bytes in place of a file, as somebody who knows how to sign.
  void SignManifest(const std::string& text) {
    WriteBytes(File("manifest.json"), text);
    WriteBytes(File("manifest.xxh3"), Checksum(text) + "\n");
  }
  void EditManifest(const std::function<void(v1::TableManifest&)>& edit) {
    v1::TableManifest manifest = ReadTableInfo(root(), "t", 1)->manifest;
    edit(manifest);
    std::string text;
    ASSERT_TRUE(google::protobuf::util::MessageToJsonString(manifest, &text).ok());
    SignManifest(text);
  }
  void ReplaceShard(const std::string& file, const std::string& bytes) {
    WriteBytes(File(file), bytes);
    EditManifest([&](v1::TableManifest& manifest) {
      for (v1::TableManifest::Shard& shard : *manifest.mutable_shards()) {
        if (shard.file() != file) continue;
        shard.set_count(shard.count() * bytes.size() / shard.bytes());
        shard.set_bytes(bytes.size());
        shard.set_checksum(Checksum(bytes));
      }
    });
  }
  static std::string Checksum(const std::string& bytes) {
    return absl::StrCat(absl::Hex(StableHash(bytes), absl::kZeroPad16));
  }

  TemporaryFolder folder_;
};

}  // namespace offerd
