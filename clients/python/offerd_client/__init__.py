"""A thin client of offerd: README.md beside this package shows how to use it."""

from .client import Client
from .errors import BufferFull, OfferdError
from .feedback_stream import Counts, FeedbackStream
from .offer_key import offer_key
from .options import Options

__all__ = ["BufferFull", "Client", "Counts", "FeedbackStream", "OfferdError", "Options", "offer_key"]
