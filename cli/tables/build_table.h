#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cli/evaluate/dataset.h"
#include "cli/evaluate/method_spec.h"
#include "cli/evaluate/parallel.h"
#include "core/similarity/item_table.h"
#include "core/similarity/session_neighbours.h"

namespace offerd::tables {

// Which table: a method of `offerctl evaluate` that is one, and what a table needs beside it.
struct TableSpec {
  evaluate::MethodSpec method;
  size_t keep = 100;          // kind ease: neighbours an item; the others have it among their parameters
  double half_life_days = 0;  // recency of rows; 0 = none
  uint64_t memory_bytes = 0;  // kind ease: the build may take so much; 0 = no limit
  std::vector<std::string> warnings;  // of the data that a config was tuned on
};

// The kinds of tables: ar, sr, count, ..., vmis.
absl::Span<const absl::string_view> TableKinds();

// The options of `offerctl build` that choose the table.
struct TableArguments {
  std::string kind;
  std::vector<std::string> parameters;  // key=value
  std::string config;                   // in place of both: {"kind":..,"parameters":{..}}, the text of the file of `offerctl tune`
  std::optional<int64_t> keep;
  std::optional<double> half_life_days;
  std::optional<double> min_support;
};

// Errors  InvalidArgument: a kind that is no table, a parameter that it does not have or that is given twice, a bad
// config.
absl::StatusOr<TableSpec> ParseTableSpec(const TableArguments& arguments, evaluate::Protocol protocol);

// Every parameter as text, defaults included: what stands in the manifest.
std::map<std::string, std::string> ParameterTexts(const TableSpec& spec);

struct BuiltTable {
  ItemTable rows;
  std::optional<SessionIndex> sessions;  // kind vmis
  SessionQueryOptions query;
  uint64_t num_rows = 0;   // sessions or baskets that were counted
  uint64_t num_pairs = 0;  // as in PairTableStats; 0 for the kinds that do not count them
  uint64_t left_out = 0;   // rows that the builder left out for their length
};

// Errors  InvalidArgument for no rows, or what the builder refuses; ResourceExhausted where ease does not fit the
// memory.
absl::StatusOr<BuiltTable> BuildTable(const TableSpec& spec, const evaluate::Training& training,
                                      const evaluate::Workers& workers);

}  // namespace offerd::tables
