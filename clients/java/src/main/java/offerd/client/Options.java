package offerd.client;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/** What a client may be told. Files are PEM. */
public final class Options {
  String server = "127.0.0.1:7070";
  String token = "";
  String tlsCa = "";
  String tlsCert = "";
  String tlsKey = "";
  Duration timeout = Duration.ofSeconds(10);
  int maxAttempts = 5;
  Duration firstBackoff = Duration.ofMillis(100);
  Duration maxBackoff = Duration.ofSeconds(5);
  int maxUnacknowledged = 1000;
  Duration ackTimeout = Duration.ofSeconds(10);

  /** host:port; default 127.0.0.1:7070. */
  public Options server(String value) {
    server = value;
    return this;
  }

  /** Sent as "authorization: Bearer TOKEN". */
  public Options token(String value) {
    token = value;
    return this;
  }

  /** The authority that signed the server's certificate; without it the connection is plain text. */
  public Options tlsCa(String file) {
    tlsCa = file;
    return this;
  }

  /** The caller's own certificate, for a server that asks for one. */
  public Options tlsCert(String file) {
    tlsCert = file;
    return this;
  }

  /** The key of the caller's own certificate, in PKCS 8. */
  public Options tlsKey(String file) {
    tlsKey = file;
    return this;
  }

  /** Of one call, all its attempts and pauses together; default 10 s. */
  public Options timeout(Duration value) {
    timeout = value;
    return this;
  }

  /** Default 5. */
  public Options maxAttempts(int value) {
    maxAttempts = value;
    return this;
  }

  /** Before the second attempt; doubles, halved at random at most. Default 100 ms. */
  public Options firstBackoff(Duration value) {
    firstBackoff = value;
    return this;
  }

  /** Default 5 s. */
  public Options maxBackoff(Duration value) {
    maxBackoff = value;
    return this;
  }

  /** Batches that a feedback stream keeps; default 1000. */
  public Options maxUnacknowledged(int value) {
    maxUnacknowledged = value;
    return this;
  }

  /** Without an acknowledgement for so long a feedback stream connects anew; default 10 s. */
  public Options ackTimeout(Duration value) {
    ackTimeout = value;
    return this;
  }

  /**
   * Milliseconds to wait after the nth failure in a row: doubled each time, somewhere between half and all of it so that callers that
   * failed together do not come back together; never shorter than the server asked for.
   */
  long pauseMillis(int failures, Duration retryDelay) {
    double longest = Math.min(firstBackoff.toMillis() * Math.pow(2, failures - 1), maxBackoff.toMillis());
    double pause = longest * ThreadLocalRandom.current().nextDouble(0.5, 1.0);
    return Math.max((long) pause, retryDelay.toMillis());
  }
}
