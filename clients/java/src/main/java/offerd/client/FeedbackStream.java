package offerd.client;

import io.grpc.Status;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import offerd.v1.FeedbackServiceOuterClass.Event;
import offerd.v1.FeedbackServiceOuterClass.EventResult;
import offerd.v1.FeedbackServiceOuterClass.Fate;
import offerd.v1.FeedbackServiceOuterClass.FeedbackAcknowledgement;
import offerd.v1.FeedbackServiceOuterClass.FeedbackBatch;

/**
 * Keeps every batch until the server acknowledges it. A connection that breaks is made anew, for as long as the stream lives, and what was
 * not acknowledged is sent again in order; the server recognises repeats by their event id. An error that no repeat can cure ends the
 * stream: send and flush throw it, and unacknowledged has what was not taken. Safe for several threads; one thread of its own.
 */
public final class FeedbackStream {
  /** Called for every batch, before flush returns. */
  public interface OnAcknowledged {
    void accept(FeedbackBatch batch, FeedbackAcknowledgement acknowledgement);
  }

  /** Events, but for reconnects. {@code other}: late, orphan or refused; OnAcknowledged tells which. */
  public record Counts(long acknowledged, long applied, long duplicate, long other, long reconnects) {}

  private final Function<StreamObserver<FeedbackAcknowledgement>, StreamObserver<FeedbackBatch>> openCall;
  private final Options options;
  private final OnAcknowledged onAcknowledged;
  private final ScheduledThreadPoolExecutor timers;

  // Guarded by this.
  private final List<FeedbackBatch> batches = new ArrayList<>(); // unacknowledged, oldest first
  private Call call; // null between connections
  private int written; // of batches, into the present call
  private long nextSequence = 1;
  private int failures; // since the last acknowledgement
  private long acknowledged;
  private long applied;
  private long duplicate;
  private long other;
  private long reconnects;
  private Future<?> reopen; // while there is no call
  private Future<?> stall; // while something is to be acknowledged
  private boolean isClosing;
  private OfferdException failure; // final
  private OfferdException lastError;

  FeedbackStream(
      Function<StreamObserver<FeedbackAcknowledgement>, StreamObserver<FeedbackBatch>> openCall,
      Options options,
      OnAcknowledged onAcknowledged) {
    this.openCall = openCall;
    this.options = options;
    this.onAcknowledged = onAcknowledged;
    timers = new ScheduledThreadPoolExecutor(1, task -> {
      Thread thread = new Thread(task, "offerd-feedback");
      thread.setDaemon(true);
      return thread;
    });
    timers.setRemoveOnCancelPolicy(true);
  }

  /** Takes one batch and returns its number at once; BufferFullException when maxUnacknowledged batches wait already. */
  public synchronized long send(List<Event> events) {
    if (failure != null) throw failure;
    if (isClosing) throw new OfferdException(Status.Code.FAILED_PRECONDITION, "the feedback stream is closed");
    if (batches.size() >= options.maxUnacknowledged) throw new BufferFullException(batches.size(), lastErrorText());
    FeedbackBatch batch = FeedbackBatch.newBuilder().setClientSequence(nextSequence++).addAllEvents(events).build();
    batches.add(batch);
    if (call == null && reopen == null) {
      open();
    } else {
      writeBatches();
    }
    return batch.getClientSequence();
  }

  /** Waits until everything sent is acknowledged; DEADLINE_EXCEEDED after {@code timeout}: nothing is lost then. */
  public synchronized void flush(Duration timeout) {
    boolean isInTime = await(timeout, () -> batches.isEmpty() || failure != null);
    if (failure != null) throw failure;
    if (isInTime) return;
    String message = batches.size() + " batches not acknowledged within " + timeout.toMillis() + " ms" + lastErrorText();
    throw new OfferdException(Status.Code.DEADLINE_EXCEEDED, message);
  }

  /** flush, then the end of the stream, also when flush fails: what was not acknowledged by then stays in unacknowledged. */
  public void close(Duration timeout) {
    try {
      flush(timeout);
    } finally {
      end();
    }
  }

  public synchronized Counts counts() {
    return new Counts(acknowledged, applied, duplicate, other, reconnects);
  }

  public synchronized List<FeedbackBatch> unacknowledged() {
    return List.copyOf(batches);
  }

  private synchronized void end() {
    isClosing = true;
    timers.shutdownNow();
    if (call != null && batches.isEmpty()) call.batches.onCompleted();
    if (call != null && batches.isEmpty()) await(options.ackTimeout, () -> call == null);
    if (call != null) call.cancel();
  }

  /** One connection: what arrives on one that is over is ignored. */
  private final class Call implements StreamObserver<FeedbackAcknowledgement> {
    private StreamObserver<FeedbackBatch> batches;

    @Override
    public void onNext(FeedbackAcknowledgement acknowledgement) {
      take(this, acknowledgement);
    }

    @Override
    public void onError(Throwable error) {
      ended(this, OfferdException.fromGrpc(error, 1));
    }

    @Override
    public void onCompleted() {
      ended(this, new OfferdException(Status.Code.UNAVAILABLE, "the server ended the stream"));
    }

    void cancel() {
      ((ClientCallStreamObserver<FeedbackBatch>) batches).cancel("given up", null);
    }
  }

  private void open() {
    reopen = null;
    written = 0;
    call = new Call();
    call.batches = openCall.apply(call);
    writeBatches();
  }

  private void writeBatches() {
    if (call == null) return;
    if (written == 0 && !batches.isEmpty()) watch();
    while (written < batches.size()) call.batches.onNext(batches.get(written++));
  }

  /** Gives the call up when no acknowledgement comes in time. */
  private void watch() {
    if (stall != null) stall.cancel(false);
    stall = null;
    if (isClosing) return;
    Call watched = call;
    stall = timers.schedule(
        () -> giveUp(watched, new OfferdException(Status.Code.UNAVAILABLE, "no acknowledgement within " + options.ackTimeout.toMillis() + " ms")),
        options.ackTimeout.toMillis(),
        TimeUnit.MILLISECONDS);
  }

  private void take(Call from, FeedbackAcknowledgement acknowledgement) {
    FeedbackBatch batch;
    synchronized (this) {
      if (call != from) return;
      batch = written > 0 ? batches.get(0) : null;
    }
    if (batch == null || batch.getClientSequence() != acknowledgement.getClientSequence()) {
      giveUp(from, new OfferdException(
          Status.Code.INTERNAL, "the server acknowledged batch " + acknowledgement.getClientSequence() + " out of order"));
      return;
    }
    try {
      onAcknowledged.accept(batch, acknowledgement); // not under the lock: it may call send
    } catch (RuntimeException e) {
      giveUp(from, new OfferdException(Status.Code.INTERNAL, "onAcknowledged failed: " + e));
      return;
    }
    count(from, batch, acknowledgement);
  }

  private synchronized void count(Call from, FeedbackBatch batch, FeedbackAcknowledgement acknowledgement) {
    if (call != from) return; // given up meanwhile: the batch is sent again and acknowledged once more
    batches.remove(0);
    --written;
    failures = 0;
    acknowledged += batch.getEventsCount();
    applied += acknowledgement.getApplied();
    for (EventResult result : acknowledgement.getOthersList()) {
      if (result.getFate() == Fate.DUPLICATE) {
        ++duplicate;
      } else {
        ++other;
      }
    }
    if (written > 0) {
      watch();
    } else {
      stall.cancel(false);
    }
    notifyAll();
  }

  private synchronized void giveUp(Call given, OfferdException why) {
    if (call != given) return;
    ended(given, why);
    given.cancel();
  }

  private synchronized void ended(Call over, OfferdException why) {
    if (call != over) return;
    call = null;
    if (stall != null) stall.cancel(false);
    if (!isClosing) {
      lastError = why;
      // A server that shuts down cancels streams that arrive too late; those that we cancel are not ours any more here.
      if (why.isRetryable() || why.code() == Status.Code.CANCELLED) {
        reopen = timers.schedule(this::openAgain, options.pauseMillis(++failures, why.retryDelay()), TimeUnit.MILLISECONDS);
      } else {
        failure = why;
      }
    }
    notifyAll();
  }

  private synchronized void openAgain() {
    if (isClosing) return;
    ++reconnects;
    open();
  }

  // The lock is let go meanwhile.
  private boolean await(Duration timeout, BooleanSupplier isReady) {
    long limit = System.nanoTime() + timeout.toNanos();
    try {
      while (!isReady.getAsBoolean()) {
        long left = limit - System.nanoTime();
        if (left <= 0) return false;
        TimeUnit.NANOSECONDS.timedWait(this, Math.max(left, 1_000_000));
      }
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  private String lastErrorText() {
    return lastError == null ? "" : "; last error: " + lastError.code() + ": " + lastError.detail();
  }
}
