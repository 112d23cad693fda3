"""Where `publish` writes to. `kube` implements these interfaces, tests replace them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class ProbeRef:
    """One DatapathProbe. `uid` distinguishes it from a later one with the same name."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The probe no longer exists. Another probe may have its name."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It was not written. `reason` is one sentence for the log.

    `code`: the HTTP status of the response, None if there was none. `refused`: the same request would be refused again;
    `invalid`: for its content.
    """

    reason: str
    code: int | None = None
    refused: bool = False
    invalid: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """The API server has stored it. `refused`: it refused the whole, and stored what is essential."""

    refused: Retry | None = None


WriteResult = Written | Gone | Retry


class StatusApi(Protocol):
    """Writes `.status` of probes."""

    async def write(self, probe: ProbeRef, status: Mapping[str, object]) -> WriteResult:
        """Replace the status of the probe (JSON as in the API). Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """An Event about a probe. `reason` and `action` are CamelCase; `note` is cut at 1 kB. `key`: of several Events with
    the same probe and key only the first is kept, even if another operator sent it. Empty: every Event is kept.
    """

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str
    key: str = ""


class Events(Protocol):
    """Where Events are sent."""

    def record(self, probe: ProbeRef, event: Event) -> None:
        """Queue an Event. Never waits and never raises. An Event that equals the previous one is not sent again."""
        ...

    def forget(self, probe: ProbeRef) -> None:
        """The probe was deleted: send no more Events about it."""
        ...
