"""An EndpointSlice keeps its endpoints and its ports apart."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.kube.objects.endpoint_slices import endpoint_slice
from datapath_probe.kube.objects.fields import Skips
from datapath_probe.plan.objects import ServicePort, SliceEndpoint
from unit.kube.objects.test_kubernetes_objects import changed
from unit.kube.samples import (
    ENDPOINT_SLICE,
    Json,
)


def test_a_slice_gives_its_endpoints_at_each_of_its_ports() -> None:
    ready, leaving = (True, True, False, "node1", "deathstar-0"), (False, True, True, None, None)
    found = endpoint_slice(ENDPOINT_SLICE, Skips())
    assert tuple(found.at(port("http"))) == (
        SliceEndpoint(ip_address("10.244.0.157"), "http", 80, "TCP", *ready),
        SliceEndpoint(ip_address("10.244.1.3"), "http", 80, "TCP", *leaving),
    )
    assert tuple(found.at(port("admin"))) == (
        SliceEndpoint(ip_address("10.244.0.157"), "admin", 8080, "TCP", *ready),
        SliceEndpoint(ip_address("10.244.1.3"), "admin", 8080, "TCP", *leaving),
    )
    assert not tuple(found.at(port("other")))
    assert not tuple(found.at(replace(port("http"), protocol="UDP")))
    assert found.service == ("default", "deathstar")


def port(name: str) -> ServicePort:
    return ServicePort(name, 1, "TCP", 1, None)


def test_only_the_first_address_of_an_endpoint_counts() -> None:
    raw = changed(ENDPOINT_SLICE, "endpoints", to=[{"addresses": ["10.0.0.1", "10.0.0.2"]}])
    assert [str(ip) for ip, _ in endpoint_slice(raw, Skips()).endpoints] == ["10.0.0.1"]


def test_a_slice_takes_no_more_memory_than_its_endpoints_and_its_ports() -> None:
    """Kubernetes allows 1,000 endpoints with 100 addresses each, and 20,000 ports: 2,000,000,000 combinations."""
    raw: Json = {
        "endpoints": [{"addresses": ["10.0.0.1"] * 100}] * 1_000,
        "ports": [{"name": f"p{number}", "port": number} for number in range(20_000)],
    }
    found = endpoint_slice(raw, Skips())
    assert (len(found.endpoints), len(found.ports)) == (1_000, 20_000)
    assert len(list(found.at(port("p7")))) == 1_000


@pytest.mark.parametrize(
    ("conditions", "ready", "serving"),
    [({}, True, True), ({"ready": False}, False, False), ({"ready": False, "serving": True}, False, True)],
)
def test_unset_conditions_of_a_slice(conditions: Json, ready: bool, serving: bool) -> None:
    found = endpoint_slice(changed(ENDPOINT_SLICE, "endpoints", 0, "conditions", to=conditions), Skips())
    endpoint = next(found.at(port("http")))
    assert (endpoint.ready, endpoint.serving, endpoint.terminating) == (ready, serving, False)


def test_fqdns_in_a_slice_are_not_addresses() -> None:
    skips = Skips()
    raw = changed(ENDPOINT_SLICE, "endpoints", to=[{"addresses": ["example.org"]}])
    assert endpoint_slice(raw, skips).endpoints == ()
    assert skips == {"EndpointSlice.endpoints.addresses": 1}
