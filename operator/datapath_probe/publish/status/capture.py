"""Captured packets of a run → the status's `Capture`, and pcap files. Pure.

Called by `status`, and by `control.evidence_store` and `cli.capture` for the files.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ...api.spec.durations import duration
from ...api.status.capture import PACKETS_LIMIT, Capture, CapturedPacket, CaptureError
from ...diagnose.run.run import PathRun
from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer, Reading, Unavailable
from ...runs.run_result import RunResult
from ...sources.capture import pcap
from ...sources.capture.pcap import Packet

# Between captures of one probe: each opens a packet socket on up to four nodes, for as long as the request takes.
CAPTURE_INTERVAL = timedelta(minutes=1)


def next_capture(last: Capture | None) -> datetime | None:
    """When the next capture of a probe may start; None: at any time."""
    return last.time + CAPTURE_INTERVAL if last else None


def captured(result: RunResult) -> Capture | None:
    """The captured packets; None if no capture was requested."""
    shown: list[CapturedPacket] = []
    errors: list[CaptureError] = []
    requested = omitted = 0
    for fact, readings in _captures(result):
        requested += 1
        node = pcap.parse(readings[-1])
        if isinstance(node, Unavailable):
            message = f"{node.message}{_instead(node)}"
            error = CaptureError(node=fact.node, reason=node.reason, message=message)
            errors += [error] if error not in errors else []  # paths may share a node
            continue
        omitted += node.lost
        shown += [_shown(fact.node, packet, node.packets[0].at) for packet in node.packets]
    if not requested:
        return None
    return Capture(
        time=datetime.fromtimestamp(result.ended, UTC),
        packets=tuple(shown),
        omitted_packets=omitted + max(0, len(shown) - PACKETS_LIMIT),
        errors=tuple(errors),
    )


def _captures(result: RunResult) -> Iterator[tuple[Fact, tuple[Reading, ...]]]:
    for bundle in result.bundles:
        for fact, readings in bundle.run.evidence:
            if fact.kind is FactKind.CAPTURE:
                yield fact, readings


def numbered(name: str, path: int) -> str:
    """The file name for the n-th path of a run: the first, usually the only one, has the name of the run."""
    return name if path == 1 else f"{name}-{path}"


def pcaps(run: PathRun) -> Iterator[tuple[str, bytes]]:
    """(node, pcap file) of each node on which packets were captured."""
    for fact, readings in run.evidence:
        if fact.kind is FactKind.CAPTURE and isinstance(readings[-1], Answer):
            yield fact.node, readings[-1].stdout


def _instead(why: Unavailable) -> str:
    """What to do if the agent's image has no perl. The images of Cilium and of Debian have it."""
    return " (use tcpdump on that node)" if why.reason == EvidenceError.NO_SUCH_EXECUTABLE else ""


def _shown(node: str, packet: Packet, first: float) -> CapturedPacket:
    outer = packet.outer
    return CapturedPacket(
        offset=duration(max(0.0, packet.at - first)),
        node=node,
        interface=packet.interface,
        direction="out" if packet.outgoing else "in",
        outer_addresses=f"{outer.source} → {outer.destination}" if outer else None,
        encapsulation=outer.encapsulation if outer else None,
        vni=outer.vni if outer else None,
        source=f"{packet.source}:{packet.source_port}",
        destination=f"{packet.destination}:{packet.destination_port}",
        flags=" ".join(packet.flags),
        length=packet.length,
        payload=packet.payload,
    )
