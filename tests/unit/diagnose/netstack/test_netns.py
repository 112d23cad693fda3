"""An interface pair whose device, namespace or address is missing: the interface hop is named."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.plan import PodFacts
from datapath_probe.sources import netns
from datapath_probe.sources.agent import agent_endpoint
from datapath_probe.sources.agent.agent_endpoint import AgentEndpoint
from datapath_probe.sources.iproute2 import links
from unit.recorded import recorded

RUN = recorded("destination-link-down")
FOLDER = "/var/run/cilium/netns"
NO_DEVICE = Answer(1, b"", b'Device "lxc" does not exist.\n', 0.0, 0.0)


def answering(run: PathRun, answers: Mapping[Fact, Answer]) -> PathRun:
    """The run with other answers, each read twice."""
    readings = {**run.evidence.readings, **{q: (answer, answer) for q, answer in answers.items()}}
    return replace(run, evidence=Evidence(readings), second_look=True)


def destination() -> tuple[PodFacts, AgentEndpoint, str]:
    """The pod, its agent's endpoint and its namespace."""
    [backend] = RUN.plan.backends
    pod = backend.pod_facts
    assert pod is not None
    assert pod.endpoint is not None
    node = pod.node.name
    asked = agent_endpoint.fact(node, pod.endpoint.endpoint_id)
    agent = agent_endpoint.parse(RUN.evidence.latest(asked))
    namespaces = netns.parse(RUN.evidence.latest(netns.find(node)))
    assert isinstance(agent, AgentEndpoint)
    assert isinstance(namespaces, dict)
    [namespace] = namespaces[pod.ip]
    return pod, agent, namespace


def found(namespaces: Mapping[str, str]) -> Answer:
    """Addresses by namespace."""
    lines = [
        f"{FOLDER}/{name}\n" + json.dumps([{"ifname": "eth0", "addr_info": [{"local": ip}] if ip else []}])
        for name, ip in namespaces.items()
    ]
    return Answer(0, ("\n".join(lines) + "\n").encode(), b"", 0.0, 0.0)


def end(namespace: str, index: int, *addresses: str, mac: str = "", name: str = "eth0") -> str:
    """A namespace with the end of a pair in it."""
    addr_info = [{"local": ip} for ip in addresses]
    device = {"ifname": name, "link_index": index, "address": mac, "addr_info": addr_info}
    return f"{FOLDER}/{namespace}\n{json.dumps([device])}\n"


def up(node: str, agent: AgentEndpoint, namespace: str) -> dict[Fact, Answer]:
    """Both ends as the agent set them up."""
    host = {
        "ifindex": agent.ifindex,
        "ifname": agent.interface_name,
        "link_index": 7,
        "flags": ["UP"],
        "operstate": "UP",
        "address": agent.host_mac,
        "mtu": 1500,
    }
    inside = {**host, "ifindex": 7, "ifname": "eth0", "link_index": agent.ifindex, "address": agent.mac}
    shown = {
        links.link(node, agent.interface_name): [host],
        links.pod_link(node, namespace, "eth0"): [inside],
        links.pod_routes(node, namespace): [{"dst": "default", "gateway": "10.0.0.1", "dev": "eth0"}],
    }
    return {q: Answer(0, json.dumps(links_).encode(), b"", 0.0, 0.0) for q, links_ in shown.items()}


def interface(run: PathRun) -> Finding:
    [finding] = [f for f in diagnose(run).findings if f.hop is HopName.DESTINATION_INTERFACE]
    return finding


def test_a_device_that_is_gone_is_missing_even_without_the_pods_namespace() -> None:
    pod, agent, _ = destination()
    node = pod.node.name
    gone = {links.link(node, agent.interface_name): NO_DEVICE, netns.find(node): found({"cni-1": ""})}
    finding = interface(answering(RUN, {**gone, netns.survey(node): found({"cni-1": ""})}))
    assert (finding.verdict, finding.reason) == (HopVerdict.BROKEN, Reason.INTERFACE_MISSING)
    assert interface(answering(RUN, gone)).reason is Reason.INTERFACE_MISSING


def test_a_pod_without_its_address_is_found_by_its_pair() -> None:
    pod, agent, namespace = destination()
    node = pod.node.name
    survey = Answer(0, (end(namespace, agent.ifindex) + end("cni-2", 999)).encode(), b"", 0.0, 0.0)
    answers = {netns.find(node): found({namespace: ""}), netns.survey(node): survey}
    finding = interface(answering(RUN, {**up(node, agent, namespace), **answers}))
    assert (finding.verdict, finding.reason) == (HopVerdict.BROKEN, Reason.ROUTE_MISSING)
    assert f"does not have the pod's address {pod.ip}" in finding.message


def test_of_two_namespaces_with_the_same_address_the_pods_is_the_one_behind_its_device() -> None:
    pod, agent, namespace = destination()
    node = pod.node.name
    both = {netns.find(node): found({namespace: str(pod.ip), "cni-zz": str(pod.ip)})}
    survey = end(namespace, agent.ifindex, str(pod.ip)) + end("cni-zz", 999, str(pod.ip))
    finding = interface(
        answering(RUN, {**both, netns.survey(node): Answer(0, survey.encode(), b"", 0.0, 0.0)})
    )
    assert finding.reason is Reason.INTERFACE_DOWN  # as recorded


@pytest.mark.parametrize("mac", ["", "02:00:00:00:00:01"])
def test_ambiguous_ends_prove_nothing(mac: str) -> None:
    pod, agent, namespace = destination()
    node = pod.node.name
    two = end(namespace, agent.ifindex, mac=mac) + end("cni-zz", agent.ifindex, mac=mac)
    answers = {
        netns.find(node): found({namespace: ""}),
        netns.survey(node): Answer(0, two.encode(), b"", 0.0, 0.0),
    }
    finding = interface(answering(RUN, {**up(node, agent, namespace), **answers}))
    assert (finding.verdict, finding.reason) == (HopVerdict.UNKNOWN, Reason.NAMESPACE_NOT_FOUND)


def test_the_nodes_end_that_is_down_is_enough_without_the_pods() -> None:
    pod, _, _ = destination()
    node = pod.node.name
    finding = interface(
        answering(RUN, {netns.find(node): found({"cni-1": ""}), netns.survey(node): found({"cni-1": ""})})
    )
    assert (finding.verdict, finding.reason) == (HopVerdict.BROKEN, Reason.INTERFACE_DOWN)


def test_a_pod_that_lost_its_address_during_the_run_is_read_where_it_was() -> None:
    pod, agent, namespace = destination()
    node = pod.node.name
    no_routes = Answer(0, b"[]", b"", 0.0, 0.0)
    run = answering(RUN, {**up(node, agent, namespace), links.pod_routes(node, namespace): no_routes})
    looks = (found({namespace: str(pod.ip)}), found({namespace: ""}))
    readings = {**run.evidence.readings, netns.find(node): looks}
    finding = interface(replace(run, evidence=Evidence(readings)))
    assert (finding.verdict, finding.reason) == (HopVerdict.BROKEN, Reason.ROUTE_MISSING)
    assert "no default route" in finding.message
