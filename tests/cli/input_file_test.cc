#include "cli/input_file.h"

#include <unistd.h>

#include <memory>
#include <thread>
#include <utility>

#include "temp_file.h"
#include "tests/support/status_matchers.h"

namespace offerd::cli {
namespace {

absl::StatusOr<std::string> ReadAll(const std::string& bytes) {
  const TempFile file(bytes);
  return ReadWholeFile(file.path());
}

// Lines read, and the status that ended it.
std::pair<int64_t, absl::Status> CountLines(const std::string& bytes) {
  const TempFile file(bytes);
  LineReader lines(*InputFile::Open(file.path()));
  std::string line;
  while (true) {
    const absl::StatusOr<bool> next = lines.Next(&line);
    if (!next.ok() || !*next) return {lines.line_number(), next.status()};
  }
}

TEST(InputFileTest, PlainGzipAndZstdGiveTheSameBytes) {
  const std::string text = ManyLines(50'000);  // several chunks
  EXPECT_EQ(*ReadAll(text), text);
  EXPECT_EQ(*ReadAll(Gzip(text)), text);
  EXPECT_EQ(*ReadAll(Zstd(text)), text);
}

TEST(InputFileTest, APipeGivesEveryByte) {
  const std::string text = ManyLines(50'000);
  for (const std::string& bytes : {text, Gzip(text), Zstd(text), std::string("ab"), std::string()}) {
    int ends[2] = {};
    ASSERT_EQ(pipe(ends), 0);
    std::thread writer([&] {
      for (size_t sent = 0; sent < bytes.size();) sent += static_cast<size_t>(write(ends[1], bytes.data() + sent, bytes.size() - sent));
      close(ends[1]);
    });
    const auto read = ReadWholeFile("/dev/fd/" + std::to_string(ends[0]));
    writer.join();
    close(ends[0]);
    ASSERT_OK(read);
    EXPECT_EQ(*read, bytes.size() > 10 ? text : bytes) << bytes.size();
  }
}

TEST(InputFileTest, SeveralMembersAreOneFile) {
  EXPECT_EQ(*ReadAll(Gzip("a\n") + Gzip("b\n")), "a\nb\n");
  EXPECT_EQ(*ReadAll(Zstd("a\n") + Zstd("b\n")), "a\nb\n");
}

TEST(InputFileTest, EmptyFilesAreEmpty) {
  EXPECT_EQ(*ReadAll(""), "");
  EXPECT_EQ(*ReadAll(Gzip("")), "");
  EXPECT_EQ(*ReadAll(Zstd("")), "");
}

TEST(InputFileTest, CutAtAnyByteIsAnError) {
  const std::string text = ManyLines(20);
  for (const std::string& whole : {Gzip(text), Zstd(text)}) {
    for (size_t size = 4; size < whole.size(); ++size) EXPECT_FALSE(ReadAll(whole.substr(0, size)).ok()) << size;
  }
}

TEST(InputFileTest, DamagedAndTrailingBytesAreErrors) {
  std::string gzip = Gzip(ManyLines(100));
  EXPECT_THAT(ReadAll(gzip + "rubbish"), StatusIs(absl::StatusCode::kDataLoss, "damaged"));
  gzip[gzip.size() / 2] = static_cast<char>(gzip[gzip.size() / 2] ^ 0x55);
  EXPECT_THAT(ReadAll(gzip), StatusIs(absl::StatusCode::kDataLoss, ""));
  EXPECT_THAT(ReadAll(Zstd("a\n") + "rubbish"), StatusIs(absl::StatusCode::kDataLoss, ""));
}

TEST(InputFileTest, MissingFileIsNamed) { EXPECT_THAT(InputFile::Open("/nowhere/x.csv"), StatusIs(absl::StatusCode::kNotFound, "/nowhere/x.csv")); }

TEST(LineReaderTest, LastLineMayLackItsEnd) {
  EXPECT_EQ(CountLines("a\nb").first, 2);
  EXPECT_EQ(CountLines("a\nb\n").first, 2);
  EXPECT_EQ(CountLines("").first, 0);
}

TEST(LineReaderTest, CutFileNamesTheLineReachedAndKeepsWholeLinesOnly) {
  const std::string text = ManyLines(100'000);
  for (std::string bytes : {Gzip(text), Zstd(text)}) {
    bytes.resize(bytes.size() / 2);
    const auto [lines, status] = CountLines(bytes);
    EXPECT_GT(lines, 1000);
    EXPECT_LT(lines, 100'000);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, "line " + std::to_string(lines + 1) + ":"));
  }
}

}  // namespace
}  // namespace offerd::cli
