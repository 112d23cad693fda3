"""Queues of devices that lose packets, which nobody but people or tools has put there; and the neighbours of a node.

Source: iproute2 6.x `tc -j -s qdisc show`, `ip -j neigh show`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..evidence.question import Question
from ..evidence.reading import Absent, Answer
from .answers import Json, parser
from .netns import inside
from .wire import device_name, ip_text, packed

# What the kernel or its distribution puts there by itself, and what only holds filters.
_ORDINARY = frozenset({"noqueue", "mq", "fq", "fq_codel", "pfifo_fast", "clsact", "ingress"})
_BLACKHOLE = "blackhole"  # counts no losses: all is lost
_DISTURBING = "netem"  # delays, doubles and damages packets too, and counts only those that it loses
_LOST_STATES = frozenset({"FAILED", "INCOMPLETE"})


@dataclass(frozen=True, slots=True)
class Neighbour:
    """`mac` "" while nobody has answered; `unreachable`: nobody does."""

    mac: str
    unreachable: bool


def losing(node: str) -> Question:
    """The queues of all devices of the node."""
    return Question(node, ("tc", "-j", "-s", "qdisc", "show"))


def losing_in_pod(node: str, namespace: str) -> Question:
    """The queues inside a pod; `namespace` as `netns.find` tells it."""
    return inside(node, namespace, "tc", "-j", "-s", "qdisc", "show")


@parser("tc qdisc show")
def parse_losing(answer: Answer) -> Mapping[str, str]:
    """What loses packets or lets them wait, by device: a black hole, netem, or another queue that has lost some."""
    losing: dict[str, str] = {}
    for queue in Json.parse(answer.stdout) if answer.stdout.strip() else ():
        kind, drops = queue["kind"].text(), queue["drops"].integer(0)
        if kind == _BLACKHOLE:
            losing[queue["dev"].text()] = "a black hole"
        elif kind == _DISTURBING:
            losing[queue["dev"].text()] = f"netem, which disturbs packets, and has lost {drops}"
        elif kind not in _ORDINARY and drops:
            losing[queue["dev"].text()] = f"{kind}, which has lost {drops} packets"
    return losing


def neighbour(node: str, ip: str, device: str) -> Question:
    """The link-layer address that packets to this address are sent to."""
    return Question(
        node, ("ip", "-j", "neigh", "show", "to", ip_text(packed(ip)), "dev", device_name(device))
    )


def neighbours_in_pod(node: str, namespace: str, device: str) -> Question:
    """All that a pod's kernel knows at a device; `nud all`: also what it does not ask for."""
    return inside(node, namespace, "ip", "-j", "neigh", "show", "dev", device_name(device), "nud", "all")


@parser("ip neigh show")
def parse_neighbour(answer: Answer) -> Neighbour | Absent:
    """The neighbour; absent where the node has not asked for it."""
    return next(iter(_neighbours(answer).values()), Absent())


@parser("ip neigh show")
def parse_neighbours(answer: Answer) -> Mapping[str, Neighbour]:
    """The neighbours by their addresses."""
    return _neighbours(answer)


def _neighbours(answer: Answer) -> dict[str, Neighbour]:
    found = {}
    for shown in Json.parse(answer.stdout) if answer.stdout.strip() else ():
        states = {state.text() for state in shown["state"] or ()}
        mac = shown["lladdr"].text("").lower()
        found[shown["dst"].text()] = Neighbour(mac, bool(states & _LOST_STATES))
    return found
