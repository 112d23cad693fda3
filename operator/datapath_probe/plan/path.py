"""The path that the packets of a plan should take: hops in order, each with the node where it happens.

An end in the host's network has no endpoint, and so none of the hops of one; nothing is judged beyond the cluster.
Source: the expected paths of Cilium 1.18 `bpf/bpf_lxc.c`, `bpf/bpf_overlay.c`, `bpf/bpf_host.c`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..api.vocabulary import Encapsulation, HopName, Locality
from ..sources.agent.agent_config import AgentConfig, from_config_map
from .plan import Backend, Plan, PodFacts

# What else the ConfigMap may say is no path that anyone judges (`support`).
_ENCAPSULATIONS = {str(protocol): protocol for protocol in (Encapsulation.VXLAN, Encapsulation.GENEVE)}


@dataclass(frozen=True, slots=True)
class ExpectedHop:
    """A hop and the node where it happens."""

    name: HopName
    node: str


@dataclass(frozen=True, slots=True)
class ExpectedPath:
    """`destination_node` is None while no backend is known: then only the hops before the choice are listed."""

    hops: tuple[ExpectedHop, ...]
    source_node: str
    destination_node: str | None
    locality: Locality | None
    encapsulation: Encapsulation
    config: AgentConfig

    def until(self, last: HopName) -> "ExpectedPath":
        """The path of packets that come no further than this hop; all of it, if the hop is not on it."""
        names = [hop.name for hop in self.hops]
        return replace(self, hops=self.hops[: names.index(last) + 1]) if last in names else self

    @property
    def cross_node(self) -> bool:
        """Whether packets leave the source's node."""
        return self.locality is Locality.CROSS_NODE


def expected_path(plan: Plan, backend: Backend | None) -> ExpectedPath:
    """The path to this backend; with None, as far as it is known without one."""
    config = from_config_map(plan.config)
    source = plan.source.pod.node
    destination = backend.place.name if backend and backend.place else None
    locality = None
    if destination:
        locality = Locality.SAME_NODE if destination == source else Locality.CROSS_NODE
    encapsulation = Encapsulation.NONE
    # What is addressed to a node itself goes to it as it is.
    to_host = backend is not None and backend.host is not None
    if config.routing_mode == "tunnel" and locality is not Locality.SAME_NODE and not to_host:
        encapsulation = _ENCAPSULATIONS.get(config.tunnel_protocol, Encapsulation.NONE)
    tunnel = encapsulation is not Encapsulation.NONE
    way = _Way(plan, backend, source, destination, tunnel, config.socket_lb, config.routes_to_endpoints)
    return ExpectedPath(
        hops=tuple(ExpectedHop(name, node) for name, node in _hops(way)),
        source_node=source,
        destination_node=destination,
        locality=locality,
        encapsulation=encapsulation,
        config=config,
    )


def stays_inside(plan: Plan, backend: Backend, socket_lb: bool) -> bool:
    """Whether a pod (or a host) speaks to itself, so that its own loopback device delivers."""
    return backend.ip in plan.source.pod.ips and (plan.frontend is None or socket_lb)


def is_hairpin(plan: Plan, backend: Backend, socket_lb: bool) -> bool:
    """Whether a pod reaches itself through its Service: translated, and handed back under another source address."""
    return backend.ip in plan.source.pod.ips and plan.frontend is not None and not socket_lb


@dataclass(frozen=True, slots=True)
class _Way:
    """What the choice of hops depends on. `destination` is None without backend, and outside the cluster."""

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


def _hops(way: _Way) -> _Hops:
    inside = way.backend is not None and stays_inside(way.plan, way.backend, way.socket_lb)
    if not inside:
        yield from _leaving(way)
    yield from _naming(way)
    if way.backend not in way.plan.backends:  # none, or one that only the datapath knows
        return
    if not inside and not way.hairpin:
        yield from _towards(way)
    if not inside and way.to_pod:
        yield from _arriving(way)
    yield HopName.DESTINATION_RESPONSE, way.destination or way.source
    if not inside and not way.hairpin:
        yield from _back(way)
    # TCP replies to a translated socket come from the address it was given
    if way.plan.frontend and way.from_pod and not way.socket_lb:
        yield HopName.REPLY_TRANSLATION, way.source


def _leaving(way: _Way) -> _Hops:
    """Out of the source."""
    if way.from_pod or way.to_pod:
        yield HopName.IPAM, way.source
    if way.from_pod:
        yield HopName.SOURCE_INTERFACE, way.source
        yield HopName.SOURCE_PROGRAM, way.source


def _naming(way: _Way) -> _Hops:
    """From a name to one backend. What leaves a host is translated by its sockets, or by others than Cilium."""
    if way.plan.by_name:
        yield HopName.NAME_RESOLUTION, way.source
    if way.plan.frontend and (way.from_pod or way.socket_lb):
        yield HopName.SERVICE_LOOKUP, way.source
        yield HopName.SERVICE_TRANSLATION, way.source
    elif way.plan.frontend and not way.plan.backends:  # nobody can translate, whoever would
        yield HopName.SERVICE_LOOKUP, way.source


def _towards(way: _Way) -> _Hops:
    """From the source's program to the destination's node."""
    if way.from_pod or (way.to_pod and way.across):
        yield HopName.IPCACHE_LOOKUP, way.source
    if way.from_pod:
        yield HopName.EGRESS_POLICY, way.source
    if way.destination is None:
        return
    if not way.across:
        if way.from_pod and not way.to_pod:
            yield HopName.ENDPOINT_LOOKUP, way.source
        return
    # with a route per endpoint a pod's program leaves that question to the host's stack
    if (way.from_pod and not way.endpoint_routes) or (way.to_pod and not way.from_pod):
        yield HopName.LOCALITY_LOOKUP, way.source
    if way.tunnel:
        yield HopName.OVERLAY_ENCAPSULATION, way.source
    yield HopName.NODE_ROUTING, way.source
    if way.tunnel:
        yield HopName.OVERLAY_DECAPSULATION, way.destination


def _arriving(way: _Way) -> _Hops:
    """Into the destination pod. A pod that reaches itself is no second time asked for its interface and policies."""
    assert way.destination is not None  # a pod has a node
    yield HopName.SOURCE_IDENTITY, way.destination
    yield HopName.ENDPOINT_LOOKUP, way.destination
    yield HopName.DESTINATION_PROGRAM, way.destination
    if not way.hairpin:
        yield HopName.INGRESS_POLICY, way.destination
        yield HopName.DESTINATION_INTERFACE, way.destination


def _back(way: _Way) -> _Hops:
    """From the destination to the source."""
    if way.to_pod and way.destination:
        yield HopName.REPLY_PROGRAM, way.destination
        yield HopName.REPLY_IPCACHE, way.destination
    if way.destination and way.across:
        if way.tunnel:
            yield HopName.REPLY_ENCAPSULATION, way.destination
        yield HopName.REPLY_ROUTING, way.destination
        if way.tunnel:
            yield HopName.REPLY_DECAPSULATION, way.source
    if way.from_pod or way.to_pod:
        yield HopName.REPLY_DELIVERY, way.source
