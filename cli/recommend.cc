#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/cells.h"
#include "cli/commands.h"
#include "cli/csv_reader.h"
#include "cli/text.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

struct RecommendOptions {
  std::string placement, customer, market, as_of, consent, names_file;
  std::vector<std::string> items, excluded;
  int count = 0;
};

using Names = std::map<std::string, std::string>;

// A CSV file with a header, ids in the first column and names in the second.
absl::StatusOr<Names> ReadNames(const std::string& path) {
  Names names;
  if (path.empty()) return names;
  ASSIGN_OR_RETURN(std::unique_ptr<InputFile> file, InputFile::Open(path));
  CsvReader reader(std::move(file), ',');
  CsvRow row;
  for (bool is_header = true;; is_header = false) {
    ASSIGN_OR_RETURN(const bool more, reader.Next(&row));
    if (!more) return names;
    if (!is_header && row.problem.empty() && row.cells.size() >= 2) names[row.cells[0]] = row.cells[1];
  }
}

std::string NameOf(const Names& names, const std::string& id) {
  const auto found = names.find(id);
  return found == names.end() ? id : absl::StrCat(found->second, " (", id, ")");
}

std::string WhyInWords(const v1::ItemList::Entry& entry, const Names& names) {
  const std::string because = entry.because_item_id().empty() ? "" : NameOf(names, entry.because_item_id());
  std::string why;
  switch (entry.strategy()) {
    case v1::Strategy::NEIGHBOURS: why = absl::StrCat("goes with ", because); break;
    case v1::Strategy::SESSIONS: why = absl::StrCat("others who looked at ", because, " looked at it next"); break;
    case v1::Strategy::CONTENT: why = absl::StrCat("like ", because); break;
    case v1::Strategy::HISTORY: why = absl::StrCat("for your ", because); break;
    case v1::Strategy::POPULAR: why = "bought by many"; break;
    case v1::Strategy::TRENDING: why = "sells more than it used to"; break;
    case v1::Strategy::RECENTLY_VIEWED: why = "looked at lately"; break;
    case v1::Strategy::BUY_AGAIN: why = "bought before, and due"; break;
    case v1::Strategy::NEW_ARRIVALS: why = "new in the shop"; break;
    default: why = "";
  }
  if (entry.is_up_sell()) absl::StrAppend(&why, "; a dearer one of the same kind");
  if (entry.is_fallback()) absl::StrAppend(&why, "; filled in");
  return why;
}

void Print(const v1::ItemList& list, const Names& names, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {{"place", "item", "score", "why"}};
  for (int i = 0; i < list.entries_size(); ++i) {
    const auto& entry = list.entries(i);
    rows.push_back({absl::StrCat(i + 1), NameOf(names, entry.item_id()), FormatNumber(entry.score()), WhyInWords(entry, names)});
  }
  if (rows.size() > 1) out << FormatTable(rows);
  for (const auto& table : list.tables()) out << "table " << table.name() << " version " << table.version() << "\n";
  for (const int note : list.notes()) out << "note: " << v1::ItemList::Note_Name(note) << "\n";
  if (list.unknown_item_ids_size() > 0) out << "unknown items: " << absl::StrJoin(list.unknown_item_ids(), ", ") << "\n";
  if (list.missing_tables_size() > 0) out << "missing tables: " << absl::StrJoin(list.missing_tables(), ", ") << "\n";
}

template <typename Request>
absl::Status Run(Session& session, const RecommendOptions& options, Request request,
                 grpc::Status (v1::OfferService::Stub::*method)(grpc::ClientContext*, const Request&, v1::ItemList*)) {
  request.set_placement(options.placement);
  request.set_customer_id(options.customer);
  request.set_market(options.market);
  request.set_count(options.count);
  for (const std::string& id : options.excluded) request.add_exclude_item_ids(id);
  const auto consent = ParseConsent(options.consent);
  if (!consent.ok()) return UsageError(absl::StrCat("--consent: ", consent.status().message()));
  request.set_consent(*consent);
  if (!options.as_of.empty()) {
    const auto time = ParseTimeMicros(options.as_of);
    if (!time.ok()) return UsageError(absl::StrCat("--as-of: ", time.status().message()));
    *request.mutable_as_of() = ToTimestamp(*time);
  }
  ASSIGN_OR_RETURN(const Names names, ReadNames(options.names_file));
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, session.Connect());
  v1::ItemList list;
  RETURN_IF_ERROR(client->Call(client->offers(), method, request, &list));
  if (session.json) {
    session.out << Dump(ToJson(list));
  } else {
    Print(list, names, session.out);
  }
  return absl::OkStatus();
}

std::shared_ptr<RecommendOptions> AddShared(CLI::App* command, std::shared_ptr<RecommendOptions> options) {
  command->add_option("--placement", options->placement, "the named surface; one with lists")->required();
  command->add_option("--customer", options->customer, "customer id; without it nobody is known");
  command->add_option("--market", options->market, "country or shop front");
  command->add_option("--count", options->count, "items wanted; 0 = the placement's slate size")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_option("--exclude", options->excluded, "item ids never to show, separated by commas")->delimiter(',')->allow_extra_args(false);
  command->add_option("--consent", options->consent, "granted or denied; without it as stored");
  command->add_option("--as-of", options->as_of, "time of the answer, where the server's clock is `request`");
  command->add_option("--item-names", options->names_file, "CSV file of item ids and names, to print the names");
  return options;
}

}  // namespace

void AddRecommend(CLI::App& app, Session& session) {
  CLI::App* recommend = app.add_subcommand("recommend", "Asks for a list of items and prints it with its reasons");
  recommend->require_subcommand(1);
  using Stub = v1::OfferService::Stub;

  auto cart = std::make_shared<RecommendOptions>();
  CLI::App* cross_sell = AddCommand(*recommend, "cross-sell", "What goes with a cart", session, [&session, cart] {
    v1::CrossSellRequest request;
    for (const std::string& id : cart->items) request.add_cart()->set_item_id(id);
    return Run(session, *cart, std::move(request), &Stub::CrossSell);
  });
  cross_sell->add_option("--cart", cart->items, "item ids, separated by commas")->delimiter(',')->allow_extra_args(false)->required();
  AddShared(cross_sell, cart);

  auto item = std::make_shared<RecommendOptions>();
  CLI::App* similar = AddCommand(*recommend, "similar", "What resembles an item", session, [&session, item] {
    v1::SimilarItemsRequest request;
    request.set_item_id(item->items.front());
    return Run(session, *item, std::move(request), &Stub::SimilarItems);
  });
  similar->add_option("--item", item->items, "item id")->required()->expected(1);
  AddShared(similar, item);

  auto person = std::make_shared<RecommendOptions>();
  CLI::App* items = AddCommand(*recommend, "items", "What a customer may want", session, [&session, person] {
    return Run(session, *person, v1::RecommendItemsRequest(), &Stub::RecommendItems);
  });
  AddShared(items, person);

  auto clicks = std::make_shared<RecommendOptions>();
  CLI::App* next = AddCommand(*recommend, "next", "The next items of a browsing session", session, [&session, clicks] {
    v1::RecommendNextRequest request;
    for (const std::string& id : clicks->items) request.add_session_item_ids(id);
    return Run(session, *clicks, std::move(request), &Stub::RecommendNext);
  });
  next->add_option("--session", clicks->items, "item ids, oldest first, separated by commas")->delimiter(',')->allow_extra_args(false)->required();
  AddShared(next, clicks);
}

}  // namespace offerd::cli
