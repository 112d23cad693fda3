"""Packet counters of a node: by reason, direction and place in the programs. They are exact even if events are
aggregated, but count all traffic of the node: use the difference over a run.

Line numbers change with every build of Cilium, so counters are matched by file and direction.
Source: Cilium 1.16–1.20 `cilium-dbg/cmd/bpf_metrics_list.go`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..drop_reasons import code_of
from ..parsing import Json, parser


@dataclass(frozen=True, slots=True)
class Counter:
    """`reason` as printed ("Success", "Policy denied"); `direction`: ingress, egress, service or unknown."""

    reason: str
    direction: str
    file: str
    line: int
    packets: int
    bytes: int

    @property
    def drop_code(self) -> int | None:
        """The drop reason; None: these packets were not dropped."""
        return code_of(self.reason)


def fact(node: str) -> Fact:
    """All counters. Starts a process. Never shared between runs."""
    return Fact.of(FactKind.BPF_METRICS, node)


@parser("cilium-dbg bpf metrics list")
def parse(answer: Answer) -> tuple[Counter, ...]:
    """The counters, in no particular order."""
    if not answer.stdout.strip() and b"No entries found" in answer.stderr:
        return ()
    return tuple(
        Counter(
            reason=shown["reason"].text(),
            direction=shown["direction"].text(),
            file=shown["file"].text(""),
            line=shown["line"].integer(0),
            packets=shown["packets"].integer(),
            bytes=shown["bytes"].integer(),
        )
        for shown in Json.parse(answer.stdout)
    )


def rise(before: Sequence[Counter], after: Sequence[Counter]) -> Mapping[Counter, int] | None:
    """The increase of each counter, with its last value as key; None if one has decreased, because the map was
    re-created.
    """
    old = {_place(counter): counter.packets for counter in before}
    risen = {counter: counter.packets - old.get(_place(counter), 0) for counter in after}
    return risen if min(risen.values(), default=0) >= 0 else None


def _place(counter: Counter) -> tuple[str, str, str, int]:
    return counter.reason, counter.direction, counter.file, counter.line
