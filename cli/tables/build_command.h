#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/evaluate/command.h"
#include "cli/tables/build_input.h"
#include "cli/tables/build_table.h"

namespace offerd::tables {

// What `offerctl build` was given, as text.
struct BuildArguments {
  std::string name;
  std::string input;
  std::vector<std::string> columns;
  std::string delimiter = "comma";
  bool basket_lines = false;
  TableArguments table;
  std::string config_file;
  std::string root;  // --tables
  int64_t max_length = 0;
  int64_t min_item_support = 1;
  int64_t threads = 0;        // 0 = one a core
  uint64_t memory_bytes = 0;  // 0 = most of what is free
};

// The same, understood.
struct BuildPlan {
  std::string name;
  std::string root;
  BuildFile file;
  TableSpec table;
  size_t threads = 0;
  std::string config_file;
};

// Errors: InvalidArgument says which argument is wrong and what would do. No file is read but the config.
absl::StatusOr<BuildPlan> MakeBuildPlan(const BuildArguments& arguments);

// Reads, builds and writes the table of all rows and, where rows have markets, one of each; prints what was built and
// what was left out. Tables that were written before a failure stay.
absl::Status RunBuild(const BuildPlan& plan, const evaluate::Output& output);

}  // namespace offerd::tables
