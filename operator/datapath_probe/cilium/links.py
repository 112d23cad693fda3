"""The kernel's view of a node: devices, routes. Also of a pod's own network namespace, seen from the agent.

Source: iproute2 6.x `ip -j`; devices of the pods as in Cilium 1.18 `pkg/datapath/connector`.
"""

from dataclasses import dataclass

from ..evidence.question import Question
from ..evidence.reading import Absent, Answer, Unavailable
from .answers import Json, failed, parser
from .netns import inside
from .wire import device_name, packed

_NO_ROUTE = (b"unreachable", b"No route to host", b"RTNETLINK answers")


@dataclass(frozen=True, slots=True)
class Link:
    """A device. `peer_ifindex`: of a veth or netkit pair, the other end's, in its own namespace. `tunnel_port`: UDP
    port of a vxlan or geneve device.
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
    """`destination` is a prefix or "default"; gateway and source are None where the route has none."""

    destination: str
    gateway: str | None
    device: str
    source: str | None
    mtu: int | None


def link(node: str, device: str) -> Question:
    """A device of the node."""
    return Question(node, ("ip", "-j", "-d", "link", "show", "dev", device_name(device)))


def pod_link(node: str, namespace: str, device: str) -> Question:
    """A device inside a pod; `namespace` as `netns.find` tells it."""
    return inside(node, namespace, "ip", "-j", "-d", "link", "show", "dev", device_name(device))


def pod_routes(node: str, namespace: str) -> Question:
    """The routes inside a pod."""
    return inside(node, namespace, "ip", "-j", "route", "show")


def route_to(node: str, ip: str) -> Question:
    """How the node's kernel would send a packet to this address."""
    packed(ip)  # ValueError if it is none
    return Question(node, ("ip", "-j", "route", "get", ip))


@parser("ip link show", exit_codes=range(256))
def parse_link(answer: Answer) -> Link | Absent | Unavailable:
    """The device; absent where there is none of this name."""
    if answer.exit_code:
        return Absent() if b"does not exist" in answer.stderr else failed(answer, "ip link show")
    shown = Json.parse(answer.stdout).only()
    info = shown["linkinfo"]
    data = info.maybe("info_data")
    flags = {flag.text() for flag in shown["flags"]}
    port = data.maybe("port")
    return Link(
        ifindex=shown["ifindex"].integer(),
        name=shown["ifname"].text(),
        peer_ifindex=shown["link_index"].integer() if shown["link_index"] else None,
        up="UP" in flags and shown["operstate"].text("UNKNOWN") not in ("DOWN", "LOWERLAYERDOWN"),
        mac=shown["address"].text("").lower(),
        mtu=shown["mtu"].integer(0),
        kind=info.maybe("info_kind").text(""),
        tunnel_port=port.integer() if port else None,
    )


@parser("ip route show")
def parse_routes(answer: Answer) -> tuple[Route, ...]:
    """All routes of the main table."""
    return tuple(_route(entry) for entry in Json.parse(answer.stdout)) if answer.stdout.strip() else ()


@parser("ip route get", exit_codes=range(256))
def parse_route(answer: Answer) -> Route | Absent | Unavailable:
    """The route; absent where the kernel has none."""
    if answer.exit_code:
        none = any(said in answer.stderr for said in _NO_ROUTE)
        return Absent() if none else failed(answer, "ip route get")
    return _route(Json.parse(answer.stdout).only())


def _route(entry: Json) -> Route:
    mtu = next((metric["mtu"] for metric in entry["metrics"] if metric["mtu"]), None) if entry["metrics"] else None
    return Route(
        destination=entry["dst"].text(),
        gateway=entry["gateway"].text() if entry["gateway"] else None,
        device=entry["dev"].text(),
        source=entry["prefsrc"].text() if entry["prefsrc"] else None,
        mtu=mtu.integer() if mtu is not None else None,
    )
