"""The first of several faults is named, on its own node; objects that can't be read do not count as absent."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.evidence_reader import EvidenceReader
from datapath_probe.diagnose.finding.faults import worst_of
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.finding.hop_check import Contradiction, HopCheck
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.path import ExpectedHop
from datapath_probe.sources.bpf import bpftool
from datapath_probe.sources.iproute2 import links
from datapath_probe.sources.netfilter import iptables, nftables
from datapath_probe.sources.packet import Packet
from unit.recorded import recorded

HERE = Contradiction(Reason.NEIGHBOR_MAC_MISMATCH, "a wrong neighbor")
THERE = Contradiction(Reason.NETFILTER_DROPS, "a filter of the other node", node="node2")


def test_a_filter_of_the_other_node_does_not_hide_an_earlier_fault() -> None:
    hop = HopCheck(
        ExpectedHop(HopName.NODE_ROUTING, "node1"), "route", EvidenceReader(Evidence()), second_look=True
    )
    ok = hop.ok("a route")
    assert worst_of(hop, ok, HERE, THERE).node == "node1"
    assert worst_of(hop, ok, None, THERE).node == "node2"


LOST = "overlay-dropped-on-the-wire"
NFT_DROPS = base64.b64decode(
    json.loads((Path(__file__).parents[3] / "data/nftables/linux-6.18.json").read_text())["input-drop"][
        "output"
    ]
)
NO_ANSWER = Unavailable(EvidenceError.TIMEOUT, "no answer within 5 s")
NO_NF_TABLES = Answer(255, b"", b"the kernel refuses: -22\n", 0.0, 0.0)


def reread(run: PathRun, fact: Fact, reading: Reading) -> PathRun:
    """The run with this reading of a fact, twice, and no other."""
    others = {known: readings for known, readings in run.evidence if known != fact}
    return replace(run, evidence=Evidence({**others, fact: (reading, reading)}))


def arrival(run: PathRun) -> str:
    """The node that the run's tunnel packets are sent to."""
    target = run.plan.backends[0].pod_facts
    assert target is not None
    return target.node.name


def finding(run: PathRun, hop: HopName) -> Finding:
    return next(finding for finding in diagnose(run).findings if finding.hop is hop)


def test_a_rule_of_nft_counts_where_those_of_iptables_cannot_be_read() -> None:
    run = recorded(LOST)
    node = arrival(run)
    run = reread(run, iptables.fact(node), NO_ANSWER)
    run = reread(run, nftables.fact(node), Answer(0, NFT_DROPS, b"", 0.0, 0.0))
    divergence = diagnose(run).divergence
    assert divergence is not None
    assert (divergence.hop, divergence.reason) == (
        HopName.OVERLAY_DECAPSULATION,
        Reason.NETFILTER_DROPS,
    )


@pytest.mark.parametrize("fact", [iptables.fact, nftables.fact])
def test_a_packet_filter_that_cannot_be_read_leaves_its_hop_unknown(
    fact: Callable[[str], Fact],
) -> None:
    run = recorded(LOST)
    found = finding(reread(run, fact(arrival(run)), NO_ANSWER), HopName.OVERLAY_DECAPSULATION)
    assert (found.verdict, found.reason) == (HopVerdict.UNKNOWN, Reason.EVIDENCE_TIMEOUT)


def test_a_kernel_without_nf_tables_has_none_of_its_rules() -> None:
    run = recorded(LOST)
    run = reread(run, nftables.fact(arrival(run)), NO_NF_TABLES)
    assert finding(run, HopName.OVERLAY_DECAPSULATION).verdict is HopVerdict.OK


def test_a_kernel_without_an_answer_leaves_its_hop_unknown() -> None:
    run = recorded(LOST)
    packet, here = _outer(run)
    found = finding(reread(run, links.departure(here, packet), NO_ANSWER), HopName.NODE_ROUTING)
    assert (found.verdict, found.reason) == (HopVerdict.UNKNOWN, Reason.EVIDENCE_TIMEOUT)


def test_programs_at_a_device_that_cannot_be_read_leave_its_hop_unknown() -> None:
    run = recorded(LOST)
    packet, here = _outer(run)
    route = links.parse_route(run.evidence.latest(links.route_to(here, packet.destination)))
    assert isinstance(route, links.Route)
    found = finding(reread(run, bpftool.attached(here, route.device), NO_ANSWER), HopName.NODE_ROUTING)
    assert (found.verdict, found.reason) == (HopVerdict.UNKNOWN, Reason.EVIDENCE_TIMEOUT)


def _outer(run: PathRun) -> tuple[Packet, str]:
    """The tunnel packet of the run's request, and the node that sends it."""
    source, target = run.plan.source.node, run.plan.backends[0].pod_facts
    assert source.cilium is not None
    assert target is not None
    assert target.node.cilium is not None
    return Packet("udp", source.cilium.internal_ips[0], target.node.cilium.internal_ips[0], 8472), source.name
