"""The request of a plan, and what is expected of it. Made by `resolve`, part of a `Plan`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from ..api.vocabulary import Encapsulation, ExpectedOutcome, Locality
from .numbers import Port, TimeoutS

# The maximum size of a request that fits into one packet of any path, without curl's own headers.
_ONE_SEGMENT_BYTES = 800


@dataclass(frozen=True, slots=True)
class CaSource:
    """Where the certificates of CAs are: a key of a ConfigMap or Secret in the namespace of the probe."""

    kind: Literal["ConfigMap", "Secret"]
    name: str
    key: str

    def __str__(self) -> str:
        return f"key {self.key} of {self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Tls:
    """How the server is authenticated. `ca`: None for those that the container trusts. `server_name`: "" for `host`."""

    ca: CaSource | None = None
    server_name: str = ""
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """The request that curl sends. `protocol`: http, https, or tcp to connect only. `host`: what curl connects to, an
    address or `<name>.<namespace>.svc`.
    """

    protocol: str
    method: str
    host: str
    port: Port
    path: str
    headers: tuple[tuple[str, str], ...]
    body: str
    timeout_s: TimeoutS
    tls: Tls = Tls()

    @property
    def connects_only(self) -> bool:
        """Whether no data is sent."""
        return self.protocol == "tcp"

    @property
    def fits_one_segment(self) -> bool:
        """Whether the request fits into one packet on any path. The last segment of a longer request may arrive even if
        large packets are lost. The first message of TLS may be too long.
        """
        if self.protocol == "https":
            return False
        headers = sum(len(name) + len(value.encode()) for name, value in self.headers)
        return len(self.path) + headers + len(self.body.encode()) <= _ONE_SEGMENT_BYTES


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a successful run requires. `statuses` empty: any 2xx."""

    statuses: tuple[int, ...]
    body_contains: str | None
    max_latency_s: TimeoutS | None
    locality: Locality | None
    encapsulation: Encapsulation | None
    outcome: ExpectedOutcome = ExpectedOutcome.DELIVERED
    certificate_expires_after_s: Annotated[float, Interval(ge=0, le=1e9)] | None = None

    @property
    def denied(self) -> bool:
        """Whether a policy is expected to drop the request; then nothing else is expected."""
        return self.outcome is ExpectedOutcome.DENIED
