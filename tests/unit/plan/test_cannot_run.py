"""Why there is no plan: reasons and messages."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.plan.objects import MAX_ENDPOINTS, Container
from datapath_probe.plan.plan import CannotRun
from unit.cluster import DEATHSTAR, Cluster, cluster, probe, resolve
from unit.plan.planned import POD, SERVICE


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


def _many_endpoints(inventory: Cluster) -> None:
    endpoints = inventory.endpoints["default/deathstar"]
    inventory.endpoints["default/deathstar"] = (endpoints[0],) * (MAX_ENDPOINTS + 1)


@pytest.mark.parametrize(
    ("destination", "change", "reason"),
    [
        (SERVICE, _many_endpoints, Reason.TOO_MANY_ENDPOINTS),
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
