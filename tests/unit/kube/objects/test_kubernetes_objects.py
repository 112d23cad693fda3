"""API objects become records; a missing or invalid field affects only its own value."""

import copy
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.kube.objects import cilium_objects, kubernetes_objects
from datapath_probe.kube.objects.endpoint_slices import endpoint_slice
from datapath_probe.kube.objects.fields import Skips
from datapath_probe.plan.objects import (
    Agent,
    CiliumEndpoint,
    CiliumNode,
    Container,
    Node,
    Pod,
    Service,
    ServicePort,
)
from unit.kube.samples import (
    AGENT,
    CILIUM_ENDPOINT,
    CILIUM_NODE,
    ENDPOINT_SLICE,
    NODE,
    POD,
    SERVICE,
    Json,
)

Convert = Callable[[object, Skips], object]

CONVERTERS: dict[str, tuple[Convert, Json]] = {
    "pod": (kubernetes_objects.pod, POD),
    "node": (kubernetes_objects.node, NODE),
    "service": (kubernetes_objects.service, SERVICE),
    "endpointslice": (endpoint_slice, ENDPOINT_SLICE),
    "ciliumendpoint": (cilium_objects.cilium_endpoint, CILIUM_ENDPOINT),
    "ciliumnode": (cilium_objects.cilium_node, CILIUM_NODE),
    "agent": (lambda raw, _: cilium_objects.agent(raw), AGENT),
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


HALF_PAST_SIX = 1795458600.0
"""2026-11-23T18:30:00Z"""


def changed(raw: Json, *path: Any, to: Any) -> Json:
    """A copy with another value at this path."""
    result = copy.deepcopy(raw)
    place: Any = result
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return result


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in ((*path, key), *places(item, (*path, key)))]


@pytest.mark.parametrize("kind", CONVERTERS)
@given(data=st.data())
def test_converters_never_raise(kind: str, data: st.DataObject) -> None:
    convert, sample = CONVERTERS[kind]
    convert(data.draw(JSON), Skips())
    path = data.draw(st.sampled_from(places(sample)))
    convert(changed(sample, *path, to=data.draw(JSON)), Skips())


@pytest.mark.parametrize("kind", CONVERTERS)
def test_every_field_of_a_real_object_is_valid(kind: str) -> None:
    convert, sample = CONVERTERS[kind]
    skips = Skips()
    convert(sample, skips)
    assert not skips


def test_pod() -> None:
    assert kubernetes_objects.pod(POD, Skips()) == Pod(
        namespace="default",
        name="xwing",
        uid="a1",
        node="node2",
        phase="Running",
        ready=True,
        terminating=False,
        host_network=False,
        ips=(ip_address("10.244.1.125"), ip_address("fd00::1:7d")),
        containers=(
            Container("spaceship", True, {"http": 80}),
            Container("droid", False, {}),
            Container("proxy", True, {"metrics": 9090}),
        ),
        default_container="spaceship",
        labels={"org": "alliance"},
        restarts=7,
        started_at=HALF_PAST_SIX,
    )


@pytest.mark.parametrize(
    ("pod_user", "container_user", "other"),
    [(None, None, False), (1000, None, False), (1000, 1000, False), (None, 1337, True), (1000, 0, True)],
)
def test_a_container_may_run_as_another_user_than_its_pod(
    pod_user: int | None, container_user: int | None, other: bool
) -> None:
    raw = changed(POD, "spec", "securityContext", to={"runAsUser": pod_user})
    raw = changed(raw, "spec", "containers", 0, "securityContext", to={"runAsUser": container_user})
    spaceship, droid, _ = kubernetes_objects.pod(raw, Skips()).containers
    assert (spaceship.other_user, droid.other_user) == (other, False)


def test_a_pod_with_a_deletion_timestamp_is_terminating() -> None:
    raw = changed(POD, "metadata", "deletionTimestamp", to="2026-11-23T18:00:00Z")
    assert kubernetes_objects.pod(raw, Skips()).terminating


def test_a_pending_pod_has_no_address_and_no_node() -> None:
    pod = kubernetes_objects.pod(
        {"metadata": POD["metadata"], "spec": {"containers": [{"name": "a"}]}}, Skips()
    )
    assert (pod.ip, pod.node, pod.ready, pod.containers) == (None, "", False, (Container("a", False, {}),))


def test_an_invalid_address_is_skipped_and_counted() -> None:
    skips = Skips()
    raw = changed(POD, "status", "podIPs", to=[{"ip": "10.244.1.300"}, {"ip": 7}, {"ip": "10.244.1.125"}])
    assert kubernetes_objects.pod(raw, skips).ips == (ip_address("10.244.1.125"), ip_address("fd00::1:7d"))
    assert skips == {"Pod.status.podIPs": 2}


def test_node() -> None:
    assert kubernetes_objects.node(NODE, Skips()) == Node(
        name="node2",
        ready=False,
        unschedulable=True,
        internal_ips=(ip_address("172.30.0.12"),),
        pod_cidrs=("10.244.1.0/24", "fd00:10:1::/64"),
        ready_changed_at=HALF_PAST_SIX + 60,
        cordoned_at=HALF_PAST_SIX,
    )


def test_service() -> None:
    assert kubernetes_objects.service(SERVICE, Skips()) == Service(
        namespace="default",
        name="deathstar",
        uid="b1",
        type="NodePort",
        cluster_ip=ip_address("10.96.57.217"),
        cluster_ips=(ip_address("10.96.57.217"),),
        ports=(
            ServicePort("http", 80, "TCP", "web", 30080),
            ServicePort("dns", 53, "UDP", 5353, None),
            ServicePort("same", 443, "TCP", 443, None),
        ),
        internal_traffic_policy="Local",
        session_affinity="ClientIP",
        selects=True,
        selector={"class": "deathstar"},
    )


@pytest.mark.parametrize(
    ("spec", "type_", "headless"),
    [
        ({"clusterIP": "None"}, "ClusterIP", True),
        ({"type": "ExternalName", "externalName": "example.org"}, "ExternalName", False),
    ],
    ids=["headless", "ExternalName"],
)
def test_a_service_without_address(spec: Json, type_: str, headless: bool) -> None:
    service = kubernetes_objects.service(changed(SERVICE, "spec", to=spec), Skips())
    assert (service.type, service.cluster_ip, service.headless) == (type_, None, headless)
    assert not service.selects


def test_a_dual_stack_service_has_its_ipv4_address() -> None:
    spec = {"clusterIP": "fd00::96", "clusterIPs": ["fd00::96", "10.96.57.217"]}
    assert kubernetes_objects.service(changed(SERVICE, "spec", to=spec), Skips()).cluster_ip == ip_address(
        "10.96.57.217"
    )


def test_cilium_endpoint() -> None:
    assert cilium_objects.cilium_endpoint(CILIUM_ENDPOINT, Skips()) == CiliumEndpoint(
        namespace="default",
        name="xwing",
        endpoint_id=1721,
        identity=27728,
        ips=(ip_address("10.244.1.125"), ip_address("fd00::1:7d")),
        node_ip=ip_address("172.30.0.12"),
        state="ready",
    )


def test_a_cilium_endpoint_without_status() -> None:
    raw = {"metadata": CILIUM_ENDPOINT["metadata"]}
    endpoint = CiliumEndpoint("default", "xwing", endpoint_id=0, identity=0, ips=(), node_ip=None, state="")
    assert cilium_objects.cilium_endpoint(raw, Skips()) == endpoint


def test_a_cilium_node_includes_the_cidrs_of_its_pools() -> None:
    assert cilium_objects.cilium_node(CILIUM_NODE, Skips()) == CiliumNode(
        name="node2",
        internal_ips=(ip_address("172.30.0.12"),),
        cilium_internal_ips=(ip_address("10.244.1.68"),),
        pod_cidrs=("10.244.1.0/24", "10.10.1.0/27"),
    )


def test_agent() -> None:
    agent = Agent(
        node="node2",
        namespace="kube-system",
        pod="cilium-7k2pw",
        container="cilium-agent",
        ready=True,
        incarnation="c1/3",
        started_at=HALF_PAST_SIX,
        ready_changed_at=HALF_PAST_SIX + 60,
    )
    assert cilium_objects.agent(AGENT) == agent


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metadata", "deletionTimestamp"), "2026-11-23T18:00:00Z"),
        (("status", "containerStatuses", 0, "ready"), False),
        (("status",), {}),
    ],
)
def test_an_agent_that_cannot_be_queried_is_not_ready(path: tuple[Any, ...], value: Any) -> None:
    agent = cilium_objects.agent(changed(AGENT, *path, to=value))
    assert agent is not None
    assert not agent.ready


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metadata", "labels", "k8s-app"), "hubble-relay"),
        (("spec", "containers", 0, "name"), "cilium-operator"),
        (("spec", "nodeName"), None),
    ],
)
def test_other_pods_are_not_agents(path: tuple[Any, ...], value: Any) -> None:
    assert cilium_objects.agent(changed(AGENT, *path, to=value)) is None


def test_a_restart_of_the_agents_container_changes_its_incarnation() -> None:
    restarted = cilium_objects.agent(changed(AGENT, "status", "containerStatuses", 0, "restartCount", to=4))
    assert restarted is not None
    assert restarted.incarnation == "c1/4"


def test_a_cilium_endpoint_has_the_time_of_its_last_write() -> None:
    written = [{"manager": "cilium-agent", "time": "1970-01-01T00:01:00Z"}]
    raw = {"metadata": {"namespace": "default", "name": "xwing", "managedFields": written}}
    assert cilium_objects.cilium_endpoint(raw, Skips()).written_at == 60.0
