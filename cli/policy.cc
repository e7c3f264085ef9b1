#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/policy_log.h"
#include "cli/text.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

const char* KindName(const v1::Policy& policy) {
  switch (policy.kind_case()) {
    case v1::Policy::kFixed:
      return "fixed";
    case v1::Policy::kRandom:
      return "random";
    case v1::Policy::kLinear:
      return "linear";
    default:
      return "-";
  }
}

void Print(Session& session, const v1::Policy& policy, const char* what) {
  if (session.json) {
    session.out << Dump(ToJson(policy));
  } else {
    session.out << "policy " << policy.name() << " (" << KindName(policy) << "): " << what << ", version " << policy.version()
                << (policy.pinned() ? ", pinned until it is published" : "") << "\n";
  }
}

absl::Status Set(Session& session, const std::string& file) {
  v1::SetPolicyRequest request;
  RETURN_IF_ERROR(ReadTextProto(file, request.mutable_policy()));
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::Policy policy;
  RETURN_IF_ERROR(client->CallPatiently(client->admin(), &v1::AdminService::Stub::SetPolicy, request, &policy));
  Print(session, policy, "set");
  return absl::OkStatus();
}

absl::Status List(Session& session) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::ListPoliciesResponse response;
  RETURN_IF_ERROR(client->CallPatiently(client->admin(), &v1::AdminService::Stub::ListPolicies, v1::ListPoliciesRequest(), &response));
  if (session.json) {
    session.out << Dump(ToJson(response));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows = {{"policy", "kind", "version", "pinned", "shown", "residual deviation", "checksum", "kept versions"}};
  for (const v1::PolicyStatus& status : response.policies()) {
    const v1::Policy& policy = status.policy();
    rows.push_back({policy.name(), KindName(policy), absl::StrCat(policy.version()), policy.pinned() ? "yes" : "no", FormatCount(status.shown()),
                    FormatNumber(status.residual_deviation()), status.state_checksum(), absl::StrJoin(status.kept_versions(), " ")});
  }
  session.out << (rows.size() > 1 ? FormatTable(rows) : "no policies\n");
  return absl::OkStatus();
}

absl::Status Publish(Session& session, const std::string& name) {
  v1::PublishPolicyRequest request;
  request.set_name(name);
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::Policy policy;
  RETURN_IF_ERROR(client->Call(client->admin(), &v1::AdminService::Stub::PublishPolicy, request, &policy));
  Print(session, policy, "published");
  return absl::OkStatus();
}

absl::Status RollBack(Session& session, const std::string& name, uint64_t version) {
  v1::RollBackPolicyRequest request;
  request.set_name(name);
  request.set_version(version);
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::Policy policy;
  RETURN_IF_ERROR(client->Call(client->admin(), &v1::AdminService::Stub::RollBackPolicy, request, &policy));
  Print(session, policy, "rolled back");
  return absl::OkStatus();
}

}  // namespace

void AddPolicy(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("policy", "What scores offers: set, list, publish, rollback, evaluate, promote, history");
  command->require_subcommand(1);
  auto argument = std::make_shared<std::string>();
  auto version = std::make_shared<uint64_t>(0);
  auto placement = std::make_shared<std::string>();
  auto reason = std::make_shared<std::string>();
  AddCommand(*command, "set", "Adds or replaces a policy", session, [&session, argument] { return Set(session, *argument); })
      ->add_option("file", *argument, "offerd.v1.Policy as protobuf text")
      ->required();
  AddCommand(*command, "list", "Lists the policies and what they have learned", session, [&session] { return List(session); });
  AddCommand(*command, "publish", "Publishes what is learned so far and ends a roll back", session,
             [&session, argument] { return Publish(session, *argument); })
      ->add_option("name", *argument, "name of the policy")
      ->required();
  CLI::App* rollback = AddCommand(*command, "rollback", "Puts a kept version in force, or who answered a placement before", session,
                                  [&session, argument, version, placement, reason] {
                                    if (argument->empty() == placement->empty()) return UsageError("rollback: expected a policy or --placement, and not both");
                                    return placement->empty() ? RollBack(session, *argument, *version) : RollBackOnPlacement(session, *placement, *reason);
                                  });
  rollback->add_option("name", *argument, "name of the policy");
  rollback->add_option("--version", *version, "kept version; 0 = the one before")->capture_default_str();
  rollback->add_option("--placement", *placement, "instead of a policy: who answered this placement before the last release answers again");
  rollback->add_option("--reason", *reason, "with --placement: is logged")->needs("--placement");
  AddPolicyEvaluate(*command, session);
  AddPolicyReleases(*command, session);
}

}  // namespace offerd::cli
