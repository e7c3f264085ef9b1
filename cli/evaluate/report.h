#pragma once
#include <string>
#include <vector>

#include "cli/evaluate/dataset.h"
#include "cli/evaluate/evaluate.h"
#include "cli/format.h"

namespace offerd::evaluate {

// {"methods": [...], "protocol": .., "warnings": [...], "data": {...}}: the shape that docs/quality.md promises.
cli::Json ToJson(const Dataset& data, const std::vector<MethodResult>& results, const EvaluateOptions& options);
cli::Json ToJson(const MethodSpec& spec);  // the parameters, by name

// Methods side by side, one table a cut-off.
std::string FormatResults(const Dataset& data, const std::vector<MethodResult>& results, const EvaluateOptions& options);

// What a reader of the figures should know of the data, a line each.
std::vector<std::string> Notes(const Dataset& data);

}  // namespace offerd::evaluate
