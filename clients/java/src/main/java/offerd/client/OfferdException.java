package offerd.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** A call that failed for good: what could be repeated was. */
public class OfferdException extends RuntimeException {
  /** A field of the request, by its path, and what is wrong with it. */
  public record Violation(String field, String description) {}

  private static final long serialVersionUID = 1;

  private final Status.Code code;
  private final String detail;
  private final int attempts;
  private final transient List<Violation> violations;
  private final Duration retryDelay;

  OfferdException(Status.Code code, String detail) {
    this(code, detail, 0, List.of(), Duration.ZERO);
  }

  private OfferdException(Status.Code code, String detail, int attempts, List<Violation> violations, Duration retryDelay) {
    super(code + ": " + detail + (attempts > 0 ? " (attempts: " + attempts + ")" : ""));
    this.code = code;
    this.detail = detail;
    this.attempts = attempts;
    this.violations = List.copyOf(violations);
    this.retryDelay = retryDelay;
  }

  static OfferdException fromGrpc(Throwable error, int attempts) {
    Status status = Status.fromThrowable(error);
    Metadata trailers = Status.trailersFromThrowable(error);
    List<Violation> violations = new ArrayList<>();
    Duration retryDelay = Duration.ZERO;
    try {
      com.google.rpc.Status answer = StatusProto.fromStatusAndTrailers(status, trailers);
      for (Any detail : answer.getDetailsList()) {
        if (detail.is(BadRequest.class)) {
          detail.unpack(BadRequest.class).getFieldViolationsList()
              .forEach(violation -> violations.add(new Violation(violation.getField(), violation.getDescription())));
        } else if (detail.is(RetryInfo.class)) {
          var delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryDelay = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        }
      }
    } catch (InvalidProtocolBufferException | RuntimeException e) {
      // Details are a courtesy: damaged ones must not hide the code.
    }
    return new OfferdException(status.getCode(), explain(status), attempts, violations, retryDelay);
  }

  // gRPC says "io exception" and leaves the reason to the cause.
  private static String explain(Status status) {
    StringBuilder text = new StringBuilder(status.getDescription() == null ? "" : status.getDescription());
    if (status.getCause() != null && status.getCause().getMessage() != null) {
      text.append(text.length() > 0 ? ": " : "").append(status.getCause().getMessage());
    }
    return text.toString();
  }

  public final Status.Code code() {
    return code;
  }

  /** The message without code and attempts. */
  public final String detail() {
    return detail;
  }

  /** 0: nothing was sent. */
  public final int attempts() {
    return attempts;
  }

  public final List<Violation> violations() {
    return violations;
  }

  /** That the server asked to wait. */
  public final Duration retryDelay() {
    return retryDelay;
  }

  public final boolean isRetryable() {
    return code == Status.Code.UNAVAILABLE || code == Status.Code.RESOURCE_EXHAUSTED;
  }
}
