"""Devices with an MTU smaller than the packets they receive: the cause if requests stall, otherwise a latent fault."""

import json
from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.netstack.mtu import largest_packet
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.sources.iproute2 import links
from unit.diagnose.altered_runs import ends, without
from unit.recorded import recorded
from unit.sources.golden import printed

STALLED, HEALTHY = "mtu-too-small-for-a-large-body", "healthy-cross-node"
OUTER = 1500  # the MTU of a pod's routes is 1450, the tunnel's headers have 50 octets


def read_again(run: PathRun) -> PathRun:
    """Everything that the run read, once more."""
    evidence = run.evidence
    for fact, readings in run.evidence:
        evidence = evidence.adding([fact], [readings[-1]])
    return replace(run, evidence=evidence, second_look=True)


def with_uplinks(run: PathRun, source_mtu: int, destination_mtu: int) -> PathRun:
    """The run between nodes whose devices have these MTUs."""
    evidence = run.evidence
    nodes = {facts.name: facts for facts in run.plan.nodes}
    here, there = ends(run)
    for node, other, mtu in ((here, there, source_mtu), (there, here, destination_mtu)):
        cilium = nodes[other].cilium
        assert cilium is not None
        route = {"dst": str(cilium.internal_ips[0]), "dev": "eth0", "flags": []}
        link = links.link(node, "eth0")
        for fact, shown in (
            (links.route_to(node, cilium.internal_ips[0]), route),
            (link, {**_known(run, link), "mtu": mtu}),
        ):
            evidence = evidence.adding([fact], [printed(json.dumps([shown]))])
    return read_again(replace(run, evidence=evidence))


def _known(run: PathRun, link: Fact) -> dict[str, object]:
    """The device as it was read, or a plausible one."""
    reading = run.evidence.latest(link)
    if isinstance(reading, Answer):
        [shown] = json.loads(reading.stdout)
        return dict(shown)
    return {"ifindex": 2, "ifname": "eth0", "flags": ["UP"], "linkinfo": {"info_kind": "veth"}}


def node_routing(run: PathRun) -> Finding:
    return next(finding for finding in diagnose(run).findings if finding.hop is HopName.NODE_ROUTING)


@pytest.mark.parametrize("at_source", [True, False])
def test_a_node_whose_mtu_is_too_small_for_received_packets_is_named(at_source: bool) -> None:
    run = recorded(STALLED)
    run = with_uplinks(run, *((OUTER - 1, OUTER) if at_source else (OUTER, OUTER - 1)))
    divergence = diagnose(run).divergence
    assert divergence is not None
    assert (divergence.hop, divergence.reason) == (HopName.NODE_ROUTING, Reason.MTU_TOO_SMALL)
    assert divergence.node == ends(run)[0 if at_source else 1]


def test_with_small_requests_it_is_a_latent_fault() -> None:
    finding = node_routing(with_uplinks(recorded(HEALTHY), OUTER, OUTER - 1))
    assert (finding.verdict, finding.reason) == (HopVerdict.STALE, Reason.MTU_TOO_SMALL)


@pytest.mark.parametrize("mtus", [(OUTER, OUTER), (9000, OUTER), (1400, 1400)])
def test_packets_that_are_fragmented_by_the_sender_arrive(mtus: tuple[int, int]) -> None:
    """Equal MTUs, even if smaller than those of pods; and a larger one, because pods advertise their MSS."""
    assert node_routing(with_uplinks(recorded(HEALTHY), *mtus)).verdict is HopVerdict.OK


def with_pod_taking(run: PathRun, mtu: int) -> PathRun:
    """The run to a pod whose own device has this MTU."""
    evidence, there = run.evidence, ends(run)[1]
    for fact, _ in run.evidence:
        if fact.node == there and fact.kind is FactKind.LINK and fact.get("namespace"):
            evidence = evidence.adding([fact], [printed(json.dumps([{**_known(run, fact), "mtu": mtu}]))])
    return read_again(replace(run, evidence=evidence))


def test_a_pod_whose_mtu_is_smaller_than_that_of_its_route_is_named_if_requests_stall() -> None:
    divergence = diagnose(
        with_pod_taking(without(recorded(STALLED), FactKind.IPTABLES_RULES), 600)
    ).divergence
    assert divergence is not None
    assert (divergence.hop, divergence.reason) == (HopName.DESTINATION_INTERFACE, Reason.MTU_TOO_SMALL)


def test_a_pod_whose_mtu_is_smaller_than_that_of_its_route_is_a_latent_fault_with_small_requests() -> None:
    findings = diagnose(with_pod_taking(recorded(HEALTHY), 600)).findings
    finding = next(f for f in findings if f.hop is HopName.DESTINATION_INTERFACE)
    assert (finding.verdict, finding.reason) == (HopVerdict.STALE, Reason.MTU_TOO_SMALL)


def test_routes_of_a_pod_may_have_a_smaller_mtu_than_its_device() -> None:
    link = links.Link(2, "eth0", None, up=True, mac="", mtu=1500, kind="veth", tunnel_port=None)
    route = links.Route("default", ip_address("10.0.0.1"), "eth0", None, mtu=1450)
    assert largest_packet(link, (route,)) == 1450
    assert largest_packet(link, (replace(route, mtu=None),)) == 1500
    assert largest_packet(link, ()) == 1500
