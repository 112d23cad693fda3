"""What both nodes counted while a request hung: packets that left one tunnel device and never came out of the other.

Counters miss nothing, but they count all traffic of a node. So a loss is reported only where the receiver counted no
packet at all while this connection's were sent; what drops were counted is a hint to people and names no hop. Called by
`diagnose`. Source: Cilium 1.18 `bpf/lib/trace.h` (`update_trace_metrics`, before aggregation), `bpf/lib/encap.h`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...api.vocabulary import Encapsulation, HopName
from ...evidence.fact import Fact
from ...plan.path import ExpectedPath
from ...sources.agent import bpf_metrics
from ...sources.agent.bpf_metrics import Counter
from ...sources.iproute2 import links
from ...sources.iproute2.links import DeviceCounters
from ..connection.progress import Progress
from ..context import CheckContext
from ..failure_model.stage import Stage
from ..finding.evidence_reader import EvidenceReader
from ..finding.finding import Segment

# A SYN that is not answered is sent again so many seconds after the first (also where the kernel starts linearly).
_RETRANSMITS_S = (1, 3, 7, 15, 31)
_NOISE = frozenset({139})  # IPv6 router solicitations of pods, "Unsupported L3 protocol"
_SHOWN_DROPS = 3


@dataclass(frozen=True, slots=True)
class WireLoss:
    """Nothing came through between two tunnel devices. `segment`: the stretch of the path; `message`: the numbers."""

    segment: Segment
    message: str


def count(reader: EvidenceReader, path: ExpectedPath) -> None:
    """The counters of both nodes, to be compared with what they are when the request has failed."""
    for node in dict.fromkeys((path.source_node, path.destination_node or path.source_node)):
        if path.encapsulation is not Encapsulation.NONE:
            reader.read(links.counters(node, _device(path)), links.parse_counters)
        reader.read(bpf_metrics.fact(node), bpf_metrics.parse)


def wire_loss(context: CheckContext, progress: Progress) -> WireLoss | None:
    """The loss between the nodes, in the direction of the last packets that conntrack and events know of; None: there
    is no proof of one.
    """
    path = context.path
    if not path.cross_node or path.encapsulation is Encapsulation.NONE or path.destination_node is None:
        return None
    if progress.reached is Stage.SENT:
        ends = path.source_node, path.destination_node
        segment = Segment(HopName.OVERLAY_ENCAPSULATION, HopName.OVERLAY_DECAPSULATION, path.source_node)
    elif progress.reached is Stage.ANSWERED:
        ends = path.destination_node, path.source_node
        segment = Segment(HopName.REPLY_ENCAPSULATION, HopName.REPLY_DECAPSULATION, path.destination_node)
    else:
        return None
    device = _device(path)
    sender, receiver = (_device_delta(context, node, device) for node in ends)
    if sender is None or receiver is None or not sender.tx_packets or receiver.rx_packets:
        return None
    programs = _program_delta(context, ends[1])
    if programs is None or any(counter.file == "bpf_overlay.c" and n for counter, n in programs.items()):
        return None
    errors = sender.tx_errors + sender.tx_dropped
    message = (
        f"{device} on {ends[0]} sent {sender.tx_packets} packets while the request hung"
        f"{f' ({errors} more failed)' if errors else ''}, and none came out of {device} on {ends[1]}: "
        f"0 received by the device, 0 seen by cil_from_overlay"
    )
    return WireLoss(segment, message)


def counted_drops(context: CheckContext) -> Iterator[str]:
    """Drops that nodes counted while the request hung, of whatever traffic."""
    nodes = dict.fromkeys(
        (context.path.source_node, context.path.destination_node or context.path.source_node)
    )
    shown = [
        f"{node} counted {packets} × {counter.reason} in {counter.file} ({counter.direction})"
        for node in nodes
        for counter, packets in (_program_delta(context, node) or {}).items()
        if packets and counter.drop_code is not None and counter.drop_code not in _NOISE
    ]
    yield from sorted(shown)[:_SHOWN_DROPS]


def _device(path: ExpectedPath) -> str:
    return f"cilium_{path.config.tunnel_protocol}"


def _device_delta(context: CheckContext, node: str, device: str) -> DeviceCounters | None:
    fact = links.counters(node, device)
    readings = context.reader.series(fact, links.parse_counters)
    if len(readings) < 2 or not _spans_a_retransmit(context, fact):
        return None
    before, after = readings[0], readings[-1]
    if not isinstance(before, DeviceCounters) or not isinstance(after, DeviceCounters):
        return None
    return after.since(before)


def _program_delta(context: CheckContext, node: str) -> Mapping[Counter, int] | None:
    """By counter, how many packets it rose by."""
    readings = context.reader.series(bpf_metrics.fact(node), bpf_metrics.parse)
    if len(readings) < 2:
        return None
    before, after = readings[0], readings[-1]
    if not isinstance(before, tuple) or not isinstance(after, tuple):
        return None
    return bpf_metrics.rise(before, after)


def _spans_a_retransmit(context: CheckContext, fact: Fact) -> bool:
    """Whether a packet of this connection was sent after the first reading of the counters."""
    report, started = context.connection.report, context.run.request.started
    if report is None:
        return False
    waited_s = report.timings.total - report.timings.name_lookup
    read_s = context.reader.first_read_by(fact) - started
    return any(read_s <= again_s < waited_s for again_s in _RETRANSMITS_S)
