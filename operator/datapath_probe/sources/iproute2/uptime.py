"""The clock that the datapath writes into conntrack: seconds since the node started.

Source: `/proc/uptime`; Cilium 1.16–1.20 `bpf/lib/time.h` with clock source ktime. ktime stands still while a
machine sleeps and /proc/uptime does not: on a laptop that slept, entries look older than they are.
"""

from ...evidence.question import Question
from ...evidence.reading import Answer
from ..parsing import parser


def uptime(node: str) -> Question:
    """Always asked afresh."""
    return Question(node, ("cat", "/proc/uptime"), max_age_s=0.0)


@parser("/proc/uptime")
def parse(answer: Answer) -> float:
    """Seconds."""
    seconds, _idle = answer.stdout.decode("ascii").split()
    value = float(seconds)
    if not 0 <= value < 1e10:
        raise ValueError(f"{seconds} is no number of seconds")
    return value
