#pragma once
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/evaluate/evaluate.h"
#include "cli/evaluate/read_dataset.h"

namespace offerd::evaluate {

enum class Subject { kSessions, kBaskets, kUsers };

// What `offerctl evaluate` and `offerctl tune` were given, as text.
struct Arguments {
  Subject subject = Subject::kSessions;
  std::string train, test;   // sessions, users
  std::string baskets;       // baskets
  std::vector<std::string> columns;
  std::string delimiter = "comma";
  bool basket_lines = false;
  std::string test_from, test_to;
  int64_t test_every = 0;
  std::string protocol = "leave-one-out";
  std::vector<std::string> methods;
  std::vector<int64_t> cutoffs = {5, 10, 20};
  int64_t min_prefix = 1;
  uint64_t memory_bytes = 0;  // 0: most of what is free
};

// The same, understood.
struct Plan {
  Subject subject = Subject::kSessions;
  std::string train, test;
  BasketFile baskets;
  BasketSplit split;
  FileOptions options;
  bool has_times = false;  // there is a column of them
  std::vector<MethodSpec> methods;
  EvaluateOptions evaluate;
};

// Errors: InvalidArgument says which argument is wrong and what would do. No file is read.
absl::StatusOr<Plan> MakePlan(const Arguments& arguments);

absl::StatusOr<Dataset> ReadDataset(const Plan& plan);

// What must be known before anything is measured: InvalidArgument where there is nothing to learn from or no case to test, and
// where a method shall fade what is old, but no time could be read.
absl::Status CheckData(const Dataset& data, const Plan& plan, std::vector<MethodSpec>* methods);

// Where a command writes.
struct Output {
  std::ostream& out;
  std::ostream& err;
  bool err_is_terminal = false;
  bool json = false;
};

// A line each, "warning: " in front.
void PrintWarnings(const std::vector<std::string>& warnings, std::ostream& out);

// Reads, evaluates every method, prints. What can be evaluated is, and is printed; an error says which methods could not.
absl::Status RunEvaluate(const Plan& plan, const Output& output);

}  // namespace offerd::evaluate
