"""An address that an EndpointSlice lists: the pod or node that has it, or why it can't be a ready endpoint.

In: an endpoint and the facts of a plan. Out: a `Backend`. Called by `destination`. Addresses outside the cluster are
legitimate, as in Services without a selector. In a range of pod addresses, an address has a pod.
"""

from collections.abc import Iterator
from ipaddress import ip_network

from ..addresses import IpAddress, is_within, with_port
from ..sources.agent.agent_config import from_config_map
from .facts import Facts, pod_or_host
from .objects import Inventory, Pod, SliceEndpoint
from .plan import Backend, HostFacts, PodFacts

# Installers assign ranges of at least this size to the pods of a cluster, and Kubernetes a part of it to each node.
_CLUSTER_RANGE_LENGTH = {4: 16, 6: 56}
_SHORTEST_POD_CIDR = {4: 8, 6: 32}
_POOL_KEY = {4: "cluster-pool-ipv4-cidr", 6: "cluster-pool-ipv6-cidr"}
# The chart's default covers private networks outside the cluster.
_DEFAULT_POOL = "10.0.0.0/8"


def backend_of(endpoint: SliceEndpoint, namespace: str, facts: Facts) -> Backend:
    """The endpoint as a backend. `namespace`: that of its EndpointSlice."""
    inventory = facts.inventory
    named = inventory.pod(namespace, endpoint.pod) if endpoint.pod else None
    if named and (endpoint.ip in named.ips or not named.ips):  # a pod's status may lag behind its endpoints
        return Backend(endpoint.ip, endpoint.port, _owner(facts, named, endpoint.ip))
    pod, node = inventory.pod_with(endpoint.ip), inventory.node_with(endpoint.ip)
    wrong = _contradiction(endpoint, namespace, named, pod, inventory) if node is None else ""
    if pod is None and not wrong:
        pod = named
    target = _owner(facts, pod, endpoint.ip) if pod else None
    if target is None and node:
        target = HostFacts(facts.node(node.name), pod_facts=None)
    return Backend(endpoint.ip, endpoint.port, target, wrong)


def owner_of(ip: IpAddress, inventory: Inventory) -> str:
    """Whose address this is in the cluster, as text; "" if it is outside, or one of a node."""
    pod = inventory.pod_with(ip)
    if pod:
        return f"the address of pod {pod.namespace}/{pod.name}"
    service = inventory.service_with(ip)
    if service:
        return f"the ClusterIP of Service {service.namespace}/{service.name}"
    within = _pod_range_of(ip, inventory)
    return f"in {within}" if within else ""


def cluster_range(ip: IpAddress) -> str:
    """The range that certainly belongs to the cluster if the address is one of a pod."""
    return str(ip_network((ip, _CLUSTER_RANGE_LENGTH[ip.version]), strict=False))


def _owner(facts: Facts, pod: Pod, ip: IpAddress) -> PodFacts | HostFacts:
    return pod_or_host(facts.pod(pod, ip))


def _contradiction(
    endpoint: SliceEndpoint, namespace: str, named: Pod | None, pod: Pod | None, inventory: Inventory
) -> str:
    """Why the EndpointSlice is wrong. `named`: the pod that it refers to; `pod`: the one that has the address."""
    listed = f"EndpointSlice {namespace}/{endpoint.slice_name} lists {with_port(endpoint.ip, endpoint.port)} as ready"
    if endpoint.pod:
        listed += f", as pod {endpoint.pod}"
    if pod:
        return f"{listed}, but pod {pod.namespace}/{pod.name} has this address" if endpoint.pod else ""
    within = _pod_range_of(endpoint.ip, inventory)
    nowhere = f"{listed}, but no pod and no node has this address"
    if within:
        return f"{nowhere}, which is in {within}"
    return nowhere if endpoint.pod and named is None else ""


def _pod_range_of(ip: IpAddress, inventory: Inventory) -> str:
    """The range of pod addresses that contains the address, as text; "" if there is none."""
    for cidr in _cidrs_around(ip):
        node = inventory.node_with_pod_cidr(cidr)
        if node:
            return f"{cidr}, the pod CIDR of node {node}"
    values = inventory.cilium_config()
    ipam = from_config_map(values).ipam
    if ipam == "cluster-pool":
        pools = values.get(_POOL_KEY[ip.version], "").replace(",", " ").split()
        known = (pool for pool in pools if pool != _DEFAULT_POOL)
        return next((f"{pool}, the cluster's pool of pod CIDRs" for pool in known if is_within(ip, pool)), "")
    around = cluster_range(ip)
    if ipam == "kubernetes" and inventory.has_pod_cidr_within(around):
        return f"{around}, the range of the nodes' pod CIDRs"
    return ""


def _cidrs_around(ip: IpAddress) -> Iterator[str]:
    for length in range(ip.max_prefixlen, _SHORTEST_POD_CIDR[ip.version] - 1, -1):
        yield str(ip_network((ip, length), strict=False))
