"""Spec + inventory → `Plan`, or `CannotRun`. The only place that turns names into addresses."""

from ..api.probe import Probe
from ..api.reasons import Reason
from ..api.spec import PodDestination, ServiceDestination
from ..cilium.agent_config import from_config_map
from .backends import eligible_backends
from .objects import Container, Inventory, Pod, Service, ServicePort
from .plan import Backend, CannotRun, Expectation, Frontend, NodeFacts, Plan, PodFacts, Request
from .support import unsupported


def resolve(probe: Probe, inventory: Inventory) -> Plan | CannotRun:
    """The plan for one run of the probe, as the cluster is now."""
    unjudged = unsupported(from_config_map(inventory.cilium_config()))
    if unjudged:
        message = f"Cilium runs with {unjudged}, which this version of the operator can't judge"
        return CannotRun(Reason.UNSUPPORTED_CONFIGURATION, message)
    source = _source(probe, inventory)
    if isinstance(source, CannotRun):
        return source
    pod, container = source
    target = _destination(probe, inventory, pod)
    if isinstance(target, CannotRun):
        return target
    destination, frontend, backends, host, port = target
    return Plan(
        probe=f"{probe.meta.namespace}/{probe.meta.name}",
        source=pod,
        container=container,
        destination=destination,
        frontend=frontend,
        backends=backends,
        request=_request(probe, host, port),
        expect=_expectation(probe),
        config=dict(inventory.cilium_config()),
    )


def node_facts(inventory: Inventory, name: str) -> NodeFacts:
    """Everything known of a node."""
    return NodeFacts(name, inventory.node(name), inventory.cilium_node(name), inventory.agent(name))


def pod_facts(inventory: Inventory, pod: Pod) -> PodFacts:
    """Everything known of a pod."""
    return PodFacts(pod, inventory.cilium_endpoint(pod.namespace, pod.name), node_facts(inventory, pod.node))


def _source(probe: Probe, inventory: Inventory) -> tuple[PodFacts, str] | CannotRun:
    spec = probe.spec.source
    name = f"{probe.meta.namespace}/{spec.pod}"
    pod = inventory.pod(probe.meta.namespace, spec.pod)
    if pod is None:
        return CannotRun(Reason.SOURCE_NOT_FOUND, f"there is no pod {name}", source=name)
    if pod.terminating:
        return CannotRun(Reason.IN_TRANSITION, f"source pod {name} is being deleted", source=name)
    if pod.phase != "Running" or not pod.ip:
        return CannotRun(
            Reason.SOURCE_NOT_RUNNING, f"source pod {name} is {pod.phase or 'Pending'}", source=name
        )
    if pod.host_network:
        return CannotRun(
            Reason.SOURCE_HOST_NETWORK,
            f"source pod {name} uses the host's network and so has no endpoint of its own",
            source=name,
        )
    container = _container(pod, spec.container)
    if container is None:
        names = ", ".join(c.name for c in pod.containers)
        return CannotRun(
            Reason.CONTAINER_NOT_FOUND,
            f"pod {name} has no container {spec.container!r}; it has: {names}",
            source=name,
        )
    if not container.running:
        return CannotRun(
            Reason.CONTAINER_NOT_RUNNING,
            f"container {container.name} of pod {name} is not running",
            source=name,
        )
    return pod_facts(inventory, pod), container.name


def _container(pod: Pod, wanted: str | None) -> Container | None:
    """The container named, else the annotated default, else the first: kubectl's own rule."""
    by_name = {container.name: container for container in pod.containers}
    if wanted is not None:
        return by_name.get(wanted)
    if pod.default_container in by_name:
        return by_name[pod.default_container]
    return pod.containers[0] if pod.containers else None


_Target = tuple[str, Frontend | None, tuple[Backend, ...], str, int]


def _destination(probe: Probe, inventory: Inventory, source: PodFacts) -> _Target | CannotRun:
    spec = probe.spec.destination
    origin = f"{source.pod.namespace}/{source.pod.name}"
    if spec.pod is not None:
        result = _pod_target(spec.pod, probe.meta.namespace, inventory)
    else:
        assert spec.service is not None  # the schema's "exactly one of"
        result = _service_target(spec.service, probe.meta.namespace, inventory, source)
    if isinstance(result, CannotRun):
        return CannotRun(result.reason, result.message, source=origin, destination=result.destination)
    return result


def _pod_target(spec: PodDestination, namespace: str, inventory: Inventory) -> _Target | CannotRun:
    name = f"{spec.namespace or namespace}/{spec.name}"
    display = f"{name}:{spec.port}"
    pod = inventory.pod(spec.namespace or namespace, spec.name)
    if pod is None:
        return CannotRun(Reason.DESTINATION_NOT_FOUND, f"there is no pod {name}", destination=display)
    if pod.terminating:
        return CannotRun(
            Reason.IN_TRANSITION, f"destination pod {name} is being deleted", destination=display
        )
    if pod.phase != "Running" or not pod.ip:
        return CannotRun(
            Reason.DESTINATION_NOT_RUNNING,
            f"destination pod {name} is {pod.phase or 'Pending'}",
            destination=display,
        )
    if pod.host_network:
        return CannotRun(
            Reason.UNSUPPORTED_DESTINATION,
            f"destination pod {name} uses the host's network and so has no endpoint of its own",
            destination=display,
        )
    backend = Backend(pod.ip, spec.port, pod_facts(inventory, pod))
    return display, None, (backend,), pod.ip, spec.port


def _service_target(
    spec: ServiceDestination, namespace: str, inventory: Inventory, source: PodFacts
) -> _Target | CannotRun:
    namespace = spec.namespace or namespace
    display = f"{namespace}/{spec.name}:{spec.port}"
    service = inventory.service(namespace, spec.name)
    if service is None:
        return CannotRun(
            Reason.DESTINATION_NOT_FOUND, f"there is no Service {namespace}/{spec.name}", destination=display
        )
    if service.cluster_ip in ("", "None"):
        kind = "headless" if service.cluster_ip else f"of type {service.type}"
        return CannotRun(
            Reason.UNSUPPORTED_DESTINATION,
            f"Service {namespace}/{spec.name} is {kind} and has no ClusterIP; name one of its pods instead",
            destination=display,
        )
    port = _service_port(service, spec.port)
    if port is None:
        known = ", ".join(f"{p.port} ({p.name})" if p.name else str(p.port) for p in service.ports)
        return CannotRun(
            Reason.PORT_NOT_FOUND,
            f"Service {namespace}/{spec.name} has no TCP port {spec.port!r}; it has: {known}",
            destination=display,
        )
    backends = tuple(
        Backend(endpoint.ip, endpoint.port, _target(inventory, namespace, endpoint.pod))
        for endpoint in eligible_backends(
            service, port, inventory.slice_endpoints(namespace, spec.name), source.pod.node
        )
    )
    problem = _without_endpoint(backends, display)
    if problem:
        return problem
    frontend = Frontend(service, port, service.cluster_ip)
    return display, frontend, backends, f"{spec.name}.{namespace}.svc", port.port


def _without_endpoint(backends: tuple[Backend, ...], display: str) -> CannotRun | None:
    """Why a path to these backends can't be judged: one of them is no pod with an endpoint of its own."""
    for backend in backends:
        if backend.target is None:
            message = f"{backend.ip} behind {display} is no pod, so its hops can't be judged"
        elif backend.target.pod.host_network:
            pod = backend.target.pod
            message = f"pod {pod.namespace}/{pod.name} behind {display} uses the host's network"
        else:
            continue
        return CannotRun(Reason.UNSUPPORTED_DESTINATION, message, destination=display)
    return None


def _service_port(service: Service, wanted: int | str) -> ServicePort | None:
    tcp = (port for port in service.ports if port.protocol == "TCP")
    return next((port for port in tcp if wanted in (port.port, port.name)), None)


def _target(inventory: Inventory, namespace: str, pod_name: str | None) -> PodFacts | None:
    pod = inventory.pod(namespace, pod_name) if pod_name else None
    return pod_facts(inventory, pod) if pod else None


def _request(probe: Probe, host: str, port: int) -> Request:
    spec = probe.spec.request
    return Request(
        protocol=spec.protocol.lower(),
        method=spec.method,
        host=host,
        port=port,
        path=spec.path,
        headers=tuple((header.name, header.value) for header in spec.headers),
        body=spec.body,
        timeout_s=spec.timeout_s,
    )


def _expectation(probe: Probe) -> Expectation:
    spec = probe.spec.expect
    return Expectation(
        statuses=spec.status,
        body_contains=spec.body_contains,
        max_latency_s=spec.max_latency_s,
        locality=spec.path.locality if spec.path else None,
        encapsulation=spec.path.encapsulation if spec.path else None,
    )
