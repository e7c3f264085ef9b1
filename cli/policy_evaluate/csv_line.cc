#include "cli/policy_evaluate/csv_line.h"

namespace offerd::cli {

absl::Status CsvLine::Split(absl::string_view line) {
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  cells_.clear();
  if (line.find('"') != absl::string_view::npos) return SplitQuoted(line);
  while (true) {
    const size_t comma = line.find(',');
    cells_.push_back(line.substr(0, comma));
    if (comma == absl::string_view::npos) return absl::OkStatus();
    line.remove_prefix(comma + 1);
  }
}

absl::Status CsvLine::SplitQuoted(absl::string_view line) {
  unquoted_.clear();
  size_t at = 0;
  while (true) {
    std::string& cell = unquoted_.emplace_back();
    if (at < line.size() && line[at] == '"') {
      for (++at; at < line.size(); ++at) {
        if (line[at] != '"') {
          cell.push_back(line[at]);
        } else if (at + 1 < line.size() && line[at + 1] == '"') {
          cell.push_back(line[at++]);
        } else {
          break;
        }
      }
      if (at >= line.size()) return absl::InvalidArgumentError("a quote is not closed in its line");
      ++at;
    } else {
      for (; at < line.size() && line[at] != ',' && line[at] != '"'; ++at) cell.push_back(line[at]);
    }
    if (at < line.size() && line[at] != ',') {
      return absl::InvalidArgumentError(
          "a quote stands inside a cell that does not begin with one, or behind the closing one");
    }
    cells_.push_back(cell);
    if (at >= line.size()) return absl::OkStatus();
    ++at;
  }
}

}  // namespace offerd::cli
