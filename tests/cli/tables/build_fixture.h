#pragma once
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "cli/tables/build_command.h"
#include "gtest/gtest.h"
#include "store/table_artefact.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace offerd::tables {

// Files to read and a folder of tables to write to.
class BuildTest : public ::testing::Test {
 protected:
  std::string Put(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_.path(name), std::ios::binary) << bytes;
    return folder_.path(name);
  }
  std::string root() const { return folder_.path("tables"); }

  // "basket,item" rows of letters: {"ab", "b"} are the baskets {a, b} and {b}.
  static std::string BasketCsv(const std::vector<std::string>& baskets) {
    std::string text = "basket,item\n";
    for (size_t b = 0; b < baskets.size(); ++b) {
      for (const char item : baskets[b]) text += std::to_string(b) + "," + item + "\n";
    }
    return text;
  }

  BuildArguments Arguments(const std::string& input, const std::string& kind,
                           const std::vector<std::string>& columns = {"basket=basket", "item=item"}) {
    BuildArguments arguments;
    arguments.name = "t";
    arguments.input = input;
    arguments.columns = columns;
    arguments.root = root();
    arguments.table.kind = kind;
    return arguments;
  }

  absl::Status Build(const BuildArguments& arguments, bool json = false) {
    out_.str("");
    err_.str("");
    const absl::StatusOr<BuildPlan> plan = MakeBuildPlan(arguments);
    if (!plan.ok()) return plan.status();
    return RunBuild(*plan, {out_, err_, false, json});
  }

  // A row of the newest version as "b:2 c:1".
  std::string Row(const std::string& table, const std::string& item) {
    const auto loaded = LoadTable(root(), table, 0);
    if (!loaded.ok()) return loaded.status().ToString();
    const std::optional<TableItem> number = (*loaded)->ids.Find(item);
    if (!number) return "unknown";
    std::string text;
    for (size_t i = 0; i < (*loaded)->rows.Neighbours(*number).size(); ++i) {
      absl::StrAppend(&text, text.empty() ? "" : " ", (*loaded)->ids.IdOf((*loaded)->rows.Neighbours(*number)[i]), ":",
                      (*loaded)->rows.Scores(*number)[i]);
    }
    return text;
  }

  TemporaryFolder folder_;
  std::ostringstream out_, err_;
};

}  // namespace offerd::tables
