"""The expected path of a plan's packets: hops in order, each with its node. Called by `diagnose`.

Pods in the host network have no endpoint, and so no endpoint hops. A path out of the cluster is judged as far as the
device where it leaves the source's node. Source:
the code paths of Cilium 1.18 `bpf/bpf_lxc.c`, `bpf/bpf_overlay.c`, `bpf/bpf_host.c`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..api.vocabulary import Encapsulation, HopName, Locality
from ..sources.agent.agent_config import AgentConfig, from_config_map
from .plan import Backend, Plan, PodFacts

# Other values of the ConfigMap are not supported (`support`).
_ENCAPSULATIONS = {str(protocol): protocol for protocol in (Encapsulation.VXLAN, Encapsulation.GENEVE)}


@dataclass(frozen=True, slots=True)
class ExpectedHop:
    """A hop and its node."""

    name: HopName
    node: str


@dataclass(frozen=True, slots=True)
class ExpectedPath:
    """The expected hops. `destination_node` is None while no backend is known: the path then ends at the backend
    selection.
    """

    hops: tuple[ExpectedHop, ...]
    source_node: str
    destination_node: str | None
    locality: Locality | None
    encapsulation: Encapsulation
    config: AgentConfig

    def until(self, last: HopName) -> "ExpectedPath":
        """The part of the path up to this hop; the whole path if the hop is not on it."""
        names = [hop.name for hop in self.hops]
        return replace(self, hops=self.hops[: names.index(last) + 1]) if last in names else self

    @property
    def cross_node(self) -> bool:
        """Whether packets leave the source's node."""
        return self.locality is Locality.CROSS_NODE


def expected_path(plan: Plan, backend: Backend | None) -> ExpectedPath:
    """The path to this backend; if None, the part that does not depend on the backend."""
    config = from_config_map(plan.config)
    source = plan.source.pod.node
    destination = backend.place.name if backend and backend.place else None
    locality = None
    if destination:
        locality = Locality.SAME_NODE if destination == source else Locality.CROSS_NODE
    encapsulation = Encapsulation.NONE
    if (
        config.routing_mode == "tunnel"
        and locality is not Locality.SAME_NODE
        and _tunneled(plan, backend, config)
    ):
        encapsulation = _ENCAPSULATIONS.get(config.tunnel_protocol, Encapsulation.NONE)
    tunnel = encapsulation is not Encapsulation.NONE
    socket_lb = socket_lb_of(plan, config)
    ends = _Ends(plan, backend, source, destination, tunnel, socket_lb, config.routes_to_endpoints)
    return ExpectedPath(
        hops=tuple(ExpectedHop(name, node) for name, node in _hops(ends)),
        source_node=source,
        destination_node=destination,
        locality=locality,
        encapsulation=encapsulation,
        config=config,
    )


def _tunneled(plan: Plan, backend: Backend | None, config: AgentConfig) -> bool:
    """Whether packets that leave the node are encapsulated. Those to an address of a node are sent to it as they are,
    unless the host firewall there needs the identity of the pod. Source: Cilium 1.18 `pkg/node/manager/manager.go`
    (`nodeAddressHasTunnelIP`).
    """
    to_host = backend is not None and backend.host is not None
    return not to_host or (config.host_firewall and not plan.source.pod.host_network)


def socket_lb_of(plan: Plan, config: AgentConfig) -> bool:
    """Whether the sockets of the source are translated: with some settings only those of hosts are."""
    return config.host_socket_lb if plan.source.pod.host_network else config.socket_lb


def stays_inside(plan: Plan, backend: Backend, socket_lb: bool) -> bool:
    """Whether a pod (or a host) connects to itself, so that its own loopback device delivers."""
    return backend.ip in plan.source.pod.ips and (plan.frontend is None or socket_lb)


def is_hairpin(plan: Plan, backend: Backend, socket_lb: bool) -> bool:
    """Whether a pod reaches itself through its Service: packets are translated and get another source address."""
    return backend.ip in plan.source.pod.ips and plan.frontend is not None and not socket_lb


@dataclass(frozen=True, slots=True)
class _Ends:
    """What the hops depend on. `destination` is None without a backend and outside the cluster."""

    plan: Plan
    backend: Backend | None
    source: str
    destination: str | None
    tunnel: bool
    socket_lb: bool
    endpoint_routes: bool

    @property
    def from_pod(self) -> bool:
        return not self.plan.source.pod.host_network

    @property
    def to_pod(self) -> bool:
        return self.backend is not None and isinstance(self.backend.target, PodFacts)

    @property
    def across(self) -> bool:
        return self.destination != self.source

    @property
    def hairpin(self) -> bool:
        return self.backend is not None and is_hairpin(self.plan, self.backend, self.socket_lb)


_Hops = Iterator[tuple[HopName, str]]


def _hops(ends: _Ends) -> _Hops:
    inside = ends.backend is not None and stays_inside(ends.plan, ends.backend, ends.socket_lb)
    if not inside:
        yield from _leaving(ends)
    yield from _naming(ends)
    if not ends.plan.may_reach(ends.backend):  # there is none, or only the datapath has it
        return
    if not inside and not ends.hairpin:
        yield from _towards(ends)
    if not inside and ends.to_pod:
        yield from _arriving(ends)
    yield HopName.DESTINATION_RESPONSE, ends.destination or ends.source
    if not inside and not ends.hairpin:
        yield from _back(ends)
    # TCP replies to a socket that was translated have the backend's address as their source
    if ends.plan.frontend and ends.from_pod and not ends.socket_lb:
        yield HopName.REPLY_TRANSLATION, ends.source


def _leaving(ends: _Ends) -> _Hops:
    """Hops that leave the source."""
    if ends.from_pod or ends.to_pod:
        yield HopName.IPAM, ends.source
    if ends.from_pod:
        yield HopName.SOURCE_INTERFACE, ends.source
        yield HopName.SOURCE_PROGRAM, ends.source


def _naming(ends: _Ends) -> _Hops:
    """Hops from a name to one backend. Packets of a host are translated at its sockets, or outside Cilium."""
    if ends.plan.by_name:
        yield HopName.NAME_RESOLUTION, ends.source
    if ends.plan.frontend and (ends.from_pod or ends.socket_lb):
        yield HopName.SERVICE_LOOKUP, ends.source
        yield HopName.SERVICE_TRANSLATION, ends.source
    elif ends.plan.frontend and not ends.plan.backends:  # no backend to translate to
        yield HopName.SERVICE_LOOKUP, ends.source


def _towards(ends: _Ends) -> _Hops:
    """Hops from the source's program to the destination's node."""
    if ends.from_pod or (ends.to_pod and ends.across):
        yield HopName.IPCACHE_LOOKUP, ends.source
    if ends.from_pod:
        yield HopName.EGRESS_POLICY, ends.source
    if ends.destination is None:
        yield from _out_of_cluster(ends)
        return
    if not ends.across:
        if ends.from_pod and not ends.to_pod:
            yield HopName.ENDPOINT_LOOKUP, ends.source
        return
    # with endpoint routes, a pod's program leaves the routing decision to the host's stack
    if (ends.from_pod and not ends.endpoint_routes) or (ends.to_pod and not ends.from_pod):
        yield HopName.LOCALITY_LOOKUP, ends.source
    if ends.tunnel:
        yield HopName.OVERLAY_ENCAPSULATION, ends.source
    yield HopName.NODE_ROUTING, ends.source
    if ends.tunnel:
        yield HopName.OVERLAY_DECAPSULATION, ends.destination


def _out_of_cluster(ends: _Ends) -> _Hops:
    """Hops to an address outside the cluster: what comes after them is not judged."""
    if ends.from_pod:
        yield HopName.MASQUERADE, ends.source
    yield HopName.CLUSTER_EXIT, ends.source


def _arriving(ends: _Ends) -> _Hops:
    """Hops into the destination pod. For a hairpin, the pod's interface and policies are already on the path."""
    assert ends.destination is not None  # a pod always has a node
    yield HopName.SOURCE_IDENTITY, ends.destination
    yield HopName.ENDPOINT_LOOKUP, ends.destination
    yield HopName.DESTINATION_PROGRAM, ends.destination
    if not ends.hairpin:
        yield HopName.INGRESS_POLICY, ends.destination
        yield HopName.DESTINATION_INTERFACE, ends.destination


def _back(ends: _Ends) -> _Hops:
    """Hops of the reply, from the destination to the source."""
    if ends.to_pod and ends.destination:
        yield HopName.REPLY_PROGRAM, ends.destination
        yield HopName.REPLY_IPCACHE, ends.destination
    if ends.destination and ends.across:
        if ends.tunnel:
            yield HopName.REPLY_ENCAPSULATION, ends.destination
        yield HopName.REPLY_ROUTING, ends.destination
        if ends.tunnel:
            yield HopName.REPLY_DECAPSULATION, ends.source
    if ends.from_pod or ends.to_pod:
        yield HopName.REPLY_DELIVERY, ends.source
