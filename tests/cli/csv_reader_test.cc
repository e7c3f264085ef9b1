#include "cli/csv_reader.h"

#include "temp_file.h"
#include "tests/support/status_matchers.h"

namespace offerd::cli {
namespace {

using ::testing::ElementsAre;

struct Result {
  std::vector<CsvRow> rows;
  absl::Status status;
};

Result Read(const std::string& text, char delimiter = ',') {
  const TempFile file(text);
  CsvReader reader(*InputFile::Open(file.path()), delimiter);
  Result result;
  CsvRow row;
  while (true) {
    const absl::StatusOr<bool> next = reader.Next(&row);
    result.status = next.status();
    if (!next.ok() || !*next) return result;
    result.rows.push_back(row);
  }
}

TEST(CsvReaderTest, QuotesHoldDelimitersQuotesAndLineEnds) {
  const Result result = Read("a,b\n\"x,y\",\"he said \"\"no\"\"\"\n\"two\nlines\",3\nlast,4");
  ASSERT_EQ(result.rows.size(), 4u);
  EXPECT_THAT(result.rows[1].cells, ElementsAre("x,y", "he said \"no\""));
  EXPECT_THAT(result.rows[2].cells, ElementsAre("two\nlines", "3"));
  EXPECT_EQ(result.rows[2].line, 3);
  EXPECT_EQ(result.rows[3].line, 5) << "a row after one of two lines";
  EXPECT_THAT(result.rows[3].cells, ElementsAre("last", "4")) << "no line end at the end of the file";
}

TEST(CsvReaderTest, CrLfByteOrderMarkSpacesAndEmptyLines) {
  const Result result = Read("\xef\xbb\xbfid,name\r\n1, x \r\n\r\n2,\r\n");
  ASSERT_EQ(result.rows.size(), 3u);
  EXPECT_THAT(result.rows[0].cells, ElementsAre("id", "name"));
  EXPECT_THAT(result.rows[1].cells, ElementsAre("1", " x "));
  EXPECT_THAT(result.rows[2].cells, ElementsAre("2", ""));
  EXPECT_EQ(result.rows[2].line, 4);
}

TEST(CsvReaderTest, OtherDelimiters) {
  EXPECT_THAT(Read("a;b,c\n", ';').rows[0].cells, ElementsAre("a", "b,c"));
  EXPECT_THAT(Read("a\tb\n", '\t').rows[0].cells, ElementsAre("a", "b"));
}

TEST(CsvReaderTest, MisplacedQuoteIsAProblemOfItsRowOnly) {
  const Result result = Read("a,b\n1,x\"y\n\"z\"q,2\n3,4\n");
  ASSERT_EQ(result.rows.size(), 4u);
  EXPECT_NE(result.rows[1].problem, "");
  EXPECT_EQ(result.rows[1].line, 2);
  EXPECT_NE(result.rows[2].problem, "");
  EXPECT_EQ(result.rows[2].line, 3);
  EXPECT_THAT(result.rows[3].cells, ElementsAre("3", "4"));
  EXPECT_EQ(result.rows[3].problem, "");
}

TEST(CsvReaderTest, QuoteNeverClosedNamesTheLineWhereItBegan) {
  EXPECT_THAT(Read("a,b\n1,2\n3,\"x\n4,5\n").status, StatusIs(absl::StatusCode::kDataLoss, "line 3:"));
}

TEST(CsvReaderTest, CutFileGivesNoHalfRow) {
  std::string bytes = Gzip(ManyLines(100'000));
  bytes.resize(bytes.size() / 2);
  const Result result = Read(bytes);
  EXPECT_THAT(result.status, StatusIs(absl::StatusCode::kDataLoss, "line " + std::to_string(result.rows.size() + 1)));
  const std::string whole = ManyLines(100'000);
  const std::string last = result.rows.back().cells[0] + "," + result.rows.back().cells[1] + "\n";
  EXPECT_NE(whole.find("\n" + last), std::string::npos);
}

}  // namespace
}  // namespace offerd::cli
