"""What the client of a request says of it, whatever program it is. Made by `curl`; all that diagnosis sees of a client.

It runs in a container that is not trusted: `diagnose.connection.outcome` decides whether a report counts.
"""

from dataclasses import dataclass
from enum import Enum


class ClientFailure(Enum):
    """What kept a request from a whole response."""

    NAME_NOT_RESOLVED = "no address for the name"
    NOT_CONNECTED = "the connection was refused, or the host is unreachable"
    TIMED_OUT = "the time was up, in whatever phase"
    NO_RESPONSE = "the connection ended without a byte of a response"
    NOT_HTTP = "what came back is not HTTP"
    CUT_SHORT = "the connection was reset, or ended within the response"
    LOCAL_PORT_IN_USE = "the source port could not be bound"
    CLIENT_FAILED = "trouble of the client's own: nothing about the path or the server"


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds from the start of the request to the end of each phase; 0: not reached."""

    name_lookup: float
    connect: float
    tls: float
    first_byte: float
    total: float


@dataclass(frozen=True, slots=True)
class ClientReport:
    """One request. Without a connection a client may know no addresses and ports: "" and 0.

    `failure`: None where the response came whole. `status`: of HTTP, 0 without one. `exit_code` and `error` are the
    program's own words, for people: nothing is decided by them. `body_cut`: only the beginning of the response's body
    was kept.
    """

    failure: ClientFailure | None
    exit_code: int
    error: str
    connected: bool
    status: int
    local_ip: str
    local_port: int
    remote_ip: str
    remote_port: int
    timings: Timings
    body: bytes
    body_cut: bool = False

    @property
    def answered(self) -> bool:
        """Whether the response came whole."""
        return self.failure is None

    @property
    def error_text(self) -> str:
        """ "curl exit 28: Connection timed out"."""
        return f"curl exit {self.exit_code}: {self.error or 'no message'}"
