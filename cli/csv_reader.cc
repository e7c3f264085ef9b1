#include "cli/csv_reader.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

constexpr int kRowNotBegun = 0;  // csv_parser::pstate between rows
int IsNoSpace(unsigned char) { return 0; }

}  // namespace

CsvReader::CsvReader(std::unique_ptr<InputFile> file, char delimiter) : lines_(std::move(file)), delimiter_(delimiter) { Start(); }

CsvReader::~CsvReader() { csv_free(&parser_); }

void CsvReader::Start() {
  csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI);
  csv_set_delim(&parser_, static_cast<unsigned char>(delimiter_));
  csv_set_space_func(&parser_, IsNoSpace);
}

void CsvReader::OnCell(void* bytes, size_t size, void* self) {
  static_cast<CsvReader*>(self)->cells_.emplace_back(static_cast<const char*>(bytes), size);
}

void CsvReader::OnRowEnd(int, void* self) {
  auto* reader = static_cast<CsvReader*>(self);
  reader->rows_.push_back({reader->row_line_, std::move(reader->cells_), ""});
  reader->cells_.clear();
}

// libcsv tells no positions, so it gets one physical line at a time.
absl::StatusOr<bool> CsvReader::Next(CsvRow* row) {
  std::string line;
  while (rows_.empty()) {
    if (at_end_) return false;
    ASSIGN_OR_RETURN(const bool has_line, lines_.Next(&line));
    if (!has_line) {
      at_end_ = true;
      if (csv_fini(&parser_, OnCell, OnRowEnd, this) != 0) {
        return absl::DataLossError(absl::StrCat("line ", row_line_, ": a quote that begins in this row is never closed"));
      }
      continue;
    }
    if (parser_.pstate == kRowNotBegun) row_line_ = lines_.line_number();
    size_t skipped = 0;
    if (lines_.line_number() == 1 && absl::StartsWith(line, "\xef\xbb\xbf")) skipped = 3;
    const size_t size = line.size() - skipped;
    if (csv_parse(&parser_, line.data() + skipped, size, OnCell, OnRowEnd, this) != size) {
      cells_.clear();
      rows_.push_back({row_line_, {}, "a quote stands inside a cell that does not begin with one, or behind the closing one"});
      csv_free(&parser_);
      Start();
    }
  }
  *row = std::move(rows_.front());
  rows_.pop_front();
  return true;
}

}  // namespace offerd::cli
