"""The doors through which people are told; `kube` implements them, tests fake them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class ProbeRef:
    """One DatapathProbe; `uid` tells it from a later one of the same name."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Written:
    """The API server has it."""


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such probe any more, at most another one under its name."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It was not written; what to write may be newer next time. `reason` is one sentence for the log.

    `code`: the HTTP status of the answer, None if there was none. `refused`: the same would be refused again.
    """

    reason: str
    code: int | None = None
    refused: bool = False


WriteResult = Written | Gone | Retry


class StatusApi(Protocol):
    """Writes `.status` of probes."""

    async def write(self, probe: ProbeRef, status: Mapping[str, object]) -> WriteResult:
        """Make this the whole status of the probe (JSON as the API has it); never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """What is told about a probe. `reason` and `action` are CamelCase; `note` is cut to 1 kB. `key`: what it is
    about; of one probe and key only the first Event is kept, whichever operator told it. Empty: every one is.
    """

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str
    key: str = ""


class Events(Protocol):
    """Where Events go."""

    def tell(self, probe: ProbeRef, event: Event) -> None:
        """Hand an Event over to be sent; never waits and never raises. The same one twice running is sent
        once.
        """
        ...

    def forget(self, probe: ProbeRef) -> None:
        """The probe is gone: nothing more will be told of it."""
        ...
