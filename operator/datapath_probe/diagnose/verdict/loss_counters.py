"""Counters of both nodes while a request hangs: packets that left one tunnel device and did not arrive at the other.

Counters miss nothing, but they include all traffic of a node. A loss is reported only if the receiver counted no packet
at all while packets of this connection were sent. Counted drops are a hint for users and name no hop. Called by
`context_builder` and `examination`. Source: Cilium 1.18 `bpf/lib/trace.h` (`update_trace_metrics`, before aggregation),
`bpf/lib/encap.h`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation, HopName
from ...evidence.fact import Fact
from ...plan.path import ExpectedPath
from ...sources import kernel_counters
from ...sources.agent import bpf_metrics
from ...sources.agent.bpf_metrics import Counter
from ...sources.iproute2 import links
from ...sources.iproute2.links import DeviceCounters
from ..connection.progress import Progress
from ..context import CheckContext
from ..failure_model.stage import Stage
from ..finding.evidence_reader import EvidenceReader
from ..finding.finding import Segment

# Times of SYN retransmissions in seconds after the first SYN (also if the kernel starts with linear timeouts).
_RETRANSMITS_S = (1, 3, 7, 15, 31)
_NOISE = frozenset({139})  # "Unsupported L3 protocol": IPv6 router solicitations of pods
_SHOWN_DROPS = 3


@dataclass(frozen=True, slots=True)
class WireLoss:
    """No packet arrived: between two tunnel devices, or from outside the cluster. `message`: what shows it."""

    segment: Segment
    message: str
    reason: Reason = Reason.LOST_BETWEEN_NODES


def read_counters(reader: EvidenceReader, path: ExpectedPath) -> None:
    """Read the counters of both nodes, to compare them with those after the request failed."""
    for node in dict.fromkeys((path.source_node, path.destination_node or path.source_node)):
        if path.encapsulation is not Encapsulation.NONE:
            reader.read(links.counters(node, _device(path)), links.parse_counters)
        reader.read(bpf_metrics.fact(node), bpf_metrics.parse)
        reader.read(kernel_counters.fact(node), kernel_counters.parse)


def wire_loss(context: CheckContext, progress: Progress) -> WireLoss | None:
    """The loss between the nodes, in the direction of the last packets that have traces; None if counters show none."""
    path = context.path
    if not path.cross_node or path.encapsulation is Encapsulation.NONE or path.destination_node is None:
        return None
    if progress.reached is Stage.SENT:
        sending, receiving = path.source_node, path.destination_node
        segment = Segment(HopName.OVERLAY_ENCAPSULATION, HopName.OVERLAY_DECAPSULATION, path.source_node)
    elif progress.reached is Stage.ANSWERED:
        sending, receiving = path.destination_node, path.source_node
        segment = Segment(HopName.REPLY_ENCAPSULATION, HopName.REPLY_DECAPSULATION, path.destination_node)
    else:
        return None
    device = _device(path)
    sender, receiver = (_device_delta(context, node, device) for node in (sending, receiving))
    if sender is None or receiver is None or not sender.tx_packets or receiver.rx_packets:
        return None
    programs = _program_delta(context, receiving)
    if programs is None or any(counter.file == "bpf_overlay.c" and n for counter, n in programs.items()):
        return None
    errors = sender.tx_errors + sender.tx_dropped
    message = (
        f"{device} on {sending} sent {sender.tx_packets} packets while the request hung"
        f"{f' ({errors} more failed)' if errors else ''}, and none arrived at {device} on {receiving}: "
        f"0 received by the device, 0 seen by cil_from_overlay"
    )
    return WireLoss(segment, message)


def counted_drops(context: CheckContext) -> Iterator[str]:
    """Drops of any traffic that nodes counted while the request hung."""
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
    """The increase of each counter, in packets."""
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
