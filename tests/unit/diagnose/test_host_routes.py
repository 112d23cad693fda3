"""Routes and rules of Cilium that a node lacks, for a source in the host's network."""

import json
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer
from datapath_probe.sources.iproute2 import links, rules
from datapath_probe.sources.netfilter import iptables
from unit.diagnose.netstack.test_host_path import answering, failed, printed
from unit.diagnose.test_address_conflicts import holding
from unit.diagnose.test_node_stack import destination, found
from unit.diagnose.test_route_lookups import outer, uplinked
from unit.recorded import recorded

FAR, NEAR = "healthy-from-host-cross-node", "healthy-from-host-same-node"
NO_ROUTE = Answer(2, b"", b"RTNETLINK answers: Network is unreachable\n", 0.0, 0.0)
REJECTED = Answer(2, b"", b"RTNETLINK answers: Invalid argument\n", 0.0, 0.0)
MAIN_ONLY = '[{"priority":32766,"src":"all","table":"main"},{"priority":32767,"src":"all","table":"default"}]'
MOVED = f'[{{"priority":100,"src":"all","table":"local"}},{MAIN_ONLY[1:]}'


def route(device: str, **more: str) -> Answer:
    return printed(
        json.dumps([{"dst": "10.0.0.1", "dev": device, "prefsrc": "10.244.2.9", "flags": [], **more}])
    )


def to_pod(run: PathRun, answer: Answer) -> PathRun:
    """The run with this route from the source's node to the destination pod."""
    return answering(run, {links.route_to(run.plan.source.node.name, destination(run).ip): answer})


def judged(run: PathRun, hop: HopName) -> Finding:
    return next(finding for finding in diagnose(run).findings if finding.hop is hop)


@pytest.mark.parametrize("answer", [NO_ROUTE, route("eth0", gateway="172.30.0.1"), route("eth0")])
def test_a_host_must_reach_pods_of_other_nodes_through_cilium(answer: Answer) -> None:
    finding = judged(to_pod(recorded(FAR), answer), HopName.NODE_ROUTING)
    assert (finding.verdict, finding.reason) == (HopVerdict.STALE, Reason.NODE_ROUTE_MISSING)
    assert "through cilium_host" in finding.message


def test_without_that_route_the_request_fails_there() -> None:
    divergence = diagnose(recorded("host-has-no-route-to-the-pods-of-another-node")).divergence
    assert divergence is not None
    assert (divergence.hop, divergence.reason) == (HopName.NODE_ROUTING, Reason.NODE_ROUTE_MISSING)


def test_the_route_through_cilium_is_right() -> None:
    assert judged(to_pod(recorded(FAR), route("cilium_host")), HopName.NODE_ROUTING).verdict is HopVerdict.OK


def test_packets_of_a_pod_do_not_need_that_route() -> None:
    assert diagnose(to_pod(recorded("healthy-cross-node"), NO_ROUTE)).verdict is ProbeVerdict.HEALTHY


def test_a_host_that_has_the_pods_address_sends_nothing_to_the_pod() -> None:
    run = recorded(FAR)
    run = replace(holding(run, run.plan.source.node.name, destination(run).ip, "dummy0"), second_look=True)
    finding = found(run, HopName.NODE_ROUTING)
    assert finding.reason is Reason.ADDRESS_CONFLICT
    assert "dummy0" in finding.message


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (NO_ROUTE, Reason.ENDPOINT_ROUTE_MISSING),
        (route("eth0"), Reason.ENDPOINT_ROUTE_MISSING),
        (route("cilium_host"), Reason.OK),
    ],
)
def test_a_host_must_reach_its_own_pods_through_cilium(answer: Answer, reason: Reason) -> None:
    assert judged(to_pod(recorded(NEAR), answer), HopName.ENDPOINT_LOOKUP).reason is reason


def of_rejection(shown: str) -> PathRun:
    """A run whose destination's node rejects tunnel packets, with these routing rules."""
    run = uplinked(recorded("overlay-dropped-on-the-wire"))
    packet, _, there = outer(run)
    return answering(run, {links.arrival(there, packet, "eth0"): REJECTED, rules.fact(there): printed(shown)})


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (MAIN_ONLY, Reason.ROUTING_RULE_MISSING),
        (MOVED, Reason.NODE_ROUTE_MISSING),  # Cilium moves it for its L7 proxy
    ],
)
def test_a_kernel_without_a_rule_for_its_own_addresses_is_named(shown: str, reason: Reason) -> None:
    divergence = diagnose(of_rejection(shown)).divergence
    assert divergence is not None
    assert (divergence.hop, divergence.reason) == (HopName.OVERLAY_DECAPSULATION, reason)


def replies_lost(name: str, answers: dict[Fact, Answer]) -> PathRun:
    return answering(failed(name), answers)


def to_near(run: PathRun) -> Fact:
    return links.route_to(run.plan.source.node.name, destination(run).ip)


def mangle(run: PathRun, words: str) -> dict[Fact, Answer]:
    text = f"*mangle\n:PREROUTING ACCEPT [0:0]\n[3:180] -A PREROUTING {words}\nCOMMIT\n"
    return {iptables.fact(run.plan.source.node.name): printed(text)}


STRICT = "-i lxc+ -m rpfilter --validmark --invert -j DROP"


@pytest.mark.parametrize(
    ("words", "drops"),
    [
        (STRICT, True),
        (STRICT.replace("rpfilter", "rpfilter --loose"), False),
        (STRICT.replace("lxc+", "eth0"), False),
    ],
)
def test_a_reverse_path_rule_drops_replies_to_the_host(words: str, drops: bool) -> None:
    run = failed(NEAR)
    assert iptables.fact(run.plan.source.node.name) in facts_of(run)
    finding = judged(answering(run, mangle(run, words)), HopName.REPLY_DELIVERY)
    assert (finding.reason is Reason.NETFILTER_DROPS) is drops
    assert not drops or "rpfilter" in finding.message


def test_the_same_rule_does_not_concern_pods_behind_the_tunnel() -> None:
    run = recorded("overlay-dropped-on-the-wire")
    assert diagnose(answering(run, mangle(run, STRICT))).divergence is None


def test_a_device_of_a_pod_that_filters_by_reverse_path_rejects_replies_to_the_host() -> None:
    run = failed(NEAR)
    [fact] = [f for f in facts_of(run) if f.kind == "route" and str(f.get("input_device")).startswith("lxc")]
    finding = judged(answering(run, {fact: REJECTED}), HopName.REPLY_DELIVERY)
    assert (finding.verdict, finding.reason) == (HopVerdict.STALE, Reason.NODE_ROUTE_MISSING)
