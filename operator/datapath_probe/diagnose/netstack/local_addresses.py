"""A pod's address that its node, or another one, has as an address of its own, too: that node's stack answers packets
for the pod as soon as they get there. Cilium's endpoint map follows the addresses of the node within a minute.

Called by the checks of the endpoint map and of routes. Source: Linux 6.x `net/ipv4/fib_frontend.c` (the local table
comes first); Cilium 1.18 `pkg/datapath/linux/node_addressing` and `pkg/maps/lxcmap` (entries of the host).
"""

from dataclasses import dataclass

from ...addresses import IpAddress
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...sources.iproute2 import links
from ..context import CheckContext
from ..finding.faults import if_expected


@dataclass(frozen=True, slots=True)
class Held:
    """The address is local to the node. `devices`: those that have it; none if there is only a route."""

    node: str
    address: IpAddress
    devices: tuple[str, ...]
    rests_on: tuple[Fact, ...]

    def __str__(self) -> str:
        if not self.devices:
            return f"{self.node} has a local route to {self.address}"
        return f"{self.node} has {self.address} on its own device {', '.join(self.devices)}"


def held_by(context: CheckContext, node: str, address: IpAddress) -> Held | Unavailable | None:
    """The node's own devices with this address; None if its kernel does not take packets to it for its own."""
    of_route = links.route_to(node, address)
    route = context.reader.read(of_route, links.parse_route)
    if isinstance(route, Unavailable):
        return if_expected(route)
    if not isinstance(route, links.Route) or not route.to_itself:
        return None
    of_devices = links.holders(node, address)
    devices = context.reader.read(of_devices, links.parse_holders)
    if isinstance(devices, Unavailable):
        return Held(node, address, (), (of_route,))
    return Held(node, address, devices, (of_route, of_devices))
