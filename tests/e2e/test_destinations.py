"""Sources and destinations of every kind: pods, hosts, Services with and without ClusterIP, a pod's own Service.

Healthy probes have the hops of their path in the current mode of the lab; others name the broken hop.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e import faults
from e2e.api import Api, Object
from e2e.operator_deploy import Operator
from e2e.probes import Probe, Probes, brief, divergence, facts
from faults.inject.maps import MapEntry, service_slot
from lab.cluster import Lab
from lab.settings import Settings

NAMESPACE = "e2e-destinations"
MANIFESTS = Path(__file__).parent / "manifests/destinations"
LANDING: Object = {"method": "POST", "path": "/v1/request-landing", "timeout": "3s"}


def service(name: str, port: int | str = "http") -> Object:
    return {"service": {"name": name, "port": port}}


def node_port(name: str) -> Object:
    return {"service": {"name": name, "port": "http", "frontend": "NodePort"}}


HEALTHY: dict[str, tuple[str, Object, set[str]]] = {
    "headless": ("ship", service("headless"), {"name-resolution", "endpoint-lookup"}),
    "node-port-by-name": ("ship", service("node-port"), {"service-translation"}),
    "sticky": ("ship", service("sticky"), {"service-translation"}),
    "local": ("ship", service("node-port-near"), {"service-translation", "endpoint-lookup"}),
    "hairpin": ("ship", service("mirror"), {"service-translation"}),
    "itself": ("ship", {"pod": {"name": "ship", "port": 80}}, {"destination-response"}),
    "to-host": ("ship", {"pod": {"name": "host", "port": 8088}}, {"ipcache-lookup", "node-routing"}),
    "service-of-host": ("ship", service("host"), {"service-translation", "reply-routing"}),
    "from-host-far": ("host", {"pod": {"name": "ship", "port": 80}}, {"node-routing"}),
    "from-host-near": ("host", {"pod": {"name": "star", "port": 80}}, {"endpoint-lookup"}),
}
ABSENT = {
    "headless": {"service-lookup", "service-translation"},
    "hairpin": {"egress-policy", "ingress-policy", "ipcache-lookup"},
    "itself": {"source-program", "endpoint-lookup"},
    "local": {"node-routing", "overlay-encapsulation"},
    "to-host": {"destination-interface"},
    "from-host-far": {"source-interface", "source-program", "egress-policy"},
}
ONLY_IF: dict[str, tuple[str, Callable[[Settings], bool]]] = {
    "node-port-by-name": ("reply-translation", lambda settings: settings.balances_per_packet),
    "hairpin": ("destination-program", lambda settings: settings.balances_per_packet),
    "to-host": ("overlay-encapsulation", lambda settings: settings.tunnels_to_hosts),
    "from-host-far": ("overlay-encapsulation", lambda settings: settings.tunneled),
}
NODE_PORTS = {"node-port": "star", "node-port-outside-local": "star", "node-port-near": "moon"}


@pytest.fixture(scope="module")
def places(lab: Lab, api: Api, operator: Operator) -> None:
    """The pods and Services, ready."""
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(MANIFESTS))
    pods = ("pod/ship", "pod/star", "pod/moon", "pod/host")
    lab.kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", *pods, "--timeout=60s")


@pytest.fixture
def kinds(api: Api, places: None) -> Iterator[Probes]:
    made = Probes(api, NAMESPACE)
    yield made
    made.delete_all()


def probe(kinds: Probes, name: str, source: str, destination: Object) -> Probe:
    return kinds.create(name, {"source": {"pod": source}, "destination": destination, "request": LANDING})


def settings() -> Settings:
    return Lab.current().settings


def test_every_kind_of_source_and_destination_is_healthy_with_its_hops(kinds: Probes) -> None:
    assert_kinds_healthy(kinds)


def assert_kinds_healthy(kinds: Probes) -> None:
    """Every kind is Healthy, with its own hops."""
    probes = {
        name: probe(kinds, name, source, destination) for name, (source, destination, _) in HEALTHY.items()
    }
    for name, one in probes.items():
        status = one.settle()
        hops = {hop["name"] for hop in status["paths"][0]["hops"]}
        assert hops >= HEALTHY[name][2], (name, brief(status))
        assert not hops & ABSENT.get(name, set()), (name, brief(status))
        if name in ONLY_IF:
            hop, expected = ONLY_IF[name]
            assert (hop in hops) == expected(settings()), (name, brief(status))


def test_a_node_port_is_supported_only_where_cilium_serves_it(lab: Lab, kinds: Probes) -> None:
    assert_node_ports(lab, kinds)


def assert_node_ports(lab: Lab, kinds: Probes) -> None:
    """With a far and a near backend, and with `externalTrafficPolicy: Local`."""
    probes = {name: probe(kinds, name, "ship", node_port(name)) for name in NODE_PORTS}
    for name, one in probes.items():
        if not settings().mode.replaces_kube_proxy:
            status = one.run_now()
            assert (status["verdict"], status["reason"]) == ("Unknown", "UnsupportedDestination"), brief(
                status
            )
            assert "is served by kube-proxy" in status["summary"]
            continue
        status = one.settle()
        path = status["paths"][0]
        hops = {hop["name"] for hop in path["hops"]}
        assert hops >= {"service-lookup", "service-translation"}, brief(status)
        assert "name-resolution" not in hops, brief(status)
        assert path["destination"]["name"] == NODE_PORTS[name], brief(status)
        assert path["destination"]["serviceIP"] == lab.node(node_of(lab, "ship")).ip


def test_missing_node_port_entries_are_named(lab: Lab, kinds: Probes) -> None:
    if not settings().mode.replaces_kube_proxy:
        pytest.skip("without kube-proxy replacement Cilium serves no NodePort")
    ship, name = node_of(lab, "ship"), "node-port"
    one = probe(kinds, "node-port-faults", "ship", node_port(name))
    one.settle()
    path = "jsonpath={.spec.ports[?(@.name=='http')].nodePort}"
    number = int(lab.kubectl("get", "service", "-n", NAMESPACE, name, "-o", path))
    frontend, backend = (service_slot(lab, ship, lab.node(ship).ip, number, slot) for slot in (0, 1))
    with faults.deleted(backend):
        status = one.run_now()
        assert divergence(status) == ("Broken", "service-lookup", ship, "BackendMissing"), brief(status)
    one.settle()
    with faults.deleted(frontend):
        status = one.run_now()  # socket load balancing finds the wildcard entry
        assert divergence(status) == ("Degraded", "service-lookup", ship, "FrontendMissing"), brief(status)
    one.settle()


def test_the_kubernetes_service_has_a_host_as_backend(kinds: Probes) -> None:
    spec = {
        "source": {"pod": "ship"},
        "destination": {"service": {"name": "kubernetes", "namespace": "default", "port": "https"}},
        "expect": {"status": [400]},  # plain HTTP to a TLS port
    }
    status = kinds.create("api-server", spec).settle()
    assert status["paths"][0]["destination"]["node"] == "node1"


def test_a_service_with_local_traffic_policy_has_no_backend_on_other_nodes(lab: Lab, kinds: Probes) -> None:
    one = probe(kinds, "local-elsewhere", "ship", service("local"))
    status = one.run_until("Broken", lambda status: status["verdict"] == "Broken")  # the pods may be new
    ship = node_of(lab, "ship")
    assert divergence(status) == ("Broken", "service-lookup", ship, "NoReadyBackends"), brief(status)


def test_a_missing_entry_of_the_dns_service_is_named(lab: Lab, kinds: Probes) -> None:
    one = probe(kinds, "dns", "ship", service("sticky"))
    one.settle()
    ship = node_of(lab, "ship")
    with faults.deleted(name_server_entry(lab, ship)):
        status = one.run_now()
        blamed = ("Broken", "name-resolution", ship, "DNSPathBroken")
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
