// Who answers a placement, and on what evidence: promote, history, and evaluation of the server's own decision log.
#include <algorithm>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/cells.h"
#include "cli/commands.h"
#include "cli/policy_log.h"
#include "cli/text.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

std::string Number(double value) { return absl::StrFormat("%.6g", value); }

std::string LiveText(const google::protobuf::RepeatedPtrField<v1::Release::Evidence::Live>& live) {
  std::vector<std::string> parts;
  for (const v1::Release::Evidence::Live& part : live) {
    const std::string versions = part.last_version() == 0 ? "" : absl::StrCat(" versions ", part.first_version(), " to ", part.last_version());
    parts.push_back(absl::StrCat(part.policy(), versions, " (", FormatCount(part.decisions()), " decisions)"));
  }
  return absl::StrJoin(parts, ", ");
}

void PrintExcluded(const google::protobuf::RepeatedPtrField<v1::Release::Evidence::Excluded>& excluded, std::ostream& out) {
  for (const v1::Release::Evidence::Excluded& part : excluded) out << "left out: " << FormatCount(part.decisions()) << " " << part.reason() << "\n";
}

const char* KindText(v1::Release::Kind kind) {
  switch (kind) {
    case v1::Release::PROMOTION: return "promotion";
    case v1::Release::OVERRIDE: return "override";
    case v1::Release::ROLL_BACK: return "roll back";
    case v1::Release::AUTOMATIC_RETURN: return "automatic return";
    default: return "-";
  }
}

void PrintEvidence(const v1::Release& release, std::ostream& out) {
  const v1::Release::Evidence& evidence = release.evidence();
  std::vector<std::vector<std::string>> rows = {
      {"decisions", absl::StrCat(FormatCount(evidence.decisions()), " of ", FormatCount(evidence.customers()), " customers or groups")},
      {"made by", LiveText(evidence.live())},
      {"effective samples", FormatCount(static_cast<int64_t>(evidence.effective_samples()))},
      {"live earned", absl::StrCat(Number(evidence.live_reward()), " a decision")},
      {"candidate", absl::StrCat(Number(evidence.candidate_reward()), " a decision (",
                                 absl::AsciiStrToLower(v1::ReleaseGate::Estimator_Name(evidence.estimator())), ")")},
      {"gain", absl::StrCat(Number(evidence.gain()), ", standard error ", Number(evidence.standard_error()))},
  };
  if (evidence.decisions() > 0) {
    rows.insert(rows.begin() + 1, {"from, to", absl::StrCat(FormatTime(evidence.from()), ", ", FormatTime(evidence.to()))});
  }
  if (release.attempt() > 0) {
    rows.push_back({"lower bound", absl::StrCat(Number(evidence.lower_bound()), ", floor ", Number(evidence.floor()), " (attempt ",
                                                release.attempt(), " of this quarter: error ", Number(evidence.alpha()), ")")});
  }
  out << FormatTable(rows);
  PrintExcluded(evidence.excluded(), out);
}

void Print(const v1::Release& release, std::ostream& out) {
  out << KindText(release.kind()) << " of " << (release.policy().empty() ? "the fixed order" : release.policy())
      << (release.version() > 0 ? absl::StrCat(" version ", release.version()) : "") << " on " << release.placement() << ": "
      << (release.outcome() == v1::Release::ACCEPTED ? "accepted" : "REFUSED") << (release.reason().empty() ? "" : ": ") << release.reason() << "\n";
  if (release.has_evidence()) PrintEvidence(release, out);
}

struct PromoteArguments {
  std::string policy, placement, override_reason;
  uint64_t version = 0;
};

absl::Status Promote(Session& session, const PromoteArguments& arguments) {
  v1::PromotePolicyRequest request;
  request.set_policy(arguments.policy);
  request.set_placement(arguments.placement);
  request.set_version(arguments.version);
  request.set_override_reason(arguments.override_reason);
  session.connection.timeout_seconds = std::max(session.connection.timeout_seconds, kEvidenceSeconds);
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::Release release;
  const absl::Status status = client->Call(client->admin(), &v1::AdminService::Stub::PromotePolicy, request, &release);
  if (absl::IsFailedPrecondition(status)) {  // the refused attempt is in the history, with its numbers
    v1::ListReleasesRequest last;
    last.set_placement(arguments.placement);
    last.set_limit(1);
    v1::ListReleasesResponse releases;
    if (!client->Call(client->admin(), &v1::AdminService::Stub::ListReleases, last, &releases).ok() || releases.releases().empty()) return status;
    release = releases.releases(0);
    if (release.outcome() != v1::Release::REFUSED || release.policy() != arguments.policy) return status;
  } else if (!status.ok()) {
    return status;
  }
  if (session.json) {
    session.out << Dump(ToJson(release));
  } else {
    Print(release, session.out);
  }
  return status;
}

absl::Status History(Session& session, const std::string& placement, int limit) {
  v1::ListReleasesRequest request;
  request.set_placement(placement);
  request.set_limit(limit);
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::ListReleasesResponse response;
  RETURN_IF_ERROR(client->CallPatiently(client->admin(), &v1::AdminService::Stub::ListReleases, request, &response));
  if (session.json) {
    session.out << Dump(ToJson(response));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows = {{"time", "placement", "what", "policy", "outcome", "attempt", "gain", "lower bound", "reason"}};
  for (const v1::Release& release : response.releases()) {
    const bool is_tested = release.attempt() > 0;
    rows.push_back({FormatTime(release.time()), release.placement(), KindText(release.kind()),
                    absl::StrCat(release.policy().empty() ? "-" : release.policy(), release.version() > 0 ? absl::StrCat(" ", release.version()) : ""),
                    release.outcome() == v1::Release::ACCEPTED ? "accepted" : "refused", is_tested ? absl::StrCat(release.attempt()) : "-",
                    is_tested ? Number(release.evidence().gain()) : "-", is_tested ? Number(release.evidence().lower_bound()) : "-", release.reason()});
  }
  session.out << (rows.size() > 1 ? FormatTable(rows) : "nobody has been promoted yet\n");
  return absl::OkStatus();
}

std::string ValueText(bool is_set, const v1::PolicyEvaluation::Value& value) {
  return is_set ? absl::StrCat(Number(value.value()), " [", Number(value.lower_bound()), ", ", Number(value.upper_bound()), "]") : "-";
}

}  // namespace

void PrintEvaluation(const v1::PolicyEvaluation& evaluation, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {{"policy", "reward a decision", "gain over live", "revenue", "margin", "effective samples"}};
  for (const v1::PolicyEvaluation::Row& row : evaluation.rows()) {
    rows.push_back({row.policy(), ValueText(row.has_reward(), row.reward()), ValueText(row.has_gain(), row.gain()),
                    ValueText(row.has_revenue(), row.revenue()), ValueText(row.has_margin(), row.margin()),
                    FormatCount(static_cast<int64_t>(row.effective_samples()))});
  }
  out << FormatTable(rows) << "\n";
  out << "candidate: " << evaluation.policy() << (evaluation.version() > 0 ? absl::StrCat(" version ", evaluation.version()) : "") << " on "
      << evaluation.placement();
  if (evaluation.has_trained_until()) out << ", trained until " << FormatTime(evaluation.trained_until()) << "; only later decisions count";
  out << "\n" << FormatCount(evaluation.decisions()) << " decisions";
  if (evaluation.decisions() > 0) {
    out << " from " << FormatTime(evaluation.from()) << " to " << FormatTime(evaluation.to()) << ", made by " << LiveText(evaluation.live());
  }
  out << "; 95 % intervals over customers\n";
  PrintExcluded(evaluation.excluded(), out);
  for (const v1::PolicyEvaluation::Row& row : evaluation.rows()) {
    for (const std::string& warning : row.warnings()) out << "warning: " << row.policy() << ": " << warning << "\n";
  }
}

absl::Status ReadTimeOption(const char* option, const std::string& text, TimeMicros& time) {
  if (text.empty()) return absl::OkStatus();
  const absl::StatusOr<TimeMicros> parsed = ParseTimeMicros(text);
  if (!parsed.ok()) return UsageError(absl::StrCat(option, ": ", parsed.status().message()));
  time = *parsed;
  return absl::OkStatus();
}

absl::Status EvaluateOnServer(Session& session, const PolicyLogArguments& arguments) {
  v1::EvaluatePolicyRequest request;
  request.set_policy(arguments.policy);
  request.set_placement(arguments.placement);
  request.set_version(arguments.version);
  TimeMicros from = 0, to = 0;
  RETURN_IF_ERROR(ReadTimeOption("--from", arguments.from, from));
  RETURN_IF_ERROR(ReadTimeOption("--to", arguments.to, to));
  if (!arguments.from.empty()) *request.mutable_from() = ToTimestamp(from);
  if (!arguments.to.empty()) *request.mutable_to() = ToTimestamp(to);
  session.connection.timeout_seconds = std::max(session.connection.timeout_seconds, kEvidenceSeconds);
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::PolicyEvaluation evaluation;
  RETURN_IF_ERROR(client->Call(client->admin(), &v1::AdminService::Stub::EvaluatePolicy, request, &evaluation));
  if (session.json) {
    session.out << Dump(ToJson(evaluation));
  } else {
    PrintEvaluation(evaluation, session.out);
  }
  return absl::OkStatus();
}

absl::Status RollBackOnPlacement(Session& session, const std::string& placement, const std::string& reason) {
  v1::RollBackPlacementRequest request;
  request.set_name(placement);
  request.set_reason(reason);
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::Release release;
  RETURN_IF_ERROR(client->Call(client->admin(), &v1::AdminService::Stub::RollBackPlacement, request, &release));
  if (session.json) {
    session.out << Dump(ToJson(release));
  } else {
    Print(release, session.out);
  }
  return absl::OkStatus();
}

void AddPolicyReleases(CLI::App& policy, Session& session) {
  auto arguments = std::make_shared<PromoteArguments>();
  CLI::App* promote = AddCommand(policy, "promote", "Puts a policy live on a placement, if the evidence in the log is strong enough; exit 1 if not",
                                 session, [&session, arguments] { return Promote(session, *arguments); });
  promote->add_option("name", arguments->policy, "name of the policy")->required();
  promote->add_option("--placement", arguments->placement, "the named surface")->required();
  promote->add_option("--version", arguments->version, "kept version to be valued; 0 = the newest kept one, else that in force")->capture_default_str();
  promote->add_option("--override", arguments->override_reason, "puts it live without evidence, for this reason, which is logged")
      ->check([](const std::string& reason) { return reason.empty() ? std::string("expected a reason") : std::string(); });
  auto placement = std::make_shared<std::string>();
  auto limit = std::make_shared<int>(0);
  CLI::App* history = AddCommand(policy, "history", "Lists every attempt to change who answers, newest first", session,
                                 [&session, placement, limit] { return History(session, *placement, *limit); });
  history->add_option("--placement", *placement, "only of this one");
  history->add_option("--limit", *limit, "the newest so many; 0 = all")->capture_default_str()->check(CLI::NonNegativeNumber);
}

}  // namespace offerd::cli
