"""Packets that the stack of a node drops between a pod and the network."""

import json
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.failure_model.stage import Stage
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.plan import PodFacts
from datapath_probe.sources import netns
from datapath_probe.sources.bpf import bpf_returns, bpftool
from datapath_probe.sources.iproute2 import links, neighbors
from datapath_probe.sources.netfilter import iptables
from unit.recorded import recorded

NATIVE, ROUTES = "native/node-route-blackhole@1.18.5", "endpoint-routes/ipcache-wrong-tunnel-endpoint@1.18.5"
TUNNEL = "overlay-dropped-on-the-wire"


def answered(run: PathRun, answers: dict[Fact, str]) -> PathRun:
    """The run with these answers too, read twice."""
    readings: dict[Fact, tuple[Reading, ...]] = dict(run.evidence)
    for fact, text in answers.items():
        readings[fact] = (Answer(0, text.encode(), b"", 0.0, 0.0),) * 2
    return replace(run, evidence=Evidence(readings))


def sends_to(run: PathRun, pod: PodFacts, mac: str, state: str = "PERMANENT") -> PathRun:
    """The run with this MAC address in the pod's neighbor entry of its gateway."""
    node = pod.node.name
    namespaces = netns.parse(run.evidence.latest(netns.find(node)))
    assert isinstance(namespaces, dict)
    [inside] = namespaces[pod.ip]
    routes = links.parse_routes(run.evidence.latest(links.pod_routes(node, inside)))
    assert isinstance(routes, tuple)
    gateway = next(route.gateway for route in routes if route.destination == "default")
    shown = [{"dst": str(gateway), "lladdr": mac, "state": [state]}]
    return answered(run, {neighbors.neighbors_in_pod(node, inside, "eth0"): json.dumps(shown)})


def destination(run: PathRun) -> PodFacts:
    target = run.plan.backends[0].pod_facts
    assert target is not None
    return target


def found(run: PathRun, hop: HopName) -> Finding:
    [finding] = [finding for finding in diagnose(run).findings if finding.hop is hop]
    return finding


def test_a_pod_that_sends_to_another_mac_than_its_gateways_is_found_where_the_stack_forwards() -> None:
    run = recorded(NATIVE)
    source = found(sends_to(run, run.plan.source, "02:00:00:00:00:99"), HopName.SOURCE_INTERFACE)
    assert (source.reason, source.predicts) == (Reason.NEIGHBOR_MAC_MISMATCH, frozenset({Stage.SENT}))
    there = found(sends_to(run, destination(run), "02:00:00:00:00:99"), HopName.DESTINATION_INTERFACE)
    assert (there.reason, there.predicts) == (Reason.NEIGHBOR_MAC_MISMATCH, frozenset({Stage.ANSWERED}))


def test_where_cilium_redirects_frames_need_not_have_the_nodes_address() -> None:
    run = recorded(TUNNEL)
    source = found(sends_to(run, run.plan.source, "02:00:00:00:00:99"), HopName.SOURCE_INTERFACE)
    assert source.verdict is HopVerdict.OK


def test_a_gateway_that_does_not_answer_is_no_fault_of_the_interface() -> None:
    run = recorded(NATIVE)
    source = found(sends_to(run, run.plan.source, "", "FAILED"), HopName.SOURCE_INTERFACE)
    assert source.verdict is HopVerdict.OK


def test_a_filter_of_the_node_before_a_pods_own_route_is_found() -> None:
    run = recorded(ROUTES)
    pod = destination(run)
    rules = f"*filter\n:FORWARD ACCEPT [0:0]\n[3:180] -A FORWARD -d {pod.ip}/32 -j DROP\nCOMMIT\n"
    run = answered(run, {iptables.fact(pod.node.name): rules})
    finding = found(run, HopName.ENDPOINT_LOOKUP)
    assert (finding.reason, finding.predicts) == (Reason.NETFILTER_DROPS, frozenset({Stage.SENT}))


DROPS, OBSERVES = ("(b7) r0 = 2", "(95) exit"), ("(18) r0 = 0xffffffff", "(95) exit")


def behind_a_foreign_program(run: PathRun, device: str, program: str, code: tuple[str, ...]) -> PathRun:
    """The run with a foreign program before Cilium's program at the egress of a device."""
    node = destination(run).node.name
    kinds = [("foreign", 7777), (program, 7778)]
    shown = [
        {"devname": device, "ifindex": 9, "kind": "tcx/egress", "name": n, "prog_id": i} for n, i in kinds
    ]
    return answered(
        run,
        {
            bpftool.attached(node, device): json.dumps([{"xdp": [], "tc": shown}]),
            bpf_returns.fact(node, 7777): json.dumps([{"disasm": text} for text in code]),
        },
    )


@pytest.mark.parametrize(("code", "reason"), [(DROPS, Reason.FOREIGN_PROGRAM), (OBSERVES, Reason.OK)])
def test_a_foreign_program_at_ciliums_own_device_is_a_fault_if_it_drops(
    code: tuple[str, ...], reason: Reason
) -> None:
    run = behind_a_foreign_program(recorded(NATIVE), "cilium_host", "cil_from_host", code)
    assert found(run, HopName.DESTINATION_PROGRAM).reason is reason


def test_a_correct_endpoint_does_not_exclude_a_loss_in_the_stack() -> None:
    healthy = "native/healthy-cross-node@1.18.5"
    for name, inconclusive in ((healthy, True), (ROUTES, True), (TUNNEL, False)):
        assert found(recorded(name), HopName.ENDPOINT_LOOKUP).inconclusive is inconclusive
