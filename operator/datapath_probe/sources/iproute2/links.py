"""Devices and routes of a node, and of a pod's network namespace, as the kernel of the node reports them.

Source: iproute2 6.x `ip -j`; devices of pods as in Cilium 1.18 `pkg/datapath/connector`.
"""

import re
from dataclasses import dataclass

from ...addresses import IpAddress, IpFamily, address, family_of, unless_ipv4
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.parameters import device_name
from ...evidence.reading import Absent, Answer, Unavailable
from ..packet import Packet
from ..parsing import Json, failed, parser

# The kernel's errors if there is no route (or one of type throw), and for the types unreachable, blackhole, prohibit.
# Also for packets that arrive at a device: it does not forward (no route to host), or the reverse path filter rejects
# them (invalid argument; before Linux 6.13 cross-device link).
_NO_ROUTE = re.compile(
    rb"RTNETLINK answers: "
    rb"(Network is unreachable|No route to host|Invalid argument|Permission denied|Invalid cross-device link)\n"
)

CILIUM_HOST = "cilium_host"
"""The device between a node's own stack and Cilium's endpoints."""


@dataclass(frozen=True, slots=True)
class Link:
    """A device.

    `peer_ifindex`: index of the other end of a veth or netkit pair in its own namespace; None if both ends are in the
    same namespace. `tunnel_port`: UDP port of a vxlan or geneve device.
    """

    ifindex: int
    name: str
    peer_ifindex: int | None
    up: bool
    mac: str
    mtu: int
    kind: str
    tunnel_port: int | None


@dataclass(frozen=True, slots=True)
class Route:
    """One next hop: `destination` is a prefix or "default"; gateway and source are None if there is none. `kind` as
    iproute2 prints it; "local" for an address of the host itself.
    """

    destination: str
    gateway: IpAddress | None
    device: str
    source: IpAddress | None
    mtu: int | None
    kind: str = "unicast"

    @property
    def to_itself(self) -> bool:
        """Whether the kernel delivers packets to its own sockets."""
        return self.kind == "local"


@dataclass(frozen=True, slots=True)
class DeviceCounters:
    """Packets of a device since it was created. `rx`: received, for a tunnel device after decapsulation."""

    rx_packets: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int

    def since(self, before: "DeviceCounters") -> "DeviceCounters | None":
        """The packets in between; None if the device was re-created."""
        rise = DeviceCounters(
            self.rx_packets - before.rx_packets,
            self.tx_packets - before.tx_packets,
            self.tx_errors - before.tx_errors,
            self.tx_dropped - before.tx_dropped,
        )
        return rise if min(rise.rx_packets, rise.tx_packets, rise.tx_errors, rise.tx_dropped) >= 0 else None


def link(node: str, device: str) -> Fact:
    """A device of the node."""
    return Fact.of(FactKind.LINK, node, device=device)


def counters(node: str, device: str) -> Fact:
    """The packet counters of a device of the node. Never shared between runs."""
    return Fact.of(FactKind.LINK_COUNTERS, node, device=device)


def pod_link(node: str, namespace: str, device: str) -> Fact:
    """A device inside a pod; `namespace` as `netns.find` returns it."""
    return Fact.of(FactKind.LINK, node, device=device, namespace=namespace)


def pod_routes(node: str, namespace: str, family: IpFamily = IpFamily.IPV4) -> Fact:
    """The routes inside a pod."""
    return Fact.of(FactKind.ROUTES, node, family=unless_ipv4(family), namespace=namespace)


def route_to(node: str, ip: IpAddress) -> Fact:
    """How the node's kernel would send a packet to this address."""
    return Fact.of(FactKind.ROUTE, node, destination=ip)


def marked_route_to(node: str, ip: IpAddress, mark: int) -> Fact:
    """How the node's kernel would deliver a packet to this address with this mark."""
    return Fact.of(FactKind.ROUTE, node, destination=ip, mark=mark)


def routes_for(node: str, ip: IpAddress) -> Fact:
    """All routes of the node's main table that match this address, not only the one that the kernel prefers."""
    return Fact.of(FactKind.ROUTES, node, match=ip, family=unless_ipv4(family_of(ip)))


def pod_route_to(node: str, namespace: str, ip: IpAddress, source: IpAddress | None = None) -> Fact:
    """How a pod's kernel would send a packet to this address; `source`: the pod's address that it is sent from."""
    return Fact.of(FactKind.ROUTE, node, destination=ip, source=source, namespace=namespace)


def holders(node: str, ip: IpAddress) -> Fact:
    """The devices of the node that have this address."""
    return Fact.of(FactKind.LOCAL_ADDRESS, node, address=ip)


def departure(node: str, packet: Packet, namespace: str | None = None) -> Fact:
    """How the kernel would route this packet out of the node or the pod. `ip rule` may depend on its ports."""
    return Fact.of(
        FactKind.ROUTE,
        node,
        destination=packet.destination,
        protocol=packet.protocol,
        source_port=packet.source_port,
        destination_port=packet.destination_port,
        namespace=namespace,
    )


def arrival(node: str, packet: Packet, device: str, namespace: str | None = None) -> Fact:
    """How the kernel of the node or the pod would route this packet when it arrives at a device."""
    return Fact.of(
        FactKind.ROUTE,
        node,
        destination=packet.destination,
        source=packet.source,
        input_device=device,
        protocol=packet.protocol,
        source_port=packet.source_port,
        destination_port=packet.destination_port,
        namespace=namespace,
    )


@parser("ip link show", exit_codes=range(256))
def parse_link(answer: Answer) -> Link | Absent | Unavailable:
    """The device; absent if there is none with this name."""
    if answer.exit_code:
        return Absent() if b"does not exist" in answer.stderr else failed(answer, "ip link show")
    shown = Json.parse(answer.stdout).only()
    info = shown["linkinfo"]
    data = info.maybe("info_data")
    flags = {flag.text() for flag in shown["flags"]}
    port = data.maybe("port")
    return Link(
        ifindex=shown["ifindex"].unsigned(32),
        name=shown["ifname"].text(),
        peer_ifindex=shown["link_index"].unsigned(32) if shown["link_index"] else None,
        up="UP" in flags and shown["operstate"].text("UNKNOWN") not in ("DOWN", "LOWERLAYERDOWN"),
        mac=shown["address"].text("").lower(),
        mtu=shown["mtu"].unsigned(32, 0),
        kind=info.maybe("info_kind").text(""),
        tunnel_port=port.unsigned(16) if port else None,
    )


@parser("ip -s link show")
def parse_counters(answer: Answer) -> DeviceCounters:
    """The counters; if the device does not exist, the command fails."""
    stats = Json.parse(answer.stdout).only()["stats64"]
    received, sent = stats["rx"], stats["tx"]
    return DeviceCounters(
        rx_packets=received["packets"].integer(),
        tx_packets=sent["packets"].integer(),
        tx_errors=sent["errors"].integer(0),
        tx_dropped=sent["dropped"].integer(0),
    )


@parser("ip addr show")
def parse_holders(answer: Answer) -> tuple[str, ...]:
    """The names of the devices; none if no device has the address."""
    shown = Json.parse(answer.stdout) if answer.stdout.strip() else ()
    return tuple(device["ifname"].text() for device in shown if device["ifname"])


@parser("ip route show")
def parse_routes(answer: Answer) -> tuple[Route, ...]:
    """All next hops of the main table: each one of a multipath route, none of a blackhole and similar types."""
    routes = Json.parse(answer.stdout) if answer.stdout.strip() else ()
    return tuple(
        _route(route, hop) for route in routes for hop in route["nexthops"] or (route,) if hop["dev"]
    )


@parser("ip route get", exit_codes=range(256))
def parse_route(answer: Answer) -> Route | Absent | Unavailable:
    """The route; absent if the kernel has none."""
    if answer.exit_code:
        return Absent() if _NO_ROUTE.fullmatch(answer.stderr) else failed(answer, "ip route get")
    route = Json.parse(answer.stdout).only()
    return _route(route, route)


@parser("ip route get", exit_codes=range(256))
def parse_arrival(answer: Answer) -> bool | Unavailable:
    """Whether the packet is accepted as local."""
    if answer.exit_code:
        return False if _NO_ROUTE.fullmatch(answer.stderr) else failed(answer, "ip route get")
    return Json.parse(answer.stdout).only()["type"].text("unicast") == "local"


def _route(route: Json, next_hop: Json) -> Route:
    """Raises ValueError for invalid names or addresses, because facts are built from them."""
    mtu = next((metric["mtu"] for metric in route["metrics"] or () if metric["mtu"]), None)
    return Route(
        destination=route["dst"].text(),
        gateway=_address(next_hop["gateway"]),
        device=device_name(next_hop["dev"].text()),
        source=_address(route["prefsrc"]),
        mtu=mtu.unsigned(32) if mtu else None,
        kind=route["type"].text("unicast"),
    )


def _address(shown: Json) -> IpAddress | None:
    return address(shown.text()) if shown else None
