"""The calls of a shop front end."""

import time
import uuid

import grpc

from offerd.v1 import feedback_service_pb2_grpc, offer_service_pb2, offer_service_pb2_grpc

from .backoff import pause
from .errors import OfferdError, from_rpc
from .feedback_stream import FeedbackStream
from .options import Options


class Client:
    """The connection to one server. Threads: safe. Errors: OfferdError; a server that is not there shows in the first call."""

    def __init__(self, options: Options):
        self._options = options
        self._metadata = (("authorization", f"Bearer {options.token}"),) if options.token else ()
        self._channel = _connect(options)
        self._offers = offer_service_pb2_grpc.OfferServiceStub(self._channel)
        self._feedback = feedback_service_pb2_grpc.FeedbackServiceStub(self._channel)

    def rank_offers(self, request):
        """An empty request_id is filled in, once for all attempts: a repeat gets the same decision and counts once."""
        if not request.request_id:
            filled = offer_service_pb2.RankOffersRequest()
            filled.CopyFrom(request)
            filled.request_id = str(uuid.uuid4())
            request = filled
        return self._call(self._offers.RankOffers, request)

    def activate(self, request):
        return self._call(self._offers.Activate, request)

    def cross_sell(self, request):
        return self._call(self._offers.CrossSell, request)

    def similar_items(self, request):
        return self._call(self._offers.SimilarItems, request)

    def recommend_items(self, request):
        return self._call(self._offers.RecommendItems, request)

    def recommend_next(self, request):
        return self._call(self._offers.RecommendNext, request)

    def send_feedback(self, request):
        """A few events at once. The answer says for each whether it was taken. Many events: feedback_stream."""
        return self._call(self._feedback.SendFeedback, request)

    def feedback_stream(self, on_acknowledged=None):
        """`on_acknowledged(batch, acknowledgement)` is called from the stream's own thread."""
        return FeedbackStream(self._open_stream, self._options, on_acknowledged)

    def close(self):
        """Close feedback streams first."""
        self._channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _open_stream(self, batches):
        return self._feedback.StreamFeedback(batches, metadata=self._metadata)

    def _call(self, method, request):
        deadline = time.monotonic() + self._options.timeout
        attempts = 0
        while True:
            attempts += 1
            try:
                return method(request, timeout=max(deadline - time.monotonic(), 0.001), metadata=self._metadata)
            except grpc.RpcError as error:
                failure = from_rpc(error, attempts)
            wait = pause(self._options, attempts, failure.retry_delay)
            # Waiting past the deadline would only replace this error by a less telling one.
            if not failure.is_retryable or attempts >= self._options.max_attempts or time.monotonic() + wait >= deadline:
                raise failure
            time.sleep(wait)


def _connect(options):
    # A server that restarts is found again within a second; gRPC's own pauses grow to two minutes.
    arguments = [
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 2000),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    if not options.tls_ca:
        if options.tls_cert or options.tls_key:
            raise OfferdError("INVALID_ARGUMENT", "tls_cert and tls_key need tls_ca", attempts=0)
        return grpc.insecure_channel(options.server, arguments)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read(options.tls_ca),
        private_key=_read(options.tls_key),
        certificate_chain=_read(options.tls_cert),
    )
    return grpc.secure_channel(options.server, credentials, arguments)


def _read(path):
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read()
