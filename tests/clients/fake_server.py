"""Servers that misbehave as told, where the real one cannot be made to: scripted failures of RankOffers and of the feedback stream, and
a socket that accepts and says nothing."""

import concurrent.futures
import socket
import threading
import time

import grpc

import retry_info_pb2
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_pb2
from offerd.v1 import feedback_service_pb2 as feedback
from offerd.v1 import feedback_service_pb2_grpc, offer_service_pb2, offer_service_pb2_grpc


def abort(context, code, message, retry_delay=None):
    if retry_delay is not None:
        delay = duration_pb2.Duration(nanos=int(retry_delay * 1e9))
        detail = any_pb2.Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=retry_info_pb2.RetryInfo(retry_delay=delay).SerializeToString())
        status = error_pb2.Status(code=code.value[0], message=message, details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, message)


class FakeServer(offer_service_pb2_grpc.OfferServiceServicer, feedback_service_pb2_grpc.FeedbackServiceServicer):
    """`failures` are told to the first calls of RankOffers, one each: (code, retry_delay or None). `stream(number, batches, context)`
    answers the feedback streams, numbered from 1; `batches` notes what it reads in `read`, a list of numbers for each stream."""

    def __init__(self, failures=(), stream=None):
        self.failures = list(failures)
        self.calls = []  # of RankOffers: (time, request_id)
        self.read = []
        self._stream = stream
        self._lock = threading.Lock()
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=8))
        offer_service_pb2_grpc.add_OfferServiceServicer_to_server(self, self._server)
        feedback_service_pb2_grpc.add_FeedbackServiceServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.stop(0)

    def RankOffers(self, request, context):
        with self._lock:
            self.calls.append((time.monotonic(), request.request_id))
            failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            abort(context, failure[0], "as scripted", failure[1])
        return offer_service_pb2.RankOffersResponse(decision_id="scripted")

    def StreamFeedback(self, batches, context):
        with self._lock:
            read = []
            self.read.append(read)
            number = len(self.read)

        def noted():
            for batch in batches:
                read.append(batch.client_sequence)
                yield batch

        yield from self._stream(number, noted(), context)


def acknowledge(batch, duplicate=False):
    if not duplicate:
        return feedback.FeedbackAcknowledgement(client_sequence=batch.client_sequence, applied=len(batch.events))
    results = [feedback.EventResult(event_id=event.event_id, fate=feedback.DUPLICATE) for event in batch.events]
    return feedback.FeedbackAcknowledgement(client_sequence=batch.client_sequence, others=results)


class SilentServer:
    """Accepts connections and never says a byte."""

    def __enter__(self):
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        return self

    def __exit__(self, *_):
        self._socket.close()
