#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/eval/logged_action.h"
#include "tests/support/reference/lists_golden.h"

namespace offerd {

// The rows of a golden file by the names in its header.
inline std::vector<std::map<std::string, std::string>> ReadGoldenTable(const std::string& relative_path) {
  const std::vector<std::vector<std::string>> rows = ReadSharedRows(relative_path, ',');
  std::vector<std::map<std::string, std::string>> table;
  for (size_t i = 1; i < rows.size(); ++i) {
    std::map<std::string, std::string> row;
    for (size_t k = 0; k < rows[i].size() && k < rows[0].size(); ++k) row[rows[0][k]] = rows[i][k];
    table.push_back(std::move(row));
  }
  return table;
}

// goldens/ope/rows_*.csv.zst: every row is a decision of its own. The goldens count positions from 0.
inline std::vector<LoggedAction> ReadGoldenActions(const std::string& relative_path) {
  std::vector<LoggedAction> actions;
  for (const auto& row : ReadGoldenTable(relative_path)) {
    actions.push_back({static_cast<int>(GoldenDouble(row.at("position"))) + 1, GoldenDouble(row.at("propensity")),
                       GoldenDouble(row.at("reward")), GoldenDouble(row.at("target_probability")),
                       GoldenDouble(row.at("q_logged")), GoldenDouble(row.at("q_target"))});
  }
  return actions;
}

// goldens/slate/log.csv.zst: probabilities at the position itself, or given what stands above (its probabilities of a
// list's top divided by those of the top one shorter).
inline std::vector<std::vector<LoggedAction>> ReadGoldenSlates(bool is_marginal) {
  std::vector<std::vector<LoggedAction>> slates;
  double above = 1, target_above = 1;
  for (const auto& row : ReadGoldenTable("goldens/slate/log.csv.zst")) {
    LoggedAction action = {static_cast<int>(GoldenDouble(row.at("position"))) + 1,
                           GoldenDouble(row.at("pscore_item_position")),
                           GoldenDouble(row.at("reward")),
                           GoldenDouble(row.at("target_pscore_item_position")),
                           GoldenDouble(row.at("q_logged")),
                           GoldenDouble(row.at("q_target"))};
    if (action.position == 1) {
      slates.emplace_back();
      above = target_above = 1;
    }
    if (!is_marginal) {
      const double top = GoldenDouble(row.at("pscore_cascade")),
                   target_top = GoldenDouble(row.at("target_pscore_cascade"));
      action.propensity = top / above;
      action.target_probability = target_top / target_above;
      above = top;
      target_above = target_top;
    }
    slates.back().push_back(action);
  }
  return slates;
}

// What this project calls an estimator of obp.
inline std::string EstimatorOfGolden(const std::string& name, double parameter) {
  static const std::map<std::string, std::pair<std::string, std::string>> kNames = {
      {"ipw", {"ips", ""}},
      {"ipw_clipped", {"ips_clipped", "max"}},
      {"ipw_subgaussian", {"ips_subgaussian", "lambda"}},
      {"snipw", {"snips", ""}},
      {"dm", {"dm", ""}},
      {"dr", {"dr", ""}},
      {"dr_clipped", {"dr_clipped", "max"}},
      {"sndr", {"sndr", ""}},
      {"switch_dr", {"switch_dr", "max"}},
      {"dr_os", {"dr_os", "lambda"}},
      {"standard_ips", {"slate_standard", ""}},
      {"independent_ips", {"slate_independent", ""}},
      {"reward_interaction_ips", {"slate_reward_interaction", ""}},
      {"self_normalized_standard_ips", {"self_normalized_slate_standard", ""}},
      {"self_normalized_independent_ips", {"self_normalized_slate_independent", ""}},
      {"self_normalized_reward_interaction_ips", {"self_normalized_slate_reward_interaction", ""}},
      {"cascade_dr", {"cascade_dr", ""}},
  };
  const auto& [ours, key] = kNames.at(name);
  return key.empty() ? ours : ours + ":" + key + "=" + std::to_string(parameter);
}

}  // namespace offerd
