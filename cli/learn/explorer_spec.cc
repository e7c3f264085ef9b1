#include "cli/learn/explorer_spec.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/policy/linear_policy.h"
#include "core/status_macros.h"

namespace offerd::learn {
namespace {

struct Known {
  const char* name;
  ExplorerKind kind;
  double epsilon;
  double strength;
  const char* keys;  // beside epsilon
};

constexpr Known kKnown[] = {
    {"thompson", ExplorerKind::kThompson, 0.005, 0, "scale, bag"},
    {"greedy", ExplorerKind::kGreedy, 0, 0, ""},
    {"epsilon_greedy", ExplorerKind::kEpsilonGreedy, 0.05, 0, ""},
    {"softmax", ExplorerKind::kSoftmax, 0, kDefaultTemperature, "strength"},
    {"inverse_gap", ExplorerKind::kInverseGap, 0, kDefaultGap, "strength"},
    {"ucb", ExplorerKind::kUpperBound, 0.005, kDefaultBonus, "strength"},
    {"bounded_shuffle", ExplorerKind::kBoundedShuffle, 0, 0, "reach"},
};

absl::Status Set(const Known& known, absl::string_view key, absl::string_view value, ExplorerChoice* choice) {
  double number = 0;
  if (!absl::SimpleAtod(value, &number)) return absl::InvalidArgumentError(absl::StrCat("--explorer: ", key, ": expected a number, found \"", value, "\""));
  const std::string keys = absl::StrCat(", ", known.keys, ",");
  const bool is_own = absl::StrContains(keys, absl::StrCat(" ", key, ","));
  if (key == "epsilon" && known.kind != ExplorerKind::kGreedy) {
    choice->spec.epsilon = number;
  } else if (is_own && key == "strength") {
    choice->spec.strength = number;
  } else if (is_own && key == "scale") {
    if (!(number >= 0 && number <= 1e6)) return absl::InvalidArgumentError("--explorer: scale: expected 0 to 1,000,000");
    choice->scale = number;
  } else if (is_own && key == "bag") {
    if (!(number >= 1 && number <= LinearPolicy::kMaxBagSize)) return absl::InvalidArgumentError("--explorer: bag: expected 1 to 4096");
    choice->bag_size = static_cast<int>(number);
  } else if (is_own && key == "reach") {
    if (!(number >= 0 && number <= 1000)) return absl::InvalidArgumentError("--explorer: reach: expected 0 to 1000");
    choice->spec.reach = static_cast<int>(number);
  } else {
    return absl::InvalidArgumentError(absl::StrCat("--explorer: ", known.name, " has no \"", key, "\"; it has ", known.keys,
                                                   *known.keys == 0 ? "" : ", ", known.kind == ExplorerKind::kGreedy ? "nothing" : "epsilon"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ExplorerChoice> ParseExplorer(const std::string& text) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  const std::string name = parts.first.empty() ? "thompson" : parts.first;
  for (const Known& known : kKnown) {
    if (name != known.name) continue;
    ExplorerChoice choice;
    choice.spec.kind = known.kind;
    choice.spec.epsilon = known.epsilon;
    choice.spec.strength = known.strength;
    for (absl::string_view pair : absl::StrSplit(parts.second, ',', absl::SkipEmpty())) {
      const std::vector<absl::string_view> halves = absl::StrSplit(pair, absl::MaxSplits('=', 1));
      if (halves.size() != 2) return absl::InvalidArgumentError(absl::StrCat("--explorer: expected key=value, found \"", pair, "\""));
      RETURN_IF_ERROR(Set(known, halves[0], halves[1], &choice));
    }
    const absl::Status checked = CheckExplorer(choice.spec);
    if (!checked.ok()) return absl::InvalidArgumentError(absl::StrCat("--explorer: ", checked.message()));
    choice.text = parts.second.empty() ? name : absl::StrCat(name, ":", parts.second);
    return choice;
  }
  std::string names;
  for (const Known& known : kKnown) absl::StrAppend(&names, names.empty() ? "" : ", ", known.name);
  return absl::InvalidArgumentError(absl::StrCat("--explorer: expected one of ", names, "; found \"", name, "\""));
}

}  // namespace offerd::learn
