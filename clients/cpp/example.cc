// One visit to the small shop that clients/shop makes: rank offers, say what the customer did with them, show what goes with the cart.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "offerd_client/client.h"

namespace {

namespace v1 = offerd::v1;

struct Item {
  const char* id;
  int64_t price_micros;
};

// What the shop knows of its offers: the item behind each, and its price.
const std::map<std::string, Item> kItems = {{"offer-tea", {"tea", 3'500'000}},
                                            {"offer-coffee", {"coffee", 6'200'000}},
                                            {"offer-honey", {"honey", 4'800'000}},
                                            {"offer-bread", {"bread", 2'900'000}},
                                            {"offer-soap", {"soap", 1'700'000}}};

// A shop has order numbers and click ids of its own; whatever it takes, a repeat of the same event must carry the same id.
std::string NewId(const char* kind) {
  static std::random_device random;
  return std::string(kind) + "-" + std::to_string((uint64_t{random()} << 32) | random());
}

void StopOnError(const offerd::client::Outcome& outcome) {
  if (outcome.ok()) return;
  std::fprintf(stderr, "example: %s\n", outcome.ToString().c_str());
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  offerd::client::Options options;
  std::string customer = "anna";
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) == "--server") options.server = argv[i + 1];
    if (std::string(argv[i]) == "--customer") customer = argv[i + 1];
  }
  std::unique_ptr<offerd::client::Client> client;
  StopOnError(offerd::client::Client::Connect(options, &client));

  // 1. Which offers should this customer see?
  v1::RankOffersRequest request;
  request.set_placement("home");
  request.set_customer_id(customer);
  v1::RankOffersResponse answer;
  StopOnError(client->RankOffers(request, &answer));
  std::printf("decision %s by policy %s\n", answer.decision_id().c_str(), answer.policy().c_str());
  for (int i = 0; i < answer.slots_size(); ++i) {
    const auto& slot = answer.slots(i);
    std::printf("  %d. %s  probability %.4f  score %.4f  %s\n", i + 1, slot.offer_id().c_str(), slot.probability(), slot.score(),
                v1::RankOffersResponse::Reason_Name(slot.reason()).c_str());
  }

  // 2. The customer looks at the first offer, puts it into the cart and buys it. Each event names the decision, so that it learns.
  if (answer.slots().empty()) return 1;
  const std::string& offer = answer.slots(0).offer_id();
  const Item& item = kItems.at(offer);
  const auto stream = client->OpenFeedbackStream();
  for (const v1::EventKind kind : {v1::VIEW, v1::ADD_TO_CART, v1::PURCHASE}) {
    v1::Event event;
    event.set_event_id(NewId("event"));
    event.set_kind(kind);
    event.set_customer_id(customer);
    event.set_decision_id(answer.decision_id());
    event.set_offer_id(offer);
    v1::EventLine& line = *event.add_lines();
    line.set_item_id(item.id);
    line.set_quantity(1);
    line.set_revenue_micros(item.price_micros);
    if (kind == v1::PURCHASE) event.set_order_id(NewId("order"));
    StopOnError(stream->Send({event}));
  }
  StopOnError(stream->Close(std::chrono::seconds(10)));  // waits for the acknowledgements: now the events are on the server's disk
  const auto counts = stream->counts();
  std::printf("feedback: 3 events sent, %lld acknowledged, %lld applied\n", static_cast<long long>(counts.acknowledged),
              static_cast<long long>(counts.applied));

  // 3. What goes with the cart?
  v1::CrossSellRequest cart;
  cart.set_placement("cart");
  cart.set_customer_id(customer);
  cart.add_cart()->set_item_id(item.id);
  v1::ItemList list;
  StopOnError(client->CrossSell(cart, &list));
  std::string names;
  for (const auto& entry : list.entries()) names += (names.empty() ? "" : ", ") + entry.item_id();
  std::printf("goes with %s: %s\n", item.id, names.c_str());
  return 0;
}
