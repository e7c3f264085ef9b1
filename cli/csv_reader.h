#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <csv.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/input_file.h"

namespace offerd::cli {

struct CsvRow {
  int64_t line = 0;  // of the file, where the row begins
  std::vector<std::string> cells;
  std::string problem;  // not empty: the row could not be taken apart
};

// Rows of a CSV file: RFC 4180 through libcsv in its strict mode, any one-byte delimiter, LF or CRLF, a byte order mark is
// skipped, empty lines are no rows, spaces belong to their cell.
//
// Errors  A quote in the wrong place makes a row with a problem, and reading goes on with the next line. A quote that is
//         never closed or a file that is cut is DataLoss and names the line.
class CsvReader {
 public:
  CsvReader(std::unique_ptr<InputFile> file, char delimiter);
  ~CsvReader();
  CsvReader(const CsvReader&) = delete;
  CsvReader& operator=(const CsvReader&) = delete;

  absl::StatusOr<bool> Next(CsvRow* row);  // false = the end

 private:
  void Start();
  static void OnCell(void* bytes, size_t size, void* self);
  static void OnRowEnd(int terminator, void* self);

  LineReader lines_;
  const char delimiter_;
  csv_parser parser_;
  int64_t row_line_ = 1;
  std::vector<std::string> cells_;
  std::deque<CsvRow> rows_;
  bool at_end_ = false;
};

}  // namespace offerd::cli
