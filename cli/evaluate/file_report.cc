#include "cli/evaluate/file_report.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cli/evaluate/instant.h"
#include "cli/format.h"
#include "store/table_checks.h"

namespace offerd::evaluate {
namespace {

constexpr size_t kMaxExamples = 5;

}  // namespace

bool IsBlank(absl::string_view cell) {
  return std::all_of(cell.begin(), cell.end(), [](char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); });
}

void FileReport::AddExample(int64_t line, absl::string_view reason) {
  if (examples.size() < kMaxExamples) examples.push_back(absl::StrCat("line ", line, ": ", reason));
}

void FileReport::AddDamaged(int64_t line, absl::string_view reason) {
  ++damaged;
  AddExample(line, reason);
}

bool FileReport::TakeIds(int64_t line, absl::string_view group, const char* no_group, absl::string_view item) {
  if (!IsBlank(group)) return TakeItem(line, item);
  ++without_id;
  AddExample(line, no_group);
  return false;
}

bool FileReport::TakeItem(int64_t line, absl::string_view item) {
  if (IsBlank(item)) {
    ++without_id;
    AddExample(line, "no item");
    return false;
  }
  if (IsTableId(item)) return true;
  ++unusable_items;
  AddExample(line, "an item id that is longer than 256 bytes or not UTF-8");
  return false;
}

std::optional<TimeMicros> FileReport::TakeTime(absl::string_view text) {
  if (const auto time = ParseInstant(text)) {
    ++times;
    return time;
  }
  if (IsBlank(text)) {
    ++without_time;
    return std::nullopt;
  }
  ++unreadable_time;
  if (IsBeyondYears(text)) ++beyond_years;
  return std::nullopt;
}

int64_t CountUnusable(const std::vector<FileReport>& reports) {
  int64_t count = 0;
  for (const FileReport& report : reports) count += report.unusable_items;
  return count;
}

std::vector<std::string> Warnings(const std::vector<FileReport>& reports) {
  std::vector<std::string> warnings;
  for (const FileReport& report : reports) {
    if (!report.cut.empty()) {
      warnings.push_back(absl::StrCat(report.file, " was read in part only, ", cli::FormatCount(report.lines), " lines: ", report.cut));
    } else if (report.ends_damaged) {
      warnings.push_back(absl::StrCat(report.file, ": the last line is damaged; the file may be cut"));
    }
    if (report.times > 0 || report.unreadable_time == 0) continue;
    warnings.push_back(absl::StrCat(report.file, ": no time of ", cli::FormatCount(report.unreadable_time),
                                    " can be read; expected seconds since 1970 or ISO 8601",
                                    report.beyond_years > 0 ? ", from 1970 to 2200 (these may be milliseconds)" : ""));
  }
  return warnings;
}

}  // namespace offerd::evaluate
