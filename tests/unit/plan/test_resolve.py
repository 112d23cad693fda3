"""From names to a plan, or to the reason why there is none."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.addresses import IpAddress
from datapath_probe.api.reasons import Reason
from datapath_probe.plan import resolve as resolving
from datapath_probe.plan.objects import Container
from datapath_probe.plan.path import expected_path
from datapath_probe.plan.plan import CannotRun, Plan
from datapath_probe.plan.resolve import resolve
from datapath_probe.plan.support import unsupported
from datapath_probe.sources.agent.agent_config import from_config_map
from unit.cluster import DEATHSTAR, Cluster, cluster, probe

POD = {"pod": {"name": "deathstar-0", "port": 80}}
SERVICE = {"service": {"name": "deathstar", "port": 80}}
NODE_PORT = {"service": {"name": "deathstar", "port": 80, "frontend": "NodePort"}}


def planned(destination: Mapping[str, object], inventory: Cluster | None = None, **spec: object) -> Plan:
    (plan,) = resolve(probe(destination, **spec), inventory or cluster())
    assert isinstance(plan, Plan), plan
    return plan


def test_a_pod_is_requested_at_its_own_address() -> None:
    plan = planned(POD)
    assert (plan.request.host, plan.request.port) == ("10.244.0.172", 80)
    assert plan.destination == "default/deathstar-0:80"
    assert plan.frontend is None
    assert [b.pod_facts and b.pod_facts.pod.name for b in plan.backends] == ["deathstar-0"]


def test_a_service_is_requested_by_name_and_knows_its_backends() -> None:
    plan = planned(SERVICE)
    assert plan.request.host == "deathstar.default.svc"
    assert plan.frontend is not None
    assert plan.frontend.ip == ip_address("10.96.57.217")
    assert [(b.ip, b.port) for b in plan.backends] == [
        (ip_address("10.244.0.172"), 80),
        (ip_address("10.244.1.101"), 80),
    ]


def test_a_service_without_ready_endpoints_can_be_planned() -> None:
    inventory = cluster()
    inventory.endpoints.clear()
    assert planned(SERVICE, inventory).backends == ()


def test_a_port_of_a_service_can_be_named() -> None:
    inventory = cluster()
    named = replace(DEATHSTAR.ports[0], name="http", port=8080)
    inventory.services["default/deathstar"] = replace(DEATHSTAR, ports=(named,))
    plan = planned({"service": {"name": "deathstar", "port": "http"}}, inventory)
    assert plan.request.port == 8080


def with_node_port(number: int | None, kube_proxy_replacement: str = "true") -> Cluster:
    inventory = cluster()
    inventory.config = {**inventory.config, "kube-proxy-replacement": kube_proxy_replacement}
    port = replace(DEATHSTAR.ports[0], node_port=number)
    inventory.services["default/deathstar"] = replace(DEATHSTAR, type="NodePort", ports=(port,))
    return inventory


def test_a_node_port_is_requested_at_the_sources_own_node_without_a_name() -> None:
    inventory = with_node_port(30080)
    plan = planned(NODE_PORT, inventory)
    own = inventory.nodes["node2"].internal_ips[0]
    assert (plan.request.host, plan.request.port) == (str(own), 30080)
    assert plan.frontend is not None
    assert plan.frontend.address == f"{own}:30080"
    assert plan.nameserver is None
    assert plan.destination == "default/deathstar:80 at its NodePort"
    assert len(plan.backends) == 2


def test_a_node_port_is_balanced_by_the_internal_traffic_policy() -> None:
    inventory = with_node_port(30080)
    service = inventory.services["default/deathstar"]
    inventory.services["default/deathstar"] = replace(service, internal_traffic_policy="Local")
    assert [b.pod_facts and b.pod_facts.pod.node for b in planned(NODE_PORT, inventory).backends] == ["node2"]


@pytest.mark.parametrize(
    ("inventory", "reason", "said"),
    [
        (with_node_port(None), Reason.PORT_NOT_FOUND, "its port 80 has no NodePort"),
        (with_node_port(30080, "false"), Reason.UNSUPPORTED_DESTINATION, "kube-proxy-replacement off"),
    ],
)
def test_a_node_port_that_cilium_does_not_serve_is_not_requested(
    inventory: Cluster, reason: Reason, said: str
) -> None:
    (refused,) = resolve(probe(NODE_PORT), inventory)
    assert isinstance(refused, CannotRun)
    assert refused.reason is reason
    assert said in refused.message


def test_a_node_without_an_address_of_the_services_ip_version_has_no_node_port() -> None:
    inventory = with_node_port(30080)
    inventory.nodes["node2"] = replace(inventory.nodes["node2"], internal_ips=(ip_address("fd00::2"),))
    (refused,) = resolve(probe(NODE_PORT), inventory)
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.NO_COMMON_IP_VERSION


@pytest.mark.parametrize(
    ("wanted", "default", "chosen"),
    [(None, None, "first"), (None, "second", "second"), (None, "gone", "first"), ("second", None, "second")],
)
def test_the_container_is_selected_as_by_kubectl(
    wanted: str | None, default: str | None, chosen: str
) -> None:
    inventory = cluster()
    containers = tuple(Container(name, running=True, ports={}) for name in ("first", "second"))
    xwing = inventory.pods["default/xwing"]
    inventory.pods["default/xwing"] = replace(xwing, containers=containers, default_container=default)
    source = {"pod": "xwing"} | ({"container": wanted} if wanted else {})
    assert planned(POD, inventory, source=source).container == chosen


def _without_source(inventory: Cluster) -> None:
    del inventory.pods["default/xwing"]


def _source(**changes: object) -> Callable[[Cluster], None]:
    def change(inventory: Cluster) -> None:
        xwing = inventory.pods["default/xwing"]
        inventory.pods["default/xwing"] = replace(xwing, **changes)  # type: ignore[arg-type]  # a test's shorthand

    return change


def _destination(**changes: object) -> Callable[[Cluster], None]:
    def change(inventory: Cluster) -> None:
        deathstar = inventory.pods["default/deathstar-0"]
        inventory.pods["default/deathstar-0"] = replace(deathstar, **changes)  # type: ignore[arg-type]  # likewise

    return change


def _endpoint(**changes: int) -> Callable[[Cluster], None]:
    def change(inventory: Cluster) -> None:
        endpoint = inventory.cilium_endpoints["default/deathstar-0"]
        inventory.cilium_endpoints["default/deathstar-0"] = replace(endpoint, **changes)  # type: ignore[arg-type]

    return change


def _without_destination(inventory: Cluster) -> None:
    del inventory.pods["default/deathstar-0"]
    del inventory.services["default/deathstar"]


def _external_name(inventory: Cluster) -> None:
    inventory.services["default/deathstar"] = replace(DEATHSTAR, cluster_ip=None, type="ExternalName")


@pytest.mark.parametrize(
    ("destination", "change", "reason"),
    [
        (POD, _without_source, Reason.SOURCE_NOT_FOUND),
        (POD, _source(phase="Pending"), Reason.SOURCE_NOT_RUNNING),
        (POD, _source(ips=()), Reason.SOURCE_NOT_RUNNING),
        (POD, _source(terminating=True), Reason.IN_TRANSITION),
        (POD, _source(ips=(ip_address("fd00::1"),)), Reason.NO_COMMON_IP_VERSION),
        (POD, _endpoint(endpoint_id=1 << 16), Reason.INVALID_OBJECT),
        (POD, _endpoint(identity=-1), Reason.INVALID_OBJECT),
        (POD, _source(containers=()), Reason.CONTAINER_NOT_FOUND),
        (POD, _source(containers=(Container("c", False, {}),)), Reason.CONTAINER_NOT_RUNNING),
        (POD, _without_destination, Reason.DESTINATION_NOT_FOUND),
        (POD, _destination(phase="Succeeded"), Reason.DESTINATION_NOT_RUNNING),
        (POD, _destination(terminating=True), Reason.IN_TRANSITION),
        (SERVICE, _without_destination, Reason.DESTINATION_NOT_FOUND),
        (SERVICE, _external_name, Reason.UNSUPPORTED_DESTINATION),
        ({"service": {"name": "deathstar", "port": 81}}, lambda _: None, Reason.PORT_NOT_FOUND),
    ],
)
def test_a_probe_that_can_not_run_has_a_reason(
    destination: Mapping[str, object], change: Callable[[Cluster], None], reason: Reason
) -> None:
    inventory = cluster()
    change(inventory)
    (result,) = resolve(probe(destination), inventory)
    assert isinstance(result, CannotRun)
    assert result.reason is reason
    assert result.source == "default/xwing"
    assert result.message


def _dns_alone_over_udp(inventory: Cluster) -> None:
    ports = (replace(DEATHSTAR.ports[0], name="dns", port=53, protocol="UDP"),)
    inventory.services["default/deathstar"] = replace(DEATHSTAR, ports=ports)


def _without_cluster_ip(inventory: Cluster) -> None:
    inventory.services["default/deathstar"] = replace(DEATHSTAR, cluster_ip=None)


@pytest.mark.parametrize(
    ("destination", "change", "message"),
    [
        (POD, _source(ips=()), "source pod default/xwing has no IP address yet"),
        (POD, _source(phase="Pending", ips=()), "source pod default/xwing is Pending"),
        (POD, _destination(ips=()), "destination pod default/deathstar-0 has no IP address yet"),
        (
            {"service": {"name": "deathstar", "port": 53}},
            _dns_alone_over_udp,
            "Service default/deathstar has no TCP port 53; it has: 53/UDP (dns)",
        ),
        (
            SERVICE,
            _external_name,
            "Service default/deathstar is of type ExternalName and refers to a name outside the cluster",
        ),
        (SERVICE, _without_cluster_ip, "Service default/deathstar has no ClusterIP"),
    ],
)
def test_messages_are_consistent(
    destination: Mapping[str, object], change: Callable[[Cluster], None], message: str
) -> None:
    inventory = cluster()
    change(inventory)
    (result,) = resolve(probe(destination), inventory)
    assert isinstance(result, CannotRun)
    assert result.message == message


UNJUDGED = [
    ("tunnel-protocol", "gre", "tunnel-protocol 'gre'"),
    ("routing-mode", "hybrid", "routing-mode 'hybrid'"),
    ("underlay-protocol", "ipv6", "underlay-protocol 'ipv6'"),
    ("enable-wireguard", "true", "encryption by wireguard"),
    ("enable-ipsec", "true", "encryption by ipsec"),
    ("enable-ztunnel", "true", "encryption by ztunnel"),
    ("datapath-mode", "netkit", "datapath-mode netkit"),
    ("datapath-mode", "netkit-l2", "datapath-mode netkit-l2"),
    ("cni-chaining-mode", "aws-cni", "cni-chaining-mode aws-cni"),
    ("cluster-id", "3", "cluster-id 3"),
]


@pytest.mark.parametrize(("key", "value", "words"), UNJUDGED)
def test_with_an_unsupported_setting_the_request_is_still_sent(key: str, value: str, words: str) -> None:
    inventory = cluster()
    inventory.config[key] = value
    said = unsupported(from_config_map(inventory.config))
    assert said is not None
    assert words in said
    plan = planned(SERVICE, inventory)
    assert [expected_path(plan, backend).hops for backend in (None, *plan.backends)]


def test_without_ipv4_no_request_is_sent() -> None:
    inventory = cluster()
    inventory.config["enable-ipv4"] = "false"
    (refused,) = resolve(probe(POD), inventory)
    assert isinstance(refused, CannotRun)
    assert (refused.reason, "IPv6 only" in refused.message) == (Reason.UNSUPPORTED_CONFIGURATION, True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tunnel-protocol", "geneve"),
        ("routing-mode", "native"),
        ("cni-chaining-mode", "none"),
        ("cni-chaining-mode", "portmap"),
        ("cluster-id", "0"),
        ("kube-proxy-replacement", "true"),
        ("enable-endpoint-routes", "true"),
        ("enable-l7-proxy", "true"),  # irrelevant until a policy redirects traffic to it
    ],
)
def test_a_supported_setting_is_not_reported(key: str, value: str) -> None:
    assert unsupported(from_config_map(cluster().config | {key: value})) is None


def test_all_unsupported_settings_are_reported_together() -> None:
    said = unsupported(from_config_map({"datapath-mode": "netkit", "cluster-id": "3"}))
    assert said == "datapath-mode netkit, a cluster mesh (cluster-id 3)"


def test_the_tunnel_protocol_is_irrelevant_with_native_routing() -> None:
    assert unsupported(from_config_map({"routing-mode": "native", "tunnel-protocol": "gre"})) is None


def test_of_two_ip_versions_ipv4_is_requested() -> None:
    inventory = cluster()
    xwing = inventory.pods["default/xwing"]
    inventory.pods["default/xwing"] = replace(xwing, ips=(ip_address("fd00::27"), *xwing.ips))
    inventory.services["default/deathstar"] = replace(DEATHSTAR, cluster_ip=None, headless=True)
    far, near = inventory.endpoints["default/deathstar"]
    inventory.endpoints["default/deathstar"] = (far, replace(far, ip=ip_address("fd00::172")), near)
    plan = planned(POD, inventory)
    assert plan.source.pod.ips == (xwing.ip, ip_address("fd00::27"))
    dual = planned(SERVICE, inventory)
    assert {backend.ip for backend in dual.backends} == {far.ip, near.ip}


@pytest.mark.parametrize("cluster_ip", [ip_address("fd00::96"), None])
def test_ends_with_only_ipv6_in_common_are_not_requested(cluster_ip: IpAddress | None) -> None:
    inventory = cluster()
    xwing = inventory.pods["default/xwing"]
    inventory.pods["default/xwing"] = replace(xwing, ips=(*xwing.ips, ip_address("fd00::27")))
    inventory.services["default/deathstar"] = replace(
        DEATHSTAR, cluster_ip=cluster_ip, headless=cluster_ip is None
    )
    far, _ = inventory.endpoints["default/deathstar"]
    inventory.endpoints["default/deathstar"] = (replace(far, ip=ip_address("fd00::172")),)
    (refused,) = resolve(probe(SERVICE), inventory)
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.UNSUPPORTED_DESTINATION
    assert "only IPv6 in common" in refused.message
    assert refused.destination == "default/deathstar:80"


def test_the_plan_of_the_same_path_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = planned(POD)
    other = replace(before, source=replace(before.source, pod=replace(before.source.pod, name="tiefighter")))
    refused = CannotRun(Reason.SOURCE_NOT_FOUND, "there is no pod default/xwing")
    found: tuple[Plan | CannotRun, ...] = (other, refused, replace(before, container="other"))
    monkeypatch.setattr(resolving, "resolve", lambda *_: found)
    assert resolving.resolve_again(before, probe(POD), cluster()) == replace(before, container="other")
    found = (other, refused)
    assert resolving.resolve_again(before, probe(POD), cluster()) is refused
    found = (other,)
    gone = resolving.resolve_again(before, probe(POD), cluster())
    assert isinstance(gone, CannotRun)
    assert gone.reason is Reason.IN_TRANSITION
    assert gone.message == "default/xwing → default/deathstar-0:80 is no longer a path of the probe"
