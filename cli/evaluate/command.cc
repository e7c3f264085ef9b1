#include "cli/evaluate/command.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/evaluate/instant.h"
#include "cli/evaluate/peak_memory.h"
#include "cli/evaluate/report.h"
#include "core/status_macros.h"

namespace offerd::evaluate {
namespace {

constexpr int64_t kDefaultTestEvery = 5;

absl::Status ParseDate(const char* option, const std::string& text, std::optional<TimeMicros>* time) {
  if (text.empty()) return absl::OkStatus();
  *time = ParseInstant(text);
  if (*time) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(option, ": \"", text, "\" is neither seconds since 1970 nor ISO 8601"));
}

absl::Status PlanBaskets(const Arguments& arguments, Plan* plan) {
  if (arguments.baskets.empty()) return absl::InvalidArgumentError("--baskets is missing");
  if (arguments.protocol != "leave-one-out" && arguments.protocol != "next-basket") {
    return absl::InvalidArgumentError(absl::StrCat("--protocol: \"", arguments.protocol, "\" is neither leave-one-out nor next-basket"));
  }
  BasketSplit& split = plan->split;
  split.protocol = arguments.protocol == "next-basket" ? Protocol::kNextBasket : Protocol::kLeaveOneOut;
  RETURN_IF_ERROR(ParseDate("--test-from", arguments.test_from, &split.test_from));
  RETURN_IF_ERROR(ParseDate("--test-to", arguments.test_to, &split.test_to));
  split.test_every = arguments.test_every;
  if (split.test_every == 0 && !split.test_from) {
    if (!arguments.basket_lines) return absl::InvalidArgumentError("--test-from is missing: the date from which on baskets are test");
    split.test_every = kDefaultTestEvery;
  }
  if (arguments.test_every != 0 && split.test_from) return absl::InvalidArgumentError("--test-from and --test-every exclude each other");
  if (split.test_every == 1 || split.test_every < 0) return absl::InvalidArgumentError("--test-every: expected 2 or more");
  if (arguments.basket_lines && !arguments.columns.empty()) {
    return absl::InvalidArgumentError("--basket-lines: such a file has no columns; leave --columns out");
  }
  if (split.protocol == Protocol::kNextBasket && plan->options.columns.count("user") == 0) {
    return absl::InvalidArgumentError("next-basket needs users: --columns user=NAME");
  }
  if (!arguments.basket_lines && (split.test_from || split.test_to) && plan->options.columns.count("time") == 0) {
    return absl::InvalidArgumentError(absl::StrCat(split.test_from ? "--test-from" : "--test-to", " needs times: --columns time=NAME"));
  }
  plan->baskets.path = arguments.baskets;
  plan->baskets.options = plan->options;
  plan->baskets.one_basket_a_line = arguments.basket_lines;
  return absl::OkStatus();
}

absl::Status PlanColumns(const Arguments& arguments, Plan* plan) {
  ASSIGN_OR_RETURN(plan->options.delimiter, ParseDelimiter(arguments.delimiter));
  static constexpr const char* kSessionRoles[] = {"session", "item"};
  static constexpr const char* kBasketRoles[] = {"basket", "item"};
  static constexpr const char* kUserRoles[] = {"user", "item"};
  static constexpr const char* kTime[] = {"time"};
  static constexpr const char* kUserAndTime[] = {"user", "time"};
  if (arguments.subject == Subject::kSessions) {
    ASSIGN_OR_RETURN(plan->options.columns, ParseColumns(arguments.columns, kSessionRoles, kTime));
  } else if (arguments.subject == Subject::kUsers) {
    ASSIGN_OR_RETURN(plan->options.columns, ParseColumns(arguments.columns, kUserRoles, {}));
  } else if (!arguments.basket_lines) {
    ASSIGN_OR_RETURN(plan->options.columns, ParseColumns(arguments.columns, kBasketRoles, kUserAndTime));
  }
  return absl::OkStatus();
}

Protocol ProtocolOf(const Plan& plan) {
  if (plan.subject == Subject::kSessions) return Protocol::kSessions;
  return plan.subject == Subject::kUsers ? Protocol::kUsers : plan.split.protocol;
}

// The progress line of a method, rewritten in place.
std::function<void(double)> ProgressLine(const Output& output, const std::string& name) {
  if (!output.err_is_terminal) return nullptr;
  return [&output, name, last = -1](double share) mutable {
    const int percent = static_cast<int>(share * 100);
    if (percent == last) return;
    last = percent;
    output.err << "\r\033[K" << name << ": " << percent << " %" << (percent == 100 ? "\r\033[K" : "") << std::flush;
  };
}

}  // namespace

absl::StatusOr<Plan> MakePlan(const Arguments& arguments) {
  Plan plan;
  plan.subject = arguments.subject;
  plan.train = arguments.train;
  plan.test = arguments.test;
  RETURN_IF_ERROR(PlanColumns(arguments, &plan));
  if (plan.subject == Subject::kBaskets) RETURN_IF_ERROR(PlanBaskets(arguments, &plan));
  plan.has_times = plan.options.columns.count("time") > 0;
  for (const std::string& method : arguments.methods) {
    ASSIGN_OR_RETURN(MethodSpec spec, ParseMethodSpec(method, ProtocolOf(plan), Use::kMeasure));
    if (!plan.has_times) RETURN_IF_ERROR(DropAges(&spec));
    plan.methods.push_back(std::move(spec));
  }
  plan.evaluate.cutoffs.clear();
  for (const int64_t cutoff : arguments.cutoffs) {
    if (cutoff < 1) return absl::InvalidArgumentError(absl::StrCat("--k: ", cutoff, " is not 1 or more"));
    plan.evaluate.cutoffs.push_back(static_cast<size_t>(cutoff));
  }
  if (plan.evaluate.cutoffs.empty()) return absl::InvalidArgumentError("--k: no cut-off is given");
  std::sort(plan.evaluate.cutoffs.begin(), plan.evaluate.cutoffs.end());
  plan.evaluate.cutoffs.erase(std::unique(plan.evaluate.cutoffs.begin(), plan.evaluate.cutoffs.end()), plan.evaluate.cutoffs.end());
  if (arguments.min_prefix < 1) return absl::InvalidArgumentError("--min-prefix: expected 1 or more");
  plan.evaluate.min_prefix = static_cast<size_t>(arguments.min_prefix);
  plan.evaluate.memory_bytes = arguments.memory_bytes;
  return plan;
}

absl::StatusOr<Dataset> ReadDataset(const Plan& plan) {
  switch (plan.subject) {
    case Subject::kSessions:
      return ReadSessions({plan.train, plan.test, plan.options});
    case Subject::kBaskets:
      return ReadBaskets(plan.baskets, plan.split);
    case Subject::kUsers:
      return ReadUsers({plan.train, plan.test, plan.options});
  }
  return absl::InternalError("a subject of no kind");
}

absl::Status CheckData(const Dataset& data, const Plan& plan, std::vector<MethodSpec>* methods) {
  if (data.training.rows.size() == 0) return absl::InvalidArgumentError("there is nothing to learn from: see the notes above");
  if (data.test.rows.size() == 0) return absl::InvalidArgumentError("there is nothing to test on: see the notes above");
  size_t longest = 0;
  for (size_t row = 0; row < data.test.rows.size(); ++row) longest = std::max(longest, data.test.rows[row].size());
  if (plan.subject == Subject::kSessions && longest <= plan.evaluate.min_prefix) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is nothing to test on: no test session has more than ", plan.evaluate.min_prefix, " clicks (--min-prefix)"));
  }
  if (data.reports[0].times > 0) return absl::OkStatus();
  for (MethodSpec& method : *methods) RETURN_IF_ERROR(DropAges(&method));
  return absl::OkStatus();
}

void PrintWarnings(const std::vector<std::string>& warnings, std::ostream& out) {
  for (const std::string& warning : warnings) out << "warning: " << warning << "\n";
}

absl::Status RunEvaluate(const Plan& plan, const Output& output) {
  if (output.err_is_terminal) output.err << "reading" << std::flush;
  absl::StatusOr<Dataset> data = ReadDataset(plan);
  if (output.err_is_terminal) output.err << "\r\033[K" << std::flush;
  RETURN_IF_ERROR(data.status());
  for (const std::string& note : Notes(*data)) output.err << note << "\n";
  const std::vector<std::string> warnings = Warnings(data->reports);
  PrintWarnings(warnings, output.err);
  std::vector<MethodSpec> methods = plan.methods;
  RETURN_IF_ERROR(CheckData(*data, plan, &methods));

  const Workers workers;
  std::vector<MethodResult> results;
  std::vector<std::string> failed;
  for (const MethodSpec& method : methods) {
    EvaluateOptions options = plan.evaluate;
    if (options.memory_bytes == 0) options.memory_bytes = DefaultMemoryBytes();
    options.progress = ProgressLine(output, method.name);
    results.push_back(EvaluateMethod(*data, method, options, workers));
    if (!results.back().status.ok()) failed.push_back(absl::StrCat(method.name, ": ", results.back().status.message()));
  }
  if (output.json) {
    output.out << cli::Dump(ToJson(*data, results, plan.evaluate));
  } else {
    output.out << FormatResults(*data, results, plan.evaluate);
    if (!warnings.empty()) output.out << "\n";
    PrintWarnings(warnings, output.out);
  }
  if (failed.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("not evaluated: ", absl::StrJoin(failed, "; ")));
}

}  // namespace offerd::evaluate
