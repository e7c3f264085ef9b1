#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/evaluate/item_numbers.h"
#include "cli/evaluate/read_dataset.h"
#include "core/status_macros.h"

namespace offerd::evaluate {
namespace {

constexpr size_t kMaxLines = 0xfffffffeu;

struct UserLines {
  std::vector<uint32_t> user;
  std::vector<uint32_t> item;
};

absl::Status ReadLines(const std::string& path, const FileOptions& options, IdTable* users, IdTable* items, UserLines* lines,
                       FileReport* report) {
  ASSIGN_OR_RETURN(const std::unique_ptr<RoleFile> file, RoleFile::Open(path, options, {"user", "item"}, report));
  while (file->Next()) {
    if (!report->TakeIds(file->line(), file->Get(0), "no user", file->Get(1))) continue;
    if (lines->item.size() == kMaxLines) return absl::ResourceExhaustedError(absl::StrCat(path, ": more than ", kMaxLines, " lines"));
    lines->user.push_back(users->Add(file->Get(0)));
    lines->item.push_back(items->Add(file->Get(1)));
  }
  return absl::OkStatus();
}

// One row a user, in the order of their numbers: the distinct items in the order of the file.
Baskets MakeRows(const UserLines& lines, size_t num_users, const std::vector<TableItem>& numbers, FileReport* report) {
  Baskets rows;
  const LinesByGroup by_user(lines.user, num_users);
  SeenItems seen;
  for (size_t user = 0; user < num_users; ++user) {
    seen.StartRow();
    for (uint64_t at = by_user.offsets[user]; at < by_user.offsets[user + 1]; ++at) {
      const uint32_t item = lines.item[by_user.lines[at]];
      if (seen.Insert(item)) {
        rows.items.push_back(numbers[item]);
      } else {
        ++report->repeats;
      }
    }
    rows.offsets.push_back(rows.items.size());
    if (rows[user].size() == 1) ++report->single;
  }
  return rows;
}

// What was held out of each user who has something held out, without what training has of the same user.
void MakeTest(const Baskets& held_out, Dataset* data) {
  TestRows& test = data->test;
  const size_t known = data->training.num_items();
  int64_t unknown = 0, masked = 0, without_history = 0;
  SeenItems seen;
  for (uint32_t user = 0; user < held_out.size(); ++user) {
    seen.StartRow();
    const auto history = data->training.rows[user];
    for (const TableItem item : history) seen.Insert(item);
    std::vector<TableItem> row;
    for (const TableItem item : held_out[user]) {
      if (!seen.Insert(item)) {
        ++masked;
        continue;
      }
      row.push_back(item);
      if (item >= known) ++unknown;
    }
    if (row.empty()) continue;
    if (history.empty()) ++without_history;
    test.clusters.push_back(static_cast<uint32_t>(test.users.size()));
    test.users.push_back(user);
    test.rows.Add(row);
  }
  data->counts.emplace_back("test_items_unknown", unknown);
  data->counts.emplace_back("test_items_masked_by_training", masked);
  data->counts.emplace_back("test_users_without_history", without_history);
}

}  // namespace

absl::StatusOr<Dataset> ReadUsers(const UserFiles& files) {
  Dataset data;
  data.reports.resize(files.test.empty() ? 1 : 2);
  data.training.protocol = Protocol::kUsers;
  IdTable users, items;
  UserLines train, test;
  RETURN_IF_ERROR(ReadLines(files.train, files.options, &users, &items, &train, &data.reports[0]));
  const size_t known = items.size();
  const size_t known_users = users.size();
  if (!files.test.empty()) RETURN_IF_ERROR(ReadLines(files.test, files.options, &users, &items, &test, &data.reports[1]));
  data.counts.emplace_back("item_ids_alike", items.CountLookalikes());
  data.counts.emplace_back("item_ids_that_cannot_be_used", CountUnusable(data.reports));
  data.counts.emplace_back("user_ids_alike", users.CountLookalikes());
  std::vector<bool> is_in_training(items.size(), false);
  std::fill_n(is_in_training.begin(), known, true);
  ItemNumbers numbers(items, is_in_training);

  // Users who are in the test only get an empty row for now, so that users and rows have the same numbers.
  data.training.rows = MakeRows(train, users.size(), numbers.of, &data.reports[0]);
  data.training.rows.num_items = known;
  data.training.item_counts.assign(known, 0);
  for (const TableItem item : data.training.rows.items) ++data.training.item_counts[item];
  if (!files.test.empty()) MakeTest(MakeRows(test, users.size(), numbers.of, &data.reports[1]), &data);
  data.test.rows.num_items = items.size();
  data.training.rows.offsets.resize(known_users + 1);
  data.item_ids = std::move(numbers.ids);
  return data;
}

}  // namespace offerd::evaluate
