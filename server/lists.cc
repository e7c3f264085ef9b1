// CrossSell, SimilarItems, RecommendItems and RecommendNext: docs/paths/cross_sell.md.
#include <string>

#include "core/lists/list_answer.h"
#include "core/status_macros.h"
#include "server/engine.h"
#include "store/records.h"

namespace offerd {
namespace {

// What one thread reuses from request to request.
struct Scratch {
  ListRequest request;
  ListScratch lists;
  ListAnswer answer;
};

Scratch& ThreadScratch() {
  thread_local Scratch scratch;
  return scratch;
}

ListRequest& Begin(ListCall call) {
  ListRequest& request = ThreadScratch().request;
  request.call = call;
  request.items.clear();
  return request;
}

void Fill(const ListAnswer& answer, TimeMicros now, v1::ItemList& response) {
  for (const ListEntry& entry : answer.entries) {
    v1::ItemList::Entry& added = *response.add_entries();
    added.set_item_id(entry.item_id);
    added.set_score(entry.score);
    added.set_strategy(static_cast<v1::Strategy::Kind>(entry.strategy));
    added.set_because_item_id(entry.because_item_id);
    added.set_is_fallback(entry.is_fallback);
    added.set_is_up_sell(entry.is_up_sell);
  }
  for (const ListNote note : answer.notes) response.add_notes(static_cast<v1::ItemList::Note>(note));
  for (const std::string& item : answer.unknown_items) response.add_unknown_item_ids(item);
  for (const std::string& table : answer.missing_tables) response.add_missing_tables(table);
  for (const TablePublished& table : answer.tables) {
    v1::ItemList::TableUse& use = *response.add_tables();
    use.set_name(table.name);
    use.set_version(table.version);
  }
  *response.mutable_time() = ToTimestamp(now);
}

}  // namespace

template <typename Request>
absl::Status Engine::Answer(ListRequest& list, const Request& request, v1::ItemList* response) {
  const State& state = *snapshot_.Get();
  TimeMicros now = is_wall_clock() ? now_micros_() : state.now;
  if (!is_wall_clock() && request.has_as_of()) {
    ASSIGN_OR_RETURN(now, ToMicros(request.as_of()));
  }
  list.placement = request.placement();
  list.market = request.market();
  list.customer_id = request.customer_id();
  list.count = request.count();
  list.consent = static_cast<Consent>(request.consent());
  list.excluded.assign(request.exclude_item_ids().begin(), request.exclude_item_ids().end());
  Scratch& scratch = ThreadScratch();
  RETURN_IF_ERROR(AnswerList(state, list, now, scratch.lists, scratch.answer));
  if (is_wall_clock() && request.has_as_of()) scratch.answer.notes.push_back(ListNote::kAsOfIgnored);
  for (const ListNote note : scratch.answer.notes) metrics_->RecordListNote(static_cast<int>(note));
  Fill(scratch.answer, now, *response);
  return absl::OkStatus();
}

absl::Status Engine::CrossSell(const v1::CrossSellRequest& request, v1::ItemList* response) {
  RETURN_IF_ERROR(Validate(request, limits_));
  ListRequest& list = Begin(ListCall::kCrossSell);
  for (const v1::CartLine& line : request.cart()) list.items.push_back(line.item_id());
  return Answer(list, request, response);
}

absl::Status Engine::SimilarItems(const v1::SimilarItemsRequest& request, v1::ItemList* response) {
  RETURN_IF_ERROR(Validate(request, limits_));
  ListRequest& list = Begin(ListCall::kSimilarItems);
  list.items.push_back(request.item_id());
  return Answer(list, request, response);
}

absl::Status Engine::RecommendItems(const v1::RecommendItemsRequest& request, v1::ItemList* response) {
  RETURN_IF_ERROR(Validate(request, limits_));
  return Answer(Begin(ListCall::kRecommendItems), request, response);
}

absl::Status Engine::RecommendNext(const v1::RecommendNextRequest& request, v1::ItemList* response) {
  RETURN_IF_ERROR(Validate(request, limits_));
  ListRequest& list = Begin(ListCall::kRecommendNext);
  list.items.assign(request.session_item_ids().begin(), request.session_item_ids().end());
  return Answer(list, request, response);
}

}  // namespace offerd
