#include "cli/format.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace offerd::cli {
namespace {

bool LooksNumeric(const std::string& text) {
  return text.empty() || text == "-" || absl::ascii_isdigit(static_cast<unsigned char>(text[0])) ||
         (text.size() > 1 && (text[0] == '-' || text[0] == '+') && absl::ascii_isdigit(static_cast<unsigned char>(text[1])));
}

// Letters, not bytes, so that a table with other than ASCII names stays straight.
size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string Dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string FormatTable(const std::vector<std::vector<std::string>>& rows) {
  std::string text;
  if (rows.empty()) return text;
  const size_t columns = rows.front().size();
  std::vector<size_t> widths(columns, 0);
  std::vector<bool> numeric(columns, rows.size() > 1);
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t c = 0; c < columns; ++c) {
      widths[c] = std::max(widths[c], Width(rows[r][c]));
      if (r > 0 && !LooksNumeric(rows[r][c])) numeric[c] = false;
    }
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < columns; ++c) {
      const std::string padding(widths[c] - Width(row[c]), ' ');
      absl::StrAppend(&line, c == 0 ? "" : "  ", numeric[c] ? padding : "", row[c], numeric[c] ? "" : padding);
    }
    absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return text;
}

std::string FormatCount(int64_t count) {
  std::string digits = absl::StrCat(count);
  const int first = count < 0 ? 1 : 0;
  for (int i = static_cast<int>(digits.size()) - 3; i > first; i -= 3) digits.insert(static_cast<size_t>(i), 1, ',');
  return digits;
}

std::string Shortened(std::string text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  const auto is_inside_character = [&text](size_t place) { return (static_cast<unsigned char>(text[place]) & 0xc0) == 0x80; };
  while (max_bytes > 0 && is_inside_character(max_bytes)) --max_bytes;
  text.resize(max_bytes);
  return text + " ...";
}

std::string FormatNumber(double value) { return std::isfinite(value) ? absl::StrFormat("%.4f", value) : "-"; }

}  // namespace offerd::cli
