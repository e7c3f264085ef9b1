"""What a failed call says."""

import retry_info_pb2
from google.rpc import error_pb2

RETRYABLE = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")


class OfferdError(Exception):
    """A call that failed for good: `code` is the name of the gRPC code, `violations` the (field, description) pairs of the server."""

    def __init__(self, code, message, attempts=1, violations=(), retry_delay=0.0):
        super().__init__(f"{code}: {message}" + (f" (attempts: {attempts})" if attempts else ""))
        self.code = code
        self.message = message
        self.attempts = attempts  # 0: nothing was sent
        self.violations = list(violations)
        self.retry_delay = retry_delay  # seconds that the server asked to wait

    @property
    def is_retryable(self):
        return self.code in RETRYABLE


class BufferFull(OfferdError):
    """A feedback stream keeps as many unacknowledged batches as it may: nothing was taken. Try again later, or drop the events knowingly."""

    def __init__(self, limit, last_error):
        super().__init__("RESOURCE_EXHAUSTED", f"{limit} batches wait for an acknowledgement already{last_error}", attempts=0)


def from_rpc(error, attempts=1):
    violations, retry_delay = [], 0.0
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            violations, retry_delay = _read_details(value)
    return OfferdError(error.code().name, error.details() or "", attempts, violations, retry_delay)


def _read_details(value):
    violations, retry_delay = [], 0.0
    status = error_pb2.Status()
    try:
        status.ParseFromString(value)
        for detail in status.details:
            kind = detail.type_url.rpartition("/")[2]
            if kind == "google.rpc.BadRequest":
                bad_request = error_pb2.BadRequest.FromString(detail.value)
                violations = [(v.field, v.description) for v in bad_request.field_violations]
            elif kind == "google.rpc.RetryInfo":
                retry_delay = retry_info_pb2.RetryInfo.FromString(detail.value).retry_delay.ToTimedelta().total_seconds()
    except Exception:  # details are a courtesy: damaged ones must not hide the code
        pass
    return violations, retry_delay
