"""What an administrator can forbid all probes: refused when the run is planned."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.plan.objects import Container
from datapath_probe.plan.outside import AddressRestrictions
from datapath_probe.plan.plan import CannotRun, Plan
from datapath_probe.plan.resolve import resolve_again
from datapath_probe.plan.restrictions import Restrictions
from unit.cluster import DEATHSTAR, Cluster, cluster, pod, probe, resolve, slice_endpoint
from unit.plan.planned import POD, SERVICE

NO_HOST_NETWORK = Restrictions(host_network=True)
SAFE_METHODS = Restrictions(unsafe_methods=True)
OWN_USER = Restrictions(other_users=True)
EVERYTHING = Restrictions(host_network=True, unsafe_methods=True, other_users=True)
NODE1 = "172.30.0.11"
DENIED = Restrictions(
    addresses=AddressRestrictions(denied=(ip_network("172.30.0.0/16"), ip_network("10.0.0.0/8")))
)


def planned(
    destination: Mapping[str, object], inventory: Cluster, restrictions: Restrictions, **spec: object
) -> Plan | CannotRun:
    (result,) = resolve(probe(destination, **spec), inventory, restrictions)
    return result


def _in_host_network(inventory: Cluster) -> None:
    inventory.pods["default/deathstar-0"] = pod("deathstar-0", NODE1, "node1", host_network=True)


def _endpoints(*endpoints: tuple[str | None, str]) -> Callable[[Cluster], None]:
    """A change: the Service has these endpoints, each the name of its pod and its address."""

    def change(inventory: Cluster) -> None:
        inventory.endpoints["default/deathstar"] = tuple(
            slice_endpoint("", ip, "node1", pod=name) for name, ip in endpoints
        )

    return change


def _pending_pod_as_owner(inventory: Cluster) -> None:
    inventory.pods["default/pending"] = pod("pending", "", "node1", phase="Pending")
    _endpoints(("pending", NODE1))(inventory)


def _headless(inventory: Cluster) -> None:
    inventory.services["default/deathstar"] = replace(DEATHSTAR, cluster_ip=None, headless=True)
    _endpoints(("deathstar-0", "10.244.0.172"), (None, NODE1))(inventory)


def _unready(inventory: Cluster) -> None:
    inventory.endpoints["default/deathstar"] = (
        slice_endpoint("", NODE1, "node1", pod=None, ready=False, serving=False),
    )


@pytest.mark.parametrize(
    ("destination", "change"),
    [
        pytest.param(POD, _in_host_network, id="a pod in the host network"),
        pytest.param(SERVICE, _in_host_network, id="a Service with such a pod"),
        pytest.param(SERVICE, _endpoints((None, NODE1)), id="a node's address"),
        pytest.param(SERVICE, _endpoints(("deathstar-0", "10.244.0.172"), (None, NODE1)), id="one of two"),
        pytest.param(SERVICE, _endpoints(("deathstar-0", NODE1)), id="under the name of another pod"),
        pytest.param(SERVICE, _pending_pod_as_owner, id="under the name of a pod without an address"),
        pytest.param(SERVICE, _endpoints((None, "10.244.0.63")), id="the node's address in the pod network"),
        pytest.param(SERVICE, _endpoints((None, "192.0.2.1")), id="outside the cluster"),
        pytest.param(SERVICE, _headless, id="a headless Service"),
        pytest.param(SERVICE, _unready, id="an endpoint that may become ready"),
    ],
)
def test_destinations_outside_the_pod_network_can_be_forbidden(
    destination: Mapping[str, object], change: Callable[[Cluster], None]
) -> None:
    inventory = cluster()
    change(inventory)
    refused = planned(destination, inventory, NO_HOST_NETWORK)
    assert isinstance(refused, CannotRun), refused
    assert refused.reason is Reason.HOST_NETWORK_FORBIDDEN
    assert refused.message.endswith(
        "is not the address of a pod with its own network (--forbid-host-network)"
    )
    assert (refused.source, bool(refused.destination)) == ("default/xwing", True)
    assert isinstance(planned(destination, inventory, Restrictions()), Plan)


@pytest.mark.parametrize(
    ("destination", "change"),
    [
        pytest.param(POD, _in_host_network, id="a pod in the host network"),
        pytest.param(SERVICE, _in_host_network, id="a Service with such a pod"),
        pytest.param(SERVICE, _endpoints((None, "10.9.8.7")), id="outside the cluster"),
        pytest.param(SERVICE, _endpoints(("deathstar-0", "10.244.0.172"), (None, NODE1)), id="one of two"),
        pytest.param(SERVICE, _endpoints(("deathstar-0", NODE1)), id="under the name of another pod"),
        pytest.param(SERVICE, _pending_pod_as_owner, id="under the name of a pod without an address"),
        pytest.param(SERVICE, _headless, id="a headless Service"),
        pytest.param(SERVICE, _unready, id="an endpoint that may become ready"),
    ],
)
def test_denied_addresses_are_denied_as_endpoints_too(
    destination: Mapping[str, object], change: Callable[[Cluster], None]
) -> None:
    inventory = cluster()
    change(inventory)
    refused = planned(destination, inventory, DENIED)
    assert isinstance(refused, CannotRun), refused
    assert refused.reason is Reason.ADDRESS_FORBIDDEN
    assert refused.message.startswith(f"an endpoint of {refused.destination} is forbidden: ")
    assert refused.message.endswith("which the operator denies (--deny-addresses)")
    assert isinstance(planned(destination, inventory, Restrictions()), Plan)


@pytest.mark.parametrize("destination", [POD, SERVICE])
def test_pods_with_their_own_network_are_exempt_from_denied_addresses(
    destination: Mapping[str, object],
) -> None:
    assert isinstance(planned(destination, cluster(), DENIED), Plan)


def test_a_metadata_server_is_no_endpoint_unless_it_is_allowed() -> None:
    inventory = cluster()
    _endpoints((None, "100.100.100.200"))(inventory)
    refused = planned(SERVICE, inventory, Restrictions())
    assert isinstance(refused, CannotRun)
    assert "metadata" in refused.message
    allowed = Restrictions(addresses=AddressRestrictions(allowed=(ip_network("100.100.100.200/32"),)))
    assert isinstance(planned(SERVICE, inventory, allowed), Plan)


@pytest.mark.parametrize("destination", [POD, SERVICE])
def test_pods_with_their_own_network_are_never_forbidden(destination: Mapping[str, object]) -> None:
    assert isinstance(planned(destination, cluster(), EVERYTHING), Plan)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_other_than_get_and_head_can_be_forbidden(method: str) -> None:
    request = {"method": method}
    refused = planned(POD, cluster(), SAFE_METHODS, request=request)
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.METHOD_FORBIDDEN
    assert method in refused.message
    assert isinstance(planned(POD, cluster(), Restrictions(), request=request), Plan)


def test_long_bodies_can_be_forbidden() -> None:
    request = {"method": "POST", "body": "ä" * 50}  # 100 bytes
    refused = planned(POD, cluster(), Restrictions(body_bytes=99), request=request)
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.BODY_TOO_LONG
    assert "100 bytes" in refused.message
    assert "at most 99 (--max-body-bytes)" in refused.message
    for limit in (100, None):
        assert isinstance(planned(POD, cluster(), Restrictions(body_bytes=limit), request=request), Plan)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_get_and_head_are_never_forbidden(method: str) -> None:
    assert isinstance(planned(POD, cluster(), EVERYTHING, request={"method": method}), Plan)


def test_containers_of_another_user_can_be_forbidden() -> None:
    inventory = cluster()
    containers = (
        Container("spaceship", running=True, ports={}),
        Container("proxy", running=True, ports={}, other_user=True),
    )
    inventory.pods["default/xwing"] = replace(inventory.pods["default/xwing"], containers=containers)
    proxy = {"source": {"pod": "xwing", "container": "proxy"}}
    refused = planned(POD, inventory, OWN_USER, **proxy)
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.CONTAINER_USER_FORBIDDEN
    assert isinstance(planned(POD, inventory, OWN_USER), Plan)
    assert isinstance(planned(POD, inventory, Restrictions(), **proxy), Plan)


def test_a_destination_that_moves_to_the_host_network_during_the_run_is_forbidden_then() -> None:
    inventory = cluster()
    plan = planned(POD, inventory, NO_HOST_NETWORK)
    assert isinstance(plan, Plan)
    inventory.pods["default/deathstar-0"] = pod(
        "deathstar-0", str(ip_address(NODE1)), "node1", host_network=True
    )
    again = resolve_again(plan, probe(POD), inventory, NO_HOST_NETWORK)
    assert isinstance(again, CannotRun)
    assert again.reason is Reason.HOST_NETWORK_FORBIDDEN
