#pragma once
#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "cli/columns.h"
#include "offerd/v1/catalog_service.pb.h"
#include "offerd/v1/customer_service.pb.h"
#include "offerd/v1/feedback_service.pb.h"

namespace offerd::cli {

// A message made from one or more rows of a file.
template <typename T>
struct Imported {
  T message;
  int64_t line = 0;  // of its first row
  int64_t rows = 1;
};

// One row to one message. InvalidArgument says what is wrong with which role; the line number is the caller's to add.
absl::Status ConvertRow(const ColumnMapping& columns, const CsvRow& row, v1::Item* item);
absl::Status ConvertRow(const ColumnMapping& columns, const CsvRow& row, v1::Offer* offer);
absl::Status ConvertRow(const ColumnMapping& columns, const CsvRow& row, v1::Customer* customer);

// For items, offers and customers: every row is a message.
template <typename T>
class EntryRows {
 public:
  explicit EntryRows(const ColumnMapping& columns) : columns_(columns) {}

  absl::Status Add(const CsvRow& row, std::vector<Imported<T>>* done) {
    Imported<T> entry;
    entry.line = row.line;
    absl::Status status = ConvertRow(columns_, row, &entry.message);
    if (status.ok()) done->push_back(std::move(entry));
    return status;
  }
  void Finish(std::vector<Imported<T>>*) {}
  int64_t open_rows() const { return 0; }

 private:
  const ColumnMapping& columns_;
};

// Rows to events. Neighbouring rows of one order (and kind, and id where that is mapped) are the lines of one event, with
// the time of the first; an order of more than kMaxLines lines becomes several events. A row without an order is an event.
//
// The event id is that of the role `id`; else "import-ORDER" (other kinds than purchases: "import-KIND-ORDER"); else it is
// derived from the line number and the cells. So the same file imported twice counts once.
//
// Errors  A row that names an order which ended before is refused (it would be taken for a repeat), and so is one that
//         disagrees with the first row of its order about customer, market, currency, decision or offer.
class EventRows {
 public:
  EventRows(const ColumnMapping& columns, bool history) : columns_(columns), history_(history) {}

  absl::Status Add(const CsvRow& row, std::vector<Imported<v1::Event>>* done);
  void Finish(std::vector<Imported<v1::Event>>* done);
  int64_t open_rows() const { return open_.rows; }

  static constexpr int kMaxLines = 1000;

 private:
  absl::Status Read(const CsvRow& row, v1::Event* event) const;
  void SetId(const CsvRow& row, v1::Event* event) const;

  const ColumnMapping& columns_;
  const bool history_;
  Imported<v1::Event> open_{{}, 0, 0};  // rows = 0: none
  std::string open_id_;                 // without the number of a later part
  int open_part_ = 1;
  std::unordered_set<uint64_t> ended_;  // hashes of the ids of orders that are complete
};

}  // namespace offerd::cli
