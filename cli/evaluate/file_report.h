#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "core/types.h"

namespace offerd::evaluate {

bool IsBlank(absl::string_view cell);  // nothing in it, or nothing but blanks: no id, no time

// What was read of a file, and what was wrong with it. Nothing is left out of the figures without being counted here.
struct FileReport {
  std::string file;
  int64_t lines = 0;           // without the header and empty ones
  int64_t damaged = 0;         // wrong number of cells or a quote in the wrong place: left out
  int64_t without_id = 0;      // an id that is needed is blank: left out
  int64_t unusable_items = 0;  // an item id that no table holds, longer than 256 bytes or not UTF-8: left out
  int64_t times = 0;           // lines whose time was read
  int64_t without_time = 0;    // kept, at the time of the line before
  int64_t unreadable_time = 0;  // the same
  int64_t beyond_years = 0;    // of the unreadable ones: numbers and dates before 1970 or after 2200
  int64_t out_of_order = 0;    // earlier than the line before of the same session: put in order
  int64_t repeats = 0;         // an item that its session, basket or user has already
  int64_t single = 0;          // sessions or baskets with one item
  std::string cut;             // why reading ended before the end of the file; empty where it did not
  bool ends_damaged = false;   // the last line is damaged, as in a plain file that was cut
  std::vector<std::string> examples;  // the first few damaged lines

  void AddDamaged(int64_t line, absl::string_view reason);

  // Whether a line can be used: it names its group (`no_group` is said where it does not) and an item that a table can hold.
  // Counts why not.
  bool TakeIds(int64_t line, absl::string_view group, const char* no_group, absl::string_view item);
  bool TakeItem(int64_t line, absl::string_view item);  // the same of one item
  std::optional<TimeMicros> TakeTime(absl::string_view text);  // counts it as read, absent or unreadable

 private:
  void AddExample(int64_t line, absl::string_view reason);
};

int64_t CountUnusable(const std::vector<FileReport>& reports);  // items, in all files

// What a reader of the figures must not miss, a sentence each: a file that was read in part or may be cut, times of which none
// can be read.
std::vector<std::string> Warnings(const std::vector<FileReport>& reports);

}  // namespace offerd::evaluate
