package offerd.client;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import offerd.v1.FeedbackServiceOuterClass.Event;
import offerd.v1.FeedbackServiceOuterClass.EventLine;
import offerd.v1.Lists.CartLine;
import offerd.v1.Lists.CrossSellRequest;
import offerd.v1.Lists.RecommendItemsRequest;
import offerd.v1.Lists.RecommendNextRequest;
import offerd.v1.Lists.SimilarItemsRequest;
import offerd.v1.OfferServiceOuterClass.RankOffersRequest;
import offerd.v1.OfferServiceOuterClass.RankOffersResponse;
import offerd.v1.Types.EventKind;

/** The cases of tests/clients/run.py, with the same command line in every language: --name value pairs, one JSON line as the answer. */
public final class Driver {
  private final Map<String, String> given = new HashMap<>();
  private final Map<String, String> result = new TreeMap<>(); // name to JSON value

  public static void main(String[] arguments) throws Exception {
    new Driver().run(arguments);
  }

  private void run(String[] arguments) throws Exception {
    for (int i = 0; i + 1 < arguments.length; i += 2) given.put(arguments[i].substring(2), arguments[i + 1]);
    long begin = System.nanoTime();
    result.put("ok", "true");
    try (Client client = new Client(options())) {
      switch (given.get("case")) {
        case "rank" -> rank(client);
        case "lists" -> lists(client);
        default -> feedback(client);
      }
    } catch (OfferdException e) {
      result.put("ok", "false");
      result.put("code", quoted(e instanceof BufferFullException ? "BUFFER_FULL" : e.code().name()));
      result.put("message", quoted(e.getMessage()));
      result.put("attempts", String.valueOf(e.attempts()));
      result.put("fields", list(e.violations().stream().map(OfferdException.Violation::field).toList()));
    }
    result.put("seconds", String.valueOf((System.nanoTime() - begin) / 1e9));
    System.out.println(result.entrySet().stream()
        .map(entry -> quoted(entry.getKey()) + ": " + entry.getValue())
        .collect(Collectors.joining(", ", "{", "}")));
  }

  private Options options() throws IOException {
    Options options = new Options()
        .server(text("server", ""))
        .tlsCa(text("tls-ca", ""))
        .tlsCert(text("tls-cert", ""))
        .tlsKey(text("tls-key", ""))
        .timeout(seconds("timeout", 10))
        .maxUnacknowledged((int) number("max-unacknowledged", 1000))
        .ackTimeout(seconds("ack-timeout", 10));
    if (given.containsKey("token-file")) options.token(Files.readAllLines(Path.of(given.get("token-file"))).get(0).strip());
    return options;
  }

  private void rank(Client client) {
    List<Long> keys = given.containsKey("compact") ? Stream.of(text("compact", "").split(",")).map(Client::offerKey).toList() : List.of();
    RankOffersRequest request = RankOffersRequest.newBuilder()
        .setRequestId(text("request-id", ""))
        .setPlacement(text("placement", "home"))
        .setCustomerId(text("customer", "anna"))
        .setSlateSize((int) number("slots", 0))
        .addAllOfferKeys(keys)
        .build();
    List<String> ids = new ArrayList<>();
    for (int i = 0; i < (int) number("times", 1); ++i) {
      RankOffersResponse answer = client.rankOffers(request);
      ids.add(answer.getDecisionId());
      if (keys.isEmpty()) continue;
      result.put("keys", keys.stream().map(Long::toUnsignedString).toList().toString());
      result.put("packed", answer.getPacked().getIndexList().toString());
      result.put("unknown", answer.getUnknownKeysList().toString());
    }
    result.put("decision_ids", list(ids));
  }

  private void lists(Client client) {
    String placement = text("placement", "cart");
    result.put("cross_sell", String.valueOf(client.crossSell(CrossSellRequest.newBuilder()
        .setPlacement(placement).setCustomerId("anna").addCart(CartLine.newBuilder().setItemId("tea")).build()).getEntriesCount()));
    result.put("similar_items", String.valueOf(client.similarItems(SimilarItemsRequest.newBuilder()
        .setPlacement(placement).setCustomerId("anna").setItemId("tea").build()).getEntriesCount()));
    result.put("recommend_items", String.valueOf(client.recommendItems(RecommendItemsRequest.newBuilder()
        .setPlacement(placement).setCustomerId("anna").build()).getEntriesCount()));
    result.put("recommend_next", String.valueOf(client.recommendNext(RecommendNextRequest.newBuilder()
        .setPlacement(placement).setCustomerId("anna").addSessionItemIds("tea").build()).getEntriesCount()));
  }

  private void feedback(Client client) throws InterruptedException {
    FeedbackStream stream = client.feedbackStream();
    String prefix = text("prefix", "");
    int sent = 0;
    try {
      for (; sent < (int) number("events", 0); ++sent) {
        stream.send(List.of(Event.newBuilder()
            .setEventId(prefix + "-" + sent)
            .setKind(EventKind.VIEW)
            .setCustomerId(prefix)
            .addLines(EventLine.newBuilder().setItemId("tea"))
            .build()));
        Thread.sleep((long) number("pause-ms", 0));
      }
      stream.close(seconds("flush-seconds", 60));
    } finally {
      FeedbackStream.Counts counts = stream.counts();
      result.put("sent", String.valueOf(sent));
      result.put("acknowledged", String.valueOf(counts.acknowledged()));
      result.put("applied", String.valueOf(counts.applied()));
      result.put("duplicate", String.valueOf(counts.duplicate()));
      result.put("other", String.valueOf(counts.other()));
      result.put("reconnects", String.valueOf(counts.reconnects()));
      result.put("unacknowledged", String.valueOf(stream.unacknowledged().size()));
    }
  }

  private String text(String name, String otherwise) {
    return given.getOrDefault(name, otherwise);
  }

  private double number(String name, double otherwise) {
    return given.containsKey(name) ? Double.parseDouble(given.get(name)) : otherwise;
  }

  private Duration seconds(String name, double otherwise) {
    return Duration.ofMillis((long) (number(name, otherwise) * 1000));
  }

  private static String list(List<String> texts) {
    return texts.stream().map(Driver::quoted).collect(Collectors.joining(", ", "[", "]"));
  }

  private static String quoted(String text) {
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replaceAll("\\p{Cntrl}", " ") + '"';
  }
}
