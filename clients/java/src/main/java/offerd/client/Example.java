package offerd.client;

import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Collectors;
import offerd.v1.FeedbackServiceOuterClass.Event;
import offerd.v1.FeedbackServiceOuterClass.EventLine;
import offerd.v1.Lists.CartLine;
import offerd.v1.Lists.CrossSellRequest;
import offerd.v1.Lists.ItemList;
import offerd.v1.OfferServiceOuterClass.RankOffersRequest;
import offerd.v1.OfferServiceOuterClass.RankOffersResponse;
import offerd.v1.Types.EventKind;

/**
 * One visit to the small shop that clients/shop makes: rank offers, say what the customer did with them, show what goes with the cart.
 */
public final class Example {
  private record Item(String id, long priceMicros) {}

  /** What the shop knows of its offers: the item behind each, and its price. */
  private static final Map<String, Item> ITEMS = Map.of(
      "offer-tea", new Item("tea", 3_500_000),
      "offer-coffee", new Item("coffee", 6_200_000),
      "offer-honey", new Item("honey", 4_800_000),
      "offer-bread", new Item("bread", 2_900_000),
      "offer-soap", new Item("soap", 1_700_000));

  public static void main(String[] arguments) {
    Options options = new Options();
    String customer = "anna";
    for (int i = 0; i + 1 < arguments.length; i += 2) {
      if (arguments[i].equals("--server")) options.server(arguments[i + 1]);
      if (arguments[i].equals("--customer")) customer = arguments[i + 1];
    }
    try (Client client = new Client(options)) {
      visit(client, customer);
    } catch (OfferdException e) {
      System.err.println("example: " + e.getMessage());
      System.exit(1);
    }
  }

  private static void visit(Client client, String customer) {
    // 1. Which offers should this customer see?
    RankOffersResponse answer =
        client.rankOffers(RankOffersRequest.newBuilder().setPlacement("home").setCustomerId(customer).build());
    System.out.printf("decision %s by policy %s%n", answer.getDecisionId(), answer.getPolicy());
    int place = 0;
    for (RankOffersResponse.Slot slot : answer.getSlotsList()) {
      System.out.printf(Locale.ROOT, "  %d. %s  probability %.4f  score %.4f  %s%n", ++place, slot.getOfferId(), slot.getProbability(),
          slot.getScore(), slot.getReason());
    }

    // 2. The customer looks at the first offer, puts it into the cart and buys it. Each event names the decision, so that it learns.
    String offer = answer.getSlots(0).getOfferId();
    Item item = ITEMS.get(offer);
    FeedbackStream stream = client.feedbackStream();
    for (EventKind kind : List.of(EventKind.VIEW, EventKind.ADD_TO_CART, EventKind.PURCHASE)) {
      Event.Builder event = Event.newBuilder()
          .setEventId(UUID.randomUUID().toString()) // a repeat of the same event must carry the same id
          .setKind(kind)
          .setCustomerId(customer)
          .setDecisionId(answer.getDecisionId())
          .setOfferId(offer)
          .addLines(EventLine.newBuilder().setItemId(item.id()).setQuantity(1).setRevenueMicros(item.priceMicros()));
      if (kind == EventKind.PURCHASE) event.setOrderId(UUID.randomUUID().toString());
      stream.send(List.of(event.build()));
    }
    stream.close(Duration.ofSeconds(10)); // waits for the acknowledgements: now the events are on the server's disk
    FeedbackStream.Counts counts = stream.counts();
    System.out.printf("feedback: 3 events sent, %d acknowledged, %d applied%n", counts.acknowledged(), counts.applied());

    // 3. What goes with the cart?
    ItemList list = client.crossSell(CrossSellRequest.newBuilder()
        .setPlacement("cart")
        .setCustomerId(customer)
        .addCart(CartLine.newBuilder().setItemId(item.id()).setQuantity(1))
        .build());
    String names = list.getEntriesList().stream().map(ItemList.Entry::getItemId).collect(Collectors.joining(", "));
    System.out.printf("goes with %s: %s%n", item.id(), names);
  }
}
