"""Which endpoints of a Service Cilium should load-balance to, as seen from one node.

Source: Cilium 1.18 `pkg/loadbalancer/reflectors`, `pkg/loadbalancer/writer`: ready endpoints; when there is none,
those that still serve while they terminate; with `internalTrafficPolicy: Local` only those of the node itself.
"""

from collections.abc import Iterable

from .objects import Service, ServicePort, SliceEndpoint


def eligible_backends(
    service: Service, port: ServicePort, endpoints: Iterable[SliceEndpoint], node: str
) -> tuple[SliceEndpoint, ...]:
    """The endpoints that a packet from `node` to this port may be translated to, in address order."""
    candidates = [e for e in endpoints if e.port_name == port.name and e.protocol == port.protocol]
    if service.internal_traffic_policy == "Local":
        candidates = [e for e in candidates if e.node == node]
    chosen = [e for e in candidates if e.ready] or [e for e in candidates if e.serving and e.terminating]
    unique = {(e.ip, e.port): e for e in chosen}
    return tuple(unique[key] for key in sorted(unique))
