#include "cli/import.h"

#include <deque>
#include <memory>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/csv_reader.h"
#include "cli/feedback_stream.h"
#include "cli/import_report.h"
#include "cli/import_rows.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

constexpr size_t kMaxBatchBytes = 2 << 20;  // well inside the server's message limit

std::string Describe(const google::rpc::Status& status) {
  return status.message().empty() ? absl::StrCat("refused with code ", status.code()) : status.message();
}

// Sends batches of items, offers or customers, one call at a time.
template <typename Stub, typename Request, typename T>
class UpsertSink {
 public:
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, v1::UpsertResponse*);
  using Field = google::protobuf::RepeatedPtrField<T>* (Request::*)();
  using Id = const std::string& (T::*)() const;

  UpsertSink(Client& client, Stub& stub, Method method, Field field, Id id, ImportReport& report)
      : client_(client), stub_(stub), method_(method), field_(field), id_(id), report_(report) {}

  absl::Status Send(std::vector<Imported<T>> batch) {
    Request request;
    std::unordered_multimap<std::string, const Imported<T>*> by_id;
    for (Imported<T>& entry : batch) {
      by_id.emplace((entry.message.*id_)(), &entry);
      *(request.*field_)()->Add() = entry.message;
    }
    v1::UpsertResponse response;
    RETURN_IF_ERROR(client_.CallPatiently(stub_, method_, request, &response));
    for (const auto& result : response.refused()) {
      const auto found = by_id.find(result.id());
      report_.Refuse(found == by_id.end() ? 0 : found->second->line, 1, absl::StrCat("\"", result.id(), "\": ", Describe(result.status())));
      if (found != by_id.end()) by_id.erase(found);
    }
    report_.Accept(static_cast<int64_t>(batch.size()) - response.refused_size());
    return absl::OkStatus();
  }
  absl::Status Finish() { return absl::OkStatus(); }

 private:
  Client& client_;
  Stub& stub_;
  const Method method_;
  const Field field_;
  const Id id_;
  ImportReport& report_;
};

// Sends batches of events, several in flight.
class EventSink {
 public:
  EventSink(Client& client, ImportReport& report)
      : report_(report), stream_(client, [this](const auto& batch, const auto& acknowledgement) { Count(batch, acknowledgement); }) {}

  absl::Status Send(std::vector<Imported<v1::Event>> batch) {
    v1::FeedbackBatch message;
    std::vector<Origin> origins;
    for (Imported<v1::Event>& event : batch) {
      origins.push_back({event.line, event.rows});
      *message.add_events() = std::move(event.message);
    }
    origins_.push_back(std::move(origins));
    return stream_.Send(std::move(message));
  }
  absl::Status Finish() { return stream_.Finish(); }

 private:
  struct Origin {
    int64_t line = 0;
    int64_t rows = 0;
  };

  void Count(const v1::FeedbackBatch& batch, const v1::FeedbackAcknowledgement& acknowledgement) {
    std::unordered_multimap<std::string, const v1::EventResult*> others;
    for (const v1::EventResult& result : acknowledgement.others()) others.emplace(result.event_id(), &result);
    for (int i = 0; i < batch.events_size(); ++i) {
      const Origin& origin = origins_.front()[static_cast<size_t>(i)];
      const std::string& id = batch.events(i).event_id();
      const auto found = others.find(id);
      const v1::EventResult* result = found == others.end() ? nullptr : found->second;
      const bool failed = result != nullptr && (result->status().code() != 0 || result->fate() == v1::REFUSED);
      const v1::Fate fate = result == nullptr ? v1::APPLIED : failed ? v1::REFUSED : result->fate();
      report_.CountFate(v1::Fate_IsValid(fate) ? fate : v1::FATE_UNSPECIFIED, 1);
      if (failed) {
        report_.Refuse(origin.line, origin.rows, absl::StrCat("event \"", id, "\": ", Describe(result->status())));
      } else if (fate == v1::LATE) {
        report_.Refuse(origin.line, origin.rows, absl::StrCat("event \"", id, "\": too late for its decision"));
      } else {
        report_.Accept(origin.rows);
      }
      if (found != others.end()) others.erase(found);
    }
    origins_.pop_front();
  }

  ImportReport& report_;
  std::deque<std::vector<Origin>> origins_;  // of the batches that are not acknowledged
  FeedbackStream stream_;
};

absl::Status Stopped(const ImportReport& report) {
  return absl::AbortedError(absl::StrCat("stopped at ", report.last_reason(), " (--on-error skip goes on)"));
}

// Everything between the header and the end of the file. What stands in `pending` when it fails was not sent.
template <typename T, typename Rows, typename Sink>
absl::Status SendRows(const ImportOptions& options, CsvReader& reader, size_t columns, Rows& rows, Sink& sink, ImportReport& report) {
  const bool skip = options.on_error == "skip";
  std::vector<Imported<T>> pending;
  size_t measured = 0;
  size_t bytes = 0;
  const auto send = [&]() -> absl::Status {
    RETURN_IF_ERROR(sink.Send(std::exchange(pending, {})));
    measured = bytes = 0;
    return !skip && report.refused() > 0 ? Stopped(report) : absl::OkStatus();
  };
  CsvRow row;
  while (true) {
    ASSIGN_OR_RETURN(const bool has_row, reader.Next(&row));
    if (!has_row) break;
    report.CountRow();
    absl::Status status;
    if (!row.problem.empty()) {
      status = absl::InvalidArgumentError(row.problem);
    } else if (row.cells.size() != columns) {
      status = absl::InvalidArgumentError(absl::StrCat(row.cells.size(), " cells, the header has ", columns));
    } else {
      status = rows.Add(row, &pending);
    }
    if (!status.ok()) {
      report.Refuse(row.line, 1, status.message());
      if (!skip) return Stopped(report);
    }
    for (; measured < pending.size(); ++measured) bytes += pending[measured].message.ByteSizeLong();
    if (pending.size() >= static_cast<size_t>(options.batch) || bytes >= kMaxBatchBytes) RETURN_IF_ERROR(send());
  }
  rows.Finish(&pending);
  return pending.empty() ? absl::OkStatus() : send();
}

template <typename T, typename Rows, typename Sink>
absl::Status Import(const ImportOptions& options, CsvReader& reader, size_t columns, Rows rows, Sink& sink, ImportReport& report) {
  absl::Status status = SendRows<T>(options, reader, columns, rows, sink, report);
  absl::Status finished = IsFromServer(status) ? absl::OkStatus() : sink.Finish();  // what is on its way still counts
  if (status.ok() && finished.ok() && options.on_error != "skip" && report.refused() > 0) status = Stopped(report);
  return status.ok() ? finished : status;
}

absl::Status SendFile(Client& client, const ImportOptions& options, const ColumnMapping& columns, CsvReader& reader, size_t width,
                      ImportReport& report) {
  if (options.kind == "items") {
    UpsertSink<v1::CatalogService::Stub, v1::UpsertItemsRequest, v1::Item> sink(
        client, client.catalog(), &v1::CatalogService::Stub::UpsertItems, &v1::UpsertItemsRequest::mutable_items, &v1::Item::item_id, report);
    return Import<v1::Item>(options, reader, width, EntryRows<v1::Item>(columns), sink, report);
  }
  if (options.kind == "offers") {
    UpsertSink<v1::CatalogService::Stub, v1::UpsertOffersRequest, v1::Offer> sink(
        client, client.catalog(), &v1::CatalogService::Stub::UpsertOffers, &v1::UpsertOffersRequest::mutable_offers, &v1::Offer::offer_id, report);
    return Import<v1::Offer>(options, reader, width, EntryRows<v1::Offer>(columns), sink, report);
  }
  if (options.kind == "customers") {
    UpsertSink<v1::CustomerService::Stub, v1::UpsertCustomersRequest, v1::Customer> sink(
        client, client.customers(), &v1::CustomerService::Stub::UpsertCustomers, &v1::UpsertCustomersRequest::mutable_customers,
        &v1::Customer::customer_id, report);
    return Import<v1::Customer>(options, reader, width, EntryRows<v1::Customer>(columns), sink, report);
  }
  EventSink sink(client, report);
  return Import<v1::Event>(options, reader, width, EventRows(columns, options.history), sink, report);
}

absl::StatusOr<char> Delimiter(const std::string& name) {
  if (name == "comma") return ',';
  if (name == "tab") return '\t';
  if (name == "semicolon") return ';';
  if (name.size() == 1 && name != "\"" && name != "\n" && name != "\r") return name[0];
  return UsageError(absl::StrCat("--delimiter: \"", name, "\" is not comma, tab, semicolon or one character"));
}

std::string RoleHelp() {
  std::string help = "role=column, or role=:constant; separated by commas, may be repeated. Roles:";
  for (const ImportKind& kind : ImportKinds()) {
    absl::StrAppend(&help, "\n", kind.name, ": ", absl::StrJoin(kind.roles, ", "), kind.has_attributes ? ", attribute.NAME" : "");
  }
  return help;
}

}  // namespace

absl::Status RunImport(Session& session, const ImportOptions& options) {
  const ImportKind* kind = FindImportKind(options.kind);
  if (kind == nullptr) return UsageError(absl::StrCat("import: \"", options.kind, "\" is not items, offers, customers or events"));
  if (options.history && options.kind != "events") return UsageError("--history is for events");
  ASSIGN_OR_RETURN(const char delimiter, Delimiter(options.delimiter));
  ASSIGN_OR_RETURN(ColumnMapping columns, ColumnMapping::Parse(*kind, options.columns));
  ASSIGN_OR_RETURN(std::unique_ptr<InputFile> file, InputFile::Open(options.file));
  CsvReader reader(std::move(file), delimiter);
  const auto in_file = [&](const absl::Status& status) {
    return IsFromServer(status) || status.ok() ? status : absl::Status(status.code(), absl::StrCat(options.file, ": ", status.message()));
  };
  CsvRow header;
  absl::StatusOr<bool> has_header = reader.Next(&header);
  if (!has_header.ok()) return in_file(has_header.status());
  if (!*has_header) return absl::InvalidArgumentError(absl::StrCat(options.file, ": empty; expected a header row"));
  if (!header.problem.empty()) return absl::InvalidArgumentError(absl::StrCat(options.file, ": line ", header.line, ": ", header.problem));
  if (absl::Status bound = columns.Bind(header.cells); !bound.ok()) return in_file(bound);

  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  ImportReport report(session, options.kind);
  const absl::Status status = SendFile(*client, options, columns, reader, header.cells.size(), report);
  report.Print();
  return in_file(status);
}

void AddImport(CLI::App& app, Session& session) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* command = AddCommand(app, "import", "Sends a CSV file (plain, gzip or zstd) to the server", session,
                                 [&session, options] { return RunImport(session, *options); });
  command->add_option("kind", options->kind, "items, offers, customers or events")->required()->check(CLI::IsMember({"items", "offers", "customers", "events"}));
  command->add_option("file", options->file, "CSV with a header row")->required();
  command->add_option("--columns", options->columns, RoleHelp())->required()->delimiter(',')->allow_extra_args(false);
  command->add_option("--delimiter", options->delimiter, "comma, tab, semicolon or one character")->capture_default_str();
  command->add_option("--on-error", options->on_error, "stop at the first bad row, or skip and count it")
      ->capture_default_str()
      ->check(CLI::IsMember({"skip", "stop"}));
  command->add_option("--batch", options->batch, "entries or events in one call")->capture_default_str()->check(CLI::Range(1, 100'000));
  command->add_flag("--history", options->history, "events are the past: they fill profiles and population rates and are never late");
}

}  // namespace offerd::cli
