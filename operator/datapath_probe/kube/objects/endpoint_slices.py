"""EndpointSlices (JSON) → records. A slice may have 1,000 endpoints and 20,000 ports, so both are kept apart, and
combined for the one port that a plan asks for.

In: a slice as the API server sent it, and a counter of invalid fields. Out: a record; never an exception. Called by
`kube.watch.inventory`. Pure.
Source: Kubernetes 1.34 `pkg/apis/discovery/validation`, `staging/src/k8s.io/api/discovery/v1/types.go`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ...addresses import IpAddress
from ...plan.objects import ServicePort, SliceEndpoint
from .fields import Skips, addresses, at, elements, last_written, port_number, text

SERVICE_NAME = "kubernetes.io/service-name"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


class Endpoint(NamedTuple):
    """An endpoint without its ports. The fields are those of `SliceEndpoint`, in its order."""

    ready: bool
    serving: bool
    terminating: bool
    node: str | None
    pod: str | None
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """`service`: namespace and name; `managed_by`: its controller; `ports`: the number by name and protocol;
    `written_at`: since the epoch.
    """

    service: tuple[str, str]
    endpoints: tuple[tuple[IpAddress, Endpoint], ...]
    ports: dict[tuple[str, str], int]
    written_at: float
    name: str = ""
    managed_by: str = ""

    def at(self, port: ServicePort) -> Iterator[SliceEndpoint]:
        """The endpoints at this port of the Service; none if the slice does not have it."""
        number = self.ports.get((port.name, port.protocol))
        if number is not None:
            for ip, endpoint in self.endpoints:
                yield SliceEndpoint(
                    ip, port.name, number, port.protocol, *endpoint, self.name, self.managed_by
                )


def endpoint_slice(raw: object, skips: Skips) -> EndpointSlice:
    """Convert an EndpointSlice. Of the addresses of an endpoint only the first has a meaning in Kubernetes."""
    ports = {}
    for entry in elements(raw, "ports"):
        number = port_number(entry, "port")
        if number is None:
            skips["EndpointSlice.ports"] += 1
        else:
            ports[text(entry, "name"), text(entry, "protocol", default="TCP")] = number
    return EndpointSlice(
        service=(text(raw, "metadata", "namespace"), text(raw, "metadata", "labels", SERVICE_NAME)),
        endpoints=tuple(
            (ip, _endpoint(entry))
            for entry in elements(raw, "endpoints")
            for ip in addresses(elements(entry, "addresses")[:1], skips, "EndpointSlice.endpoints.addresses")
        ),
        ports=ports,
        written_at=last_written(raw),
        name=text(raw, "metadata", "name"),
        managed_by=text(raw, "metadata", "labels", _MANAGED_BY),
    )


def _endpoint(raw: object) -> Endpoint:
    # An unset `ready` means ready; an unset `serving` equals `ready` (EndpointConditions).
    ready = at(raw, "conditions", "ready") is not False
    serving = at(raw, "conditions", "serving")
    return Endpoint(
        ready=ready,
        serving=serving if isinstance(serving, bool) else ready,
        terminating=at(raw, "conditions", "terminating") is True,
        node=text(raw, "nodeName") or None,
        pod=text(raw, "targetRef", "name") or None if text(raw, "targetRef", "kind") == "Pod" else None,
        zones=tuple(text(zone, "name") for zone in elements(raw, "hints", "forZones")),
    )
