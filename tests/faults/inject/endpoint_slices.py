"""EndpointSlices written by hand: additional endpoints of a Service. Used by the catalog."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from e2e.api import Api, Object
from e2e.galaxy import NAMESPACE
from faults.inject import objects
from faults.inject.dns import at_rest
from faults.inject.in_place import InPlace

SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"


def endpoint_slice(
    service: str, ip: str, port: int, pod: str | None = None, port_name: str = "http"
) -> Object:
    """A slice with one ready endpoint. `pod`: the one that the endpoint refers to."""
    endpoint: Object = {"addresses": [ip], "conditions": {"ready": True}}
    if pod:
        endpoint["targetRef"] = {"kind": "Pod", "name": pod, "namespace": NAMESPACE}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{service}-by-hand", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [endpoint],
        "ports": [{"name": port_name, "port": port, "protocol": "TCP"}],
    }


@contextmanager
def listed(api: Api, body: Object, applied: Callable[[], bool]) -> Iterator[InPlace]:
    """An additional slice, for longer than the transition window of endpoints."""
    with objects.created(api, SLICES, body, applied) as in_place:
        at_rest()
        yield in_place
