#include "cli/top/block.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace offerd::cli::top {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string Rate(double per_second) {
  if (per_second >= 999.5) return FormatCount(std::llround(per_second));
  if (per_second == 0) return "0";
  return absl::StrFormat("%.*f", per_second >= 10 ? 1 : per_second >= 0.01 ? 2 : 4, per_second);
}

// Counts come as doubles; one that no int64 holds is no count of ours.
std::string Count(double count) { return std::abs(count) < 9e18 ? FormatCount(std::llround(count)) : "-"; }

std::string Millis(const std::optional<Quantile>& seconds) {
  if (!seconds.has_value()) return "-";
  return seconds->is_above ? absl::StrFormat("> %.0f", seconds->value * 1e3) : absl::StrFormat("%.3f", seconds->value * 1e3);
}

std::string Span(double seconds) {
  if (seconds < 120) return absl::StrFormat("%.0f s", seconds);
  if (seconds < 7'200) return absl::StrFormat("%.0f min", seconds / 60);
  return absl::StrFormat("%.1f h", seconds / 3'600);
}

std::string Rated(const std::map<std::string, double>& rates) {
  std::vector<std::string> parts;
  for (const auto& [name, rate] : rates) parts.push_back(absl::StrCat(name, " ", Rate(rate)));
  return absl::StrJoin(parts, ", ");
}

double Sum(const std::map<std::string, double>& rates) {
  double sum = 0;
  for (const auto& [name, rate] : rates) sum += rate;
  return sum;
}

// What is not exported is left out of its line, so that an older or newer server is shown as far as it goes.
void AddCount(const std::map<std::string, double>& from, const std::string& name, const char* words, std::vector<std::string>* parts) {
  if (const auto found = from.find(name); found != from.end()) parts->push_back(absl::StrCat(Count(found->second), " ", words));
}

void AddCounter(const Interval& interval, const std::string& name, const char* words, std::vector<std::string>* parts) {
  const auto found = interval.counts.find(name);
  if (found == interval.counts.end()) return;
  const double rise = interval.rises.at(name);
  parts->push_back(absl::StrCat(Count(found->second), " ", words, rise > 0 ? absl::StrCat(" (+", Count(rise), ")") : ""));
}

std::string Server(const Interval& interval, const std::string& address) {
  std::vector<std::string> parts = {absl::StrCat(interval.version, interval.version.empty() ? "" : " ", "at ", address)};
  if (interval.uptime_seconds.has_value()) parts.push_back(absl::StrCat("up ", Span(*interval.uptime_seconds)));
  if (interval.is_ready.has_value()) parts.push_back(*interval.is_ready ? "ready" : "not ready");
  if (interval.cores.has_value()) parts.push_back(absl::StrFormat("%.2f cores", *interval.cores));
  if (interval.resident_bytes.has_value()) parts.push_back(absl::StrCat(Count(*interval.resident_bytes / 1e6), " MB"));
  return absl::StrJoin(parts, ", ");
}

std::string Store(const Interval& interval) {
  const auto error = interval.gauges.find("store_error");
  const bool fails = !interval.store_error.empty() || (error != interval.gauges.end() && error->second != 0);
  std::vector<std::string> parts = {!fails ? "healthy" : interval.store_error.empty() ? "fails" : interval.store_error};
  if (const auto last = interval.gauges.find("last_sequence"); last != interval.gauges.end()) parts.push_back(absl::StrCat("record ", Count(last->second)));
  const auto age = interval.gauges.find("snapshot_age_seconds");
  parts.push_back(age == interval.gauges.end() ? "no snapshot" : absl::StrCat("newest snapshot ", Span(age->second), " old"));
  AddCounter(interval, "damaged_entries_total", "damaged entries", &parts);
  return absl::StrJoin(parts, ", ");
}

// Counters that stay at 0 on a good day: shown only when they do not.
std::string Alarms(const Interval& interval) {
  std::vector<std::string> parts;
  const auto add = [&](const char* name, const char* words) {
    const auto found = interval.counts.find(name);
    if (found != interval.counts.end() && found->second > 0) AddCounter(interval, name, words, &parts);
  };
  add("gate_leaks_total", "gate leaks: must be 0, please report");
  add("evicted_replies_total", "stored answers evicted early");
  add("automatic_returns_total", "placements put back by their guard");
  return absl::StrJoin(parts, ", ");
}

Rows Summary(const Interval& interval, const std::string& address) {
  double calls = 0, decisions = 0;
  for (const auto& [method, rates] : interval.methods) calls += rates.per_second;
  for (const DecisionRates& rates : interval.decisions) decisions += rates.per_second;
  Rows rows = {{"server", Server(interval, address)},
               {"measured", absl::StrFormat("over %.1f s%s", interval.seconds, interval.has_restarted ? ", since the server restarted" : "")}};
  std::vector<std::string> parts = {absl::StrCat(Rate(calls), "/s")};
  AddCount(interval.gauges, "requests_in_flight", "in flight", &parts);
  if (const auto open = interval.gauges.find("open_streams"); open != interval.gauges.end()) parts.push_back(absl::StrCat("streams ", Count(open->second)));
  rows.push_back({"calls", absl::StrJoin(parts, ", ")});
  rows.push_back({"shed", interval.shed.empty() ? "none" : absl::StrCat(Rate(Sum(interval.shed)), "/s: ", Rated(interval.shed))});
  parts.clear();
  AddCount(interval.gauges, "decision_queue_records", "decisions", &parts);
  AddCount(interval.gauges, "feedback_queue_records", "feedback and settings", &parts);
  rows.push_back({"queues", absl::StrJoin(parts, ", ")});
  parts.clear();
  AddCount(interval.gauges, "learner_lag_records", "records behind", &parts);
  const auto lag = interval.gauges.find("learner_lag_seconds");
  if (lag != interval.gauges.end()) parts.push_back(absl::StrFormat("the oldest %.3f s", lag->second));
  rows.push_back({"learner", absl::StrJoin(parts, ", ")});
  parts = {absl::StrCat(Rate(decisions), "/s")};
  AddCount(interval.gauges, "open_decisions", "open", &parts);
  AddCounter(interval, "dropped_decisions_total", "dropped", &parts);
  AddCounter(interval, "decisions_closed_early_total", "closed early", &parts);
  rows.push_back({"decisions", absl::StrJoin(parts, ", ")});
  const std::string events = absl::StrCat(Rate(Sum(interval.events)), "/s: ", Rated(interval.events), "; ", Rated(interval.events_by_kind));
  rows.push_back({"events", interval.events.empty() ? "none" : events});
  if (!interval.reward_outcomes.empty()) rows.push_back({"rewards", absl::StrCat("a second: ", Rated(interval.reward_outcomes))});
  rows.push_back({"store", Store(interval)});
  if (const std::string alarms = Alarms(interval); !alarms.empty()) rows.push_back({"alarms", alarms});
  if (!interval.no_state_because.empty()) rows.push_back({"no status", interval.no_state_because});
  return rows;
}

Rows Methods(const Interval& interval) {
  Rows rows = {{"method", "calls/s", "p50 ms", "p99 ms", "errors/s"}};
  for (const auto& [method, rates] : interval.methods) {
    rows.push_back({method, Rate(rates.per_second), Millis(rates.ok.p50), Millis(rates.ok.p99), rates.errors.empty() ? "-" : Rated(rates.errors)});
  }
  return rows;
}

Rows Timings(const Interval& interval) {
  Rows rows = {{"timing", "times/s", "p50 ms", "p99 ms"}};
  for (const auto& [name, timing] : interval.timings) {
    std::string words = name;
    std::replace(words.begin(), words.end(), '_', ' ');
    rows.push_back({words, Rate(timing.per_second), Millis(timing.p50), Millis(timing.p99)});
  }
  return rows;
}

// Those that decide now stand first: the rest may not fit on a screen.
Rows Placements(const Interval& interval) {
  Rows rows = {{"placement", "policy", "version", "decisions/s", "decisions"}};
  std::vector<DecisionRates> decisions = interval.decisions;
  std::stable_partition(decisions.begin(), decisions.end(), [](const DecisionRates& rates) { return rates.per_second > 0; });
  for (const DecisionRates& rates : decisions) {
    const auto policy = interval.policies.find(rates.policy);
    const bool is_known = policy != interval.policies.end() && policy->second.state.has_value();
    rows.push_back({rates.placement, rates.policy, is_known ? absl::StrCat(policy->second.state->version) : "-", Rate(rates.per_second), Count(rates.total)});
  }
  return rows;
}

Rows Policies(const Interval& interval) {
  Rows rows = {{"policy", "version", "publications/s", "shown", "shown/s", "deviation", "agrees with fixed"}};
  for (const auto& [name, rates] : interval.policies) {
    std::vector<std::string> row = {name, "-", Rate(rates.publications / interval.seconds), "-", "-", "-", "-"};
    if (rates.state.has_value()) {
      const PolicyState& state = *rates.state;
      row[1] = absl::StrCat(state.version);
      row[3] = FormatCount(state.shown);
      if (rates.shown_per_second.has_value()) row[4] = Rate(*rates.shown_per_second);
      row[5] = FormatNumber(state.residual_deviation);
      if (state.compared > 0) {
        row[6] = absl::StrFormat("%.1f %% of %s", 100.0 * static_cast<double>(state.agreed) / static_cast<double>(state.compared), FormatCount(state.compared));
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Rows Guards(const Interval& interval) {
  Rows rows = {{"guard of", "gain a decision", "lower", "upper", "decisions", "state"}};
  const auto number = [](const std::optional<double>& value) { return value.has_value() ? FormatNumber(*value) : "-"; };
  for (const auto& [placement, guard] : interval.guards) {
    std::string state = guard.is_below ? "below its floor" : "on";
    if (guard.state.has_value() && !guard.state->is_on) state = absl::StrCat("off: ", guard.state->off_because);
    rows.push_back({placement, number(guard.gain), number(guard.lower_bound), number(guard.upper_bound),
                    guard.state.has_value() ? FormatCount(guard.state->decisions) : "-", state});
  }
  return rows;
}

}  // namespace

std::string ToBlock(const Interval& interval, const std::string& address) {
  std::vector<Rows> tables = {Summary(interval, address)};
  for (Rows table : {Methods(interval), Timings(interval), Placements(interval), Policies(interval), Guards(interval)}) {
    if (table.size() > 1) tables.push_back(std::move(table));  // more than its heading
  }
  for (Rows& table : tables) {
    for (std::vector<std::string>& row : table) {
      for (std::string& cell : row) std::replace_if(cell.begin(), cell.end(), [](unsigned char c) { return absl::ascii_iscntrl(c); }, '?');
    }
  }
  return absl::StrJoin(tables, "\n", [](std::string* text, const Rows& table) { absl::StrAppend(text, FormatTable(table)); });
}

std::string FitTo(const std::string& block, int rows, int columns) {
  const auto is_inside_character = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  std::vector<std::string> lines = absl::StrSplit(block, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  const size_t room = static_cast<size_t>(std::max(rows - 1, 1));  // the cursor stands in the last row
  if (lines.size() > room) {
    const size_t left_out = lines.size() - room + 1;
    lines.resize(room - 1);
    lines.push_back(absl::StrCat("... and ", left_out, " more lines; a higher window shows them"));
  }
  std::string text;
  for (const std::string& line : lines) {
    size_t end = 0;
    for (int width = 0; end < line.size(); ++end) {
      if (!is_inside_character(line[end]) && ++width > std::max(columns, 1)) break;
    }
    absl::StrAppend(&text, line.substr(0, end), "\n");
  }
  return text;
}

}  // namespace offerd::cli::top
