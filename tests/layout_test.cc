#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "core/features/facts.h"
#include "gtest/gtest.h"

namespace offerd {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = OFFERD_SOURCE_DIR;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// What each folder may include besides itself, the standard library and Abseil.
bool MayInclude(const std::string& folder, const std::string& file, const std::string& include) {
  const auto begins = [&include](const char* prefix) { return include.rfind(prefix, 0) == 0; };
  const bool is_proto = begins("offerd/v1/") || begins("google/");
  const bool is_grpc = begins("grpc") || include.find(".grpc.pb.h") != std::string::npos;
  if (begins("rocksdb/")) return folder == "store" && file == "rocks_kv.cc";
  if (begins("prometheus/")) return folder == "server";
  if (is_grpc) return folder == "server" || folder == "cli";
  if (is_proto) return folder != "core";
  if (begins("store/")) return folder == "store" || folder == "server" || folder == "cli";
  if (begins("server/")) return folder == "server";
  if (begins("cli/")) return folder == "cli";
  return true;
}

TEST(LayoutTest, FoldersIncludeOnlyWhatStandsBelowThem) {
  const std::regex include("#include [\"<]([^\">]+)[\">]");
  int files = 0;
  for (const std::string folder : {"core", "store", "server", "cli"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cc") continue;
      ++files;
      const std::string text = ReadFile(entry.path());
      for (std::sregex_iterator it(text.begin(), text.end(), include), end; it != end; ++it) {
        EXPECT_TRUE(MayInclude(folder, entry.path().filename(), (*it)[1])) << entry.path() << " includes " << (*it)[1];
      }
      EXPECT_EQ(text.find("std::mutex"), std::string::npos) << entry.path() << ": absl::Mutex instead";
    }
  }
  EXPECT_GT(files, 80);
}

TEST(LayoutTest, EveryFileNamedByAPathPageExists) {
  const std::regex name("`((?:proto|core|store|server|cli|tests)/[a-z0-9_/]+\\.(?:proto|h|cc))`");
  int named = 0;
  for (const auto& page : fs::directory_iterator(kRoot / "docs/paths")) {
    const std::string text = ReadFile(page.path());
    for (std::sregex_iterator it(text.begin(), text.end(), name), end; it != end; ++it, ++named) {
      EXPECT_TRUE(fs::exists(kRoot / (*it)[1].str())) << page.path() << " names " << (*it)[1];
    }
  }
  EXPECT_GE(named, 25);
}

TEST(LayoutTest, EveryTestFileIsInATarget) {
  std::string targets;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "tests")) {
    if (entry.path().filename() == "CMakeLists.txt") targets += ReadFile(entry.path());
  }
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "tests")) {
    const std::string file = entry.path().filename();
    if (file.size() > 8 && file.substr(file.size() - 8) == "_test.cc") {
      EXPECT_NE(targets.find(file), std::string::npos) << entry.path();
    }
  }
}

TEST(LayoutTest, EveryComputedFactIsDocumented) {
  const std::string page = ReadFile(kRoot / "docs/features.md");
  for (const FactPlan::Description& fact : FactPlan::Computed()) {
    const std::string row = "| `computed." + std::string(fact.name) + "` | " + std::string(fact.text) + " |";
    EXPECT_NE(page.find(row), std::string::npos) << "docs/features.md lacks: " << row;
  }
}

TEST(LayoutTest, TheVersionIsTheSameEverywhere) {
  std::smatch in_cmake;
  const std::string cmake = ReadFile(kRoot / "CMakeLists.txt");
  ASSERT_TRUE(std::regex_search(cmake, in_cmake, std::regex("VERSION ([0-9]+\\.[0-9]+\\.[0-9]+) LANGUAGES")));
  EXPECT_NE(ReadFile(kRoot / "server/version.h").find("\"" + in_cmake[1].str() + "\""), std::string::npos);
  EXPECT_NE(ReadFile(kRoot / "CHANGELOG.md").find("## " + in_cmake[1].str()), std::string::npos);
}

}  // namespace
}  // namespace offerd
