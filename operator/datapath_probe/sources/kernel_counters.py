"""Counters of the kernel's network stack, of a node or inside a pod: packets with wrong checksums, rejected by IPsec, …

They count all packets since the namespace was created, so they support other evidence and name no hop by themselves.
Called by `diagnose`. Source: Linux 6.x `net/ipv4/proc.c`, `net/xfrm/xfrm_proc.c`.
"""

from collections.abc import Mapping

from ..evidence.fact import Fact
from ..evidence.fact_kinds import FactKind
from ..evidence.reading import Answer
from .parsing import parser

FILES = ("/proc/net/snmp", "/proc/net/netstat", "/proc/net/xfrm_stat")
"""The last one is missing in kernels without IPsec."""

Counters = Mapping[str, int]
"""By name, as in `Tcp.InCsumErrors` and `XfrmInPolBlock`."""


def fact(node: str, namespace: str | None = None) -> Fact:
    """The counters of the node, or inside a pod; `namespace` as `netns.find` returns it. Never shared between runs."""
    return Fact.of(FactKind.KERNEL_COUNTERS, node, namespace=namespace)


@parser("/proc/net/snmp", exit_codes=(0, 1))
def parse(answer: Answer) -> Counters:
    """Two lines for each protocol, its names and its values; or one line for each counter of XFRM."""
    found: dict[str, int] = {}
    names: list[str] = []
    for line in answer.stdout.decode("ascii").splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            (value,) = rest
            found[first] = int(value)
        elif names[:1] == [first]:
            values = zip(names[1:], rest, strict=True)
            found |= {f"{first[:-1]}.{name}": int(value) for name, value in values}
            names = []
        else:
            names = [first, *rest]
    if not found:
        raise ValueError("no counters")
    return found


def rise(before: Counters, after: Counters) -> Counters:
    """The counters that rose, each by how much."""
    return {name: after[name] - value for name, value in before.items() if after.get(name, value) > value}
