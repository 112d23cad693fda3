"""Spec + inventory → a `Plan` or `CannotRun` for each path. The only module that resolves names to addresses. Called by
`runs`.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..addresses import IpFamily, family_of
from ..api.probe import Probe
from ..api.reasons import Reason
from .destination import cluster_dns, resolve_destination
from .families import Families, ends_of, families_of_paths
from .objects import Inventory
from .plan import CannotRun, Expectation, Nameserver, Plan, PodFacts, Request, Target
from .restrictions import UNRESTRICTED, Restrictions, forbidden
from .source import resolve_source

# Pods with these policies use the cluster's DNS. In the host network `ClusterFirst` means the node's own resolver.
_ASKS_CLUSTER_DNS = {False: ("ClusterFirst", "ClusterFirstWithHostNet"), True: ("ClusterFirstWithHostNet",)}


def resolve(
    probe: Probe, inventory: Inventory, restrictions: Restrictions = UNRESTRICTED
) -> Sequence[Plan | CannotRun]:
    """The plans for one run of the probe, from the current state of the cluster: one for each pair of source and
    destination, and each version of IP.
    """
    return tuple(
        _of_path(probe, inventory, restrictions, allowed)
        for allowed in families_of_paths(probe.spec.ip_family)
    )


def _of_path(
    probe: Probe, inventory: Inventory, restrictions: Restrictions, allowed: Families
) -> Plan | CannotRun:
    """The plan over the first of the allowed versions of IP that both ends have."""
    for family in allowed:
        plan = _plan(probe, inventory, family, allowed)
        if isinstance(plan, Plan):
            return forbidden(plan, restrictions, inventory) or plan
        if plan.reason is not Reason.NO_COMMON_IP_VERSION:
            break
    return plan


def resolve_again(
    plan: Plan, probe: Probe, inventory: Inventory, restrictions: Restrictions = UNRESTRICTED
) -> Plan | CannotRun:
    """The plan of the same path, from the current state of the cluster."""
    plans = resolve(probe, inventory, restrictions)
    same = (again for again in plans if isinstance(again, Plan) and again.pair == plan.pair)
    refusals = (again for again in plans if isinstance(again, CannotRun))
    source, destination, _ = plan.pair
    gone = CannotRun(Reason.IN_TRANSITION, f"{source} → {destination} is no longer a path of the probe")
    return next(same, None) or next(refusals, gone)


def _plan(probe: Probe, inventory: Inventory, family: IpFamily, allowed: Families) -> Plan | CannotRun:
    found = resolve_source(probe, inventory)
    if isinstance(found, CannotRun):
        return found
    source, container = found
    origin = f"{source.pod.namespace}/{source.pod.name}"
    destination = resolve_destination(
        probe.spec.destination, probe.meta.namespace, inventory, source.node, family
    )
    if isinstance(destination, CannotRun):
        return replace(destination, source=origin)
    ends = ends_of(source, destination.target, family, allowed)
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
        expect=_expectation(probe),
        config=dict(inventory.cilium_config()),
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
    )


def _expectation(probe: Probe) -> Expectation:
    spec = probe.spec.expect
    return Expectation(
        statuses=spec.status,
        body_contains=spec.body_contains,
        max_latency_s=spec.max_latency_s,
        locality=spec.path.locality if spec.path else None,
        encapsulation=spec.path.encapsulation if spec.path else None,
        outcome=spec.outcome,
    )
