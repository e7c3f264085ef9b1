#include "cli/import_rows.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/cells.h"
#include "core/hash.h"
#include "core/status_macros.h"

namespace offerd::cli {
namespace {

// The value of a role through a parser, with the role's name in front of an error. Empty cells leave the default.
template <typename Parse, typename Set>
absl::Status Take(const ColumnMapping& columns, const CsvRow& row, const char* role, Parse parse, Set set) {
  const std::string& cell = columns.Get(role, row);
  if (cell.empty()) return absl::OkStatus();
  auto value = parse(cell);
  if (!value.ok()) return absl::InvalidArgumentError(absl::StrCat(role, ": ", value.status().message()));
  set(*value);
  return absl::OkStatus();
}

absl::Status TakeId(const ColumnMapping& columns, const CsvRow& row, std::string* id) {
  *id = columns.Get("id", row);
  if (id->empty()) return absl::InvalidArgumentError("id: empty");
  return absl::OkStatus();
}

template <typename T>
void TakeAttributes(const ColumnMapping& columns, const CsvRow& row, T* message) {
  for (const auto& [name, binding] : columns.attributes()) {
    const std::string& cell = binding.Cell(row);
    if (!cell.empty()) *message->add_attributes() = MakeNamedValue(name, cell);
  }
}

template <typename Field>
void TakeList(const std::string& cell, Field* field) {
  for (std::string& part : SplitList(cell, '|')) *field->Add() = std::move(part);
}

}  // namespace

absl::Status ConvertRow(const ColumnMapping& columns, const CsvRow& row, v1::Item* item) {
  RETURN_IF_ERROR(TakeId(columns, row, item->mutable_item_id()));
  for (std::string& level : SplitList(columns.Get("category_path", row), '>')) *item->add_category_path() = std::move(level);
  const std::string& category = columns.Get("category", row);
  if (!category.empty()) item->add_category_path(category);
  item->set_brand(columns.Get("brand", row));
  item->set_currency(columns.Get("currency", row));
  RETURN_IF_ERROR(Take(columns, row, "price", ParseMoneyMicros, [&](int64_t micros) { item->set_price_micros(micros); }));
  RETURN_IF_ERROR(Take(columns, row, "cost", ParseMoneyMicros, [&](int64_t micros) { item->set_cost_micros(micros); }));
  TakeAttributes(columns, row, item);
  return absl::OkStatus();
}

absl::Status ConvertRow(const ColumnMapping& columns, const CsvRow& row, v1::Offer* offer) {
  RETURN_IF_ERROR(TakeId(columns, row, offer->mutable_offer_id()));
  offer->set_label(columns.Get("label", row));
  offer->set_campaign(columns.Get("campaign", row));
  offer->set_category(columns.Get("category", row));
  offer->set_currency(columns.Get("currency", row));
  TakeList(columns.Get("items", row), offer->mutable_item_ids());
  TakeList(columns.Get("markets", row), offer->mutable_markets());
  TakeList(columns.Get("audiences", row), offer->mutable_audiences());
  RETURN_IF_ERROR(Take(columns, row, "starts_at", ParseTimeMicros, [&](TimeMicros time) { *offer->mutable_starts_at() = ToTimestamp(time); }));
  RETURN_IF_ERROR(Take(columns, row, "ends_at", ParseTimeMicros, [&](TimeMicros time) { *offer->mutable_ends_at() = ToTimestamp(time); }));
  RETURN_IF_ERROR(Take(columns, row, "cost", ParseMoneyMicros, [&](int64_t micros) { offer->set_cost_micros(micros); }));
  RETURN_IF_ERROR(Take(columns, row, "budget", ParseMoneyMicros, [&](int64_t micros) { offer->set_budget_micros(micros); }));
  RETURN_IF_ERROR(Take(columns, row, "stock", ParseWholeNumber, [&](int64_t stock) { offer->set_stock(stock); }));
  RETURN_IF_ERROR(Take(columns, row, "requires_consent", ParseYesNo, [&](bool yes) { offer->set_requires_consent(yes); }));
  RETURN_IF_ERROR(Take(columns, row, "only_sent", ParseYesNo, [&](bool yes) { offer->set_only_sent(yes); }));
  TakeAttributes(columns, row, offer);
  return absl::OkStatus();
}

absl::Status ConvertRow(const ColumnMapping& columns, const CsvRow& row, v1::Customer* customer) {
  RETURN_IF_ERROR(TakeId(columns, row, customer->mutable_customer_id()));
  RETURN_IF_ERROR(Take(columns, row, "consent", ParseConsent, [&](v1::Consent consent) { customer->set_consent(consent); }));
  TakeList(columns.Get("audiences", row), customer->mutable_audiences());
  TakeList(columns.Get("campaigns", row), customer->mutable_campaigns());
  TakeAttributes(columns, row, customer);
  return absl::OkStatus();
}

absl::Status EventRows::Read(const CsvRow& row, v1::Event* event) const {
  const auto kind = ParseEventKind(columns_.Get("kind", row));
  if (!kind.ok()) return absl::InvalidArgumentError(absl::StrCat("kind: ", kind.status().message()));
  event->set_kind(*kind);
  event->set_customer_id(columns_.Get("customer", row));
  event->set_order_id(columns_.Get("order", row));
  event->set_market(columns_.Get("market", row));
  event->set_currency(columns_.Get("currency", row));
  event->set_decision_id(columns_.Get("decision", row));
  event->set_offer_id(columns_.Get("offer", row));
  event->set_reverses_event_id(columns_.Get("reverses", row));
  event->set_history(history_);
  RETURN_IF_ERROR(Take(columns_, row, "time", ParseTimeMicros, [&](TimeMicros time) { *event->mutable_time() = ToTimestamp(time); }));
  if (columns_.Has("time") && !event->has_time()) return absl::InvalidArgumentError("time: empty");
  const std::string& item = columns_.Get("item", row);
  if (columns_.Has("item") && item.empty() && !(columns_.Get("quantity", row).empty() && columns_.Get("revenue", row).empty())) {
    return absl::InvalidArgumentError("item: empty although the row has a quantity or revenue");
  }
  if (!item.empty()) {
    v1::EventLine* line = event->add_lines();
    line->set_item_id(item);
    line->set_quantity(1);
    RETURN_IF_ERROR(Take(columns_, row, "quantity", ParseWholeNumber, [&](int64_t quantity) { line->set_quantity(quantity); }));
    RETURN_IF_ERROR(Take(columns_, row, "revenue", ParseMoneyMicros, [&](int64_t micros) { line->set_revenue_micros(micros); }));
    if (line->quantity() < 0 || line->quantity() > 1'000'000) return absl::InvalidArgumentError("quantity: not in 0 to 1000000");
  }
  SetId(row, event);
  return absl::OkStatus();
}

void EventRows::SetId(const CsvRow& row, v1::Event* event) const {
  event->set_event_id(columns_.Get("id", row));
  if (!event->event_id().empty()) return;
  if (!event->order_id().empty()) {
    const std::string kind = event->kind() == v1::PURCHASE ? "" : absl::AsciiStrToLower(v1::EventKind_Name(event->kind())) + "-";
    event->set_event_id(absl::StrCat("import-", kind, event->order_id()));
    return;
  }
  uint64_t hash = static_cast<uint64_t>(row.line);
  for (const std::string& cell : row.cells) hash = StableHash(cell, hash);
  event->set_event_id(absl::StrFormat("import-%d-%016x", row.line, hash));
}

absl::Status EventRows::Add(const CsvRow& row, std::vector<Imported<v1::Event>>* done) {
  v1::Event event;
  RETURN_IF_ERROR(Read(row, &event));
  v1::Event& open = open_.message;
  const bool continues = open_.rows > 0 && !event.order_id().empty() && event.order_id() == open.order_id() &&
                         event.kind() == open.kind() && event.event_id() == open_id_;
  if (continues) {
    const auto differs = [&](const char* role, const std::string& a, const std::string& b) {
      return a == b ? absl::OkStatus()
                    : absl::InvalidArgumentError(absl::StrCat(role, ": differs from the first row of order \"", open.order_id(), "\" on line ", open_.line));
    };
    RETURN_IF_ERROR(differs("customer", event.customer_id(), open.customer_id()));
    RETURN_IF_ERROR(differs("market", event.market(), open.market()));
    RETURN_IF_ERROR(differs("currency", event.currency(), open.currency()));
    RETURN_IF_ERROR(differs("decision", event.decision_id(), open.decision_id()));
    RETURN_IF_ERROR(differs("offer", event.offer_id(), open.offer_id()));
    if (open.lines_size() < kMaxLines) {
      for (auto& line : *event.mutable_lines()) *open.add_lines() = std::move(line);
      ++open_.rows;
      return absl::OkStatus();
    }
    event.set_event_id(absl::StrCat(open_id_, "-part", ++open_part_));
    if (open.has_time()) *event.mutable_time() = open.time();
    done->push_back(std::exchange(open_, {std::move(event), row.line, 1}));
    return absl::OkStatus();
  }
  const bool is_open = open_.rows > 0 && event.event_id() == open_id_;  // of no order, so they are no lines of one
  if (is_open || ended_.count(StableHash(event.event_id())) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("event \"", event.event_id(), "\" ended on an earlier line; rows of one order must stand together: sort the file by order"));
  }
  Finish(done);
  open_id_ = event.event_id();
  open_part_ = 1;
  open_ = {std::move(event), row.line, 1};
  return absl::OkStatus();
}

void EventRows::Finish(std::vector<Imported<v1::Event>>* done) {
  if (open_.rows == 0) return;
  ended_.insert(StableHash(open_id_));
  done->push_back(std::exchange(open_, {{}, 0, 0}));
}

}  // namespace offerd::cli
