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
    LOCAL_PORT_IN_USE = "the source port could not be bound"
    CLIENT_FAILED = "the client itself failed, which says nothing about the path or the server"


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

    `failure`: None if the response is complete, or longer than the client reads. `status`: the HTTP status, 0 without
    one. `exit_code` and `error` are those of the program, for display only. `body_cut`: only the beginning of the
    response body was kept. `tried`: the addresses that the client tried, if it was asked to show them.
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

    @property
    def answered(self) -> bool:
        """Whether the server responded completely, as far as the client reads."""
        return self.failure is None

    @property
    def error_text(self) -> str:
        """ "curl exit 28: Connection timed out"."""
        return f"curl exit {self.exit_code}: {self.error or 'no message'}"
