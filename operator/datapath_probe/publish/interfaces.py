"""Where `publish` writes to. `kube` implements these interfaces, tests replace them."""

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
    """The probe does not exist any more; another one may have its name."""


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
    """An Event about a probe. `reason` and `action` are CamelCase; `note` is cut to 1 kB. `key`: what it is about; of
    one probe and key only the first Event is kept, whichever operator sent it. Empty: every one is.
    """

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str
    key: str = ""


class Events(Protocol):
    """Where Events go."""

    def record(self, probe: ProbeRef, event: Event) -> None:
        """Hand an Event over to be sent; never waits and never raises. The same one twice in a row is sent
        once.
        """
        ...

    def forget(self, probe: ProbeRef) -> None:
        """The probe is gone: send nothing more about it."""
        ...
