"""Node agents on the lab: pods without shell and curl are sources, a lost agent is no fault, and nothing is changed."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from e2e import node_agents, operator_deploy, processes
from e2e.api import Api, Object, is_ready, pod_path
from e2e.galaxy import NAMESPACE, Galaxy
from e2e.node_agent_client import Question
from e2e.operator_deploy import Operator
from e2e.probes import Probe, Probes, divergence
from e2e.specs import SERVICE, landing, to_pod
from e2e.waiting import until
from faults.inject.policies import Direction, enforced, policy
from lab.cluster import Lab
from lab.images import PAUSE_IMAGE

pytestmark = pytest.mark.skipif(operator_deploy.collector() == "exec", reason="without node agents")

PROBE_DROID = "probe-droid"
FALLBACKS = "datapath_probe_node_agent_fallbacks_total"
SNAPSHOT = (
    ("ip", "-d", "-o", "link"),
    ("ip", "-o", "address"),
    ("ip", "route", "show", "table", "all"),
    ("ip", "-6", "route", "show", "table", "all"),
    ("ip", "rule"),
    ("tc", "filter", "show", "dev", "eth0", "ingress"),
    ("iptables-save",),
    ("find", "/sys/fs/bpf", "/sys/fs/cgroup", "-type", "d"),
)
"""What an agent must leave as it is."""


@pytest.fixture
def droid(api: Api, galaxy: Galaxy) -> Iterator[Object]:
    """A pod with a static binary and nothing else, on the node of the ship."""
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": PROBE_DROID, "namespace": NAMESPACE, "labels": {"class": "probe-droid"}},
        "spec": {
            "nodeName": galaxy.pod("xwing").node,
            "containers": [{"name": "main", "image": PAUSE_IMAGE, "imagePullPolicy": "Never"}],
        },
    }
    api.create(f"/api/v1/namespaces/{NAMESPACE}/pods", body)
    try:
        yield until("the probe droid runs", lambda: _ready(api, pod_path(NAMESPACE, PROBE_DROID)), 60)
    finally:
        api.delete(pod_path(NAMESPACE, PROBE_DROID))


def _ready(api: Api, path: str) -> Object | None:
    pod = api.get(path)
    return pod if pod and is_ready(pod) else None


def by(client: str, spec: Object) -> Object:
    """The same, sent by this client."""
    return {**spec, "source": {**spec["source"], "client": client}}


def agent_on(api: Api, node: str) -> Object:
    """The node agent's pod, once one is ready."""

    def ready() -> Object | None:
        pods = api.items(f"{node_agents.PODS}&fieldSelector=spec.nodeName={node}")
        return next((pod for pod in pods if is_ready(pod)), None)

    return until(f"{node} has a node agent", ready, 60)


def test_a_pod_without_shell_and_curl_is_a_source(droid: Object, probes: Probes, galaxy: Galaxy) -> None:
    by_name = probes.create("droid-to-service", landing(PROBE_DROID, SERVICE)).settle()
    assert by_name["paths"][0]["request"]["httpStatus"] == 200
    probes.create("droid-to-pod", by("Node", to_pod(PROBE_DROID, galaxy.far("xwing")))).settle()
    refused = probes.create(
        "droid-by-exec", by("Container", to_pod(PROBE_DROID, galaxy.far("xwing")))
    ).run_now()
    assert (refused["verdict"], refused["reason"]) == ("Unknown", "CurlNotFound")


@pytest.mark.parametrize("client", ["Node", "Container"])
def test_policies_apply_to_both_clients(
    client: str, lab: Lab, api: Api, galaxy: Galaxy, probes: Probes, operator: Operator
) -> None:
    ship, star = galaxy.pod("xwing"), galaxy.far("xwing")
    probe = probes.create(f"denied-{client.lower()}", by(client, to_pod("xwing", star)))
    probe.settle()
    labels = {"matchLabels": {"class": "deathstar"}}
    denies = policy(
        "CiliumNetworkPolicy",
        {
            "endpointSelector": {"matchLabels": {"class": "xwing"}},
            "enableDefaultDeny": {"egress": False},
            "egressDeny": [{"toEndpoints": [labels]}],
        },
    )
    with enforced(lab, api, denies, ship, Direction.EGRESS, star.identity):
        status = probe.run_until("denied", lambda status: status["verdict"] == "Broken")
        assert divergence(status) == ("Broken", "egress-policy", ship.node, "PolicyDenied")
    probe.settle()


def verdicts_for(probe: Probe, seconds: float) -> set[str]:
    """The verdicts of runs during this time."""
    found, end = set(), time.monotonic() + seconds
    while time.monotonic() < end:
        found.add(probe.run_now(timeout_s=30)["verdict"])
    return found


@contextmanager
def killed(lab: Lab, api: Api, node: str) -> Iterator[None]:
    lab.kubectl(
        "delete", "pod", "-n", node_agents.NAMESPACE, agent_on(api, node)["metadata"]["name"], "--wait=false"
    )
    yield


@contextmanager
def paused(lab: Lab, api: Api, node: str) -> Iterator[None]:
    pod = agent_on(api, node)
    processes.send(lab, pod, "node-agent", signal.SIGSTOP)
    try:
        yield
    finally:
        processes.send(lab, pod, "node-agent", signal.SIGCONT)


@contextmanager
def cut_off(lab: Lab, api: Api, node: str) -> Iterator[None]:
    rule = ("INPUT", "-p", "tcp", "--dport", "4246", "-j", "DROP")
    lab.run(node, "iptables", "-I", *rule)
    try:
        yield
    finally:
        lab.run(node, "iptables", "-D", *rule)


@pytest.mark.parametrize("lost", [killed, paused, cut_off])
def test_a_lost_agent_is_replaced_by_commands_and_is_no_fault(
    lost: object, lab: Lab, api: Api, galaxy: Galaxy, probes: Probes, operator: Operator
) -> None:
    star = galaxy.far("xwing")
    probe = probes.create(f"with-agent-{lost.__name__.replace('_', '-')}", to_pod("xwing", star))  # type: ignore[attr-defined]
    probe.settle()
    before = operator.metrics().total(FALLBACKS)
    with lost(lab, api, star.node):  # type: ignore[operator]
        assert verdicts_for(probe, 20) <= {"Healthy", "Unknown"}
        if lost is not killed:  # the next one may be there before it is missed
            assert operator.metrics().total(FALLBACKS) > before
    agent_on(api, star.node)
    probe.settle()


def test_agents_change_nothing_and_leave_nothing_behind(
    lab: Lab, api: Api, galaxy: Galaxy, demo: dict[str, Probe]
) -> None:
    node = galaxy.pod("xwing").node
    kinds = (
        FactKind.ROUTES,
        FactKind.ROUTING_RULES,
        FactKind.QDISCS,
        FactKind.NFTABLES_RULES,
        FactKind.XFRM_STATES,
    )
    once = [
        *(Fact.of(kind, node) for kind in kinds),
        Fact.of(FactKind.IPTABLES_RULES, node),
        Fact.of(FactKind.NAMESPACE_ADDRESSES, node),
        Fact.of(FactKind.PINNED_MAP, node, map="cilium_lxc"),
        Fact.of(FactKind.ATTACHED_PROGRAMS, node, device="eth0"),
        Fact.of(FactKind.ENDPOINT_ENTRY, node, address="192.0.2.1"),
    ]
    before = snapshot(lab, node)
    question = Question(tuple(once), node_agents.addresses(api), node_agents.identity(lab), times=100)
    readings = node_agents.ask(lab, question)
    assert all(isinstance(reading, Answer) for reading in readings.values())
    assert snapshot(lab, node) == before
    assert not processes.started_by_exec(lab, node, processes.container(agent_on(api, node), "node-agent"))


def snapshot(lab: Lab, node: str) -> list[str]:
    """Everything that an agent could change, without counters and what others add meanwhile."""
    texts = [lab.run(node, *command, check=False).stdout for command in SNAPSHOT]
    lines = [line for text in texts for line in text.splitlines() if not line.startswith(("#", ":", "["))]
    return sorted(line for line in lines if "kubepods" not in line)
