"""Which endpoints of a Service Cilium load-balances to, as seen from one node. Called by `destination`.

Source: Cilium 1.18 `pkg/loadbalancer/reflectors`, `pkg/loadbalancer/writer` (`DefaultSelectBackends`): the ready
endpoints of the frontend's IP version; if there is none, those that still serve while they terminate; with
`internalTrafficPolicy: Local` only those on the node itself; with `enable-service-topology`, those hinted for its
zone. Endpoints that Cilium ignores are never eligible (`pkg/k8s/utils`, `isIngressDummyEndpoint`).
"""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address

from ..addresses import family_of
from .objects import Node, Service, ServicePort, SliceEndpoint

# Slices that mirror other clusters of a mesh, and the endpoint that stands for Cilium's own ingress.
_MIRRORED_BY = "endpointslice-mesh-controller.cilium.io"
_INGRESS_PORT, _INGRESS_IP = 9999, IPv4Address("192.192.192.192")


def eligible_backends(
    service: Service,
    port: ServicePort,
    endpoints: Iterable[SliceEndpoint],
    node: str,
    zone: str | None = None,
) -> tuple[SliceEndpoint, ...]:
    """The endpoints that a packet from `node` to this port may be translated to, in address order.

    `zone`: the zone of the node, if Cilium is configured to honor the hints of endpoints.
    """
    candidates = _of_node(service, port, endpoints, node)
    if service.internal_traffic_policy != "Local" and zone and service.prefers_close:
        candidates = _of_zone(candidates, zone)
    return _distinct(
        [e for e in candidates if e.ready] or [e for e in candidates if e.serving and e.terminating]
    )


def unready_backends(
    service: Service, port: ServicePort, endpoints: Iterable[SliceEndpoint], node: str
) -> tuple[SliceEndpoint, ...]:
    """The endpoints that would be eligible if they were ready, and that are not terminating."""
    candidates = _of_node(service, port, endpoints, node)
    return _distinct([e for e in candidates if not (e.ready or e.terminating)])


def _of_node(
    service: Service, port: ServicePort, endpoints: Iterable[SliceEndpoint], node: str
) -> list[SliceEndpoint]:
    """The endpoints of this port and IP version that the node may send packets to."""
    known = (e for e in endpoints if e.port_name == port.name and e.protocol == port.protocol)
    candidates = [e for e in known if not (e.managed_by == _MIRRORED_BY or _is_ingress(e))]
    if service.cluster_ip:
        family = family_of(service.cluster_ip)
        candidates = [e for e in candidates if family_of(e.ip) is family]
    if service.internal_traffic_policy == "Local":
        candidates = [e for e in candidates if e.node in (None, node)]
    return candidates


def _is_ingress(endpoint: SliceEndpoint) -> bool:
    return endpoint.port == _INGRESS_PORT and endpoint.ip == _INGRESS_IP


def _distinct(endpoints: list[SliceEndpoint]) -> tuple[SliceEndpoint, ...]:
    unique = {(str(e.ip), e.port): e for e in endpoints}
    return tuple(unique[key] for key in sorted(unique))


def zone_that_counts(node: Node | None, cilium_config: Mapping[str, str]) -> str | None:
    """The zone of a node, if Cilium honors the hints of endpoints."""
    honored = cilium_config.get("enable-service-topology", "false").lower() == "true"
    return node.zone if honored and node and node.zone else None


def _of_zone(candidates: list[SliceEndpoint], zone: str) -> list[SliceEndpoint]:
    """The endpoints hinted for the zone; all of them if one has no hint, or if none is hinted for the zone."""
    if not all(e.zones for e in candidates):
        return candidates
    return [e for e in candidates if zone in e.zones] or candidates
