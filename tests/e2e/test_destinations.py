"""Sources and destinations of every kind: pods, hosts, Services with and without address, a pod's own Service.

What is Healthy is judged by the hops that its packets take; what can't work says where.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import faults
from e2e.api import Api, Object
from e2e.operator_deploy import Operator
from e2e.probes import Probe, Probes, brief, divergence, facts
from faults.inject.maps import MapEntry
from lab.cluster import Lab

NAMESPACE = "e2e-destinations"
MANIFESTS = Path(__file__).parent / "manifests/destinations"
LANDING: Object = {"method": "POST", "path": "/v1/request-landing", "timeout": "3s"}


def service(name: str, port: int | str = "http") -> Object:
    return {"service": {"name": name, "port": port}}


HEALTHY: dict[str, tuple[str, Object, set[str]]] = {
    "headless": ("ship", service("headless"), {"name-resolution", "endpoint-lookup"}),
    "node-port-by-name": ("ship", service("node-port"), {"service-translation", "reply-translation"}),
    "sticky": ("ship", service("sticky"), {"service-translation"}),
    "hairpin": ("ship", service("mirror"), {"service-translation", "destination-program"}),
    "itself": ("ship", {"pod": {"name": "ship", "port": 80}}, {"destination-response"}),
    "to-host": ("ship", {"pod": {"name": "host", "port": 8088}}, {"ipcache-lookup", "node-routing"}),
    "service-of-host": ("ship", service("host"), {"service-translation", "reply-routing"}),
    "from-host-far": ("host", {"pod": {"name": "ship", "port": 80}}, {"overlay-encapsulation"}),
    "from-host-near": ("host", {"pod": {"name": "star", "port": 80}}, {"endpoint-lookup"}),
}
ABSENT = {
    "headless": {"service-lookup", "service-translation"},
    "hairpin": {"egress-policy", "ingress-policy", "ipcache-lookup"},
    "itself": {"source-program", "endpoint-lookup"},
    "to-host": {"overlay-encapsulation", "destination-interface"},
    "from-host-far": {"source-interface", "source-program", "egress-policy"},
}


@pytest.fixture(scope="module")
def places(lab: Lab, api: Api, operator: Operator) -> None:
    """The pods and Services, ready."""
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(MANIFESTS))
    pods = ("pod/ship", "pod/star", "pod/host")
    lab.kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", *pods, "--timeout=60s")


@pytest.fixture
def kinds(api: Api, places: None) -> Iterator[Probes]:
    made = Probes(api, NAMESPACE)
    yield made
    made.delete_all()


def probe(kinds: Probes, name: str, source: str, destination: Object) -> Probe:
    return kinds.create(name, {"source": {"pod": source}, "destination": destination, "request": LANDING})


def test_ends_of_every_kind_are_judged_by_the_hops_that_they_have(kinds: Probes) -> None:
    probes = {
        name: probe(kinds, name, source, destination) for name, (source, destination, _) in HEALTHY.items()
    }
    for name, one in probes.items():
        status = one.settle()
        hops = {hop["name"] for hop in status["paths"][0]["hops"]}
        assert hops >= HEALTHY[name][2], (name, brief(status))
        assert not hops & ABSENT.get(name, set()), (name, brief(status))


def test_the_kubernetes_api_is_a_host_behind_a_service(kinds: Probes) -> None:
    spec = {
        "source": {"pod": "ship"},
        "destination": {"service": {"name": "kubernetes", "namespace": "default", "port": "https"}},
        "expect": {"status": [400]},  # plain HTTP to a TLS port
    }
    status = kinds.create("api-server", spec).settle()
    assert status["paths"][0]["destination"]["node"] == "node1"


def test_a_local_service_has_no_backend_on_other_nodes(lab: Lab, kinds: Probes) -> None:
    one = probe(kinds, "local", "ship", service("local"))
    status = one.run_until("Broken", lambda status: status["verdict"] == "Broken")  # the pods may be new
    ship = node_of(lab, "ship")
    assert divergence(status) == ("Broken", "service-lookup", ship, "NoReadyBackends"), brief(status)


def test_a_name_server_that_the_node_does_not_know_is_named(lab: Lab, kinds: Probes) -> None:
    one = probe(kinds, "dns", "ship", service("sticky"))
    one.settle()
    ship = node_of(lab, "ship")
    with faults.deleted(name_server_entry(lab, ship)):
        status = one.run_now()
        blamed = ("Broken", "name-resolution", ship, "NameServerUnreachable")
        assert divergence(status) == blamed, brief(status)
        assert "service-lookup" in status["divergentHop"]["message"]
        assert facts(status, "name-resolution", "programmed")["nameServer"]
    one.settle()


def node_of(lab: Lab, pod: str) -> str:
    return lab.kubectl("get", "pod", "-n", NAMESPACE, pod, "-o", "jsonpath={.spec.nodeName}").strip()


def name_server_entry(lab: Lab, node: str) -> MapEntry:
    """Slot 0 of kube-dns at 53/UDP: address, port, slot, protocol, scope, padding."""
    key = bytes((10, 96, 0, 10)) + (53).to_bytes(2, "big") + bytes((0, 0, 17, 0, 0, 0))
    return MapEntry(lab, node, "cilium_lb4_services_v2", key)
