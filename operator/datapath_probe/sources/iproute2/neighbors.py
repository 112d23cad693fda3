"""Neighbors of a node or a pod: which link-layer address belongs to an IP address.

Source: iproute2 6.x `ip -j neigh show`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Answer
from ..parsing import Json, parser

_LOST_STATES = frozenset({"FAILED", "INCOMPLETE"})


@dataclass(frozen=True, slots=True)
class Neighbor:
    """`mac` "" while nobody has answered; `unreachable`: nobody does."""

    mac: str
    unreachable: bool


def neighbor(node: str, ip: str, device: str) -> Fact:
    """The link-layer address that packets to this address are sent to."""
    return Fact.of(FactKind.NEIGHBOR, node, address=ip, device=device)


def neighbors_in_pod(node: str, namespace: str, device: str) -> Fact:
    """All that a pod's kernel knows at a device, also what it does not ask for."""
    return Fact.of(FactKind.NEIGHBORS, node, device=device, namespace=namespace)


@parser("ip neigh show")
def parse_neighbor(answer: Answer) -> Neighbor | Absent:
    """The neighbour; absent where the node has not asked for it."""
    return next(iter(_neighbors(answer).values()), Absent())


@parser("ip neigh show")
def parse_neighbors(answer: Answer) -> Mapping[str, Neighbor]:
    """The neighbours by their addresses."""
    return _neighbors(answer)


def _neighbors(answer: Answer) -> dict[str, Neighbor]:
    found = {}
    for shown in Json.parse(answer.stdout) if answer.stdout.strip() else ():
        states = {state.text() for state in shown["state"] or ()}
        mac = shown["lladdr"].text("").lower()
        found[shown["dst"].text()] = Neighbor(mac, bool(states & _LOST_STATES))
    return found
