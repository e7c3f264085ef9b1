#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cli/evaluate/dataset.h"

namespace offerd::evaluate {

using ParameterValue = std::variant<int64_t, double, bool, std::string>;

struct ParameterInfo {
  const char* name;
  enum Kind { kWhole, kReal, kFlag, kChoice } kind;
  const char* fallback;  // the value where none is given, as text
  double least = 0;      // of numbers
  double most = 0;
  const char* choices = "";  // separated by |
  const char* measured = nullptr;  // the default in `offerctl evaluate baskets`, where it is another one
  bool is_of_answer = false;       // says how a list is answered; a table does not have it
};

// One method as it is called in --method, for the protocols where it is defined.
struct MethodInfo {
  const char* name;
  unsigned protocols;  // bits, 1 << Protocol
  const char* why_not;  // said where it is asked for in another protocol
  std::vector<ParameterInfo> parameters;
};
const std::vector<MethodInfo>& MethodInfos();

// A method with every parameter: as given, or its default in that protocol.
struct MethodSpec {
  std::string name;
  std::string given;  // as it was asked for
  std::vector<std::pair<std::string, ParameterValue>> parameters;

  int64_t Whole(absl::string_view parameter) const { return std::get<int64_t>(Get(parameter)); }
  double Real(absl::string_view parameter) const { return std::get<double>(Get(parameter)); }
  bool Flag(absl::string_view parameter) const { return std::get<bool>(Get(parameter)); }
  const std::string& Text(absl::string_view parameter) const { return std::get<std::string>(Get(parameter)); }

 private:
  const ParameterValue& Get(absl::string_view parameter) const;
};

// What a method is wanted for: to be measured, or as a table that is built and served. The two differ in a few defaults.
enum class Use { kMeasure, kTable };

// "NAME[:key=value,...]". InvalidArgument names what is unknown, out of range or not defined in this protocol, and what would do.
absl::StatusOr<MethodSpec> ParseMethodSpec(absl::string_view text, Protocol protocol, Use use = Use::kTable);

// The methods that are tables, which `offerctl build` makes: ar, sr, count, ..., vmis. The others are served by the strategies of a
// placement or not at all.
absl::Span<const absl::string_view> TableMethods();
bool IsTableMethod(absl::string_view name);

// For data without times: parameters that fade what is old become 0. InvalidArgument where one of them was asked for.
bool IsAgeParameter(absl::string_view name);
absl::Status DropAges(MethodSpec* spec);

const char* ProtocolName(Protocol protocol);  // sessions, leave-one-out, next-basket, users

// "vmis:m=500,k=50": what ParseMethodSpec reads.
std::string SpecText(const MethodSpec& spec);

}  // namespace offerd::evaluate
