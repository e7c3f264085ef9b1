// Backups are files: listing, verifying and restoring them needs no server.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "core/status_macros.h"
#include "store/store.h"

namespace offerd::cli {
namespace {

struct RestoreOptions {
  std::string from;
  std::string to;
  uint32_t id = 0;
};

// The newest backup that proves sound, or the one asked for.
absl::Status RunRestore(Session& session, const RestoreOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<BackupInfo> backups, Store::ListBackups(options.from));
  if (backups.empty()) return absl::NotFoundError(absl::StrCat("no backup in ", options.from));
  absl::Status status = absl::NotFoundError(absl::StrCat("no backup ", options.id, " in ", options.from));
  for (auto it = backups.rbegin(); it != backups.rend(); ++it) {
    if (options.id != 0 && it->id != options.id) continue;
    status = Store::VerifyBackup(options.from, it->id);
    if (!status.ok()) {
      session.err << "offerctl: backup " << it->id << " is damaged: " << status.message() << "\n";
      continue;
    }
    RETURN_IF_ERROR(Store::RestoreBackup(options.from, it->id, options.to));
    StoreOptions read_only;
    read_only.read_only = true;
    ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::OpenAt(options.to, read_only));
    if (session.json) {
      session.out << Dump({{"backup", it->id}, {"store", options.to}, {"last_sequence", store->last_sequence()}});
    } else {
      session.out << "restored backup " << it->id << " to " << options.to << ": log up to record " << store->last_sequence() << "\n";
    }
    return absl::OkStatus();
  }
  return status;
}

}  // namespace

void AddSnapshotRestore(CLI::App& snapshot, Session& session) {
  auto options = std::make_shared<RestoreOptions>();
  CLI::App* command = AddCommand(snapshot, "restore", "Put the newest sound backup (or --id) into an empty folder; the server need not run", session,
                                 [&session, options] { return RunRestore(session, *options); });
  command->add_option("--from", options->from, "folder of backups (backup_path of the configuration)")->required();
  command->add_option("--to", options->to, "folder of the new store: absent or empty")->required();
  command->add_option("--id", options->id, "number of the backup; default: the newest that is sound");
}

}  // namespace offerd::cli
