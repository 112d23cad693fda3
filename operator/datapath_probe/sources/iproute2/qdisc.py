"""Qdiscs that drop, delay or damage packets. Neither the kernel nor Cilium adds any of these.

Source: iproute2 6.x `tc -j -s qdisc show` (`tc/q_netem.c`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..parsing import Json, parser

# Qdiscs that the kernel or the distribution adds by default, and those that only hold filters.
_HOLDING_FILTERS = frozenset({"clsact", "ingress"})
_ORDINARY = frozenset({"noqueue", "mq", "fq", "fq_codel", "pfifo_fast"}) | _HOLDING_FILTERS
_BLACKHOLE = "blackhole"  # drops every packet without counting
_DISTURBING = "netem"  # also delays, duplicates and damages packets, but counts only those that it drops


@dataclass(frozen=True, slots=True)
class Queue:
    """A qdisc that drops, delays or damages packets. `description` completes "the qdisc is …". `delay_s`: the current
    delay of a packet, None if unknown; `damaged`: the share of packets, up to 1.
    """

    description: str
    loses: bool = True
    delay_s: float | None = 0.0
    damaged: float = 0.0


def losing(node: str) -> Fact:
    """The qdiscs of all devices of the node."""
    return Fact.of(FactKind.QDISCS, node)


def losing_in_pod(node: str, namespace: str) -> Fact:
    """The qdiscs inside a pod; `namespace` as `netns.find` returns it."""
    return Fact.of(FactKind.QDISCS, node, namespace=namespace)


@parser("tc qdisc show")
def parse_losing(answer: Answer) -> Mapping[str, Queue]:
    """By device, the qdiscs that drop or delay packets: blackhole, netem, or any non-default qdisc that has dropped
    packets or has a backlog.
    """
    shown = list(Json.parse(answer.stdout)) if answer.stdout.strip() else []
    return {queue["dev"].text(): found for queue in shown if (found := _queue(queue))}


def _queue(shown: Json) -> Queue | None:
    kind, drops, waiting = shown["kind"].text(), shown["drops"].integer(0), shown["qlen"].integer(0)
    if kind == _BLACKHOLE:
        return Queue("a blackhole, which drops every packet")
    if kind == _DISTURBING:
        return _netem(shown["options"], drops)
    if kind in _ORDINARY or not (drops or waiting):
        return None
    rate = shown["options"].maybe("rate").number(0.0)  # bytes per second, of tbf
    delay_s = shown["backlog"].integer(0) / rate if rate else None
    held = f" and has a backlog of {waiting}" if waiting else ""
    description = f"{kind}, which has dropped {drops} packets{held}"
    return Queue(description, loses=bool(drops), delay_s=delay_s if waiting else 0.0)


def _netem(options: Json, drops: int) -> Queue:
    """netem prints delays in seconds and shares of packets as fractions."""
    delay, damage = options.maybe("delay"), options.maybe("corrupt")
    delay_s = delay.maybe("delay").number(0.0) + delay.maybe("jitter").number(0.0)
    damaged = damage.maybe("corrupt").number(0.0)
    does = [f"delays them by {delay_s:g} s"] if delay_s else []
    does += [f"damages {damaged:.0%} of them"] if damaged else []
    effects = "".join(f", {effect}" for effect in does)
    return Queue(
        f"netem, which disturbs packets{effects}, and has dropped {drops}", delay_s=delay_s, damaged=damaged
    )


@parser("tc qdisc show")
def parse_filtering(answer: Answer) -> frozenset[str]:
    """The devices that may have tc filters, because they have a qdisc that can hold them."""
    shown = list(Json.parse(answer.stdout)) if answer.stdout.strip() else []
    return frozenset(queue["dev"].text() for queue in shown if queue["kind"].text() in _HOLDING_FILTERS)
