"""A fault: how it is injected and which answers are right; and the comparison of an answer with those.

In: declarations of the catalog, and statuses. Out: outcomes. Called by `bench`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from datapath_probe.api.vocabulary import HOP_ORDER, HopName
from e2e.api import Object
from faults.inject.in_place import Injected
from faults.modes import ALL_MODES, Mode
from faults.scene import Scene, Target


class At(StrEnum):
    """A node by its role in the path."""

    SOURCE = "source"
    DESTINATION = "destination"


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict and what it blames; "" for nothing. `node` is a name."""

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
    """A right answer. Without a hop it blames nothing, or a segment."""

    verdict: str
    reason: str
    hop: HopName | None = None
    at: At = At.SOURCE
    segment: tuple[HopName, HopName] | None = None

    def on(self, scene: Scene) -> Answer:
        """The answer with the name of the node."""
        if self.hop is None:
            return Answer(self.verdict, self.reason, segment=self.segment)
        node = scene.source if self.at is At.SOURCE else scene.destination
        return Answer(self.verdict, self.reason, self.hop, node)


@dataclass(frozen=True, slots=True)
class Fault:
    """`expected`: the right answers, the best first. `modes`: where the fault is possible."""

    name: str
    inject: Callable[[Scene], Injected]
    expected: tuple[Expected, ...]
    to: Target = Target.FAR
    modes: frozenset[Mode] = ALL_MODES


class Outcome(StrEnum):
    """Right, honest (unknown or imprecise), or wrong; undone if the agent repaired the fault in every attempt."""

    RIGHT = "right"
    HONEST = "honest"
    WRONG = "wrong"
    UNDONE = "undone"


def answer_of(status: Object) -> Answer:
    """The answer in a status."""
    blamed = status.get("divergentHop", {})
    segment = status.get("segment")
    return Answer(
        verdict=status["verdict"],
        reason=status.get("reason", ""),  # a Healthy probe has none
        hop=blamed.get("name", ""),
        node=blamed.get("node", ""),
        segment=(segment["after"], segment["before"]) if segment else None,
    )


def judge(fault: Fault, scene: Scene, answer: Answer) -> Outcome:
    """Unknown is honest, and so is a segment that contains the fault. Every other unexpected answer is wrong."""
    if answer in [expected.on(scene) for expected in fault.expected]:
        return Outcome.RIGHT
    if answer.verdict == "Unknown":
        return Outcome.HONEST
    if answer.segment and any(_contains(answer.segment, expected) for expected in fault.expected):
        return Outcome.HONEST
    return Outcome.WRONG


def _contains(segment: tuple[str, str], expected: Expected) -> bool:
    """Whether the segment contains the expected hop or segment."""
    if expected.segment:
        return within(segment, expected.segment[0]) and within(segment, expected.segment[1])
    return within(segment, expected.hop)


def within(segment: tuple[str, str], hop: str | None) -> bool:
    """Whether a hop lies in the segment (after, before), including its ends."""
    after, before = (HOP_ORDER[HopName(end)] for end in segment)
    return hop is not None and after <= HOP_ORDER[HopName(hop)] <= before


def latent(fault: Fault, modes: frozenset[Mode]) -> Fault:
    """The same fault in modes where it breaks no request."""
    expected = tuple(replace(answer, verdict="Degraded") for answer in fault.expected)
    return replace(fault, expected=tuple(dict.fromkeys(expected)), modes=modes)


def healthy() -> tuple[Expected, ...]:
    """The path works: what was injected does not concern it, although it looks like a fault."""
    return (Expected("Healthy", ""),)


def broken(hop: HopName, reason: str, at: At = At.SOURCE) -> tuple[Expected, ...]:
    """The request fails."""
    return (Expected("Broken", reason, hop, at),)


def lost_between(after: HopName, before: HopName) -> tuple[Expected, ...]:
    """Packets are lost between two hops, and neither hop is broken."""
    return (Expected("Broken", "LostBetweenNodes", segment=(after, before)),)


def degraded(hop: HopName, reason: str, at: At = At.SOURCE) -> tuple[Expected, ...]:
    """The request succeeds."""
    return (Expected("Degraded", reason, hop, at),)


def either(hop: HopName, reason: str, at: At = At.SOURCE) -> tuple[Expected, ...]:
    """Whether the request succeeds depends on the mode or on timing."""
    return broken(hop, reason, at) + degraded(hop, reason, at)
