#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "cli/evaluate/item_numbers.h"
#include "cli/evaluate/read_dataset.h"
#include "core/status_macros.h"

namespace offerd::evaluate {
namespace {

constexpr TimeMicros kNoTime = INT64_MAX;  // behind every time
constexpr size_t kMaxLines = 0xfffffffeu;

// What a file holds, baskets numbered as they first appear.
struct BasketLines {
  IdTable items;
  std::vector<uint32_t> line_basket;
  std::vector<uint32_t> line_item;
  std::vector<TimeMicros> time;  // of each basket, the earliest of its lines
  std::vector<uint32_t> user;    // of each basket
  size_t num_users = 0;
  int64_t ids_alike = 0;
  int64_t baskets_sharing_an_id = 0;  // of another user
};

absl::Status CheckSize(const std::string& path, const BasketLines& lines) {
  if (lines.line_item.size() < kMaxLines) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(path, ": more than ", kMaxLines, " lines"));
}

absl::Status ReadRoles(const BasketFile& options, BasketLines* lines, FileReport* report) {
  ASSIGN_OR_RETURN(const std::unique_ptr<RoleFile> file,
                   RoleFile::Open(options.path, options.options, {"user", "basket", "item", "time"}, report));
  IdTable users, baskets;
  absl::flat_hash_map<uint64_t, uint32_t> numbers;  // of a user's basket
  while (file->Next()) {
    const absl::string_view basket = file->Get(1);
    const absl::string_view item = file->Get(2);
    if (!report->TakeIds(file->line(), basket, "no basket", item)) continue;
    RETURN_IF_ERROR(CheckSize(options.path, *lines));
    const uint32_t user = IsBlank(file->Get(0)) ? kNoUser : users.Add(file->Get(0));
    const uint64_t key = static_cast<uint64_t>(user) << 32 | baskets.Add(basket);
    const auto [place, is_new] = numbers.try_emplace(key, static_cast<uint32_t>(lines->time.size()));
    if (is_new) {
      lines->time.push_back(kNoTime);
      lines->user.push_back(user);
    }
    lines->line_basket.push_back(place->second);
    lines->line_item.push_back(lines->items.Add(item));
    TimeMicros& time = lines->time[place->second];
    if (!file->Has(3)) {
      time = std::min(time, static_cast<TimeMicros>(place->second));
    } else if (const auto read = report->TakeTime(file->Get(3))) {
      if (!is_new && time != kNoTime && *read < time) ++report->out_of_order;
      time = std::min(time, *read);
    }
  }
  lines->num_users = users.size();
  lines->ids_alike = static_cast<int64_t>(users.CountLookalikes() + baskets.CountLookalikes());
  lines->baskets_sharing_an_id = static_cast<int64_t>(lines->time.size() - baskets.size());
  return absl::OkStatus();
}

absl::Status ReadOneBasketALine(const BasketFile& options, BasketLines* lines, FileReport* report) {
  report->file = options.path;
  ASSIGN_OR_RETURN(std::unique_ptr<cli::InputFile> input, cli::InputFile::Open(options.path));
  RowReader reader(std::move(input), options.options.delimiter);
  while (true) {
    const absl::StatusOr<bool> has_row = reader.Next();
    if (!has_row.ok()) report->cut = std::string(has_row.status().message());
    if (!has_row.ok() || !*has_row) return absl::OkStatus();
    ++report->lines;
    report->ends_damaged = reader.is_damaged();
    if (reader.is_damaged()) report->AddDamaged(reader.line(), "a quote in the wrong place");
    const auto basket = static_cast<uint32_t>(lines->time.size());
    lines->time.push_back((reader.line() - 1) * kMicrosPerSecond);
    lines->user.push_back(kNoUser);
    for (const absl::string_view item : reader.cells()) {
      if (!report->TakeItem(reader.line(), item)) continue;
      RETURN_IF_ERROR(CheckSize(options.path, *lines));
      lines->line_basket.push_back(basket);
      lines->line_item.push_back(lines->items.Add(item));
    }
  }
}

enum class Part : uint8_t { kNone, kTraining, kTest };

// Baskets in order of time (equal times: in the order of the file), and what each is for.
struct Parts {
  std::vector<uint32_t> order;
  std::vector<Part> part;  // by basket
};

// The time from which on the last `share` of these baskets lies.
TimeMicros TimeOfLast(double share, const std::vector<uint32_t>& order, const BasketLines& lines, const BasketSplit& split) {
  std::vector<TimeMicros> times;
  for (const uint32_t basket : order) {
    if (lines.time[basket] != kNoTime && (!split.test_to || lines.time[basket] < *split.test_to)) times.push_back(lines.time[basket]);
  }
  const auto before = static_cast<size_t>((1 - share) * static_cast<double>(times.size()));
  return before < times.size() ? times[before] : kNoTime;
}

Parts SplitBaskets(const BasketLines& lines, const BasketSplit& split, Dataset* data) {
  Parts parts;
  parts.order.resize(lines.time.size());
  std::iota(parts.order.begin(), parts.order.end(), 0u);
  std::stable_sort(parts.order.begin(), parts.order.end(), [&](uint32_t a, uint32_t b) { return lines.time[a] < lines.time[b]; });
  parts.part.assign(lines.time.size(), Part::kNone);
  std::optional<TimeMicros> test_from = split.test_from;
  if (split.test_share > 0) test_from = TimeOfLast(split.test_share, parts.order, lines, split);
  int64_t without_time = 0, beyond = 0, place = 0;
  for (const uint32_t basket : parts.order) {
    const TimeMicros time = lines.time[basket];
    if (time == kNoTime) {
      ++without_time;
    } else if (split.test_to && time >= *split.test_to) {
      ++beyond;
    } else if (split.test_every > 0) {
      parts.part[basket] = ++place % split.test_every == 0 ? Part::kTest : Part::kTraining;
    } else {
      parts.part[basket] = test_from && time >= *test_from ? Part::kTest : Part::kTraining;
    }
  }
  data->counts.emplace_back("baskets_without_time", without_time);
  data->counts.emplace_back("baskets_from_test_to_on", beyond);
  return parts;
}

// Next-basket: of each user the last basket only, where it is a test basket. A user's other test baskets are left out.
void KeepLastBaskets(const BasketLines& lines, Parts* parts, Dataset* data) {
  std::vector<uint32_t> last(lines.num_users, kNoUser);
  int64_t without_user = 0, left_out = 0;
  for (const uint32_t basket : parts->order) {
    if (parts->part[basket] == Part::kTest && lines.user[basket] != kNoUser) last[lines.user[basket]] = basket;
  }
  for (const uint32_t basket : parts->order) {
    if (parts->part[basket] != Part::kTest) continue;
    if (lines.user[basket] != kNoUser && last[lines.user[basket]] == basket) continue;
    ++(lines.user[basket] == kNoUser ? without_user : left_out);
    parts->part[basket] = Part::kNone;
  }
  data->counts.emplace_back("test_baskets_without_user", without_user);
  data->counts.emplace_back("test_baskets_before_the_users_last", left_out);
}

// The distinct items of a basket, in the order of the file; lines that repeat one are marked.
std::vector<bool> MarkRepeats(const BasketLines& lines, const LinesByGroup& by_basket, FileReport* report) {
  std::vector<bool> is_repeat(lines.line_item.size(), false);
  SeenItems seen;
  for (size_t basket = 0; basket < lines.time.size(); ++basket) {
    seen.StartRow();
    int64_t distinct = 0;
    for (uint64_t at = by_basket.offsets[basket]; at < by_basket.offsets[basket + 1]; ++at) {
      const uint32_t line = by_basket.lines[at];
      is_repeat[line] = !seen.Insert(lines.line_item[line]);
      ++(is_repeat[line] ? report->repeats : distinct);
    }
    if (distinct == 1) ++report->single;
  }
  return is_repeat;
}

void AddRow(const BasketLines& lines, const LinesByGroup& by_basket, const std::vector<bool>& is_repeat,
            const std::vector<TableItem>& numbers, uint32_t basket, Baskets* rows) {
  for (uint64_t at = by_basket.offsets[basket]; at < by_basket.offsets[basket + 1]; ++at) {
    const uint32_t line = by_basket.lines[at];
    if (!is_repeat[line]) rows->items.push_back(numbers[lines.line_item[line]]);
  }
  rows->offsets.push_back(rows->items.size());
}

// Lines of training baskets by user in the order of the file, so that entries stand in the order of first appearance.
void AddHistoryEntries(const BasketLines& lines, const Parts& parts, const std::vector<bool>& is_repeat,
                       const std::vector<TableItem>& numbers, Histories* histories) {
  std::vector<uint32_t> line_user(lines.line_item.size());
  for (size_t line = 0; line < line_user.size(); ++line) {
    const uint32_t basket = lines.line_basket[line];
    const bool counts = parts.part[basket] == Part::kTraining && lines.user[basket] != kNoUser && !is_repeat[line];
    line_user[line] = counts ? lines.user[basket] : static_cast<uint32_t>(lines.num_users);
  }
  const LinesByGroup by_user(line_user, lines.num_users + 1);
  SeenItems seen;
  std::vector<uint32_t> entry_of(lines.items.size());
  for (size_t user = 0; user < lines.num_users; ++user) {
    seen.StartRow();
    for (uint64_t at = by_user.offsets[user]; at < by_user.offsets[user + 1]; ++at) {
      const uint32_t line = by_user.lines[at];
      const uint32_t item = lines.line_item[line];
      if (seen.Insert(item)) {
        entry_of[item] = static_cast<uint32_t>(histories->entries.size());
        histories->entries.push_back({numbers[item], 0, INT64_MIN});
      }
      HistoryEntry& entry = histories->entries[entry_of[item]];
      ++entry.count;
      entry.last = std::max(entry.last, lines.time[lines.line_basket[line]]);
    }
    histories->entry_offsets.push_back(histories->entries.size());
  }
}

// Training rows stand in order of time; so do each user's.
void AddHistoryBaskets(const std::vector<uint32_t>& row_user, size_t num_users, Histories* histories) {
  const LinesByGroup by_user(row_user, num_users + 1);
  histories->basket_offsets.assign(by_user.offsets.begin(), by_user.offsets.end() - 1);
  histories->baskets.assign(by_user.lines.begin(), by_user.lines.begin() + static_cast<std::ptrdiff_t>(histories->basket_offsets.back()));
}

void MakeTraining(const BasketLines& lines, const Parts& parts, const LinesByGroup& by_basket, const std::vector<bool>& is_repeat,
                  const ItemNumbers& numbers, Training* training) {
  std::vector<uint32_t> row_user;
  for (const uint32_t basket : parts.order) {
    if (parts.part[basket] != Part::kTraining) continue;
    AddRow(lines, by_basket, is_repeat, numbers.of, basket, &training->rows);
    training->times.push_back(lines.time[basket]);
    row_user.push_back(std::min(lines.user[basket], static_cast<uint32_t>(lines.num_users)));
  }
  training->rows.num_items = numbers.ids.size();
  training->item_counts.assign(numbers.ids.size(), 0);
  for (const TableItem item : training->rows.items) ++training->item_counts[item];
  AddHistoryEntries(lines, parts, is_repeat, numbers.of, &training->histories);
  AddHistoryBaskets(row_user, lines.num_users, &training->histories);
}

// Leave-one-out asks of baskets with two items or more, all known to training.
bool CanHideOne(absl::Span<const TableItem> basket, size_t known, int64_t* with_unknown, int64_t* too_small) {
  if (std::any_of(basket.begin(), basket.end(), [known](TableItem item) { return item >= known; })) {
    ++*with_unknown;
    return false;
  }
  if (basket.size() < 2) ++*too_small;
  return basket.size() >= 2;
}

void MakeTest(const BasketLines& lines, const Parts& parts, const LinesByGroup& by_basket, const std::vector<bool>& is_repeat,
              const ItemNumbers& numbers, Dataset* data) {
  std::vector<uint32_t> baskets;
  for (const uint32_t basket : parts.order) {
    if (parts.part[basket] == Part::kTest) baskets.push_back(basket);
  }
  std::stable_sort(baskets.begin(), baskets.end(), [&](uint32_t a, uint32_t b) { return lines.user[a] < lines.user[b]; });
  TestRows& test = data->test;
  int64_t with_unknown = 0, too_small = 0, unknown_items = 0, without_history = 0;
  const size_t known = numbers.ids.size();
  uint32_t cluster = 0;
  for (const uint32_t basket : baskets) {
    AddRow(lines, by_basket, is_repeat, numbers.of, basket, &test.rows);
    const auto row = test.rows[test.rows.size() - 1];
    const bool is_leave_one_out = data->training.protocol == Protocol::kLeaveOneOut;
    if (row.empty() || (is_leave_one_out && !CanHideOne(row, known, &with_unknown, &too_small))) {
      test.rows.offsets.pop_back();
      test.rows.items.resize(test.rows.offsets.back());
      continue;
    }
    unknown_items += std::count_if(row.begin(), row.end(), [known](TableItem item) { return item >= known; });
    if (data->training.histories.Of(lines.user[basket]).empty()) ++without_history;
    const bool goes_on = !test.users.empty() && lines.user[basket] != kNoUser && test.users.back() == lines.user[basket];
    if (!test.users.empty() && !goes_on) ++cluster;
    test.clusters.push_back(cluster);
    test.users.push_back(lines.user[basket]);
    test.times.push_back(lines.time[basket]);
  }
  test.rows.num_items = lines.items.size();
  if (data->training.protocol == Protocol::kLeaveOneOut) {
    data->counts.emplace_back("test_baskets_with_an_unknown_item", with_unknown);
    data->counts.emplace_back("test_baskets_of_one_item", too_small);
  } else {
    data->counts.emplace_back("test_items_unknown", unknown_items);
  }
  data->counts.emplace_back("test_baskets_without_history", without_history);
}

}  // namespace

absl::StatusOr<Dataset> ReadBaskets(const BasketFile& file, const BasketSplit& split) {
  Dataset data;
  data.reports.resize(1);
  data.training.protocol = split.protocol;
  BasketLines lines;
  RETURN_IF_ERROR(file.one_basket_a_line ? ReadOneBasketALine(file, &lines, &data.reports[0])
                                         : ReadRoles(file, &lines, &data.reports[0]));
  data.counts.emplace_back("item_ids_alike", lines.items.CountLookalikes());
  data.counts.emplace_back("item_ids_that_cannot_be_used", CountUnusable(data.reports));
  data.counts.emplace_back("user_and_basket_ids_alike", lines.ids_alike);
  data.counts.emplace_back("baskets_sharing_an_id", lines.baskets_sharing_an_id);
  Parts parts = SplitBaskets(lines, split, &data);
  if (split.protocol == Protocol::kNextBasket) KeepLastBaskets(lines, &parts, &data);

  const LinesByGroup by_basket(lines.line_basket, lines.time.size());
  const std::vector<bool> is_repeat = MarkRepeats(lines, by_basket, &data.reports[0]);
  std::vector<bool> is_in_training(lines.items.size(), false);
  for (size_t line = 0; line < lines.line_item.size(); ++line) {
    if (parts.part[lines.line_basket[line]] == Part::kTraining) is_in_training[lines.line_item[line]] = true;
  }
  ItemNumbers numbers(lines.items, is_in_training);
  MakeTraining(lines, parts, by_basket, is_repeat, numbers, &data.training);
  MakeTest(lines, parts, by_basket, is_repeat, numbers, &data);
  data.item_ids = std::move(numbers.ids);
  return data;
}

}  // namespace offerd::evaluate
