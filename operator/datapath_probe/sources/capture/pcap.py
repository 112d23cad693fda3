"""Packets of a run's own connection, captured on a node: the fact, and the pcap output → `Packet` records with outer
and inner headers.

Asked for by `runs.path_capture`, only when a capture is requested; read by `publish.status.capture`.
Source of the format: draft-ietf-opsawg-pcap, LINKTYPE_LINUX_SLL2 (libpcap `pcap/sll.h`); RFC 7348, RFC 8926. The VNI of
Cilium's tunnels is the security identity of the source (Cilium 1.18 `bpf/lib/encap.h`).
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..parsing import parser

PACKETS_LIMIT = 200  # per node
PCAP_LIMIT_BYTES = 64 * 1024

_MAGIC = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}
_SLL2 = 276
_OUTGOING = 4
_TCP, _UDP = 6, 17
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")


@dataclass(frozen=True, slots=True)
class Outer:
    """Headers of a tunnel packet: the nodes, and the VNI, which is the security identity of the source."""

    source: IPv4Address
    destination: IPv4Address
    encapsulation: str  # vxlan | geneve
    vni: int


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet on one interface. `at`: seconds since the epoch, by the node's clock; `length`: of the outermost IP
    packet, in bytes; `payload`: bytes of TCP data.
    """

    at: float
    interface: str
    outgoing: bool
    outer: Outer | None
    source: IPv4Address
    source_port: int
    destination: IPv4Address
    destination_port: int
    flags: tuple[str, ...]
    length: int
    payload: int


@dataclass(frozen=True, slots=True)
class Captured:
    """The packets that one node captured, in order; `lost`: packets that did not fit into the capture's buffer."""

    packets: tuple[Packet, ...]
    lost: int


def fact(
    node: str, clients: Sequence[IPv4Address], port: int, tunnel_port: int | None, duration_s: float
) -> Fact:
    """Capture the connection from this client port, for this time or until stdin is closed. `clients`: addresses."""
    return Fact.of(
        FactKind.CAPTURE,
        node,
        clients=tuple(map(str, clients)),
        port=port,
        tunnel_port=tunnel_port,
        duration_s=max(1, round(duration_s)),
    )


@parser("packet capture")
def parse(answer: Answer) -> Captured:
    """The packets of a capture, without those that can't be parsed. ValueError inside if it is not a pcap file."""
    names, lost = _notes(answer.stderr.decode(errors="replace"))
    found = (_packet(at, data, length, names) for at, data, length in _records(answer.stdout))
    return Captured(tuple(packet for packet in found if packet), lost)


def _notes(stderr: str) -> tuple[Mapping[int, str], int]:
    """Interface names by index, and the number of lost packets."""
    names: dict[int, str] = {}
    lost = 0
    for line in stderr.splitlines():
        match line.split():
            case ["if", index, name] if index.isdecimal():
                names[int(index)] = name
            case ["lost", count] if count.isdecimal():
                lost = int(count)
    return names, lost


def _records(pcap: bytes) -> Iterator[tuple[float, bytes, int]]:
    """(time, captured bytes, length on the wire) of each record."""
    order = _MAGIC.get(pcap[:4])
    if order is None or len(pcap) < 24:
        raise ValueError("not a pcap file")
    (link_type,) = struct.unpack(f"{order}L", pcap[20:24])
    if link_type != _SLL2:
        raise ValueError(f"link type {link_type} instead of {_SLL2}")
    place = 24
    while place < len(pcap):
        if len(pcap) < place + 16:
            raise ValueError("cut off in the header of a record")
        seconds, micros, kept, length = struct.unpack(f"{order}4L", pcap[place : place + 16])
        data = pcap[place + 16 : place + 16 + kept]
        if len(data) < kept:
            raise ValueError("cut off in a record")
        yield seconds + micros / 1e6, data, length
        place += 16 + kept


def _packet(at: float, data: bytes, length: int, names: Mapping[int, str]) -> Packet | None:
    """A record as a packet; None if it is not TCP over IPv4, plain or in a tunnel."""
    try:
        _, _, ifindex, _, kind = struct.unpack_from("!HHLHB", data)
        ip, outer = 20, None
        if data[ip + 9] == _UDP:
            outer, ip = _tunnel(data, ip)
        tcp = ip + 4 * (data[ip] & 15)
        if data[ip] >> 4 != 4 or data[ip + 9] != _TCP:
            return None
        source_port, destination_port = struct.unpack_from("!HH", data, tcp)
        (inner_length,) = struct.unpack_from("!H", data, ip + 2)
        return Packet(
            at=at,
            interface=names.get(ifindex, f"if{ifindex}"),
            outgoing=kind == _OUTGOING,
            outer=outer,
            source=_address(data, ip + 12),
            source_port=source_port,
            destination=_address(data, ip + 16),
            destination_port=destination_port,
            flags=tuple(name for bit, name in enumerate(_FLAGS) if data[tcp + 13] >> bit & 1),
            length=max(0, length - 20),
            payload=max(0, inner_length - (tcp - ip) - 4 * (data[tcp + 12] >> 4)),
        )
    except (struct.error, IndexError):
        return None


def _tunnel(data: bytes, ip: int) -> tuple[Outer, int]:
    """The outer headers, and the offset of the inner IP header. Raises struct.error if the packet is too short."""
    tunnel = ip + 4 * (data[ip] & 15) + 8
    first, protocol, vni = struct.unpack_from("!HHL", data, tunnel)
    geneve = protocol == 0x6558  # in VXLAN these bytes are reserved
    options = 4 * (first >> 8 & 63) if geneve else 0
    outer = Outer(_address(data, ip + 12), _address(data, ip + 16), "geneve" if geneve else "vxlan", vni >> 8)
    return outer, tunnel + 8 + options + 14


def _address(data: bytes, place: int) -> IPv4Address:
    (number,) = struct.unpack_from("!L", data, place)
    return IPv4Address(number)
