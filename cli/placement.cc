#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

absl::Status Set(Session& session, const std::string& file, const std::string& override_reason) {
  v1::SetPlacementRequest request;
  RETURN_IF_ERROR(ReadTextProto(file, request.mutable_placement()));
  request.set_override_reason(override_reason);
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::Placement placement;
  RETURN_IF_ERROR(client->CallPatiently(client->admin(), &v1::AdminService::Stub::SetPlacement, request, &placement));
  if (session.json) {
    session.out << Dump(ToJson(placement));
  } else {
    session.out << "placement " << placement.name() << ": policy " << placement.policy() << ", " << ModeName(placement.mode()) << ", "
                << placement.slate_size() << " slots\n";
  }
  return absl::OkStatus();
}

absl::Status List(Session& session) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::ListPlacementsResponse response;
  RETURN_IF_ERROR(client->CallPatiently(client->admin(), &v1::AdminService::Stub::ListPlacements, v1::ListPlacementsRequest(), &response));
  if (session.json) {
    session.out << Dump(ToJson(response));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows = {{"placement", "policy", "mode", "slots", "window (s)"}};
  for (const v1::Placement& placement : response.placements()) {
    rows.push_back({placement.name(), placement.policy(), ModeName(placement.mode()), absl::StrCat(placement.slate_size()), absl::StrCat(placement.window_seconds())});
  }
  session.out << (rows.size() > 1 ? FormatTable(rows) : "no placements\n");
  return absl::OkStatus();
}

absl::Status Delete(Session& session, const std::string& name) {
  v1::DeletePlacementRequest request;
  request.set_name(name);
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::DeletePlacementResponse response;
  RETURN_IF_ERROR(client->Call(client->admin(), &v1::AdminService::Stub::DeletePlacement, request, &response));
  session.out << (session.json ? Dump({{"deleted", name}}) : absl::StrCat("placement ", name, ": deleted\n"));
  return absl::OkStatus();
}

}  // namespace

void AddPlacement(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("placement", "Named surfaces: set, list, delete");
  command->require_subcommand(1);
  auto argument = std::make_shared<std::string>();
  auto reason = std::make_shared<std::string>();
  CLI::App* set = AddCommand(*command, "set", "Adds or replaces a placement", session,
                             [&session, argument, reason] { return Set(session, *argument, *reason); });
  set->add_option("file", *argument, "offerd.v1.Placement as protobuf text")->required();
  set->add_option("--override", *reason, "where its gate is required: changes who answers all the same, for this reason, which is logged");
  AddCommand(*command, "list", "Lists the placements", session, [&session] { return List(session); });
  AddCommand(*command, "delete", "Deletes a placement", session, [&session, argument] { return Delete(session, *argument); })
      ->add_option("name", *argument, "name of the placement")
      ->required();
}

}  // namespace offerd::cli
