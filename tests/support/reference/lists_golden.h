#pragma once
#include <zstd.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "core/similarity/baskets.h"
#include "tests/support/shared_data.h"

namespace offerd {

// A file of the shared data, unpacked if its name says so. Empty if it cannot be read.
inline std::string ReadSharedText(const std::string& relative_path) {
  const std::string bytes = ReadWholeFile(*SharedData(relative_path));
  if (relative_path.size() < 4 || relative_path.substr(relative_path.size() - 4) != ".zst") return bytes;
  std::string text(std::max<size_t>(64 * bytes.size(), 1 << 16), '\0');
  const size_t size = ZSTD_decompress(text.data(), text.size(), bytes.data(), bytes.size());
  text.resize(ZSTD_isError(size) ? 0 : size);
  return text;
}

// Rows of a separated file. Quotes hold separators, doubled quotes are one; no line breaks inside.
inline std::vector<std::vector<std::string>> ReadSharedRows(const std::string& relative_path, char separator) {
  std::vector<std::vector<std::string>> rows;
  const std::string text = ReadSharedText(relative_path);
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    if (line.back() == '\r') line.remove_suffix(1);
    std::vector<std::string> row(1);
    bool is_quoted = false;
    for (size_t k = 0; k < line.size(); ++k) {
      if (line[k] == '"') {
        if (is_quoted && k + 1 < line.size() && line[k + 1] == '"')
          row.back().push_back(line[k++]);
        else
          is_quoted = !is_quoted;
      } else if (line[k] == separator && !is_quoted) {
        row.emplace_back();
      } else {
        row.back().push_back(line[k]);
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

inline double GoldenDouble(const std::string& text) {
  double value = 0;
  return absl::SimpleAtod(text, &value) ? value : std::numeric_limits<double>::quiet_NaN();
}

// Baskets with what their items and baskets are called.
struct LabelledBaskets {
  Baskets baskets;
  std::vector<std::string> items;           // ascending
  std::map<std::string, TableItem> number;  // of items
  std::vector<int64_t> last_time;           // by basket, where the file has times
};

// Sorts the labels (by bytes, or as whole numbers) and fills in numbers.
inline LabelledBaskets NumberItems(const std::vector<std::vector<std::string>>& baskets, bool are_numbers) {
  LabelledBaskets out;
  for (const auto& basket : baskets) out.items.insert(out.items.end(), basket.begin(), basket.end());
  std::sort(out.items.begin(), out.items.end(), [&](const std::string& a, const std::string& b) {
    return are_numbers && a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  out.items.erase(std::unique(out.items.begin(), out.items.end()), out.items.end());
  for (size_t i = 0; i < out.items.size(); ++i) out.number[out.items[i]] = static_cast<TableItem>(i);
  out.baskets.num_items = out.items.size();
  for (const auto& basket : baskets) {
    std::vector<TableItem> numbers;
    for (const std::string& item : basket) numbers.push_back(out.number[item]);
    out.baskets.Add(numbers);
  }
  return out;
}

inline LabelledBaskets ReadGroceries() {
  return NumberItems(ReadSharedRows("groceries/groceries.csv.zst", ','), false);
}

// Sessions of the Serenade toy set in the order of their numbers, clicks in the order of time (ties as in the file).
struct Sessions {
  std::vector<std::vector<std::string>> clicks;
  std::vector<int64_t> last_time;
};
inline Sessions ReadSerenade(const std::string& relative_path) {
  std::map<int64_t, std::vector<std::pair<int64_t, std::string>>> sessions;
  const auto rows = ReadSharedRows(relative_path, '\t');
  for (size_t r = 1; r < rows.size(); ++r) {
    const int64_t session = static_cast<int64_t>(GoldenDouble(rows[r][0]));
    sessions[session].emplace_back(static_cast<int64_t>(GoldenDouble(rows[r][2])), rows[r][1]);
  }
  Sessions out;
  for (auto& [number, clicks] : sessions) {
    std::stable_sort(clicks.begin(), clicks.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    out.clicks.emplace_back();
    for (const auto& [time, item] : clicks) out.clicks.back().push_back(item);
    out.last_time.push_back(clicks.back().first);
  }
  return out;
}

inline LabelledBaskets ReadSerenadeTrain() {
  const Sessions sessions = ReadSerenade("serenade-toy/train.txt.zst");
  LabelledBaskets out = NumberItems(sessions.clicks, true);
  out.last_time = sessions.last_time;
  return out;
}

// Customers of the Online Retail slice with what they bought, as the EASE goldens want it: cleaned, items with 50
// buyers.
inline LabelledBaskets ReadOnlineRetailCustomers(std::vector<std::string>* customers) {
  std::map<std::string, std::vector<std::string>> bought;
  std::map<std::string, std::map<std::string, bool>> buyers;
  const auto rows = ReadSharedRows("online-retail/online_retail_to_2011_08.csv.zst", ',');
  for (size_t r = 1; r < rows.size(); ++r) {
    const auto& row =
        rows[r];  // InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country
    if (row.size() != 8 || row[6].empty() || row[0][0] == 'C') continue;
    if (!(GoldenDouble(row[3]) > 0) || !(GoldenDouble(row[5]) > 0)) continue;
    buyers[row[1]][row[6]] = true;
  }
  for (const auto& [item, people] : buyers) {
    if (people.size() < 50) continue;
    for (const auto& [customer, unused] : people) bought[customer].push_back(item);
  }
  std::vector<std::vector<std::string>> baskets;
  for (auto& [customer, items] : bought) {
    customers->push_back(customer);
    baskets.push_back(items);
  }
  return NumberItems(baskets, false);
}

}  // namespace offerd
