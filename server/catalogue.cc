// CatalogService and CustomerService.
#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "server/bad_request.h"
#include "server/engine.h"
#include "store/records.h"

namespace offerd {
namespace {

// A page ends before it has more than this, for the message must stay below the 4 MiB of gRPC; one element fits always.
constexpr size_t kPageBytes = 3 << 20;

// False: it belongs on the next page.
template <typename Element>
bool AddToPage(Element element, google::protobuf::RepeatedPtrField<Element>* page, size_t& bytes) {
  bytes += element.ByteSizeLong();
  if (bytes > kPageBytes && !page->empty()) return false;
  *page->Add() = std::move(element);
  return true;
}

// Sorts the elements of a batch into those to log and those to refuse.
template <typename Elements, typename Target, typename GetId>
void Sift(const Elements& elements, const Limits& limits, GetId&& id, Target* target, v1::UpsertResponse& response) {
  for (const auto& element : elements) {
    const absl::Status status = Validate(element, limits);
    if (status.ok()) {
      *target->Add() = element;
      continue;
    }
    v1::UpsertResponse::Result& refused = *response.add_refused();
    refused.set_id(id(element));
    *refused.mutable_status() = ToRpcStatus(status);
  }
  response.set_accepted(target->size());
}

void FillAffinities(const Profile& profile, const Catalogue& catalogue, v1::CustomerProfile& response) {
  for (const Affinity& affinity : profile.affinities()) {
    const auto kind = static_cast<Affinity::Kind>(affinity.key >> 32);
    const uint32_t index = static_cast<uint32_t>(affinity.key);
    v1::CustomerProfile::Affinity& added = kind == Affinity::Kind::kCategory ? *response.add_categories()
                                           : kind == Affinity::Kind::kBrand  ? *response.add_brands()
                                                                             : *response.add_offers();
    added.set_name(kind == Affinity::Kind::kOffer ? catalogue.OfferAt(OfferIndex{index}).id.value()
                                                  : std::string(catalogue.NameOf(NameIndex{index})));
    added.set_visits(affinity.visits);
    added.set_decayed_visits(affinity.decayed);
    *added.mutable_first() = ToTimestamp(affinity.first);
    *added.mutable_last() = ToTimestamp(affinity.last);
  }
}

v1::Offer OfferWithUse(const Catalogue& catalogue, OfferIndex index) {
  v1::Offer offer = ToProto(*catalogue.OfferAt(index).offer);
  offer.set_redemptions(catalogue.UseOf(index).redemptions);
  offer.set_spent_micros(catalogue.UseOf(index).spent_micros);
  offer.set_offer_key(catalogue.OfferKeyOf(index));
  return offer;
}

}  // namespace

void Engine::UpsertItems(const v1::UpsertItemsRequest& request, v1::UpsertResponse* response, Done done) {
  const absl::Status valid = ValidateBatch("items", request.items_size(), limits_);
  if (!valid.ok()) return done(valid);
  v1::stored::LogRecord record;
  auto* items = record.mutable_items_upserted()->mutable_items();
  Sift(request.items(), limits_, [](const v1::Item& item) { return item.item_id(); }, items, *response);
  if (items->empty()) return done(absl::OkStatus());
  LogChange(std::move(record), std::move(done));
}

void Engine::UpsertOffers(const v1::UpsertOffersRequest& request, v1::UpsertResponse* response, Done done) {
  const absl::Status valid = ValidateBatch("offers", request.offers_size(), limits_);
  if (!valid.ok()) return done(valid);
  v1::stored::LogRecord record;
  auto* offers = record.mutable_offers_upserted()->mutable_offers();
  Sift(request.offers(), limits_, [](const v1::Offer& offer) { return offer.offer_id(); }, offers, *response);
  if (offers->empty()) return done(absl::OkStatus());
  LogChange(std::move(record), std::move(done));
}

absl::Status Engine::GetItem(const v1::GetItemRequest& request, v1::Item* response) {
  RETURN_IF_ERROR(ValidateId("item_id", request.item_id(), limits_));
  const State& state = *snapshot_.Get();
  const ItemIndex* index = state.catalogue.FindItem(request.item_id());
  if (index == nullptr || state.catalogue.ItemAt(*index).item == nullptr) return absl::NotFoundError("item_id: no such item");
  *response = ToProto(*state.catalogue.ItemAt(*index).item);
  return absl::OkStatus();
}

absl::Status Engine::GetOffer(const v1::GetOfferRequest& request, v1::Offer* response) {
  RETURN_IF_ERROR(ValidateId("offer_id", request.offer_id(), limits_));
  const State& state = *snapshot_.Get();
  const OfferIndex index = state.catalogue.FindOffer(request.offer_id());
  if (index == kNoOffer) return absl::NotFoundError("offer_id: no such offer");
  *response = OfferWithUse(state.catalogue, index);
  return absl::OkStatus();
}

// Pages go by the numbers that items got, so that an item added meanwhile shows up at the end.
absl::Status Engine::ListItems(const v1::ListItemsRequest& request, v1::ListItemsResponse* response) {
  ASSIGN_OR_RETURN(const int page_size, ValidatePage(request.page_size(), request.page_token()));
  uint64_t at = 0;
  if (!request.page_token().empty() && !absl::SimpleAtoi(request.page_token(), &at)) {
    return BadRequest("page_token", "expected the next_page_token of an answer before");
  }
  const Catalogue& catalogue = snapshot_.Get()->catalogue;
  size_t bytes = 0;
  for (; at < catalogue.num_item_numbers() && response->items_size() < page_size; ++at) {
    const CatalogueItem& item = catalogue.ItemAt(ItemIndex{static_cast<uint32_t>(at)});
    if (item.item != nullptr && !AddToPage(ToProto(*item.item), response->mutable_items(), bytes)) break;
  }
  if (at < catalogue.num_item_numbers()) response->set_next_page_token(absl::StrCat(at));
  response->set_total(catalogue.num_items());
  return absl::OkStatus();
}

// Pages go by id: the token is the last id of the page before.
absl::Status Engine::ListOffers(const v1::ListOffersRequest& request, v1::ListOffersResponse* response) {
  ASSIGN_OR_RETURN(const int page_size, ValidatePage(request.page_size(), request.page_token()));
  const Catalogue& catalogue = snapshot_.Get()->catalogue;
  const std::vector<OfferIndex>& by_id = catalogue.offer_table().by_id;
  auto it = std::upper_bound(by_id.begin(), by_id.end(), request.page_token(), [&](const std::string& token, OfferIndex index) {
    return token < catalogue.OfferAt(index).id.value();
  });
  size_t bytes = 0;
  for (; it != by_id.end() && response->offers_size() < page_size; ++it) {
    const auto& markets = catalogue.OfferAt(*it).offer->markets;
    const bool is_in_market = request.market().empty() || markets.empty() ||
                              std::find(markets.begin(), markets.end(), request.market()) != markets.end();
    if (is_in_market && !AddToPage(OfferWithUse(catalogue, *it), response->mutable_offers(), bytes)) break;
  }
  if (it != by_id.end() && response->offers_size() > 0) {
    response->set_next_page_token(response->offers(response->offers_size() - 1).offer_id());
  }
  response->set_total(static_cast<int64_t>(by_id.size()));
  return absl::OkStatus();
}

void Engine::DeleteItem(const v1::DeleteItemRequest& request, v1::DeleteResponse*, Done done) {
  const absl::Status valid = ValidateId("item_id", request.item_id(), limits_);
  if (!valid.ok()) return done(valid);
  PlanChange(
      [id = request.item_id()](Writer::Plan& plan) {
        const Catalogue& catalogue = plan.fold().state().catalogue;
        const ItemIndex* index = catalogue.FindItem(id);
        if (index == nullptr || catalogue.ItemAt(*index).item == nullptr) return absl::NotFoundError("item_id: no such item");
        v1::stored::LogRecord record;
        record.set_item_deleted(id);
        return plan.Log(std::move(record), plan.log_now(), true).status();
      },
      nullptr, std::move(done));
}

void Engine::DeleteOffer(const v1::DeleteOfferRequest& request, v1::DeleteResponse*, Done done) {
  const absl::Status valid = ValidateId("offer_id", request.offer_id(), limits_);
  if (!valid.ok()) return done(valid);
  PlanChange(
      [id = request.offer_id()](Writer::Plan& plan) {
        if (plan.fold().state().catalogue.FindOffer(id) == kNoOffer) return absl::NotFoundError("offer_id: no such offer");
        v1::stored::LogRecord record;
        record.set_offer_deleted(id);
        return plan.Log(std::move(record), plan.log_now(), true).status();
      },
      nullptr, std::move(done));
}

void Engine::UpsertCustomers(const v1::UpsertCustomersRequest& request, v1::UpsertResponse* response, Done done) {
  const absl::Status valid = ValidateBatch("customers", request.customers_size(), limits_);
  if (!valid.ok()) return done(valid);
  v1::stored::LogRecord record;
  auto* customers = record.mutable_customers_upserted()->mutable_customers();
  Sift(request.customers(), limits_, [](const v1::Customer& customer) { return customer.customer_id(); }, customers, *response);
  if (customers->empty()) return done(absl::OkStatus());
  LogChange(std::move(record), std::move(done));
}

absl::Status Engine::GetCustomer(const v1::GetCustomerRequest& request, v1::CustomerProfile* response) {
  RETURN_IF_ERROR(ValidateId("customer_id", request.customer_id(), limits_));
  const State& state = *snapshot_.Get();
  const Profile* profile = state.customers.Find(request.customer_id());
  if (profile == nullptr) return absl::NotFoundError("customer_id: nothing is known of this customer");
  *response->mutable_customer() = ToProto(profile->customer);
  response->set_visits(profile->num_visits());
  if (profile->num_visits() > 0) {
    *response->mutable_first_visit() = ToTimestamp(profile->first_visit());
    *response->mutable_last_visit() = ToTimestamp(profile->last_visit());
  }
  response->set_history_visits(static_cast<int64_t>(profile->visits().size()));
  response->set_history_bytes(profile->history_bytes());
  FillAffinities(*profile, state.catalogue, *response);
  return absl::OkStatus();
}

void Engine::Merge(const v1::MergeRequest& request, v1::MergeResponse* response, Done done) {
  absl::Status valid = ValidateId("customer_id", request.customer_id(), limits_);
  if (valid.ok()) valid = ValidateId("into_customer_id", request.into_customer_id(), limits_);
  if (valid.ok() && request.customer_id() == request.into_customer_id()) {
    valid = BadRequest("into_customer_id", "expected another customer, found the same");
  }
  if (!valid.ok()) return done(valid);
  PlanChange(
      [from = request.customer_id(), to = request.into_customer_id(), response](Writer::Plan& plan) -> absl::Status {
        const auto& customers = plan.fold().state().customers;
        if (customers.Find(from) == nullptr) return absl::NotFoundError("customer_id: nothing is known of this customer, or it was merged before");
        if (customers.Find(to) == nullptr) return absl::NotFoundError("into_customer_id: nothing is known of this customer");
        v1::stored::LogRecord record;
        record.mutable_customers_merged()->set_from_customer_id(from);
        record.mutable_customers_merged()->set_to_customer_id(to);
        ASSIGN_OR_RETURN(const Sequence sequence, plan.Log(std::move(record), plan.log_now(), true));
        response->set_sequence(sequence);
        return absl::OkStatus();
      },
      nullptr, std::move(done));
}

void Engine::EraseCustomer(const v1::EraseCustomerRequest& request, v1::EraseCustomerResponse* response, Done done) {
  const absl::Status valid = ValidateId("customer_id", request.customer_id(), limits_);
  if (!valid.ok()) return done(valid);
  const std::string id = request.customer_id();
  PlanChange(
      [id, response](Writer::Plan& plan) -> absl::Status {
        // Also where there is no profile: the log may name somebody who was only ever shown offers.
        v1::stored::LogRecord record;
        record.set_customer_erased(id);
        ASSIGN_OR_RETURN(const Sequence sequence, plan.Log(std::move(record), plan.log_now(), true));
        response->set_sequence(sequence);
        return absl::OkStatus();
      },
      [this, id, response](const Fold&) { maintenance_->Erase(id, response->sequence()); }, std::move(done));
}

}  // namespace offerd
