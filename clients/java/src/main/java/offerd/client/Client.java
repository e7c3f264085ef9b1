package offerd.client;

import io.grpc.ChannelCredentials;
import io.grpc.Deadline;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import offerd.v1.FeedbackServiceGrpc;
import offerd.v1.FeedbackServiceOuterClass.FeedbackAcknowledgement;
import offerd.v1.FeedbackServiceOuterClass.FeedbackBatch;
import offerd.v1.FeedbackServiceOuterClass.SendFeedbackRequest;
import offerd.v1.FeedbackServiceOuterClass.SendFeedbackResponse;
import offerd.v1.Lists.CrossSellRequest;
import offerd.v1.Lists.ItemList;
import offerd.v1.Lists.RecommendItemsRequest;
import offerd.v1.Lists.RecommendNextRequest;
import offerd.v1.Lists.SimilarItemsRequest;
import offerd.v1.OfferServiceGrpc;
import offerd.v1.OfferServiceGrpc.OfferServiceBlockingStub;
import offerd.v1.OfferServiceOuterClass.ActivateRequest;
import offerd.v1.OfferServiceOuterClass.ActivateResponse;
import offerd.v1.OfferServiceOuterClass.RankOffersRequest;
import offerd.v1.OfferServiceOuterClass.RankOffersResponse;

/**
 * The connection to one server and the calls of a shop front end. Every call is repeated while its code is UNAVAILABLE or
 * RESOURCE_EXHAUSTED, attempts are left and the timeout allows the pause. Failures are OfferdExceptions. Safe for several threads.
 */
public final class Client implements AutoCloseable {
  private final Options options;
  private final ManagedChannel channel;
  private final OfferServiceBlockingStub offers;
  private final FeedbackServiceGrpc.FeedbackServiceBlockingStub feedback;
  private final FeedbackServiceGrpc.FeedbackServiceStub feedbackStreams;

  /** Fails for files that cannot be read. A server that is not there shows in the first call. */
  public Client(Options options) {
    this.options = options;
    channel = Grpc.newChannelBuilder(options.server, credentials(options)).build();
    Metadata headers = new Metadata();
    if (!options.token.isEmpty()) {
      headers.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + options.token);
    }
    var withToken = MetadataUtils.newAttachHeadersInterceptor(headers);
    offers = OfferServiceGrpc.newBlockingStub(channel).withInterceptors(withToken);
    feedback = FeedbackServiceGrpc.newBlockingStub(channel).withInterceptors(withToken);
    feedbackStreams = FeedbackServiceGrpc.newStub(channel).withInterceptors(withToken);
  }

  /**
   * Names an offer in RankOffersRequest.offer_keys: the FNV-1a hash, 64 bits, of its id in UTF-8. Unsigned, so half of all keys are
   * negative here: Long.toUnsignedString prints them. It never changes: compute it once and keep it with the offer.
   */
  public static long offerKey(String offerId) {
    long key = 0xcbf29ce484222325L;
    for (byte b : offerId.getBytes(StandardCharsets.UTF_8)) key = (key ^ (b & 0xff)) * 0x100000001b3L;
    return key;
  }

  /** An empty request id is filled in, once for all attempts: a repeat gets the same decision and counts once. */
  public RankOffersResponse rankOffers(RankOffersRequest request) {
    RankOffersRequest filled =
        request.getRequestId().isEmpty() ? request.toBuilder().setRequestId(UUID.randomUUID().toString()).build() : request;
    return call(deadline -> offers.withDeadline(deadline).rankOffers(filled));
  }

  public ActivateResponse activate(ActivateRequest request) {
    return call(deadline -> offers.withDeadline(deadline).activate(request));
  }

  public ItemList crossSell(CrossSellRequest request) {
    return call(deadline -> offers.withDeadline(deadline).crossSell(request));
  }

  public ItemList similarItems(SimilarItemsRequest request) {
    return call(deadline -> offers.withDeadline(deadline).similarItems(request));
  }

  public ItemList recommendItems(RecommendItemsRequest request) {
    return call(deadline -> offers.withDeadline(deadline).recommendItems(request));
  }

  public ItemList recommendNext(RecommendNextRequest request) {
    return call(deadline -> offers.withDeadline(deadline).recommendNext(request));
  }

  /** A few events at once; the answer says for each whether it was taken. Many events: feedbackStream. */
  public SendFeedbackResponse sendFeedback(SendFeedbackRequest request) {
    return call(deadline -> feedback.withDeadline(deadline).sendFeedback(request));
  }

  public FeedbackStream feedbackStream() {
    return feedbackStream((batch, acknowledgement) -> {});
  }

  /** {@code onAcknowledged} is called from a thread of gRPC, before flush returns. It may call send, nothing that waits. */
  public FeedbackStream feedbackStream(FeedbackStream.OnAcknowledged onAcknowledged) {
    return new FeedbackStream(this::openStream, options, onAcknowledged);
  }

  /** Close feedback streams first. */
  @Override
  public void close() {
    channel.shutdownNow();
    try {
      channel.awaitTermination(5, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private StreamObserver<FeedbackBatch> openStream(StreamObserver<FeedbackAcknowledgement> answers) {
    channel.resetConnectBackoff();
    return feedbackStreams.streamFeedback(answers);
  }

  private <T> T call(Function<Deadline, T> send) {
    Deadline deadline = Deadline.after(options.timeout.toMillis(), TimeUnit.MILLISECONDS);
    for (int attempt = 1; ; ++attempt) {
      OfferdException failure;
      try {
        return send.apply(deadline);
      } catch (StatusRuntimeException e) {
        failure = OfferdException.fromGrpc(e, attempt);
      }
      long pause = options.pauseMillis(attempt, failure.retryDelay());
      // Waiting past the deadline would only replace this error by a less telling one.
      if (!failure.isRetryable() || attempt >= options.maxAttempts || deadline.timeRemaining(TimeUnit.MILLISECONDS) <= pause) {
        throw failure;
      }
      try {
        Thread.sleep(pause);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw failure;
      }
      channel.resetConnectBackoff(); // the pauses are ours: gRPC's own grow to two minutes
    }
  }

  private static ChannelCredentials credentials(Options options) {
    if (options.tlsCa.isEmpty()) {
      if (!options.tlsCert.isEmpty() || !options.tlsKey.isEmpty()) {
        throw new OfferdException(Status.Code.INVALID_ARGUMENT, "tlsCert and tlsKey need tlsCa");
      }
      return InsecureChannelCredentials.create();
    }
    try {
      var tls = TlsChannelCredentials.newBuilder().trustManager(new File(options.tlsCa));
      if (!options.tlsCert.isEmpty()) tls.keyManager(new File(options.tlsCert), new File(options.tlsKey));
      return tls.build();
    } catch (IOException e) {
      throw new OfferdException(Status.Code.INVALID_ARGUMENT, e.getMessage());
    }
  }
}
