"""What a run captured, and that other facts are not mistaken for it."""

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.run import PathRun, Request
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.publish.status import status as statuses
from datapath_probe.publish.status.capture import captured, pcaps
from datapath_probe.runs.run_result import NextRun, RunRecord
from datapath_probe.sources.capture import pcap
from datapath_probe.sources.netfilter import nftables
from unit.publish.samples import NOW, lost, plan, probe, record

PCAP = (
    Path(__file__).parents[3] / "data/captures/cilium-1.18.5/vxlan-node1.pcap"
).read_bytes()  # recorded on the lab, see test_pcap
CAPTURE = pcap.fact("node1", [IPv4Address("10.244.1.27")], 20001, 8472, 10)
FILTERS = (nftables.fact("node1"), nftables.fact("node2", "cni-1"))


def failed_run(*facts: Fact, at: float = NOW) -> RunRecord:
    """A failed run that asked for these facts and received the same answer for all."""
    evidence = Evidence({fact: (Answer(0, PCAP, b"", NOW, 1.0),) for fact in facts})
    made = record(lost(), at)
    return replace(
        made, result=replace(made.result, bundles=(Bundle(PathRun(plan(), Request(NOW, 1, None), evidence)),))
    )


def test_facts_about_netfilter_are_not_captures() -> None:
    result = failed_run(*FILTERS).result
    (bundle,) = result.bundles
    assert captured(result) is None
    assert list(pcaps(bundle.run)) == []


def test_captures_are_found_among_facts_about_netfilter() -> None:
    result = failed_run(*FILTERS, CAPTURE).result
    (bundle,) = result.bundles
    found = captured(result)
    assert found
    assert {packet.node for packet in found.packets} == {"node1"}
    assert [node for node, _ in pcaps(bundle.run)] == ["node1"]


def test_a_run_without_a_capture_keeps_the_last_one_in_the_status() -> None:
    first = statuses.after_run(ProbeStatus(), probe(), failed_run(CAPTURE), NextRun(None))
    assert first.capture
    assert (
        statuses.after_run(first, probe(), failed_run(*FILTERS, at=NOW + 60), NextRun(None)).capture
        == first.capture
    )


def test_the_packets_of_all_paths_are_shown() -> None:
    result = failed_run(CAPTURE).result
    (bundle,) = result.bundles
    one, two = captured(result), captured(replace(result, bundles=(bundle, bundle)))
    assert one
    assert two
    assert two.packets == one.packets * 2


def test_a_capture_error_of_several_paths_is_listed_once() -> None:
    result = failed_run(CAPTURE).result
    gone = Evidence({CAPTURE: (Unavailable(EvidenceError.AGENT_NOT_FOUND, "no agent"),)})
    bundle = Bundle(PathRun(plan(), Request(NOW, 1, None), gone))
    found = captured(replace(result, bundles=(bundle, bundle)))
    assert found
    assert [(error.node, error.reason) for error in found.errors] == [("node1", "AgentNotFound")]
