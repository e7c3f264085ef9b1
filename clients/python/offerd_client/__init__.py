"""A thin client of offerd: README.md beside this package shows how to use it."""

from .client import Client
from .errors import BufferFull, OfferdError
from .feedback_stream import Counts, FeedbackStream
from .options import Options

__all__ = ["BufferFull", "Client", "Counts", "FeedbackStream", "OfferdError", "Options"]
