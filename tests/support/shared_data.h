#pragma once
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

namespace offerd {

// The path of a file of the shared data (goldens, sample streams): below the environment's OFFERD_SHARED_DATA, or else
// next to the repository in ../shared/data. Nothing when it is not there: tests then skip, with
// SKIP_WITHOUT_SHARED_DATA.
inline std::optional<std::string> SharedData(const std::string& relative_path) {
  const char* root = std::getenv("OFFERD_SHARED_DATA");
  const std::filesystem::path base = root != nullptr
                                         ? std::filesystem::path(root)
                                         : std::filesystem::path(OFFERD_SOURCE_DIR) / ".." / "shared" / "data";
  std::error_code error;
  const std::filesystem::path path = base / relative_path;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  return path.string();
}

inline std::string ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

#define SKIP_WITHOUT_SHARED_DATA(relative_path)             \
  if (!::offerd::SharedData(relative_path))                 \
  GTEST_SKIP() << "GOLDEN NOT CHECKED: " << (relative_path) \
               << " is neither below OFFERD_SHARED_DATA nor in ../shared/data"

}  // namespace offerd
