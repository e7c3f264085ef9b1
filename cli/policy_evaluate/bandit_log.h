#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/input_file.h"
#include "cli/policy_evaluate/csv_line.h"
#include "core/eval/logged_action.h"

namespace offerd::cli {

// The rows of one decision, in order of position.
struct LoggedDecision {
  std::string id;
  std::vector<LoggedAction> actions;
  std::optional<uint64_t> customer;  // its hash, where there is the column; an empty cell is a customer of its own
  int64_t first_line = 0;
  int64_t last_line = 0;
};

// Logged bandit data in a CSV file with a header: one row a shown action, the columns decision, action, position,
// propensity, reward, target_probability, and where known q_logged with q_target, and customer; in any order, others
// are left out. Rows of one decision stand together, their positions in any order.
//
// Errors  InvalidArgument names line, field, what was expected and what was found: a column that is missing or doubled, a
//         cell that is absent or no number, a number out of its range; two rows for one decision and position (said as a
//         wrong propensity or as target probabilities above 1 where that is what it is); two customers of one decision;
//         a decision that comes back after others. Errors of InputFile. After an error the log is not to be read on.
// Cost    Bounded memory: decisions are known again by 64 bits each, about 0.15 GB for ten million, and only the first
//         kMaxRemembered of them (0.5 GB while the table grows).
class BanditLog {
 public:
  static absl::StatusOr<std::unique_ptr<BanditLog>> Open(const std::string& path, const RewardRange& rewards);

  absl::StatusOr<bool> Next(LoggedDecision* decision);  // false = the end

  bool has_reward_model() const { return Has(kQTarget); }
  bool has_customer() const { return Has(kCustomer); }
  int64_t decisions_not_remembered() const { return decisions_not_remembered_; }

  static constexpr size_t kMaxRemembered = 29'000'000;

 private:
  enum Column {
    kDecision,
    kAction,
    kPosition,
    kPropensity,
    kReward,
    kTarget,
    kQLogged,
    kQTarget,
    kCustomer,
    kNumColumns
  };
  static const char* const kColumnNames[kNumColumns];

  struct Row {
    std::string decision, action, customer;
    LoggedAction values;
    int64_t line = 0;
  };

  BanditLog(std::string path, std::unique_ptr<InputFile> file, const RewardRange& rewards);
  bool Has(Column column) const { return index_[column] >= 0; }
  absl::Status ReadHeader();
  absl::StatusOr<bool> NextLine();
  absl::StatusOr<bool> ReadRow(Row* row);
  absl::Status ParseNumber(Column column, double* value) const;
  absl::Status Begin(LoggedDecision* decision);
  absl::Status CheckAgainst(const LoggedDecision& decision) const;
  absl::Status Wrong(int64_t line, absl::string_view what) const;
  absl::string_view Cell(Column column) const { return line_cells_.cells()[static_cast<size_t>(index_[column])]; }

  const std::string path_;
  const RewardRange rewards_;
  LineReader lines_;
  std::string line_;
  CsvLine line_cells_;
  int index_[kNumColumns];  // of the column in the file; -1: not there
  size_t num_cells_ = 0;

  Row row_;  // the row read ahead
  bool has_row_ = false;
  std::vector<std::string> actions_;  // of the decision being read, and their lines, as its rows came
  std::vector<int64_t> action_lines_;
  std::string customer_;
  absl::flat_hash_set<uint64_t>
      seen_;  // decisions, by hash: of a million, two agree by chance once in 37 million files
  int64_t decisions_not_remembered_ = 0;
};

}  // namespace offerd::cli
