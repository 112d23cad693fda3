"""The TCP sockets at a port of a pod or a node: listeners and connections.

Sockets prove what packets alone do not: a filter inside the pod can reply in place of an application that received
nothing, and an application that does not read has still received the request.
Source: iproute2 6.x `ss -H -t -a -n`, `misc/ss.c`; Linux 6.x `net/ipv4/tcp_diag.c` (the queues of a listener are the
connections that wait to be accepted, and their maximum), `include/net/sock.h` (`sk_acceptq_is_full`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

from ...addresses import IpAddress, address
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..parsing import parser

_LISTENS, _HALF_OPEN = "LISTEN", "SYN-RECV"
_ANY = frozenset({"*", "0.0.0.0", "::"})  # noqa: S104  # as `ss` prints them


@dataclass(frozen=True, slots=True)
class Socket:
    """One socket. For a listener `received` is the number of connections that wait to be accepted, `limit` their
    maximum. For a connection they are the bytes that the application has not read, and those that are not acknowledged.
    """

    state: str
    received: int
    limit: int
    address: IpAddress | None
    peer: tuple[IpAddress | None, int | None]

    @property
    def listens(self) -> bool:
        """Whether it accepts connections."""
        return self.state == _LISTENS

    @property
    def is_full(self) -> bool:
        """Whether this listener accepts no more connections: packets that start one are dropped."""
        return self.state == _LISTENS and self.received > self.limit

    @property
    def is_half_open(self) -> bool:
        """Whether the last packet of the handshake has not arrived."""
        return self.state == _HALF_OPEN


def fact(node: str, namespace: str, port: int) -> Fact:
    """The sockets inside a pod at this local port; `namespace` as `netns.find` returns it."""
    return Fact.of(FactKind.SOCKETS, node, port=port, namespace=namespace)


def of_host(node: str, port: int) -> Fact:
    """The sockets at this local port in the node's own network, which the agent shares."""
    return Fact.of(FactKind.SOCKETS, node, port=port)


@parser("ss")
def parse(answer: Answer) -> tuple[Socket, ...]:
    """The sockets. ValueError inside for an invalid line."""
    return tuple(_socket(line.split()) for line in answer.stdout.decode().splitlines())


def listener(sockets: Sequence[Socket], ip: IpAddress) -> Socket | None:
    """The socket that listens at this address, possibly at all addresses."""
    own = (None, ip)
    return next((one for one in sockets if one.state == _LISTENS and one.address in own), None)


def of_connection(sockets: Sequence[Socket], peer: IpAddress, port: int) -> Socket | None:
    """The server's end of this client's connection."""
    return next((one for one in sockets if one.peer == (peer, port)), None)


def _socket(words: Sequence[str]) -> Socket:
    state, received, limit, own, peer = words[:5]
    ip, _ = _end(own)
    return Socket(state, int(received), int(limit), ip, _end(peer))


def _end(text: str) -> tuple[IpAddress | None, int | None]:
    """Address and port; None: any. Dual-stack sockets have IPv4 addresses mapped into IPv6."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]").partition("%")[0]
    if host in _ANY:
        return None, None if port == "*" else int(port)
    ip = address(host)
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return mapped or ip, None if port == "*" else int(port)
