"""The path that the packets of a plan should take: hops in order, each with the node where it happens.

Source: the expected paths of Cilium 1.18 `bpf/bpf_lxc.c`, `bpf/bpf_overlay.c` (egress, tunnel, ingress).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ..api.vocabulary import Encapsulation, HopName, Locality
from ..cilium.agent_config import AgentConfig, from_config_map
from .plan import Backend, Plan


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

    @property
    def cross_node(self) -> bool:
        """Whether packets leave the source's node."""
        return self.locality is Locality.CROSS_NODE


def expected_path(plan: Plan, backend: Backend | None) -> ExpectedPath:
    """The path to this backend; with None, as far as it is known without one."""
    config = from_config_map(plan.config)
    source = plan.source.pod.node
    destination = backend.target.pod.node if backend and backend.target else None
    locality = None
    if destination:
        locality = Locality.SAME_NODE if destination == source else Locality.CROSS_NODE
    encapsulation = Encapsulation.NONE
    if config.routing_mode == "tunnel" and locality is not Locality.SAME_NODE:
        encapsulation = Encapsulation(config.tunnel_protocol)
    return ExpectedPath(
        hops=tuple(_hops(plan, source, destination, encapsulation, config.socket_lb)),
        source_node=source,
        destination_node=destination,
        locality=locality,
        encapsulation=encapsulation,
        config=config,
    )


def _hops(
    plan: Plan, source: str, destination: str | None, encapsulation: Encapsulation, socket_lb: bool
) -> Iterator[ExpectedHop]:
    yield ExpectedHop(HopName.IPAM, source)
    yield ExpectedHop(HopName.SOURCE_INTERFACE, source)
    yield ExpectedHop(HopName.SOURCE_PROGRAM, source)
    if plan.frontend:
        yield ExpectedHop(HopName.NAME_RESOLUTION, source)
        yield ExpectedHop(HopName.SERVICE_LOOKUP, source)
        yield ExpectedHop(HopName.SERVICE_TRANSLATION, source)
    if destination is None:
        return
    tunnel, across = encapsulation is not Encapsulation.NONE, destination != source
    yield ExpectedHop(HopName.IPCACHE_LOOKUP, source)
    yield ExpectedHop(HopName.EGRESS_POLICY, source)
    if across:
        yield ExpectedHop(HopName.LOCALITY_LOOKUP, source)
        if tunnel:
            yield ExpectedHop(HopName.OVERLAY_ENCAPSULATION, source)
        yield ExpectedHop(HopName.NODE_ROUTING, source)
        if tunnel:
            yield ExpectedHop(HopName.OVERLAY_DECAPSULATION, destination)
    yield ExpectedHop(HopName.SOURCE_IDENTITY, destination)
    yield ExpectedHop(HopName.ENDPOINT_LOOKUP, destination)
    yield ExpectedHop(HopName.DESTINATION_PROGRAM, destination)
    yield ExpectedHop(HopName.INGRESS_POLICY, destination)
    yield ExpectedHop(HopName.DESTINATION_INTERFACE, destination)
    yield ExpectedHop(HopName.DESTINATION_RESPONSE, destination)
    yield ExpectedHop(HopName.REPLY_PROGRAM, destination)
    yield ExpectedHop(HopName.REPLY_IPCACHE, destination)
    if across:
        if tunnel:
            yield ExpectedHop(HopName.REPLY_ENCAPSULATION, destination)
        yield ExpectedHop(HopName.REPLY_ROUTING, destination)
        if tunnel:
            yield ExpectedHop(HopName.REPLY_DECAPSULATION, source)
    yield ExpectedHop(HopName.REPLY_DELIVERY, source)
    if (
        plan.frontend and not socket_lb
    ):  # TCP replies to a translated socket come from the address it was given
        yield ExpectedHop(HopName.REPLY_TRANSLATION, source)
