"""What a client may be told."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Options:
    """Files are PEM. Without tls_ca the connection is plain text. The token does not appear in repr()."""

    server: str = "127.0.0.1:7070"
    token: str = dataclasses.field(default="", repr=False)  # sent as "authorization: Bearer TOKEN"
    tls_ca: str = ""  # authority that signed the server's certificate
    tls_cert: str = ""  # the caller's own certificate and key, for a server that asks for one
    tls_key: str = ""
    timeout: float = 10.0  # seconds for one call, all its attempts and pauses together
    max_attempts: int = 5
    first_backoff: float = 0.1  # seconds before the second attempt; doubles, halved at random at most
    max_backoff: float = 5.0
    max_unacknowledged: int = 1000  # batches that a feedback stream keeps
    ack_timeout: float = 10.0  # seconds without an acknowledgement after which a feedback stream connects anew
