"""Neighbors of a node or a pod: the link-layer address for an IP address.

Source: iproute2 6.x `ip -j neigh show`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ...addresses import IpAddress, address
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Answer
from ..parsing import Json, parser

_LOST_STATES = frozenset({"FAILED", "INCOMPLETE"})


@dataclass(frozen=True, slots=True)
class Neighbor:
    """`mac` "": not resolved yet; `unreachable`: resolution failed."""

    mac: str
    unreachable: bool


def neighbor(node: str, ip: IpAddress, device: str) -> Fact:
    """The link-layer address for packets to this address."""
    return Fact.of(FactKind.NEIGHBOR, node, address=ip, device=device)


def neighbors_in_pod(node: str, namespace: str, device: str) -> Fact:
    """All neighbors of a pod at a device, including those that it did not resolve itself."""
    return Fact.of(FactKind.NEIGHBORS, node, device=device, namespace=namespace)


@parser("ip neigh show")
def parse_neighbor(answer: Answer) -> Neighbor | Absent:
    """The neighbor; absent if the node has no entry for it."""
    return next(iter(_neighbors(answer).values()), Absent())


@parser("ip neigh show")
def parse_neighbors(answer: Answer) -> Mapping[IpAddress, Neighbor]:
    """The neighbors by their addresses."""
    return _neighbors(answer)


def _neighbors(answer: Answer) -> dict[IpAddress, Neighbor]:
    found = {}
    for shown in Json.parse(answer.stdout) if answer.stdout.strip() else ():
        states = {state.text() for state in shown["state"] or ()}
        mac = shown["lladdr"].text("").lower()
        found[address(shown["dst"].text())] = Neighbor(mac, bool(states & _LOST_STATES))
    return found
