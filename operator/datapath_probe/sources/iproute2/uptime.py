"""The clock of conntrack entries: seconds since the node started.

Source: `/proc/uptime`; Cilium 1.16–1.20 `bpf/lib/time.h` with clock source ktime. ktime stops while a machine is
suspended and /proc/uptime does not: on a laptop that was suspended, entries look older than they are.
"""

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..parsing import parser


def uptime(node: str) -> Fact:
    """The uptime of the node. Never shared between runs."""
    return Fact.of(FactKind.UPTIME, node)


@parser("/proc/uptime")
def parse(answer: Answer) -> float:
    """Seconds."""
    seconds, _idle = answer.stdout.decode("ascii").split()
    value = float(seconds)
    if not 0 <= value < 1e10:
        raise ValueError(f"{seconds} is not a number of seconds")
    return value
