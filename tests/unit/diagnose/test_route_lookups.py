"""Route lookups for a packet on both nodes and inside pods, read after a failure."""

from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer
from datapath_probe.sources.iproute2 import links
from datapath_probe.sources.packet import Packet
from unit.recorded import recorded

LOST = "overlay-dropped-on-the-wire"
ACCEPTED = b'[{"type":"local","dst":"172.30.0.12","from":"172.30.0.11","dev":"lo","flags":[],"iif":"eth0"}]'
FORWARDED = b'[{"dst":"10.244.1.5","gateway":"10.244.1.1","dev":"eth0","flags":[],"iif":"eth0"}]'
REJECTED = b"RTNETLINK answers: Invalid argument\n"


def answered(run: PathRun, fact: Fact, stdout: bytes = b"", stderr: bytes = b"") -> PathRun:
    """The run with this answer, read twice."""
    answer = Answer(2 if stderr else 0, stdout, stderr, 0.0, 0.0)
    evidence = run.evidence.adding([fact], [answer]).adding([fact], [answer])
    return replace(run, evidence=evidence)


def outer(run: PathRun) -> tuple[Packet, str, str]:
    """The tunnel packet of the run's request, and the names of its sending and receiving node."""
    source, target = run.plan.source.node, run.plan.backends[0].pod_facts
    assert source.cilium is not None
    assert target is not None
    assert target.node.cilium is not None
    ends = source.cilium.internal_ips[0], target.node.cilium.internal_ips[0]
    return Packet("udp", *ends, 8472), source.name, target.node.name


def uplinked(run: PathRun) -> PathRun:
    """The run with a route from the destination's node to the source's."""
    packet, _, there = outer(run)
    route = f'[{{"dst":"{packet.source}","dev":"eth0","prefsrc":"{packet.destination}","flags":[]}}]'
    return answered(run, links.route_to(there, packet.source), route.encode())


def test_a_node_that_rejects_tunnel_packets_is_named() -> None:
    run = uplinked(recorded(LOST))
    packet, _, there = outer(run)
    divergence = diagnose(answered(run, links.arrival(there, packet, "eth0"), stderr=REJECTED)).divergence
    assert divergence is not None
    assert (divergence.hop, divergence.node) == (HopName.OVERLAY_DECAPSULATION, there)
    assert divergence.reason is Reason.NODE_ROUTE_MISSING


def test_a_rule_without_a_route_for_tunnel_packets_is_named() -> None:
    run = recorded(LOST)
    packet, here, _ = outer(run)
    divergence = diagnose(answered(run, links.departure(here, packet), stderr=REJECTED)).divergence
    assert divergence is not None
    assert (divergence.hop, divergence.node) == (HopName.NODE_ROUTING, here)


def test_a_node_that_accepts_tunnel_packets_is_not_the_cause() -> None:
    run = uplinked(recorded(LOST))
    packet, _, there = outer(run)
    assert diagnose(answered(run, links.arrival(there, packet, "eth0"), ACCEPTED)).divergence is None


@pytest.mark.parametrize(
    ("stdout", "stderr", "accepted"),
    [(ACCEPTED, b"", True), (FORWARDED, b"", False), (b"", REJECTED, False)],
)
def test_only_local_packets_are_accepted(stdout: bytes, stderr: bytes, accepted: bool) -> None:
    assert links.parse_arrival(Answer(2 if stderr else 0, stdout, stderr, 0.0, 0.0)) is accepted
