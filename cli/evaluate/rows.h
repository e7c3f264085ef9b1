#pragma once
#include <csv.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cli/input_file.h"

namespace offerd::evaluate {

// comma, tab, semicolon or one character.
absl::StatusOr<char> ParseDelimiter(absl::string_view name);

// Rows of a file of millions of lines: a line without a quote is cut in place, one with a quote goes through libcsv in its
// strict mode (RFC 4180, as cli/csv_reader.h). LF or CRLF, a byte order mark is skipped, empty lines are no rows.
//
// Errors  A quote in the wrong place makes a row with a problem. A file that is cut, damaged or ends within quotes is DataLoss
//         and names the line; all rows before it have been delivered.
class RowReader {
 public:
  RowReader(std::unique_ptr<cli::InputFile> file, char delimiter);
  ~RowReader();
  RowReader(const RowReader&) = delete;
  RowReader& operator=(const RowReader&) = delete;

  absl::StatusOr<bool> Next();  // false = the end

  // Of the row that Next found; valid until it is called again.
  absl::Span<const absl::string_view> cells() const { return cells_; }
  int64_t line() const { return line_; }  // of the file, from 1, where the row begins
  bool is_damaged() const { return is_damaged_; }

 private:
  void Start();
  void Cut(absl::string_view line);
  bool ReadQuoted();  // feeds line_text_ to libcsv; true when a row is complete

  static void OnCell(void* bytes, size_t size, void* self);
  static void OnRowEnd(int terminator, void* self);

  cli::LineReader lines_;
  const char delimiter_;
  csv_parser parser_;
  std::string line_text_;
  std::vector<absl::string_view> cells_;
  std::vector<std::string> quoted_cells_;
  int64_t line_ = 0;
  bool is_inside_quotes_ = false;
  bool is_row_complete_ = false;
  bool is_damaged_ = false;
};

}  // namespace offerd::evaluate
