// AdminService: tables. Loading and verifying run on the maintenance thread, so that no request waits for them.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/notification.h"
#include "server/bad_request.h"
#include "server/engine.h"
#include "server/log.h"
#include "store/records.h"
#include "store/table_artefact.h"

namespace offerd {
namespace {

constexpr char kStopping[] = "the server is stopping";

// What is wrong with an artefact is wrong with what the caller asked for, not with the server's data.
absl::Status ForCaller(const absl::Status& status) {
  if (!absl::IsDataLoss(status)) return status;
  return absl::InvalidArgumentError(absl::StrCat("table refused: ", status.message()));
}

absl::Status CheckName(const std::string& name) {
  if (IsTableName(name)) return absl::OkStatus();
  return BadRequest("name", "expected the name of a table: 1 to 64 letters, digits, _ . and -");
}

}  // namespace

v1::TableStatus Engine::DescribeTable(const std::string& name, const State& state) const {
  v1::TableStatus status;
  status.set_name(name);
  const TableState* table = state.tables.Find(name);
  if (table != nullptr && !table->versions.empty()) {
    const TablePublished& in_force = table->versions.back();
    status.set_version(in_force.version);
    status.set_checksum(absl::StrFormat("%016x", in_force.checksum));
    status.set_is_loaded(table->table != nullptr);
    for (size_t i = 0; i + 1 < table->versions.size(); ++i) status.add_previous_versions(table->versions[i].version);
  }
  if (table != nullptr && table->table != nullptr) {
    const ListTable& loaded = *table->table;
    status.set_kind(loaded.kind);
    status.set_items(static_cast<int64_t>(loaded.ids.size()));
    status.set_entries(static_cast<int64_t>(loaded.has_sessions() ? loaded.sessions.session_items.size() : loaded.rows.neighbours.size()));
    if (const auto info = ReadTableInfo(shelf_->root(), name, loaded.version); info.ok()) {
      status.set_bytes(static_cast<int64_t>(info->bytes));
      *status.mutable_created() = info->manifest.created();
    }
  }
  if (const auto versions = ListTableVersions(shelf_->root(), name); versions.ok()) {
    for (const uint64_t version : *versions) status.add_available_versions(version);
  }
  return status;
}

void Engine::PutInForce(std::shared_ptr<const ListTable> table, bool rolled_back, v1::TableStatus* response, Done done) {
  v1::stored::LogRecord record;
  v1::stored::TablePublished& published = *record.mutable_table_published();
  published.set_name(table->name);
  published.set_version(table->version);
  published.set_checksum(table->checksum);
  published.set_rolled_back(rolled_back);
  // The next job reads which table is in force, so this one waits until it is.
  const auto is_done = std::make_shared<absl::Notification>();
  done = [done = std::move(done), is_done](const absl::Status& status) {
    done(status);
    is_done->Notify();
  };
  PlanChange([record](Writer::Plan& plan) { return plan.Log(record, plan.log_now(), true).status(); },
             [this, table, response](const Fold& fold) {  // keeps the table until the fold has it
               *response = DescribeTable(table->name, fold.state());
               Log(LogLevel::kInfo, "table_in_force", {{"table", table->name}, {"version", table->version}});
             },
             std::move(done));
  is_done->WaitForNotification();
}

void Engine::PublishTable(const v1::PublishTableRequest& request, v1::TableStatus* response, Done done) {
  if (const absl::Status valid = CheckName(request.name()); !valid.ok()) return done(valid);
  maintenance_->Enqueue(
      [this, name = request.name(), version = request.version(), response, done] {
        auto table = shelf_->Load(name, version);
        if (!table.ok()) return done(ForCaller(table.status()));
        PutInForce(*std::move(table), /*rolled_back=*/false, response, done);
      },
      [done] { done(absl::UnavailableError(kStopping)); });
}

void Engine::RollBackTable(const v1::RollBackTableRequest& request, v1::TableStatus* response, Done done) {
  if (const absl::Status valid = CheckName(request.name()); !valid.ok()) return done(valid);
  maintenance_->Enqueue(
      [this, name = request.name(), version = request.version(), response, done] {
        const std::shared_ptr<const State> state = snapshot_.Get();
        const TableState* known = state->tables.Find(name);
        const size_t in_force_before = known == nullptr || known->versions.empty() ? 0 : known->versions.size() - 1;
        const TablePublished* wanted = nullptr;
        for (size_t i = 0; i < in_force_before; ++i) {
          if (version == 0 || known->versions[i].version == version) wanted = &known->versions[i];
        }
        if (wanted == nullptr) return done(absl::NotFoundError("version: no such version of this table was in force before"));
        auto table = shelf_->Load(name, wanted->version);
        if (!table.ok()) return done(ForCaller(table.status()));
        if ((*table)->checksum != wanted->checksum) {
          return done(absl::InvalidArgumentError("table refused: its manifest is not the one that was in force"));
        }
        PutInForce(*std::move(table), /*rolled_back=*/true, response, done);
      },
      [done] { done(absl::UnavailableError(kStopping)); });
}

void Engine::ListTables(const v1::ListTablesRequest&, v1::ListTablesResponse* response, Done done) {
  maintenance_->Enqueue(
      [this, response, done] {
        const std::shared_ptr<const State> state = snapshot_.Get();
        std::set<std::string> names;
        state->tables.ForEach([&names](absl::string_view name, const TableState&) { names.emplace(name); });
        const auto on_disk = offerd::ListTables(shelf_->root());
        if (!on_disk.ok()) return done(on_disk.status());
        for (const TableVersions& table : *on_disk) names.insert(table.name);
        for (const std::string& name : names) *response->add_tables() = DescribeTable(name, *state);
        done(absl::OkStatus());
      },
      [done] { done(absl::UnavailableError(kStopping)); });
}

}  // namespace offerd
