"""Pair + inventory → a `Plan` or `CannotRun`. The only module that resolves names to addresses. Called by `runs`."""

from dataclasses import replace

from ..addresses import IpFamily, family_of
from ..api.probe import Probe
from ..api.reasons import Reason
from ..api.spec.tls import CaFrom, KeyRef
from ..api.spec.tls import Tls as TlsSpec
from .destination import PodEnd, cluster_dns, resolve_destination
from .families import ends_of
from .objects import Inventory
from .pairs.pairs import Pair
from .plan import CannotRun, Nameserver, Plan, PodFacts, PodTarget, Target
from .request import CaSource, Expectation, Request, Tls
from .restrictions import UNRESTRICTED, Restrictions, forbidden
from .source import resolve_source

# Pods with these policies use the cluster's DNS. In the host network `ClusterFirst` means the node's own resolver.
_ASKS_CLUSTER_DNS = {False: ("ClusterFirst", "ClusterFirstWithHostNet"), True: ("ClusterFirstWithHostNet",)}


def resolve(
    pair: Pair, probe: Probe, inventory: Inventory, restrictions: Restrictions = UNRESTRICTED
) -> Plan | CannotRun:
    """The plan of this pair for one run of the probe, from the current state of the cluster: over the first of its
    versions of IP that both ends have.
    """
    for family in pair.families:
        plan = _plan(pair, probe, inventory, family)
        if isinstance(plan, Plan):
            return forbidden(plan, restrictions, inventory) or plan
        if plan.reason is not Reason.NO_COMMON_IP_VERSION:
            break
    return plan


def resolve_again(
    plan: Plan, probe: Probe, inventory: Inventory, restrictions: Restrictions = UNRESTRICTED
) -> Plan | CannotRun:
    """The plan of the same path, from the current state of the cluster."""
    return resolve(pair_of(plan, probe), probe, inventory, restrictions)


def pair_of(plan: Plan, probe: Probe) -> Pair:
    """The pair that the plan was made of."""
    source, families = plan.source.pod.name, (plan.family,)
    pod = plan.backends[0].pod_facts.pod if plan.backends and plan.backends[0].pod_facts else None
    if isinstance(plan.target, PodTarget) and pod:
        return Pair(source, PodEnd(pod.namespace, pod.name, plan.target.backend.port), families)
    requested = probe.spec.destination.service or probe.spec.destination.address
    assert requested
    return Pair(source, requested, families)


def _plan(pair: Pair, probe: Probe, inventory: Inventory, family: IpFamily) -> Plan | CannotRun:
    found = resolve_source(probe, pair.source, inventory)
    if isinstance(found, CannotRun):
        return found
    source, container = found
    origin = f"{source.pod.namespace}/{source.pod.name}"
    destination = resolve_destination(pair.destination, probe.meta.namespace, inventory, source.node, family)
    if isinstance(destination, CannotRun):
        return replace(destination, source=origin)
    ends = ends_of(source, destination.target, family, pair.families)
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
        client=probe.spec.source.client,
    )
    return replace(plan, nameserver=_nameserver(plan, inventory)) if plan.by_name else plan


def _nameserver(plan: Plan, inventory: Inventory) -> Nameserver | None:
    """The cluster's DNS, if the source asks it and can reach it."""
    pod = plan.source.pod
    if pod.dns_policy not in _ASKS_CLUSTER_DNS[pod.host_network]:
        return None
    nameserver = cluster_dns(inventory, plan.source.node)
    reached = nameserver and family_of(nameserver.frontend.ip) in map(family_of, pod.ips)
    return nameserver if reached else None


def _implausible(source: PodFacts, target: Target) -> str | None:
    """Describe a CiliumEndpoint whose id or identity is out of range, so that no map can be searched for it."""
    for pod in (source, *filter(None, (backend.pod_facts for backend in target.backends))):
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
