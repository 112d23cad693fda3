"""Resolves the destination of a probe: what is requested, and the addresses that may answer. Called by `resolve`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..addresses import IpAddress, IpFamily, family_of, parse_address
from ..api.reasons import Reason
from ..api.spec.destination import AddressDestination, ServiceDestination
from ..api.vocabulary import FrontendType
from ..sources.agent.agent_config import from_config_map
from .backends import eligible_backends, unready_backends, zone_that_counts
from .exposure import why_not_served
from .facts import Facts, pod_or_host, state_text
from .listed_address import backend_of, owner_of
from .objects import MAX_ENDPOINTS, Inventory, Pod, Service, ServicePort
from .pairs.ends import address_name
from .pairs.selection import spread
from .plan import (
    AddressTarget,
    Backend,
    CannotRun,
    Frontend,
    HeadlessTarget,
    Nameserver,
    NodeFacts,
    PodTarget,
    ServiceTarget,
    Target,
)

# All distributions use this name for the Service of the cluster's DNS, whatever its implementation.
_DNS_NAMESPACE, _DNS_NAME, _DNS_PORT = "kube-system", "kube-dns", 53
_EXTERNAL_NAME = "ExternalName"


@dataclass(frozen=True, slots=True)
class PodEnd:
    """A pod that is requested at its own address."""

    namespace: str
    name: str
    port: int


Requested = PodEnd | ServiceDestination | AddressDestination
"""What one request goes to."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A target, and the host and port of its URL."""

    target: Target
    host: str
    port: int


def resolve_destination(
    requested: Requested, namespace: str, inventory: Inventory, source: NodeFacts, family: IpFamily
) -> Destination | CannotRun:
    """The destination as seen from the source's node, at its address of this version of IP, if it has one. `namespace`:
    that of the probe.
    """
    if isinstance(requested, PodEnd):
        return _pod(requested, inventory, family)
    if isinstance(requested, AddressDestination):
        return _address(requested, inventory)
    return _service(requested, requested.namespace or namespace, inventory, source, family)


def ready_backends(
    spec: ServiceDestination, namespace: str, inventory: Inventory
) -> tuple[tuple[Pod, int], ...]:
    """The ready backends of a Service that are pods, with their ports, in an order in which nodes take turns."""
    service = inventory.service(namespace, spec.name)
    port = _service_port(service, spec.port) if service else None
    if port is None or inventory.endpoint_count(namespace, spec.name) > MAX_ENDPOINTS:
        return ()  # the path to the Service itself says why
    ports = {
        endpoint.pod: endpoint.port
        for endpoint in inventory.slice_endpoints(namespace, spec.name, port)
        if endpoint.pod and endpoint.ready and not endpoint.terminating
        if (endpoint.port_name, endpoint.protocol) == (port.name, port.protocol)
    }
    pods = (inventory.pod(namespace, name) for name in ports)
    known = spread(pod for pod in pods if pod and pod.ip and not pod.terminating)
    return tuple((pod, ports[pod.name]) for pod in known)


def cluster_dns(inventory: Inventory, source: NodeFacts) -> Nameserver | None:
    """The cluster's DNS Service, as seen from the source's node."""
    service = inventory.service(_DNS_NAMESPACE, _DNS_NAME)
    if service is None or service.cluster_ip is None:
        return None
    if inventory.endpoint_count(_DNS_NAMESPACE, _DNS_NAME) > MAX_ENDPOINTS:
        return None
    port = next((p for p in service.ports if (p.port, p.protocol) == (_DNS_PORT, "UDP")), None)
    if port is None:
        return None
    frontend = _cluster_ip(service, port, service.cluster_ip, inventory, source)
    return Nameserver(frontend, _backends(service, port, inventory, source))


def _pod(end: PodEnd, inventory: Inventory, family: IpFamily) -> Destination | CannotRun:
    name = f"{end.namespace}/{end.name}"
    display = f"{name}:{end.port}"
    pod = inventory.pod(end.namespace, end.name)
    if pod is None:
        return CannotRun(Reason.DESTINATION_NOT_FOUND, f"there is no pod {name}", destination=display)
    if pod.terminating:
        return CannotRun(
            Reason.IN_TRANSITION, f"destination pod {name} is being deleted", destination=display
        )
    if pod.phase != "Running" or not pod.ip:
        return CannotRun(
            Reason.DESTINATION_NOT_RUNNING,
            f"destination pod {name} {state_text(pod)}",
            destination=display,
        )
    ip = next((ip for ip in pod.ips if family_of(ip) is family), pod.ip)
    backend = Backend(ip, end.port, pod_or_host(Facts(inventory).pod(pod, ip)))
    return Destination(PodTarget(display, backend), str(ip), end.port)


def _address(spec: AddressDestination, inventory: Inventory) -> Destination | CannotRun:
    display = address_name(spec)
    ip = parse_address(spec.host)
    if ip is None:
        if ":" in spec.host:
            return CannotRun(Reason.INVALID_SPEC, f"{spec.host} is not an IP address", destination=display)
        service = _by_search_list(spec.host, inventory)
        if service:
            message = f"{spec.host} resolves to {service}: specify it as destination.service"
            return CannotRun(Reason.UNSUPPORTED_DESTINATION, message, destination=display)
        return Destination(AddressTarget(display, spec.host, spec.port, ()), spec.host, spec.port)
    owner = owner_of(ip, inventory)
    if owner:
        message = f"{ip} is {owner}: specify it as destination.pod or destination.service"
        return CannotRun(Reason.UNSUPPORTED_DESTINATION, message, destination=display)
    backend = Backend(ip, spec.port, target=None)
    return Destination(AddressTarget(display, spec.host, spec.port, (backend,)), str(ip), spec.port)


def _by_search_list(host: str, inventory: Inventory) -> str:
    """The Service that this name means in a pod, whose search list adds the domain of the cluster; "" if none."""
    name, _, namespace = host.partition(".")
    service = inventory.service(namespace, name)
    return f"Service {service.namespace}/{service.name}" if service else ""


def _service(
    spec: ServiceDestination, namespace: str, inventory: Inventory, source: NodeFacts, family: IpFamily
) -> Destination | CannotRun:
    name = f"{namespace}/{spec.name}"
    at_node = spec.frontend is FrontendType.NODE_PORT
    display = f"{name}:{spec.port}" + (" at its NodePort" if at_node else "")
    service = inventory.service(namespace, spec.name)
    if service is None:
        return CannotRun(Reason.DESTINATION_NOT_FOUND, f"there is no Service {name}", destination=display)
    if not (service.cluster_ip or service.headless):
        outside = service.type == _EXTERNAL_NAME
        message = (
            f"is of type {_EXTERNAL_NAME} and refers to a name outside the cluster"
            if outside
            else "has no ClusterIP"
        )
        return CannotRun(Reason.UNSUPPORTED_DESTINATION, f"Service {name} {message}", destination=display)
    service = service.over(family)
    port = _service_port(service, spec.port)
    if port is None:
        known = ", ".join(map(_port_text, service.ports))
        return CannotRun(
            Reason.PORT_NOT_FOUND,
            f"Service {name} has no TCP port {spec.port!r}; it has: {known}",
            destination=display,
        )
    endpoints = inventory.endpoint_count(namespace, spec.name)
    if endpoints > MAX_ENDPOINTS:
        message = f"Service {name} has {endpoints} endpoints, and more than {MAX_ENDPOINTS} are not followed"
        return CannotRun(Reason.TOO_MANY_ENDPOINTS, message, destination=display)
    backends = _backends(service, port, inventory, source)
    if at_node:
        return _at_node_port(display, port, service, backends, inventory, source)
    host = f"{spec.name}.{namespace}.svc"
    if service.cluster_ip is None:
        return _headless(display, host, spec.port, port, service, backends)
    unready = () if backends else _unready(service, port, inventory, source)
    frontend = _cluster_ip(service, port, service.cluster_ip, inventory, source)
    return Destination(ServiceTarget(display, frontend, backends, unready), host, port.port)


def _cluster_ip(
    service: Service, port: ServicePort, ip: IpAddress, inventory: Inventory, source: NodeFacts
) -> Frontend:
    not_served = why_not_served(service, "ClusterIP", source.name, inventory)
    return Frontend(service, port, ip, not_served=not_served)


def _at_node_port(
    display: str,
    port: ServicePort,
    service: Service,
    backends: tuple[Backend, ...],
    inventory: Inventory,
    source: NodeFacts,
) -> Destination | CannotRun:
    """A NodePort of the source's own node. `backends` needs no change: requests from inside the cluster follow the
    internal traffic policy, whatever address they use (Cilium 1.18 `bpf/lib/lb.h`, `lb4_lookup_service`).
    """
    name, number = f"{service.namespace}/{service.name}", port.node_port
    if number is None or service.cluster_ip is None:
        message = f"Service {name} is of type {service.type}: its port {port.port} has no NodePort"
        return CannotRun(Reason.PORT_NOT_FOUND, message, destination=display)
    if not from_config_map(inventory.cilium_config()).kube_proxy_replacement:
        message = (
            f"NodePort {number} of Service {name} is served by kube-proxy, because Cilium runs with "
            "kube-proxy-replacement off: its path can't be judged"
        )
        return CannotRun(Reason.UNSUPPORTED_DESTINATION, message, destination=display)
    family = family_of(service.cluster_ip)
    ips = source.node.internal_ips if source.node else ()
    ip = next((ip for ip in ips if family_of(ip) is family), None)
    if ip is None:
        message = f"node {source.name} has no InternalIP of the Service's IP version, {family}"
        return CannotRun(Reason.NO_COMMON_IP_VERSION, message, destination=display)
    frontend = Frontend(
        service, port, ip, number, why_not_served(service, "NodePort", source.name, inventory)
    )
    return Destination(ServiceTarget(display, frontend, backends), str(ip), number)


def _headless(
    display: str,
    host: str,
    wanted: int | str,
    port: ServicePort,
    service: Service,
    backends: Sequence[Backend],
) -> Destination:
    """No port is translated: a number is used as it is, a name refers to the port of the pods (as in SRV records)."""
    number = backends[0].port if isinstance(wanted, str) and backends else port.port
    reached = tuple(replace(backend, port=number) for backend in backends)
    return Destination(HeadlessTarget(display, service, reached), host, number)


def _port_text(port: ServicePort) -> str:
    """The port with its protocol, which may be all that distinguishes two ports."""
    return f"{port.port}/{port.protocol}" + (f" ({port.name})" if port.name else "")


def _service_port(service: Service, wanted: int | str) -> ServicePort | None:
    tcp = (port for port in service.ports if port.protocol == "TCP")
    return next((port for port in tcp if wanted in (port.port, port.name)), None)


def _backends(
    service: Service, port: ServicePort, inventory: Inventory, source: NodeFacts
) -> tuple[Backend, ...]:
    endpoints = inventory.slice_endpoints(service.namespace, service.name, port)
    zone, facts = zone_that_counts(source.node, inventory.cilium_config()), Facts(inventory)
    return tuple(
        backend_of(endpoint, service.namespace, facts)
        for endpoint in eligible_backends(service, port, endpoints, source.name, zone)
    )


def _unready(
    service: Service, port: ServicePort, inventory: Inventory, source: NodeFacts
) -> tuple[Backend, ...]:
    endpoints = inventory.slice_endpoints(service.namespace, service.name, port)
    facts = Facts(inventory)
    return tuple(
        backend_of(endpoint, service.namespace, facts)
        for endpoint in unready_backends(service, port, endpoints, source.name)
    )
