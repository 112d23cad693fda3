"""What the client reports about a request, independent of the client program. Made by `curl`; diagnosis sees nothing
else of the client.

The client runs in a container that is not trusted: `diagnose.connection.outcome` decides whether a report counts.
"""

from dataclasses import dataclass
from enum import Enum

from ..addresses import IpAddress


class ClientFailure(Enum):
    """What prevented a complete response."""

    NAME_NOT_RESOLVED = "the name was not resolved"
    NOT_CONNECTED = "the connection was refused, or the host is unreachable"
    TIMED_OUT = "the request timed out, in any phase"
    NO_RESPONSE = "the connection was closed before any response"
    NOT_HTTP = "the response is not HTTP"
    CUT_SHORT = "the connection was reset, or closed during the response"
    UNKNOWN_CA = "no trusted CA has signed the server's certificate"
    CERTIFICATE_NAME_MISMATCH = "the server's certificate is for other names"
    CERTIFICATE_EXPIRED = "the server's certificate has expired"
    CERTIFICATE_NOT_YET_VALID = "the server's certificate is not yet valid"
    CERTIFICATE_INVALID = "the server's certificate can't be verified, for another reason"
    HANDSHAKE_FAILED = "client and server could not agree on TLS"
    CLIENT_CERTIFICATE_REQUIRED = "the server requires a certificate of the client"
    TRUST_STORE_UNREADABLE = "the client can't read the certificates that it should trust"
    LOCAL_PORT_IN_USE = "the source port could not be bound"
    CLIENT_FAILED = "the client itself failed, which says nothing about the path or the server"


TLS_REFUSALS = frozenset(
    {
        ClientFailure.UNKNOWN_CA,
        ClientFailure.CERTIFICATE_NAME_MISMATCH,
        ClientFailure.CERTIFICATE_EXPIRED,
        ClientFailure.CERTIFICATE_NOT_YET_VALID,
        ClientFailure.CERTIFICATE_INVALID,
        ClientFailure.HANDSHAKE_FAILED,
        ClientFailure.CLIENT_CERTIFICATE_REQUIRED,
    }
)
"""The server answered with its part of the handshake, and one end does not accept that of the other."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds from the start of the request to the end of each phase; 0: not reached."""

    name_lookup: float
    connect: float
    tls: float
    first_byte: float
    total: float

    @property
    def longest(self) -> float:
        """The end of the last phase."""
        return max(self.name_lookup, self.connect, self.tls, self.first_byte, self.total)


@dataclass(frozen=True, slots=True)
class ClientReport:
    """One request. Without a connection the client may know no addresses and ports: None and 0.

    `failure`: None if the response is complete, or longer than the client reads, or if connecting was all that was
    asked for. `status`: the HTTP status, 0 without one. `exit_code` and `error` are those of the program, for display
    only. `body_cut`: only the beginning of the response body was kept. `certificate_expires`: seconds since the epoch;
    None if the client does not say. `tried`: the addresses that the client tried, if it was asked to show them.
    """

    failure: ClientFailure | None
    exit_code: int
    error: str
    connected: bool
    status: int
    local_ip: IpAddress | None
    local_port: int
    remote_ip: IpAddress | None
    remote_port: int
    timings: Timings
    body: bytes
    body_cut: bool = False
    tried: tuple[IpAddress, ...] = ()
    certificate_expires: float | None = None

    @property
    def answered(self) -> bool:
        """Whether the server responded completely, as far as the client reads."""
        return self.failure is None

    @property
    def responded(self) -> bool:
        """Whether data of the server arrived that ended the request, with or without success."""
        return self.answered or self.failure in TLS_REFUSALS

    @property
    def result_text(self) -> str:
        """ "HTTP 200", "the connection was established", or the error."""
        if self.status:
            return f"HTTP {self.status}"
        return "the connection was established" if self.answered else self.error_text

    @property
    def error_text(self) -> str:
        """ "curl exit 28: Connection timed out"."""
        return f"curl exit {self.exit_code}: {self.error or 'no message'}"
