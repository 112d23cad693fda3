"""Pair + inventory → a `Plan` or `CannotRun`. The only module that resolves names to addresses. Called by `runs`."""

from collections.abc import Iterable
from dataclasses import replace

from ..addresses import IpAddress, IpFamily, family_of
from ..api.probe import Probe
from ..api.reasons import Reason
from ..api.spec.tls import CaFrom, KeyRef
from ..api.spec.tls import Tls as TlsSpec
from ..sources.agent.agent_config import from_config_map
from .destination import PodEnd, cluster_dns, resolve_destination
from .objects import Inventory
from .pairs.pairs import Pair
from .plan import CannotRun, Plan, PodFacts, PodTarget, ServiceTarget, Target
from .request import CaSource, Expectation, Request, Tls
from .restrictions import UNRESTRICTED, Restrictions, forbidden
from .source import resolve_source
from .support import unsupported

# Pods with these policies use the cluster's DNS. In the host network `ClusterFirst` means the node's own resolver.
_ASKS_CLUSTER_DNS = {False: ("ClusterFirst", "ClusterFirstWithHostNet"), True: ("ClusterFirstWithHostNet",)}


def resolve(
    pair: Pair, probe: Probe, inventory: Inventory, restrictions: Restrictions = UNRESTRICTED
) -> Plan | CannotRun:
    """The plan of this pair for one run of the probe, from the current state of the cluster."""
    plan = _plan(pair, probe, inventory)
    if isinstance(plan, CannotRun):
        return plan
    return forbidden(plan, restrictions, inventory) or plan


def resolve_again(
    plan: Plan, probe: Probe, inventory: Inventory, restrictions: Restrictions = UNRESTRICTED
) -> Plan | CannotRun:
    """The plan of the same path, from the current state of the cluster."""
    return resolve(pair_of(plan, probe), probe, inventory, restrictions)


def pair_of(plan: Plan, probe: Probe) -> Pair:
    """The pair that the plan was made of."""
    pod = plan.backends[0].pod_facts.pod if plan.backends and plan.backends[0].pod_facts else None
    if isinstance(plan.target, PodTarget) and pod:
        return Pair(plan.source.pod.name, PodEnd(pod.namespace, pod.name, plan.target.backend.port))
    assert probe.spec.destination.service
    return Pair(plan.source.pod.name, probe.spec.destination.service)


def _plan(pair: Pair, probe: Probe, inventory: Inventory) -> Plan | CannotRun:
    config = from_config_map(inventory.cilium_config())
    if not config.ipv4:  # with other unsupported settings the request is still sent
        message = f"Cilium runs with {unsupported(config)}, which this version of the operator can't judge"
        return CannotRun(Reason.UNSUPPORTED_CONFIGURATION, message)
    found = resolve_source(probe, pair.source, inventory)
    if isinstance(found, CannotRun):
        return found
    source, container = found
    origin = f"{source.pod.namespace}/{source.pod.name}"
    destination = resolve_destination(pair.destination, probe.meta.namespace, inventory, source.node)
    if isinstance(destination, CannotRun):
        return replace(destination, source=origin)
    ends = _of_one_ip_version(source, destination.target)
    if isinstance(ends, CannotRun):
        return replace(ends, source=origin)
    source, target = ends
    implausible = _implausible(source, target)
    if implausible:
        return CannotRun(Reason.INVALID_OBJECT, implausible, source=origin, destination=target.display)
    plan = Plan(
        probe=f"{probe.meta.namespace}/{probe.meta.name}",
        source=source,
        container=container,
        target=target,
        request=_request(probe, destination.host, destination.port),
        expect=_expectation(probe, target),
        config=dict(inventory.cilium_config()),
    )
    asks_dns = source.pod.dns_policy in _ASKS_CLUSTER_DNS[source.pod.host_network]
    return (
        replace(plan, nameserver=cluster_dns(inventory, source.node)) if plan.by_name and asks_dns else plan
    )


def _of_one_ip_version(source: PodFacts, target: Target) -> tuple[PodFacts, Target] | CannotRun:
    """Select the addresses of one IP version: the source's address that it sends from, and the backends that it can
    reach. Only IPv4 is supported.
    """
    reached = [backend.ip for backend in target.backends]
    if isinstance(target, ServiceTarget):
        reached = [target.frontend.ip]
    if not reached:
        return source, target
    common = set(map(family_of, reached)) & set(map(family_of, source.pod.ips))
    if not common:
        message = f"{_texts(reached)} and {_texts(source.pod.ips)} have no IP version in common"
        return CannotRun(Reason.NO_COMMON_IP_VERSION, message, destination=target.display)
    if IpFamily.IPV4 not in common:
        message = (
            f"{_texts(source.pod.ips)} and {_texts(reached)} have only IPv6 in common, "
            "which this version of the operator can't judge"
        )
        return CannotRun(Reason.UNSUPPORTED_DESTINATION, message, destination=target.display)
    if not isinstance(target, PodTarget):
        over_ipv4 = (b for b in target.backends if family_of(b.ip) is IpFamily.IPV4)
        target = replace(target, backends=tuple(over_ipv4))
    ips = tuple(sorted(source.pod.ips, key=family_of))  # stable: keeps the order within each version
    return replace(source, pod=replace(source.pod, ips=ips)), target


def _texts(ips: Iterable[IpAddress]) -> str:
    return ", ".join(map(str, ips))


def _implausible(source: PodFacts, target: Target) -> str | None:
    """Describe a CiliumEndpoint whose id or identity is out of range, so that no map can be searched for it."""
    for pod in (source, *(backend.pod_facts for backend in target.backends if backend.pod_facts)):
        endpoint = pod.endpoint
        if endpoint and not (0 <= endpoint.endpoint_id < 1 << 16 and 0 <= endpoint.identity < 1 << 32):
            name = f"{endpoint.namespace}/{endpoint.name}"
            return f"CiliumEndpoint {name} has id {endpoint.endpoint_id} and identity {endpoint.identity}"
    return None


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
        tls=_tls(spec.tls),
    )


def _tls(spec: TlsSpec | None) -> Tls:
    if spec is None:
        return Tls()
    return Tls(_ca(spec.ca_from), spec.server_name or "", verify=not spec.insecure_skip_verify)


def _ca(spec: CaFrom | None) -> CaSource | None:
    match spec:
        case CaFrom(config_map=KeyRef(name=name, key=key)):
            return CaSource("ConfigMap", name, key)
        case CaFrom(secret=KeyRef(name=name, key=key)):
            return CaSource("Secret", name, key)
    return None


def _expectation(probe: Probe, target: Target) -> Expectation:
    """The locality of a Service is judged on the paths to its backends."""
    spec = probe.spec.expect
    return Expectation(
        statuses=spec.status,
        body_contains=spec.body_contains,
        max_latency_s=spec.max_latency_s,
        locality=spec.path.locality if spec.path and isinstance(target, PodTarget) else None,
        encapsulation=spec.path.encapsulation if spec.path else None,
        outcome=spec.outcome,
        certificate_expires_after_s=spec.certificate_expires_after_s,
    )
