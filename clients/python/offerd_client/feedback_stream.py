"""Events to the server, each counted once, whatever happens to the connection."""

import collections
import dataclasses
import threading
import time

import grpc

from offerd.v1 import feedback_service_pb2

from .backoff import pause
from .errors import BufferFull, OfferdError, from_rpc


@dataclasses.dataclass
class Counts:
    """Events, but for reconnects."""

    acknowledged: int = 0
    applied: int = 0
    duplicate: int = 0  # the server had them already: counted once all the same
    other: int = 0  # late, orphan or refused: on_acknowledged tells which
    reconnects: int = 0


class FeedbackStream:
    """Keeps every batch until the server acknowledges it. A connection that breaks is made anew, for as long as the stream lives, and
    what was not acknowledged is sent again in order; the server recognises repeats by their event_id. An error that no repeat can
    cure ends the stream: send and flush raise it, and `unacknowledged` has what was not taken.

    Threads: safe. One thread lives as long as the stream, one as long as each connection.
    """

    def __init__(self, open_call, options, on_acknowledged=None):
        self._open_call = open_call
        self._options = options
        self._on_acknowledged = on_acknowledged
        self._changed = threading.Condition()
        # Guarded by _changed.
        self._batches = collections.deque()  # unacknowledged, oldest first
        self._written = 0  # of _batches, into the present connection
        self._next_sequence = 1
        self._counts = Counts()
        self._progress = 0.0  # when the present wait for an acknowledgement began
        self._connection = 0  # number of the present connection; an older one must not touch anything
        self._is_closing = False
        self._failure = None  # final
        self._last_error = None
        self._thread = threading.Thread(target=self._run, name="offerd-feedback", daemon=True)
        self._thread.start()

    def send(self, events):
        """Takes one batch and returns its number at once; BufferFull when max_unacknowledged batches wait already."""
        with self._changed:
            if self._failure is not None:
                raise self._failure
            if self._is_closing:
                raise OfferdError("FAILED_PRECONDITION", "the feedback stream is closed", attempts=0)
            if len(self._batches) >= self._options.max_unacknowledged:
                raise BufferFull(self._options.max_unacknowledged, self._last_error_text())
            batch = feedback_service_pb2.FeedbackBatch(client_sequence=self._next_sequence, events=events)
            self._next_sequence += 1
            self._batches.append(batch)
            self._changed.notify_all()
            return batch.client_sequence

    def flush(self, timeout):
        """Waits until everything sent is acknowledged; OfferdError DEADLINE_EXCEEDED after `timeout` seconds: nothing is lost then."""
        with self._changed:
            if self._changed.wait_for(lambda: not self._batches or self._failure is not None, timeout):
                if self._failure is not None:
                    raise self._failure
                return
            message = f"{len(self._batches)} batches not acknowledged within {timeout} s{self._last_error_text()}"
            raise OfferdError("DEADLINE_EXCEEDED", message, attempts=0)

    def close(self, timeout):
        """flush, then the end of the stream, also when flush fails: what was not acknowledged by then stays in `unacknowledged`."""
        try:
            self.flush(timeout)
        finally:
            with self._changed:
                self._is_closing = True
                self._progress = time.monotonic()
                self._changed.notify_all()
            self._thread.join()

    def counts(self):
        with self._changed:
            return dataclasses.replace(self._counts)

    def unacknowledged(self):
        with self._changed:
            return list(self._batches)

    def _last_error_text(self):
        return f"; last error: {self._last_error.code}: {self._last_error.message}" if self._last_error is not None else ""

    def _run(self):
        failures = 0
        while self._wait_for_batches():
            acknowledged = self.counts().acknowledged
            failure = self._run_connection()
            with self._changed:
                if self._failure is not None or (self._is_closing and not self._batches):
                    return
                failures = 1 if self._counts.acknowledged > acknowledged else failures + 1
                self._last_error = failure
                # A server that shuts down cancels streams that arrive too late; we cancel none whose end is not known here already.
                if not failure.is_retryable and failure.code != "CANCELLED":
                    self._failure = failure
                    self._changed.notify_all()
                    return
                self._changed.wait_for(lambda: self._is_closing, pause(self._options, failures, failure.retry_delay))
                if self._is_closing:
                    return
                self._counts.reconnects += 1

    def _wait_for_batches(self):
        with self._changed:
            self._changed.wait_for(lambda: self._batches or self._is_closing)
            return not self._is_closing

    def _run_connection(self):
        """From opening to the end of one connection; what ended it."""
        with self._changed:
            self._connection += 1
            connection = self._connection
            self._written = 0
            self._progress = time.monotonic()
        call = self._open_call(self._batches_to_write(connection))
        ended = []
        reader = threading.Thread(target=self._read, args=(call, connection, ended), name="offerd-feedback-reader", daemon=True)
        reader.start()
        is_stalled = False
        with self._changed:
            while not ended:
                left = None
                if self._written > 0 or self._is_closing:
                    left = self._progress + self._options.ack_timeout - time.monotonic()
                    is_stalled = left <= 0
                if is_stalled or (self._is_closing and self._batches):
                    call.cancel()
                    self._changed.wait_for(lambda: ended)
                else:
                    self._changed.wait(left)
            self._connection += 1
            self._changed.notify_all()  # the writer may go
        reader.join()
        if is_stalled:
            return OfferdError("UNAVAILABLE", f"no acknowledgement within {self._options.ack_timeout} s")
        return ended[0]

    def _batches_to_write(self, connection):
        """gRPC's own thread takes batches from here; the end of it half-closes the stream."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._connection != connection or self._written < len(self._batches) or self._is_closing
                )
                if self._connection != connection or self._written == len(self._batches):
                    return
                if self._written == 0:
                    self._progress = time.monotonic()
                    self._changed.notify_all()  # from now on there is something to wait for
                batch = self._batches[self._written]
                self._written += 1
            yield batch

    def _read(self, call, connection, ended):
        failure = OfferdError("UNAVAILABLE", "the server ended the stream")
        try:
            for acknowledgement in call:
                self._take(acknowledgement)
        except grpc.RpcError as error:
            failure = from_rpc(error)
        except OfferdError as error:
            call.cancel()
            failure = error
        except Exception as error:  # of on_acknowledged
            call.cancel()
            failure = OfferdError("INTERNAL", f"on_acknowledged failed: {error!r}", attempts=0)
        with self._changed:
            ended.append(failure)
            self._changed.notify_all()

    def _take(self, acknowledgement):
        with self._changed:
            if not self._written or self._batches[0].client_sequence != acknowledgement.client_sequence:
                raise OfferdError("INTERNAL", f"the server acknowledged batch {acknowledgement.client_sequence} out of order")
            batch = self._batches[0]
        if self._on_acknowledged is not None:  # before flush returns, and not under the lock: it may call send
            self._on_acknowledged(batch, acknowledgement)
        with self._changed:
            self._batches.popleft()
            self._written -= 1
            self._progress = time.monotonic()
            self._counts.acknowledged += len(batch.events)
            self._counts.applied += acknowledgement.applied
            duplicate = sum(result.fate == feedback_service_pb2.DUPLICATE for result in acknowledgement.others)
            self._counts.duplicate += duplicate
            self._counts.other += len(acknowledgement.others) - duplicate
            self._changed.notify_all()
