#include "cli/policy_evaluate/bandit_log.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "core/hash.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

constexpr uint64_t kDecisionSeed = 1;
constexpr uint64_t kCustomerSeed = 2;
constexpr uint64_t kNoCustomerSeed = 3;

std::string Number(double value) { return absl::StrFormat("%.10g", value); }

}  // namespace

const char* const BanditLog::kColumnNames[kNumColumns] = {
    "decision", "action", "position", "propensity", "reward", "target_probability", "q_logged", "q_target", "customer"};

BanditLog::BanditLog(std::string path, std::unique_ptr<InputFile> file, const RewardRange& rewards)
    : path_(std::move(path)), rewards_(rewards), lines_(std::move(file)) {
  std::fill(std::begin(index_), std::end(index_), -1);
}

absl::Status BanditLog::Wrong(int64_t line, absl::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ": line ", line, ": ", what));
}

absl::StatusOr<std::unique_ptr<BanditLog>> BanditLog::Open(const std::string& path, const RewardRange& rewards) {
  ASSIGN_OR_RETURN(std::unique_ptr<InputFile> file, InputFile::Open(path));
  std::unique_ptr<BanditLog> log(new BanditLog(path, std::move(file), rewards));
  RETURN_IF_ERROR(log->ReadHeader());
  return log;
}

// The next line that is not empty, taken apart.
absl::StatusOr<bool> BanditLog::NextLine() {
  do {
    absl::StatusOr<bool> has_line = lines_.Next(&line_);
    if (!has_line.ok())
      return absl::Status(has_line.status().code(), absl::StrCat(path_, ": ", has_line.status().message()));
    if (!*has_line) return false;
  } while (line_ == "\n" || line_ == "\r\n");
  absl::string_view text = line_;
  if (lines_.line_number() == 1) absl::ConsumePrefix(&text, "\xef\xbb\xbf");
  const absl::Status split = line_cells_.Split(text);
  if (!split.ok()) return Wrong(lines_.line_number(), split.message());
  return true;
}

absl::Status BanditLog::ReadHeader() {
  ASSIGN_OR_RETURN(const bool has_header, NextLine());
  if (!has_header)
    return absl::InvalidArgumentError(absl::StrCat(path_, ": expected a header with column names, got an empty file"));
  const std::vector<absl::string_view>& names = line_cells_.cells();
  num_cells_ = names.size();
  for (int column = 0; column < kNumColumns; ++column) {
    const auto found = std::find(names.begin(), names.end(), kColumnNames[column]);
    if (found == names.end()) continue;
    if (std::find(found + 1, names.end(), kColumnNames[column]) != names.end()) {
      return Wrong(lines_.line_number(), absl::StrCat("expected one column ", kColumnNames[column], ", got two"));
    }
    index_[column] = static_cast<int>(found - names.begin());
  }
  for (int column = 0; column <= kTarget; ++column) {
    if (!Has(static_cast<Column>(column))) {
      return Wrong(lines_.line_number(),
                   absl::StrCat("expected a column ", kColumnNames[column], ", got ", absl::StrJoin(names, ",")));
    }
  }
  if (Has(kQLogged) != Has(kQTarget))
    return Wrong(lines_.line_number(), "expected q_logged and q_target together, got one of them");
  return absl::OkStatus();
}

absl::Status BanditLog::ParseNumber(Column column, double* value) const {
  const absl::string_view cell = Cell(column);
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), *value);
  if (error == std::errc() && end == cell.data() + cell.size()) return absl::OkStatus();
  const std::string got = cell.empty() ? "nothing" : absl::StrCat("\"", cell, "\"");
  return Wrong(lines_.line_number(), absl::StrCat(kColumnNames[column], ": expected a number, got ", got));
}

absl::StatusOr<bool> BanditLog::ReadRow(Row* row) {
  ASSIGN_OR_RETURN(const bool has_line, NextLine());
  if (!has_line) return false;
  row->line = lines_.line_number();
  if (line_cells_.cells().size() != num_cells_) {
    return Wrong(row->line, absl::StrCat("expected ", num_cells_, " cells, got ", line_cells_.cells().size()));
  }
  for (const Column column : {kDecision, kAction}) {
    if (Cell(column).empty())
      return Wrong(row->line, absl::StrCat(kColumnNames[column], ": expected an id, got nothing"));
  }
  row->decision.assign(Cell(kDecision).data(), Cell(kDecision).size());
  row->action.assign(Cell(kAction).data(), Cell(kAction).size());
  if (has_customer()) row->customer.assign(Cell(kCustomer).data(), Cell(kCustomer).size());
  double position = 0;
  RETURN_IF_ERROR(ParseNumber(kPosition, &position));
  if (!(position >= 1 && position <= kMaxPosition && position == std::floor(position))) {
    return Wrong(row->line,
                 absl::StrCat("position: expected a whole number from 1 to ", kMaxPosition, ", got ", Cell(kPosition)));
  }
  row->values.position = static_cast<int>(position);
  RETURN_IF_ERROR(ParseNumber(kPropensity, &row->values.propensity));
  RETURN_IF_ERROR(ParseNumber(kReward, &row->values.reward));
  RETURN_IF_ERROR(ParseNumber(kTarget, &row->values.target_probability));
  if (has_reward_model()) {
    RETURN_IF_ERROR(ParseNumber(kQLogged, &row->values.q_logged));
    RETURN_IF_ERROR(ParseNumber(kQTarget, &row->values.q_target));
  }
  const absl::Status status = CheckLoggedAction(row->values, rewards_);
  if (!status.ok()) return Wrong(row->line, status.message());
  return true;
}

// The row read ahead becomes the first of a new decision.
absl::Status BanditLog::Begin(LoggedDecision* decision) {
  const uint64_t hash = StableHash(row_.decision, kDecisionSeed);
  const bool is_remembered = seen_.size() < kMaxRemembered;
  const bool is_new = is_remembered ? seen_.insert(hash).second : !seen_.contains(hash);
  if (!is_new) {
    return Wrong(row_.line,
                 absl::StrCat("decision: expected one that was not before (rows of a decision stand together), got ",
                              row_.decision, " again"));
  }
  if (!is_remembered) ++decisions_not_remembered_;
  decision->id = row_.decision;
  decision->actions.clear();
  actions_.clear();
  action_lines_.clear();
  decision->first_line = row_.line;
  decision->customer.reset();
  if (has_customer()) {
    decision->customer =
        row_.customer.empty() ? StableHash(row_.decision, kNoCustomerSeed) : StableHash(row_.customer, kCustomerSeed);
  }
  customer_ = row_.customer;
  return absl::OkStatus();
}

// What is wrong with the row read ahead if it is of this decision too.
absl::Status BanditLog::CheckAgainst(const LoggedDecision& decision) const {
  if (row_.customer != customer_)
    return Wrong(row_.line, absl::StrCat("customer: expected that of line ", decision.first_line,
                                         " of the same decision, got another"));
  for (size_t i = 0; i < decision.actions.size(); ++i) {
    const LoggedAction& other = decision.actions[i];
    const int64_t line = action_lines_[i];
    if (other.position != row_.values.position) continue;
    const std::string place = absl::StrCat(" of decision ", row_.decision, ", position ", other.position, " (lines ",
                                           line, " and ", row_.line, ")");
    const double target = other.target_probability + row_.values.target_probability;
    if (target > 1 + kProbabilityTolerance) {
      return Wrong(row_.line, absl::StrCat("target_probability: expected at most 1 over the rows", place,
                                           ", got a sum of ", Number(target)));
    }
    if (actions_[i] == row_.action && other.propensity != row_.values.propensity) {
      return Wrong(row_.line,
                   absl::StrCat("propensity: expected ", Number(other.propensity), ", that of the same action", place,
                                ", got ", Number(row_.values.propensity)));
    }
    if (actions_[i] != row_.action && other.propensity + row_.values.propensity > 1 + kProbabilityTolerance) {
      return Wrong(row_.line, absl::StrCat("propensity: expected at most 1 over the rows", place, ", got a sum of ",
                                           Number(other.propensity + row_.values.propensity)));
    }
    return Wrong(row_.line, absl::StrCat("decision: expected one row, that of the shown action, got two", place));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> BanditLog::Next(LoggedDecision* decision) {
  if (!has_row_) {
    ASSIGN_OR_RETURN(has_row_, ReadRow(&row_));
    if (!has_row_) return false;
  }
  RETURN_IF_ERROR(Begin(decision));
  do {
    RETURN_IF_ERROR(CheckAgainst(*decision));
    decision->actions.push_back(row_.values);
    actions_.push_back(row_.action);
    action_lines_.push_back(row_.line);
    decision->last_line = row_.line;
    ASSIGN_OR_RETURN(has_row_, ReadRow(&row_));
  } while (has_row_ && row_.decision == decision->id);
  std::sort(decision->actions.begin(), decision->actions.end(),
            [](const LoggedAction& a, const LoggedAction& b) { return a.position < b.position; });
  return true;
}

}  // namespace offerd::cli
