"""Qdiscs that lose, delay or damage packets: neither the kernel nor Cilium adds such.

Source: iproute2 6.x `tc -j -s qdisc show` (`tc/q_netem.c`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..parsing import Json, parser

# What the kernel or its distribution puts there by itself, and what only holds filters.
_HOLDING_FILTERS = frozenset({"clsact", "ingress"})
_ORDINARY = frozenset({"noqueue", "mq", "fq", "fq_codel", "pfifo_fast"}) | _HOLDING_FILTERS
_BLACKHOLE = "blackhole"  # counts no losses: all is lost
_DISTURBING = "netem"  # delays, doubles and damages packets too, and counts only those that it loses


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue that loses packets, or does not but lets them wait, in words. `delay_s`: how long a packet waits now,
    None where that is not known; `damaged`: the share of packets, up to 1.
    """

    description: str
    loses: bool = True
    delay_s: float | None = 0.0
    damaged: float = 0.0


def losing(node: str) -> Fact:
    """The queues of all devices of the node."""
    return Fact.of(FactKind.QDISCS, node)


def losing_in_pod(node: str, namespace: str) -> Fact:
    """The queues inside a pod; `namespace` as `netns.find` tells it."""
    return Fact.of(FactKind.QDISCS, node, namespace=namespace)


@parser("tc qdisc show")
def parse_losing(answer: Answer) -> Mapping[str, Queue]:
    """What loses packets or lets them wait, by device: a black hole, netem, or another queue that somebody has put
    there and that has lost some or holds some back.
    """
    shown = list(Json.parse(answer.stdout)) if answer.stdout.strip() else []
    return {queue["dev"].text(): description for queue in shown if (description := _queue(queue))}


def _queue(shown: Json) -> Queue | None:
    kind, drops, waiting = shown["kind"].text(), shown["drops"].integer(0), shown["qlen"].integer(0)
    if kind == _BLACKHOLE:
        return Queue("a black hole")
    if kind == _DISTURBING:
        return _netem(shown["options"], drops)
    if kind in _ORDINARY or not (drops or waiting):
        return None
    rate = shown["options"].maybe("rate").number(0.0)  # octets a second, of tbf
    delay_s = shown["backlog"].integer(0) / rate if rate else None
    held = f" and holds back {waiting}" if waiting else ""
    description = f"{kind}, which has dropped {drops} packets{held}"
    return Queue(description, loses=bool(drops), delay_s=delay_s if waiting else 0.0)


def _netem(options: Json, drops: int) -> Queue:
    """Delays are printed in seconds, shares of packets as fractions of one."""
    delay, damage = options.maybe("delay"), options.maybe("corrupt")
    delay_s = delay.maybe("delay").number(0.0) + delay.maybe("jitter").number(0.0)
    damaged = damage.maybe("corrupt").number(0.0)
    does = [f"delays them by {delay_s:g} s"] if delay_s else []
    does += [f"damages {damaged:.0%} of them"] if damaged else []
    description = "".join(f", {one}" for one in does)
    return Queue(
        f"netem, which disturbs packets{description}, and has dropped {drops}",
        delay_s=delay_s,
        damaged=damaged,
    )


@parser("tc qdisc show")
def parse_filtering(answer: Answer) -> frozenset[str]:
    """The devices at which there may be filters: those that have a place to hold them."""
    shown = list(Json.parse(answer.stdout)) if answer.stdout.strip() else []
    return frozenset(queue["dev"].text() for queue in shown if queue["kind"].text() in _HOLDING_FILTERS)
