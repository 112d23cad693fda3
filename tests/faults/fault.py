"""A fault: how it is injected, and what may be said about it. Then what was said, held against that."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from datapath_probe.api.vocabulary import HOP_ORDER, HopName
from e2e.api import Object
from faults.inject.in_place import Injected
from faults.modes import EVERY, Mode
from faults.scene import Scene, Target


class At(StrEnum):
    """A node by its part in the path."""

    SOURCE = "source"
    DESTINATION = "destination"


@dataclass(frozen=True, slots=True)
class Named:
    """A verdict with what it blames; "" where it blames nothing. `node` is a name."""

    verdict: str
    reason: str
    hop: str = ""
    node: str = ""
    segment: tuple[str, str] | None = None

    def __str__(self) -> str:
        where = f" {self.hop}@{self.node}" if self.hop else ""
        between = f" {self.segment[0]} … {self.segment[1]}" if self.segment else ""
        return f"{self.verdict}{where}{between} {self.reason}"


@dataclass(frozen=True, slots=True)
class Expected:
    """An answer that is right. Without a hop nothing is blamed, or a stretch where no hop is at fault."""

    verdict: str
    reason: str
    hop: HopName | None = None
    at: At = At.SOURCE
    segment: tuple[HopName, HopName] | None = None

    def on(self, scene: Scene) -> Named:
        """With the name of the node."""
        if self.hop is None:
            return Named(self.verdict, self.reason, segment=self.segment)
        node = scene.source if self.at is At.SOURCE else scene.destination
        return Named(self.verdict, self.reason, self.hop, node)


@dataclass(frozen=True, slots=True)
class Fault:
    """`expected`: any of these is right; the first is the best. `modes`: where the fault is possible."""

    name: str
    inject: Callable[[Scene], Injected]
    expected: tuple[Expected, ...]
    to: Target = Target.FAR
    modes: frozenset[Mode] = EVERY


class Outcome(StrEnum):
    """Right, or honest about not knowing, or wrong; or nothing to judge, because the agent repaired it each time."""

    RIGHT = "right"
    HONEST = "honest"
    WRONG = "wrong"
    UNDONE = "undone"


def said(status: Object) -> Named:
    """What a status says."""
    blamed = status.get("divergentHop", {})
    segment = status.get("segment")
    return Named(
        verdict=status["verdict"],
        reason=status.get("reason", ""),  # a Healthy probe has none
        hop=blamed.get("name", ""),
        node=blamed.get("node", ""),
        segment=(segment["after"], segment["before"]) if segment else None,
    )


def judge(fault: Fault, scene: Scene, answer: Named) -> Outcome:
    """Unknown is honest, and so is a segment that contains the fault. All else that is not expected is wrong."""
    if answer in [expected.on(scene) for expected in fault.expected]:
        return Outcome.RIGHT
    if answer.verdict == "Unknown":
        return Outcome.HONEST
    if answer.segment and any(_holds(answer.segment, expected) for expected in fault.expected):
        return Outcome.HONEST
    return Outcome.WRONG


def _holds(segment: tuple[str, str], expected: Expected) -> bool:
    """Whether what is expected lies in a segment."""
    if expected.segment:
        return within(segment, expected.segment[0]) and within(segment, expected.segment[1])
    return within(segment, expected.hop)


def within(segment: tuple[str, str], hop: str | None) -> bool:
    """Whether a hop lies in a segment, (after, before), ends and all."""
    after, before = (HOP_ORDER[HopName(end)] for end in segment)
    return hop is not None and after <= HOP_ORDER[HopName(hop)] <= before


def latent(fault: Fault, modes: frozenset[Mode]) -> Fault:
    """The same fault in modes in which it harms no request."""
    expected = tuple(replace(answer, verdict="Degraded") for answer in fault.expected)
    return replace(fault, expected=tuple(dict.fromkeys(expected)), modes=modes)


def broken(hop: HopName, reason: str, at: At = At.SOURCE) -> tuple[Expected, ...]:
    """The request fails."""
    return (Expected("Broken", reason, hop, at),)


def lost_between(after: HopName, before: HopName) -> tuple[Expected, ...]:
    """Packets left at one hop and never came to the other: neither is at fault."""
    return (Expected("Broken", "LostBetweenNodes", segment=(after, before)),)


def degraded(hop: HopName, reason: str, at: At = At.SOURCE) -> tuple[Expected, ...]:
    """The request succeeds all the same."""
    return (Expected("Degraded", reason, hop, at),)


def either(hop: HopName, reason: str, at: At = At.SOURCE) -> tuple[Expected, ...]:
    """Whether the request succeeds depends on the mode, or on chance."""
    return broken(hop, reason, at) + degraded(hop, reason, at)
