#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/cells.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

std::vector<std::string> Row(const v1::Snapshot& snapshot) {
  return {absl::StrCat(snapshot.sequence()), FormatTime(snapshot.created()), FormatCount(snapshot.records()), FormatCount(snapshot.bytes()),
          snapshot.checksum(), snapshot.state(), snapshot.detail()};
}
const std::vector<std::string> Header() { return {"sequence", "created", "records", "bytes", "checksum", "state", "detail"}; }

absl::Status Create(Session& session) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::Snapshot snapshot;
  RETURN_IF_ERROR(client->Call(client->admin(), &v1::AdminService::Stub::CreateSnapshot, v1::CreateSnapshotRequest(), &snapshot));
  session.out << (session.json ? Dump(ToJson(snapshot)) : FormatTable({Header(), Row(snapshot)}));
  return absl::OkStatus();
}

absl::Status List(Session& session) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::ListSnapshotsResponse response;
  RETURN_IF_ERROR(client->Call(client->admin(), &v1::AdminService::Stub::ListSnapshots, v1::ListSnapshotsRequest(), &response));
  if (session.json) {
    session.out << Dump(ToJson(response));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows = {Header()};
  for (const v1::Snapshot& snapshot : response.snapshots()) rows.push_back(Row(snapshot));
  session.out << (rows.size() > 1 ? FormatTable(rows) : "no snapshots\n");
  return absl::OkStatus();
}

absl::Status Verify(Session& session, uint64_t sequence) {
  v1::VerifySnapshotRequest request;
  request.set_sequence(sequence);
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::VerifySnapshotResponse response;
  RETURN_IF_ERROR(client->Call(client->admin(), &v1::AdminService::Stub::VerifySnapshot, request, &response));
  const v1::Snapshot& snapshot = response.snapshot();
  session.out << (session.json ? Dump(ToJson(snapshot)) : FormatTable({Header(), Row(snapshot)}));
  if (snapshot.state() == "sound") return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("snapshot ", snapshot.sequence(), " is ", snapshot.state(), snapshot.detail().empty() ? "" : ": ", snapshot.detail()));
}

}  // namespace

void AddSnapshot(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("snapshot", "States to start from: create, list, verify");
  command->require_subcommand(1);
  auto sequence = std::make_shared<uint64_t>(0);
  AddCommand(*command, "create", "Writes a snapshot of the present state", session, [&session] { return Create(session); });
  AddCommand(*command, "list", "Lists the snapshots, newest first", session, [&session] { return List(session); });
  AddCommand(*command, "verify", "Reads a snapshot and checks it; exit code 1 unless it is sound", session,
             [&session, sequence] { return Verify(session, *sequence); })
      ->add_option("--sequence", *sequence, "sequence of the snapshot; 0 = the newest")
      ->capture_default_str();
  AddSnapshotRestore(*command, session);
}

}  // namespace offerd::cli
