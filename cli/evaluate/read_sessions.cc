#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/evaluate/item_numbers.h"
#include "cli/evaluate/read_dataset.h"
#include "core/status_macros.h"

namespace offerd::evaluate {
namespace {

constexpr TimeMicros kNoTime = INT64_MIN;
constexpr size_t kMaxLines = 0xfffffffeu;

struct ClickLines {
  IdTable session_ids;
  std::vector<uint32_t> session;
  std::vector<uint32_t> item;
  std::vector<TimeMicros> time;
};

absl::Status ReadClicks(const std::string& path, const FileOptions& options, IdTable* items, ClickLines* clicks, FileReport* report) {
  ASSIGN_OR_RETURN(const std::unique_ptr<RoleFile> file, RoleFile::Open(path, options, {"session", "item", "time"}, report));
  while (file->Next()) {
    if (!report->TakeIds(file->line(), file->Get(0), "no session", file->Get(1))) continue;
    if (clicks->item.size() == kMaxLines) return absl::ResourceExhaustedError(absl::StrCat(path, ": more than ", kMaxLines, " lines"));
    clicks->session.push_back(clicks->session_ids.Add(file->Get(0)));
    clicks->item.push_back(items->Add(file->Get(1)));
    clicks->time.push_back(file->Has(2) ? report->TakeTime(file->Get(2)).value_or(kNoTime) : static_cast<TimeMicros>(clicks->time.size()));
  }
  return absl::OkStatus();
}

struct Click {
  TimeMicros time = 0;
  TableItem item = 0;
};

// The clicks of one session, in the order of the file: times where they lack, then the order of time.
void PutInOrder(std::vector<Click>* clicks, FileReport* report) {
  TimeMicros known = kNoTime;
  for (const Click& click : *clicks) {
    if (click.time != kNoTime) known = known == kNoTime ? click.time : std::min(known, click.time);
  }
  TimeMicros before = known == kNoTime ? 0 : known;
  for (Click& click : *clicks) {
    if (click.time == kNoTime) click.time = before;
    if (click.time < before) ++report->out_of_order;
    before = click.time;
  }
  std::stable_sort(clicks->begin(), clicks->end(), [](const Click& a, const Click& b) { return a.time < b.time; });
}

// Sessions by ascending id. Uses `clicks` up.
void MakeSessions(ClickLines& clicks, const std::vector<TableItem>& numbers, Baskets* rows, std::vector<TimeMicros>* last,
                  FileReport* report) {
  std::vector<uint32_t> order(clicks.session_ids.size());
  for (uint32_t session = 0; session < order.size(); ++session) order[session] = session;
  clicks.session_ids.Sort(&order);
  const LinesByGroup groups(clicks.session, order.size());
  std::vector<uint32_t>().swap(clicks.session);
  rows->items.reserve(clicks.item.size());
  rows->offsets.reserve(order.size() + 1);
  last->reserve(order.size());
  SeenItems seen;
  std::vector<Click> session;
  for (const uint32_t number : order) {
    session.clear();
    for (uint64_t at = groups.offsets[number]; at < groups.offsets[number + 1]; ++at) {
      const uint32_t line = groups.lines[at];
      session.push_back({clicks.time[line], numbers[clicks.item[line]]});
    }
    PutInOrder(&session, report);
    seen.StartRow();
    for (const Click& click : session) {
      rows->items.push_back(click.item);
      if (!seen.Insert(click.item)) ++report->repeats;
    }
    rows->offsets.push_back(rows->items.size());
    last->push_back(session.back().time);
    if (session.size() == 1) ++report->single;
  }
}

void CountUnknown(Dataset* data) {
  const size_t known = data->training.num_items();
  std::vector<TableItem> unknown;
  for (const TableItem item : data->test.rows.items) {
    if (item >= known) unknown.push_back(item);
  }
  data->counts.emplace_back("test_clicks_on_unknown_items", unknown.size());
  std::sort(unknown.begin(), unknown.end());
  data->counts.emplace_back("unknown_items", std::unique(unknown.begin(), unknown.end()) - unknown.begin());
}

}  // namespace

absl::StatusOr<Dataset> ReadSessions(const SessionFiles& files) {
  Dataset data;
  data.reports.resize(files.test.empty() ? 1 : 2);
  IdTable items;
  ClickLines train;
  RETURN_IF_ERROR(ReadClicks(files.train, files.options, &items, &train, &data.reports[0]));
  const size_t known = items.size();
  ClickLines test;
  if (!files.test.empty()) RETURN_IF_ERROR(ReadClicks(files.test, files.options, &items, &test, &data.reports[1]));
  data.counts.emplace_back("item_ids_alike", items.CountLookalikes());
  data.counts.emplace_back("item_ids_that_cannot_be_used", CountUnusable(data.reports));
  data.counts.emplace_back("session_ids_alike", train.session_ids.CountLookalikes() + test.session_ids.CountLookalikes());
  std::vector<bool> is_in_training(items.size(), false);
  std::fill_n(is_in_training.begin(), known, true);
  ItemNumbers numbers(items, is_in_training);

  data.training.protocol = Protocol::kSessions;
  MakeSessions(train, numbers.of, &data.training.rows, &data.training.times, &data.reports[0]);
  data.training.rows.num_items = known;
  data.training.item_counts.assign(known, 0);
  for (const TableItem item : data.training.rows.items) ++data.training.item_counts[item];
  data.item_ids = std::move(numbers.ids);
  if (files.test.empty()) return data;
  MakeSessions(test, numbers.of, &data.test.rows, &data.test.times, &data.reports[1]);
  data.test.rows.num_items = items.size();
  for (uint32_t session = 0; session < data.test.rows.size(); ++session) data.test.clusters.push_back(session);
  CountUnknown(&data);
  return data;
}

void SplitSessions(double share, Dataset* data) {
  Training& training = data->training;
  std::vector<TimeMicros> ends = training.times;
  std::sort(ends.begin(), ends.end());
  const auto before = static_cast<size_t>((1 - share) * static_cast<double>(ends.size()));
  const TimeMicros from = before < ends.size() ? ends[before] : INT64_MAX;
  const Baskets all = std::exchange(training.rows, Baskets());
  const std::vector<TimeMicros> times = std::exchange(training.times, {});
  data->test = TestRows();
  for (size_t session = 0; session < all.size(); ++session) {
    const bool is_test = times[session] >= from;
    (is_test ? data->test.rows : training.rows).Add(all[session]);
    (is_test ? data->test.times : training.times).push_back(times[session]);
    if (is_test) data->test.clusters.push_back(static_cast<uint32_t>(data->test.clusters.size()));
  }
  training.rows.num_items = data->test.rows.num_items = all.num_items;
  training.item_counts.assign(all.num_items, 0);
  for (const TableItem item : training.rows.items) ++training.item_counts[item];
}

}  // namespace offerd::evaluate
