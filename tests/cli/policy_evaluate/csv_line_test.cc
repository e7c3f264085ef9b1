#include "cli/policy_evaluate/csv_line.h"

#include "cli/csv_reader.h"
#include "core/rng.h"
#include "tests/cli/temp_file.h"
#include "tests/support/status_matchers.h"

namespace offerd::cli {
namespace {

using ::testing::ElementsAre;

TEST(CsvLineTest, CellsBetweenCommasWithoutTheLineEnd) {
  CsvLine line;
  ASSERT_OK(line.Split("a,,b c ,\r\n"));
  EXPECT_THAT(line.cells(), ElementsAre("a", "", "b c ", ""));
  ASSERT_OK(line.Split("one"));
  EXPECT_THAT(line.cells(), ElementsAre("one"));
}

TEST(CsvLineTest, QuotesHoldCommasAndQuotes) {
  CsvLine line;
  ASSERT_OK(line.Split("\"a,b\",\"say \"\"hi\"\"\",\"\",c\n"));
  EXPECT_THAT(line.cells(), ElementsAre("a,b", "say \"hi\"", "", "c"));
}

TEST(CsvLineTest, QuotesInWrongPlacesAreErrors) {
  CsvLine line;
  for (const char* text : {"a\"b", "\"a\"b", "\"a,b", "\"", "a,\"b\n"}) {
    EXPECT_THAT(line.Split(text), StatusIs(absl::StatusCode::kInvalidArgument, "quote")) << text;
  }
}

TEST(CsvLineTest, IsWhatCsvReaderMakesOfTheSameLine) {
  Rng rng(9);
  CsvLine line;
  int sound = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (int k = 0; k < 8; ++k) text.push_back("a,\"b 1"[rng.NextBits() % 6]);
    text.push_back('\n');
    const TempFile file(text);
    CsvReader reader(*InputFile::Open(file.path()), ',');
    CsvRow row;
    const absl::StatusOr<bool> read = reader.Next(&row);
    const bool is_sound = read.ok() && *read && row.problem.empty();
    ASSERT_EQ(line.Split(text).ok(), is_sound) << text;
    if (!is_sound) continue;
    ++sound;
    EXPECT_EQ(std::vector<std::string>(line.cells().begin(), line.cells().end()), row.cells) << text;
  }
  EXPECT_GT(sound, 500);
}

}  // namespace
}  // namespace offerd::cli
