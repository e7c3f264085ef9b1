#include "cli/tables/build_input.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "cli/evaluate/item_numbers.h"
#include "core/status_macros.h"

namespace offerd::tables {
namespace {

using evaluate::FileReport;
using evaluate::IdTable;
using evaluate::LinesByGroup;
using evaluate::SeenItems;

constexpr TimeMicros kNoTime = INT64_MIN;
constexpr size_t kMaxLines = 0xfffffffeu;

// The usable lines of a file. A group is a session or basket, numbered as they first appear.
struct Lines {
  IdTable items, groups, users, markets;
  std::vector<uint32_t> group;
  std::vector<uint32_t> item;
  std::vector<TimeMicros> time;                           // kNoTime where there is none
  std::vector<uint32_t> group_id;                         // of each group, in `groups`
  std::vector<uint32_t> group_market;                     // in `markets`
  absl::flat_hash_map<uint64_t, uint32_t> group_of_user;  // user and id to group
  int64_t other_market = 0;                               // lines of another market than the first of their group
};

// What a line of one file holds by role; absent roles are empty.
enum Role : size_t { kGroup, kItem, kTime, kMarket, kUser };

uint32_t GroupOf(absl::string_view id, absl::string_view user, Lines* lines) {
  const uint32_t id_number = lines->groups.Add(id);
  const uint32_t user_number = evaluate::IsBlank(user) ? evaluate::kNoUser : lines->users.Add(user);
  const uint64_t key = static_cast<uint64_t>(user_number) << 32 | id_number;
  const auto [found, is_new] = lines->group_of_user.try_emplace(key, static_cast<uint32_t>(lines->group_id.size()));
  if (is_new) {
    lines->group_id.push_back(id_number);
    lines->group_market.push_back(kNoMarket);
  }
  return found->second;
}

absl::Status AddLine(const std::string& path, uint32_t group, absl::string_view item, TimeMicros time, Lines* lines) {
  if (lines->item.size() == kMaxLines)
    return absl::ResourceExhaustedError(absl::StrCat(path, ": more than ", kMaxLines, " lines"));
  lines->group.push_back(group);
  lines->item.push_back(lines->items.Add(item));
  lines->time.push_back(time);
  return absl::OkStatus();
}

absl::Status ReadRoles(const BuildFile& options, Lines* lines, FileReport* report) {
  const bool is_sessions = options.protocol == evaluate::Protocol::kSessions;
  const char* const group_role = is_sessions ? "session" : "basket";
  const char* const no_group = is_sessions ? "no session" : "no basket";
  ASSIGN_OR_RETURN(
      const std::unique_ptr<evaluate::RoleFile> file,
      evaluate::RoleFile::Open(options.path, options.options, {group_role, "item", "time", "market", "user"}, report));
  while (file->Next()) {
    if (!report->TakeIds(file->line(), file->Get(kGroup), no_group, file->Get(kItem))) continue;
    const uint32_t group = GroupOf(file->Get(kGroup), file->Get(kUser), lines);
    const TimeMicros time =
        file->Has(kTime) ? report->TakeTime(file->Get(kTime)).value_or(kNoTime) : static_cast<TimeMicros>(lines->time.size());
    RETURN_IF_ERROR(AddLine(options.path, group, file->Get(kItem), time, lines));
    if (evaluate::IsBlank(file->Get(kMarket))) continue;
    const uint32_t market = lines->markets.Add(file->Get(kMarket));
    if (lines->group_market[group] == kNoMarket) lines->group_market[group] = market;
    if (lines->group_market[group] != market) ++lines->other_market;
  }
  return absl::OkStatus();
}

absl::Status ReadBasketLines(const BuildFile& options, Lines* lines, FileReport* report) {
  report->file = options.path;
  ASSIGN_OR_RETURN(std::unique_ptr<cli::InputFile> input, cli::InputFile::Open(options.path));
  evaluate::RowReader reader(std::move(input), options.options.delimiter);
  while (true) {
    const absl::StatusOr<bool> has_row = reader.Next();
    if (!has_row.ok()) report->cut = std::string(has_row.status().message());
    if (!has_row.ok() || !*has_row) return absl::OkStatus();
    ++report->lines;
    report->ends_damaged = reader.is_damaged();
    if (reader.is_damaged()) {
      report->AddDamaged(reader.line(), "a quote in the wrong place");
      continue;
    }
    const auto basket = static_cast<uint32_t>(lines->group_id.size());
    lines->group_id.push_back(basket);
    lines->group_market.push_back(kNoMarket);
    for (const absl::string_view item : reader.cells()) {
      if (!report->TakeItem(reader.line(), item)) continue;
      RETURN_IF_ERROR(AddLine(options.path, basket, item, reader.line(), lines));
    }
  }
}

struct Click {
  TimeMicros time = 0;
  uint32_t item = 0;
};

// Makes rows of groups, one at a time.
class Rows {
 public:
  Rows(const BuildFile& file, const Lines& lines, FileReport* report)
      : is_sessions_(file.protocol == evaluate::Protocol::kSessions),
        lines_(lines),
        by_group_(lines.group, lines.group_id.size()),
        report_(report) {}

  // The clicks of a group in order of time; of a basket each item once. `counts` whether to report what is seen.
  const std::vector<Click>& Of(uint32_t group, bool counts) {
    clicks_.clear();
    seen_.StartRow();
    distinct_ = 0;
    for (uint64_t at = by_group_.offsets[group]; at < by_group_.offsets[group + 1]; ++at) {
      const uint32_t line = by_group_.lines[at];
      const bool is_repeat = !seen_.Insert(lines_.item[line]);
      if (is_repeat && counts) ++report_->repeats;
      if (!is_repeat) ++distinct_;
      if (!is_repeat || is_sessions_) clicks_.push_back({lines_.time[line], lines_.item[line]});
    }
    PutInOrder(counts);
    if (clicks_.size() == 1 && counts) ++report_->single;
    return clicks_;
  }
  size_t distinct() const { return distinct_; }

 private:
  // A click without a time stands at that of the one before it, at the beginning at the earliest of all.
  void PutInOrder(bool counts) {
    TimeMicros before = kNoTime;
    for (const Click& click : clicks_) {
      if (click.time != kNoTime && (before == kNoTime || click.time < before)) before = click.time;
    }
    if (before == kNoTime) before = 0;
    for (Click& click : clicks_) {
      if (click.time == kNoTime) click.time = before;
      if (click.time < before && counts) ++report_->out_of_order;
      before = click.time;
    }
    std::stable_sort(clicks_.begin(), clicks_.end(), [](const Click& a, const Click& b) { return a.time < b.time; });
  }

  const bool is_sessions_;
  const Lines& lines_;
  const LinesByGroup by_group_;
  FileReport* const report_;
  SeenItems seen_;
  std::vector<Click> clicks_;
  size_t distinct_ = 0;
};

// Which groups and items stay.
struct Kept {
  std::vector<bool> groups, items;
};

Kept Choose(const BuildFile& file, const Lines& lines, Rows& rows, evaluate::Dataset* data) {
  Kept kept;
  kept.groups.assign(lines.group_id.size(), true);
  std::vector<uint32_t> support(lines.items.size(), 0);
  int64_t too_long = 0, empty = 0, too_rare = 0;
  SeenItems seen;
  for (uint32_t group = 0; group < lines.group_id.size(); ++group) {
    const std::vector<Click>& clicks = rows.Of(group, true);
    empty += clicks.empty() ? 1 : 0;
    const bool is_too_long = file.max_length > 0 && rows.distinct() > file.max_length;
    too_long += is_too_long ? 1 : 0;
    kept.groups[group] = !is_too_long && !clicks.empty();
    if (!kept.groups[group]) continue;
    seen.StartRow();
    for (const Click& click : clicks) support[click.item] += seen.Insert(click.item) ? 1 : 0;
  }
  for (const uint32_t rows_with_item : support) {
    kept.items.push_back(rows_with_item >= std::max<size_t>(1, file.min_item_support));
    too_rare += rows_with_item > 0 && !kept.items.back() ? 1 : 0;
  }
  data->counts.emplace_back("rows_left_out_for_their_length", too_long);
  data->counts.emplace_back("rows_without_items", empty);
  data->counts.emplace_back("items_left_out_for_their_support", too_rare);
  return kept;
}

// The order of groups that evaluate gives rows, so that ties fall alike: sessions by id, baskets by time.
std::vector<uint32_t> OrderOf(const BuildFile& file, const Lines& lines) {
  std::vector<uint32_t> order(lines.group_id.size());
  std::iota(order.begin(), order.end(), 0u);
  if (file.protocol == evaluate::Protocol::kSessions) {
    std::vector<uint32_t> ids(lines.groups.size()), place(lines.groups.size());
    std::iota(ids.begin(), ids.end(), 0u);
    lines.groups.Sort(&ids);
    for (uint32_t i = 0; i < ids.size(); ++i) place[ids[i]] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](uint32_t a, uint32_t b) { return place[lines.group_id[a]] < place[lines.group_id[b]]; });
    return order;
  }
  std::vector<TimeMicros> earliest(order.size(), INT64_MAX);
  for (size_t line = 0; line < lines.item.size(); ++line) {
    if (lines.time[line] != kNoTime)
      earliest[lines.group[line]] = std::min(earliest[lines.group[line]], lines.time[line]);
  }
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return earliest[a] < earliest[b]; });
  return order;
}

// Markets by bytes; `places` tells the new number of each.
std::vector<std::string> SortedMarkets(const IdTable& markets, std::vector<uint32_t>* places) {
  std::vector<uint32_t> order(markets.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return markets[a] < markets[b]; });
  places->resize(order.size());
  std::vector<std::string> names;
  for (const uint32_t market : order) {
    (*places)[market] = static_cast<uint32_t>(names.size());
    names.emplace_back(markets[market]);
  }
  return names;
}

void MakeRows(const BuildFile& file, const Lines& lines, BuildInput* input) {
  evaluate::Training& training = input->data.training;
  Rows rows(file, lines, &input->data.reports[0]);
  const Kept kept = Choose(file, lines, rows, &input->data);
  evaluate::ItemNumbers numbers(lines.items, kept.items);
  training.rows.num_items = numbers.ids.size();
  training.item_counts.assign(numbers.ids.size(), 0);
  std::vector<uint32_t> market_places;
  input->market_names = SortedMarkets(lines.markets, &market_places);
  const bool is_sessions = file.protocol == evaluate::Protocol::kSessions;
  int64_t without_market = 0;
  for (const uint32_t group : OrderOf(file, lines)) {
    if (!kept.groups[group]) continue;
    const std::vector<Click>& clicks = rows.Of(group, false);
    for (const Click& click : clicks) {
      if (!kept.items[click.item]) continue;
      training.rows.items.push_back(numbers.of[click.item]);
      ++training.item_counts[numbers.of[click.item]];
    }
    training.rows.offsets.push_back(training.rows.items.size());
    training.times.push_back(is_sessions ? clicks.back().time : clicks.front().time);
    if (input->market_names.empty()) continue;
    const uint32_t market = lines.group_market[group];
    input->markets.push_back(market == kNoMarket ? kNoMarket : market_places[market]);
    without_market += market == kNoMarket ? 1 : 0;
  }
  input->data.item_ids = std::move(numbers.ids);
  input->data.counts.emplace_back("rows_without_market", without_market);
}

}  // namespace

absl::StatusOr<BuildInput> ReadBuildInput(const BuildFile& file) {
  BuildInput input;
  evaluate::Dataset& data = input.data;
  data.reports.resize(1);
  data.training.protocol = file.protocol;
  Lines lines;
  RETURN_IF_ERROR(file.one_basket_a_line ? ReadBasketLines(file, &lines, &data.reports[0])
                                         : ReadRoles(file, &lines, &data.reports[0]));
  if (!data.reports[0].cut.empty()) {
    return absl::DataLossError(
        absl::StrCat(file.path, ": read in part only, nothing is built from it: ", data.reports[0].cut));
  }
  lines.group_of_user = {};
  data.counts.emplace_back("item_ids_alike", lines.items.CountLookalikes());
  data.counts.emplace_back("item_ids_that_cannot_be_used", data.reports[0].unusable_items);
  data.counts.emplace_back("lines_of_another_market_than_their_row", lines.other_market);
  MakeRows(file, lines, &input);
  return input;
}

evaluate::Dataset OfMarket(const BuildInput& input, uint32_t market) {
  const evaluate::Training& all = input.data.training;
  evaluate::Dataset result;
  result.training.protocol = all.protocol;
  std::vector<bool> is_sold(all.num_items(), false);
  for (size_t row = 0; row < all.rows.size(); ++row) {
    if (input.markets[row] != market) continue;
    for (const TableItem item : all.rows[row]) is_sold[item] = true;
  }
  std::vector<TableItem> numbers(all.num_items(), 0);
  for (size_t item = 0; item < is_sold.size(); ++item) {
    if (!is_sold[item]) continue;
    numbers[item] = static_cast<TableItem>(result.item_ids.size());
    result.item_ids.push_back(input.data.item_ids[item]);
  }
  evaluate::Training& training = result.training;
  training.rows.num_items = result.item_ids.size();
  training.item_counts.assign(result.item_ids.size(), 0);
  for (size_t row = 0; row < all.rows.size(); ++row) {
    if (input.markets[row] != market) continue;
    for (const TableItem item : all.rows[row]) {
      training.rows.items.push_back(numbers[item]);
      ++training.item_counts[numbers[item]];
    }
    training.rows.offsets.push_back(training.rows.items.size());
    training.times.push_back(all.times[row]);
  }
  return result;
}

}  // namespace offerd::tables
