#include "cli/evaluate/rows.h"

#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace offerd::evaluate {
namespace {

int IsNoSpace(unsigned char) { return 0; }

absl::string_view WithoutLineEnd(absl::string_view line) {
  if (absl::EndsWith(line, "\n")) line.remove_suffix(1);
  if (absl::EndsWith(line, "\r")) line.remove_suffix(1);
  return line;
}

}  // namespace

absl::StatusOr<char> ParseDelimiter(absl::string_view name) {
  if (name == "comma") return ',';
  if (name == "tab") return '\t';
  if (name == "semicolon") return ';';
  if (name.size() == 1 && name[0] != '"' && name[0] != '\n' && name[0] != '\r') return name[0];
  return absl::InvalidArgumentError(
      absl::StrCat("--delimiter: \"", name, "\" is not comma, tab, semicolon or one character"));
}

RowReader::RowReader(std::unique_ptr<cli::InputFile> file, char delimiter)
    : lines_(std::move(file)), delimiter_(delimiter) {
  Start();
}

RowReader::~RowReader() { csv_free(&parser_); }

void RowReader::Start() {
  csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI);
  csv_set_delim(&parser_, static_cast<unsigned char>(delimiter_));
  csv_set_space_func(&parser_, IsNoSpace);
  is_inside_quotes_ = false;
}

void RowReader::OnCell(void* bytes, size_t size, void* self) {
  static_cast<RowReader*>(self)->quoted_cells_.emplace_back(static_cast<const char*>(bytes), size);
}

void RowReader::OnRowEnd(int, void* self) { static_cast<RowReader*>(self)->is_row_complete_ = true; }

void RowReader::Cut(absl::string_view line) {
  const char* begin = line.data();
  const char* const end = begin + line.size();
  while (true) {
    const auto* stop = static_cast<const char*>(std::memchr(begin, delimiter_, static_cast<size_t>(end - begin)));
    if (stop == nullptr) break;
    cells_.emplace_back(begin, static_cast<size_t>(stop - begin));
    begin = stop + 1;
  }
  cells_.emplace_back(begin, static_cast<size_t>(end - begin));
}

bool RowReader::ReadQuoted() {
  is_row_complete_ = false;
  if (!absl::EndsWith(line_text_, "\n")) line_text_.push_back('\n');  // the last line of a file
  if (csv_parse(&parser_, line_text_.data(), line_text_.size(), OnCell, OnRowEnd, this) != line_text_.size()) {
    csv_free(&parser_);
    Start();
    is_damaged_ = true;
    return true;
  }
  is_inside_quotes_ = !is_row_complete_;
  if (!is_row_complete_) return false;
  for (const std::string& cell : quoted_cells_) cells_.emplace_back(cell);
  return true;
}

absl::StatusOr<bool> RowReader::Next() {
  cells_.clear();
  quoted_cells_.clear();
  is_damaged_ = false;
  while (true) {
    ASSIGN_OR_RETURN(const bool has_line, lines_.Next(&line_text_));
    if (!has_line) {
      if (!is_inside_quotes_) return false;
      return absl::DataLossError(
          absl::StrCat("line ", line_, ": a quote that begins in this row is never closed"));
    }
    if (!is_inside_quotes_) line_ = lines_.line_number();
    if (lines_.line_number() == 1 && absl::StartsWith(line_text_, "\xef\xbb\xbf")) line_text_.erase(0, 3);
    if (is_inside_quotes_ || std::memchr(line_text_.data(), '"', line_text_.size()) != nullptr) {
      if (ReadQuoted()) return true;
      continue;
    }
    const absl::string_view line = WithoutLineEnd(line_text_);
    if (line.empty()) continue;
    Cut(line);
    return true;
  }
}

}  // namespace offerd::evaluate
