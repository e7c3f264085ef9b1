#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

// ServerStatus as it is, but policies flattened to what one watches: name, version, checksum, shown and the rest of their status.
Json Summarize(const v1::ServerStatus& status) {
  Json json = ToJson(status);
  if (!json.contains("events")) json["events"] = ToJson(v1::ServerStatus::Events());
  Json policies = Json::array();
  for (const v1::PolicyStatus& policy : status.policies()) {
    Json flat = {{"name", policy.policy().name()}, {"version", policy.policy().version()}, {"state_checksum", policy.state_checksum()},
                 {"shown", policy.shown()}, {"pinned", policy.policy().pinned()}, {"feature_fingerprint", policy.policy().feature_fingerprint()}};
    Json rest = ToJson(policy);
    rest.erase("policy");
    flat.update(rest);
    policies.push_back(std::move(flat));
  }
  json["policies"] = std::move(policies);
  return json;
}

void Print(const v1::ServerStatus& status, std::ostream& out) {
  const v1::ServerStatus::Events& events = status.events();
  std::vector<std::vector<std::string>> rows = {
      {"ready", status.ready() ? "yes" : "no"},
      {"version", status.version()},
      {"up", absl::StrFormat("%.0f s", status.uptime_seconds())},
      {"log", absl::StrCat(FormatCount(static_cast<int64_t>(status.last_sequence())), " records, snapshot at ", FormatCount(static_cast<int64_t>(status.snapshot_sequence())))},
      {"decisions", absl::StrCat(FormatCount(status.decisions()), ", ", FormatCount(status.open_decisions()), " open, ", FormatCount(status.dropped_decisions()),
                                 " dropped, ", FormatCount(status.closed_early()), " closed early")},
      {"events", absl::StrCat(FormatCount(events.acknowledged()), " acknowledged, ", FormatCount(events.applied()), " applied, ", FormatCount(events.duplicate()),
                              " duplicate, ", FormatCount(events.orphan()), " orphan, ", FormatCount(events.late()), " late, ", FormatCount(events.refused()), " refused")},
      {"known", absl::StrCat(FormatCount(status.customers()), " customers, ", FormatCount(status.items()), " items, ", FormatCount(status.offers()), " offers")},
      {"erasures", absl::StrCat(FormatCount(status.erasures_pending()), " pending")},
      {"gate leaks", absl::StrCat(FormatCount(status.gate_leaks()), status.gate_leaks() == 0 ? "" : "  <- must be 0: please report")},
      {"store", status.store_error().empty() ? "healthy" : status.store_error()},
  };
  for (const v1::GuardStatus& guard : status.guards()) {
    rows.push_back({absl::StrCat("guard ", guard.placement()),
                    !guard.is_on() ? absl::StrCat("off: ", guard.off_because())
                                   : absl::StrFormat("live earns %.6g more a decision than the fixed order, %.6g to %.6g, after %s decisions%s",
                                                     guard.gain(), guard.lower_bound(), guard.upper_bound(), FormatCount(guard.decisions()),
                                                     guard.is_below() ? "  <- below its floor" : "")});
  }
  for (const v1::ExaminationStatus& examination : status.examinations()) {
    std::string weights;
    for (const double weight : examination.weights()) absl::StrAppend(&weights, weights.empty() ? "" : " ", absl::StrFormat("%.3g", weight));
    rows.push_back({absl::StrCat("examination ", examination.placement()),
                    absl::StrFormat("%s, from %.0f rewards of the first slot by the randomised share", weights, examination.rewards())});
  }
  out << FormatTable(rows);
  if (status.policies().empty()) return;
  std::vector<std::vector<std::string>> policies = {{"policy", "version", "shown", "checksum", "agrees with fixed"}};
  for (const v1::PolicyStatus& policy : status.policies()) {
    const int64_t decisions = policy.apprentice_decisions();
    policies.push_back({policy.policy().name(), absl::StrCat(policy.policy().version()), FormatCount(policy.shown()), policy.state_checksum(),
                        decisions == 0 ? "-" : absl::StrFormat("%.1f %% of %s", 100.0 * static_cast<double>(policy.apprentice_agreements()) / static_cast<double>(decisions), FormatCount(decisions))});
  }
  out << "\n" << FormatTable(policies);
}

absl::Status RunStatus(Session& session) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::ServerStatus status;
  RETURN_IF_ERROR(client->Call(client->admin(), &v1::AdminService::Stub::GetStatus, v1::GetStatusRequest(), &status));
  if (session.json) {
    session.out << Dump(Summarize(status));
  } else {
    Print(status, session.out);
  }
  return absl::OkStatus();
}

}  // namespace

void AddStatus(CLI::App& app, Session& session) {
  AddCommand(app, "status", "Whether the server is well, what it has taken and what it has learned", session, [&session] { return RunStatus(session); });
}

}  // namespace offerd::cli
