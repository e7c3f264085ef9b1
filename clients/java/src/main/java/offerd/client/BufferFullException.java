package offerd.client;

import io.grpc.Status;

/**
 * A feedback stream keeps as many unacknowledged batches as it may: nothing was taken. Try again later, or drop the events knowingly.
 */
public final class BufferFullException extends OfferdException {
  private static final long serialVersionUID = 1;

  BufferFullException(int limit, String lastError) {
    super(Status.Code.RESOURCE_EXHAUSTED, limit + " batches wait for an acknowledgement already" + lastError);
  }
}
