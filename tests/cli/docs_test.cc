#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/evaluate/method_spec.h"
#include "cli/input_file.h"
#include "cli/offerctl.h"
#include "gtest/gtest.h"

namespace offerd::cli {
namespace {

std::set<std::string> OptionsIn(const std::string& text) {
  std::set<std::string> found;
  const std::regex option("--[a-z][a-z-]*");
  for (std::sregex_iterator i(text.begin(), text.end(), option); i != std::sregex_iterator(); ++i) found.insert(i->str());
  return found;
}

// docs/offerctl.md: one "## `offerctl NAME`" section a command.
class DocsTest : public ::testing::Test {
 protected:
  DocsTest() : text_(*ReadWholeFile(OFFERD_SOURCE_DIR "/docs/offerctl.md")) { BuildApp(app_, session_); }

  std::string Section(const std::string& command) const {
    const std::string heading = "\n## `offerctl " + command + "`\n";
    const size_t begin = text_.find(heading);
    if (begin == std::string::npos) return "";
    return text_.substr(begin, text_.find("\n## ", begin + 1) - begin);
  }

  std::vector<std::pair<std::string, CLI::App*>> Leaves(CLI::App* app, const std::string& prefix) const {
    std::vector<std::pair<std::string, CLI::App*>> leaves;
    for (CLI::App* command : app->get_subcommands([](CLI::App*) { return true; })) {
      const auto inner = Leaves(command, prefix + command->get_name() + " ");
      leaves.insert(leaves.end(), inner.begin(), inner.end());
      if (inner.empty()) leaves.emplace_back(prefix + command->get_name(), command);
    }
    return leaves;
  }

  std::ostringstream out_, err_;
  Session session_{.out = out_, .err = err_, .err_is_terminal = false, .connection = {}, .json = false, .action = nullptr};
  CLI::App app_;
  const std::string text_;
};

TEST_F(DocsTest, EveryOptionOfEveryHelpIsInItsSectionWithAnExample) {
  for (const auto& [name, command] : Leaves(&app_, "")) {
    const std::string section = Section(name);
    ASSERT_NE(section, "") << name;
    EXPECT_NE(section.find("\n    offerctl " + name), std::string::npos) << "no example: " << name;
    for (const std::string& option : OptionsIn(command->help())) {
      EXPECT_TRUE(option == "--help" || section.find("`" + option) != std::string::npos) << name << " " << option;
    }
  }
}

TEST_F(DocsTest, EveryOptionInTheTextExists) {
  std::set<std::string> known = OptionsIn(app_.help());
  for (const auto& [name, command] : Leaves(&app_, "")) {
    for (const std::string& option : OptionsIn(command->help())) known.insert(option);
  }
  for (const std::string& option : OptionsIn(text_)) EXPECT_EQ(known.count(option), 1u) << option;
  for (const std::string& option : OptionsIn(app_.help())) {
    EXPECT_TRUE(option == "--help" || text_.find("`" + option) != std::string::npos) << option;
  }
}

// The cells of the rows of a Markdown table whose first cell holds `first`.
std::vector<std::vector<std::string>> RowsWith(const std::string& text, const std::string& first) {
  std::vector<std::vector<std::string>> rows;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<std::string> cells = absl::StrSplit(line, '|');
    if (cells.size() < 3) continue;
    cells.erase(cells.begin());
    cells.pop_back();
    if (absl::StrContains(cells[0], first)) rows.push_back(cells);
  }
  return rows;
}

std::string MethodsPage() { return *ReadWholeFile(OFFERD_SOURCE_DIR "/docs/methods.md"); }

TEST_F(DocsTest, EveryMethodStandsWithTheSubjectsItIsDefinedFor) {
  std::map<std::string, unsigned> protocols;
  for (const evaluate::MethodInfo& info : evaluate::MethodInfos()) protocols[info.name] |= info.protocols;
  for (const auto& [name, bits] : protocols) {
    const auto rows = RowsWith(MethodsPage(), "`" + name + "`");
    ASSERT_FALSE(rows.empty()) << name;
    ASSERT_EQ(rows[0].size(), 7u) << name;
    for (size_t protocol = 0; protocol < 4; ++protocol) EXPECT_EQ(rows[0][2 + protocol] == " yes ", (bits >> protocol & 1) != 0) << name << " " << protocol;
    EXPECT_EQ(rows[0][6] == " yes ", evaluate::IsTableMethod(name)) << name;
  }
}

TEST_F(DocsTest, EveryParameterOfEveryMethodStandsWithItsDefault) {
  for (const evaluate::MethodInfo& info : evaluate::MethodInfos()) {
    for (const evaluate::ParameterInfo& parameter : info.parameters) {
      bool is_there = false;
      for (const auto& cells : RowsWith(MethodsPage(), absl::StrCat("`", info.name, "`"))) {
        if (cells.size() != 5 || !absl::StrContains(cells[1], absl::StrCat("`", parameter.name, "`"))) continue;
        bool fits = absl::StrContains(cells[4], parameter.fallback) && (parameter.measured == nullptr || absl::StrContains(cells[4], parameter.measured));
        for (const absl::string_view choice : absl::StrSplit(parameter.choices, '|')) fits = fits && absl::StrContains(cells[3], choice);
        is_there = is_there || fits;
      }
      EXPECT_TRUE(is_there) << info.name << ":" << parameter.name << ", default " << parameter.fallback;
    }
  }
}

TEST_F(DocsTest, EveryExampleParses) {
  const std::regex example("\n    offerctl ((?:\\\\\n|[^\n])*)");
  int count = 0;
  for (std::sregex_iterator i(text_.begin(), text_.end(), example); i != std::sregex_iterator(); ++i, ++count) {
    std::istringstream words(std::regex_replace(i->str(1), std::regex("\\\\\n"), " "));
    std::vector<std::string> arguments;
    for (std::string word; words >> word;) arguments.insert(arguments.begin(), word);
    CLI::App app;
    BuildApp(app, session_);
    EXPECT_NO_THROW(app.parse(std::move(arguments))) << i->str();
  }
  EXPECT_GT(count, 10);
}

}  // namespace
}  // namespace offerd::cli
