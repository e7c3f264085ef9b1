#include "cli/top/block.h"

namespace offerd::cli::top {
namespace {

// JSON knows no infinity and no NaN; both become null, as what is not known does.
Json Number(const std::optional<double>& value) { return value.has_value() ? Json(*value) : Json(nullptr); }

Json TimingJson(const Timing& timing) {
  Json json = {{"per_second", timing.per_second}};
  const auto add = [&json](const std::string& name, const std::optional<Quantile>& quantile) {
    json[name + "_seconds"] = quantile.has_value() ? Json(quantile->value) : Json(nullptr);
    json[name + "_is_above"] = quantile.has_value() && quantile->is_above;
  };
  add("p50", timing.p50);
  add("p99", timing.p99);
  return json;
}

Json MethodsJson(const Interval& interval) {
  Json methods = Json::array();
  for (const auto& [method, rates] : interval.methods) {
    methods.push_back({{"method", method}, {"per_second", rates.per_second}, {"errors_per_second", Json(rates.errors)},
                       {"ok", TimingJson(rates.ok)}, {"failed", TimingJson(rates.failed)}});
  }
  return methods;
}

Json PoliciesJson(const Interval& interval) {
  Json policies = Json::array();
  for (const auto& [name, rates] : interval.policies) {
    Json policy = {{"policy", name}, {"publications", rates.publications}, {"shown_per_second", Number(rates.shown_per_second)}};
    if (rates.state.has_value()) {
      policy.update({{"version", rates.state->version}, {"shown", rates.state->shown}, {"residual_deviation", rates.state->residual_deviation},
                     {"apprentice_decisions", rates.state->compared}, {"apprentice_agreements", rates.state->agreed}});
    }
    policies.push_back(std::move(policy));
  }
  return policies;
}

Json GuardsJson(const Interval& interval) {
  Json guards = Json::array();
  for (const auto& [placement, guard] : interval.guards) {
    Json json = {{"placement", placement}, {"gain", Number(guard.gain)}, {"lower_bound", Number(guard.lower_bound)},
                 {"upper_bound", Number(guard.upper_bound)}, {"is_below", guard.is_below}};
    if (guard.state.has_value()) {
      json.update({{"is_on", guard.state->is_on}, {"off_because", guard.state->off_because}, {"decisions", guard.state->decisions}});
    }
    guards.push_back(std::move(json));
  }
  return guards;
}

}  // namespace

Json ToJson(const Interval& interval, const std::string& address) {
  Json json = {{"address", address}, {"seconds", interval.seconds}, {"has_restarted", interval.has_restarted}, {"version", interval.version},
               {"ready", interval.is_ready.has_value() ? Json(*interval.is_ready) : Json(nullptr)},
               {"uptime_seconds", Number(interval.uptime_seconds)}, {"cores", Number(interval.cores)},
               {"resident_bytes", Number(interval.resident_bytes)}, {"no_status_because", interval.no_state_because},
               {"store_error", interval.store_error}, {"gauges", Json(interval.gauges)}, {"counts", Json(interval.counts)},
               {"rises", Json(interval.rises)}, {"methods", MethodsJson(interval)}};
  Json timings = Json::object();
  for (const auto& [name, timing] : interval.timings) timings[name] = TimingJson(timing);
  json["timings"] = std::move(timings);
  json["shed_per_second"] = interval.shed;
  json["events_per_second"] = interval.events;
  json["events_by_kind_per_second"] = interval.events_by_kind;
  json["reward_outcomes_per_second"] = interval.reward_outcomes;
  Json decisions = Json::array();
  for (const DecisionRates& rates : interval.decisions) {
    decisions.push_back({{"placement", rates.placement}, {"policy", rates.policy}, {"per_second", rates.per_second}, {"total", rates.total}});
  }
  json["decisions"] = std::move(decisions);
  json["policies"] = PoliciesJson(interval);
  json["guards"] = GuardsJson(interval);
  return json;
}

}  // namespace offerd::cli::top
