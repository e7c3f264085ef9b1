#include "cli/play_visit.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/cells.h"
#include "cli/csv_reader.h"
#include "cli/text.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

absl::Status Missing(const char* field, const char* expected) {
  return absl::InvalidArgumentError(absl::StrCat("\"", field, "\" is not ", expected));
}

absl::StatusOr<std::string> TakeText(const Json& json, const char* field) {
  const auto found = json.find(field);
  if (found == json.end() || !found->is_string()) return Missing(field, "a text");
  return found->get<std::string>();
}

absl::StatusOr<double> TakeNumber(const Json& json, const char* field) {
  const auto found = json.find(field);
  if (found == json.end() || !found->is_number()) return Missing(field, "a number");
  return found->get<double>();
}

template <typename Field>
absl::Status TakeFacts(const Json& json, const char* name, Field* facts) {
  const auto found = json.find(name);
  if (found == json.end()) return absl::OkStatus();
  if (!found->is_object()) return Missing(name, "an object");
  for (const auto& [key, value] : found->items()) {
    v1::NamedValue* fact = facts->Add();
    fact->set_name(key);
    if (value.is_number()) {
      fact->set_number(value.template get<double>());
    } else if (value.is_string()) {
      fact->set_text(value.template get<std::string>());
    } else {
      return Missing(key.c_str(), "a number or a text");
    }
  }
  return absl::OkStatus();
}

absl::Status TakeLines(const Json& json, v1::Event* purchase) {
  const auto found = json.find("lines");
  if (found == json.end() || !found->is_array()) return Missing("lines", "a list");
  for (const Json& entry : *found) {
    v1::EventLine* line = purchase->add_lines();
    ASSIGN_OR_RETURN(*line->mutable_item_id(), TakeText(entry, "item"));
    ASSIGN_OR_RETURN(const double quantity, TakeNumber(entry, "quantity"));
    ASSIGN_OR_RETURN(const double revenue, TakeNumber(entry, "revenue"));
    if (quantity != std::floor(quantity) || std::abs(quantity) > 1e6) return Missing("quantity", "a whole number up to 1000000");
    if (std::abs(revenue) > 1e9) return Missing("revenue", "an amount up to 1e9");
    line->set_quantity(static_cast<int64_t>(quantity));
    line->set_revenue_micros(std::llround(revenue * 1e6));
  }
  return absl::OkStatus();
}

absl::Status TakeCandidates(const Json& json, v1::RankOffersRequest* request) {
  const auto found = json.find("candidates");
  if (found == json.end() || !found->is_array()) return Missing("candidates", "a list");
  for (const Json& entry : *found) {
    v1::Candidate* candidate = request->add_candidates();
    ASSIGN_OR_RETURN(*candidate->mutable_offer_id(), TakeText(entry, "id"));
    RETURN_IF_ERROR(TakeFacts(entry, "features", candidate->mutable_features()));
  }
  return absl::OkStatus();
}

// The place of a column in a header.
absl::StatusOr<size_t> Find(const std::string& path, const CsvRow& header, const std::string& column) {
  const auto found = std::find(header.cells.begin(), header.cells.end(), column);
  if (found == header.cells.end()) return absl::InvalidArgumentError(absl::StrCat(path, ": no column \"", column, "\""));
  return static_cast<size_t>(found - header.cells.begin());
}

absl::StatusOr<std::vector<CsvRow>> ReadCsv(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<InputFile> file, InputFile::Open(path));
  CsvReader reader(std::move(file), ',');
  std::vector<CsvRow> rows;
  CsvRow row;
  while (true) {
    const absl::StatusOr<bool> has_row = reader.Next(&row);
    if (!has_row.ok()) return absl::Status(has_row.status().code(), absl::StrCat(path, ": ", has_row.status().message()));
    if (!*has_row) break;
    if (!row.problem.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": line ", row.line, ": ", row.problem));
    if (!rows.empty() && row.cells.size() != rows.front().cells.size()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": line ", row.line, ": ", row.cells.size(), " cells, the header has ", rows.front().cells.size()));
    }
    rows.push_back(std::move(row));
  }
  if (rows.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": empty; expected a header row"));
  return rows;
}

}  // namespace

absl::StatusOr<Visit> ParseVisit(const std::string& line) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return absl::InvalidArgumentError("not a JSON object");
  Visit visit;
  ASSIGN_OR_RETURN(const std::string customer, TakeText(json, "customer"));
  ASSIGN_OR_RETURN(const std::string order, TakeText(json, "order_id"));
  ASSIGN_OR_RETURN(const double seconds, TakeNumber(json, "time"));
  if (!(seconds >= 0 && seconds < 7'289'654'400.0)) return Missing("time", "seconds in the years 1970 to 2200");
  const google::protobuf::Timestamp time = ToTimestamp(std::llround(seconds * 1e6));
  visit.request.set_request_id(absl::StrCat("play-", order));
  visit.request.set_customer_id(customer);
  *visit.request.mutable_as_of() = time;
  RETURN_IF_ERROR(TakeFacts(json, "context", visit.request.mutable_context()));
  RETURN_IF_ERROR(TakeCandidates(json, &visit.request));
  visit.purchase.set_event_id(absl::StrCat("purchase-", order));
  visit.purchase.set_kind(v1::PURCHASE);
  visit.purchase.set_customer_id(customer);
  visit.purchase.set_order_id(order);
  *visit.purchase.mutable_time() = time;
  RETURN_IF_ERROR(TakeLines(json, &visit.purchase));
  return visit;
}

absl::Status OfferBook::ReadItems(const std::string& path, const std::string& id_column, const std::string& items_column) {
  ASSIGN_OR_RETURN(const std::vector<CsvRow> rows, ReadCsv(path));
  ASSIGN_OR_RETURN(const size_t id, Find(path, rows[0], id_column));
  ASSIGN_OR_RETURN(const size_t items, Find(path, rows[0], items_column));
  for (size_t i = 1; i < rows.size(); ++i) {
    for (std::string& item : SplitList(rows[i].cells[items], '|')) items_[rows[i].cells[id]].insert(std::move(item));
  }
  return absl::OkStatus();
}

absl::Status OfferBook::ReadNames(const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<CsvRow> rows, ReadCsv(path));
  if (rows[0].cells.size() < 2) return absl::InvalidArgumentError(absl::StrCat(path, ": expected two columns, offer id and name"));
  for (size_t i = 1; i < rows.size(); ++i) names_[rows[i].cells[0]] = rows[i].cells[1];
  return absl::OkStatus();
}

absl::Status OfferBook::FetchFrom(Client& client, bool items, bool names) {
  v1::ListOffersRequest request;
  v1::ListOffersResponse response;
  request.set_page_size(100);
  do {
    RETURN_IF_ERROR(client.CallPatiently(client.catalog(), &v1::CatalogService::Stub::ListOffers, request, &response));
    for (const v1::Offer& offer : response.offers()) {
      if (items) items_[offer.offer_id()].insert(offer.item_ids().begin(), offer.item_ids().end());
      if (names && !offer.label().empty()) names_[offer.offer_id()] = offer.label();
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return absl::OkStatus();
}

std::optional<int64_t> OfferBook::CoveredMicros(const std::string& offer, const v1::Event& purchase) const {
  std::optional<int64_t> covered;
  const auto found = items_.find(offer);
  if (found == items_.end()) return covered;
  for (const v1::EventLine& line : purchase.lines()) {
    if (found->second.count(line.item_id()) != 0) covered = covered.value_or(0) + line.revenue_micros();
  }
  return covered;
}

std::string OfferBook::Label(const std::string& offer) const {
  const auto found = names_.find(offer);
  return found == names_.end() ? offer : found->second;
}

}  // namespace offerd::cli
