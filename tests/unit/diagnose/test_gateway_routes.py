"""Routes to a directly connected node through a gateway, or to the node itself."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from datapath_probe.addresses import IpAddress
from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.iproute2 import links
from unit.diagnose.altered_runs import ends
from unit.recorded import recorded

HEALTHY = "healthy-cross-node"
THIRD = "172.30.0.99"
SUBNET = {"dst": "172.30.0.0/24", "dev": "eth0", "protocol": "kernel", "scope": "link", "flags": []}
DEFAULT = {"dst": "default", "gateway": "172.30.0.1", "dev": "eth0", "flags": []}


def answering(run: PathRun, answers: Mapping[Fact, Answer]) -> PathRun:
    """The run, all its answers read twice, with other ones."""
    twice = {q: (r[-1], r[-1]) for q, r in run.evidence}
    readings = {**twice, **{q: (answer, answer) for q, answer in answers.items()}}
    return replace(run, evidence=Evidence(readings), second_look=True)


def shown(value: object) -> Answer:
    return Answer(0, json.dumps(value).encode(), b"", 0.0, 0.0)


def other_node(run: PathRun) -> IpAddress:
    target = run.plan.backends[0].pod_facts
    assert target is not None
    assert target.node.cilium is not None
    return target.node.cilium.internal_ips[0]


def routed(run: PathRun, next_hop: Mapping[str, object], routes: object = None) -> PathRun:
    """The run with this route from the source's node to the other, and the routes of its table."""
    node, ip = ends(run)[0], other_node(run)
    answers = {links.route_to(node, ip): shown([{"dst": str(ip), "flags": [], **next_hop}])}
    if routes is not None:
        answers[links.routes_for(node, ip)] = shown(routes)
    return answering(run, answers)


def through_a_gateway(*routes: object) -> Diagnosis:
    next_hop = {"gateway": THIRD, "dev": "eth0"}
    run = recorded(HEALTHY)
    return diagnose(routed(run, next_hop, [*routes, {"dst": str(other_node(run)), "flags": [], **next_hop}]))


def test_a_gateway_to_a_directly_connected_node_is_reported() -> None:
    diagnosis = through_a_gateway(DEFAULT, SUBNET)
    assert diagnosis.divergence is not None
    assert (diagnosis.verdict, diagnosis.divergence.hop, diagnosis.reason) == (
        ProbeVerdict.DEGRADED,
        HopName.NODE_ROUTING,
        Reason.NODE_ROUTE_MISSING,
    )


@pytest.mark.parametrize("routes", [(DEFAULT,), (DEFAULT, {**SUBNET, "dev": "eth1"}), ()])
def test_a_gateway_to_another_subnet_is_ok(routes: tuple[object, ...]) -> None:
    assert through_a_gateway(*routes).verdict is ProbeVerdict.HEALTHY


def test_the_table_is_read_only_if_there_is_a_gateway() -> None:
    run = recorded(HEALTHY)
    asked = links.routes_for(ends(run)[0], other_node(run))
    assert asked not in facts_of(run)
    assert asked in facts_of(routed(run, {"gateway": THIRD, "dev": "eth0"}))


def test_a_local_route_to_another_node_is_the_cause() -> None:
    diagnosis = diagnose(routed(recorded("overlay-dropped-on-the-wire"), {"type": "local", "dev": "lo"}))
    assert diagnosis.divergence is not None
    assert (diagnosis.verdict, diagnosis.divergence.hop) == (ProbeVerdict.BROKEN, HopName.NODE_ROUTING)
    assert diagnosis.reason is Reason.NODE_ROUTE_MISSING
