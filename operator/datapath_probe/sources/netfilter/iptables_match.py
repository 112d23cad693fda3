"""Whether an iptables rule matches a packet that is only partly known. Called by `iptables`.

Source: iptables 1.8 `extensions/libxt_{tcp,multiport,conntrack,iprange,addrtype,length,statistic,rpfilter}.c`, as
`iptables-save` prints them; Linux 6.x `net/ipv4/netfilter/ipt_rpfilter.c`.
"""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network

from ...addresses import IpAddress, address, family_of
from ..packet import Match, Packet, Routes, no_routes

_TARGETS = frozenset({"-j", "-g"})
_STATES = frozenset({"NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"})  # each packet has one of them
_ALL_FLAGS = "FIN,SYN,RST,PSH,ACK,URG"
_STATISTIC_OPTIONS = frozenset(
    {"--mode", "--probability", "--every", "--packet"}
)  # they match a share of the packets
# The reverse path filter: `_passes_reverse_path` reads its options.
_REVERSE_PATH = ("-m", "rpfilter")
_LOOSE, _ACCEPT_LOCAL, _INVERT = "--loose", "--accept-local", "--invert"
_OF_REVERSE_PATH = frozenset({_LOOSE, _ACCEPT_LOCAL, _INVERT, "--validmark"})
_LOOPBACK = "lo"
# Modules whose options are known here. Conditions of other modules are unknown.
_KNOWN_MODULES = frozenset(
    {"tcp", "udp", "comment", "length", "conntrack", "state", "multiport", "iprange", "addrtype"}
)


def matches(
    words: tuple[str, ...],
    packet: Packet,
    *,
    arriving: bool,
    some: bool = False,
    routes: Routes = no_routes,
) -> Match:
    """Whether all conditions of a rule hold; one that does not hold is enough for NO. `arriving`: the packet is
    addressed to this host. `some`: ignore conditions that match only a share of the packets. `routes`: those of the
    host, which are looked up only if all other conditions may hold.
    """
    found, by_route = Match.YES, False
    for negated, option, value in _conditions(words):
        if some and (option in _STATISTIC_OPTIONS or (option, value) == ("-m", "statistic")):
            continue
        if option in _OF_REVERSE_PATH or (option, value) == _REVERSE_PATH:
            by_route = True
            continue
        holds = _holds(option, value, packet, arriving)
        if holds is None:
            found = Match.UNKNOWN
        elif holds is negated:
            return Match.NO
    if by_route:
        passes = _passes_reverse_path(packet, words, routes)
        if passes is None:
            return Match.UNKNOWN
        return found if passes is not (_INVERT in words) else Match.NO
    return found


def _passes_reverse_path(packet: Packet, words: tuple[str, ...], routes: Routes) -> bool | None:
    """Whether the host would send a packet to the source through the device where this one arrives. A rule for the
    packet's mark could only decide otherwise if it had one.
    """
    if packet.input_device in ("", _LOOPBACK):
        return True if packet.input_device else None
    back = routes(packet.source)
    if back is None:
        return None
    if back.kind == "local":
        return _LOOSE in words or None if _ACCEPT_LOCAL in words else False
    return back.kind == "unicast" and (_LOOSE in words or back.device == packet.input_device)


def _conditions(words: tuple[str, ...]) -> Iterator[tuple[bool, str, str]]:
    """(negated, option, its values) of each condition, up to the target."""
    place = 0
    while place < len(words) and words[place] not in _TARGETS:  # followed by the target and its options
        negated = words[place] == "!"
        start = place + negated
        place = min(start + (2 if words[start : start + 1] == ("--comment",) else 1), len(words))
        while place < len(words) and not words[place].startswith(("-", "!")):
            place += 1
        yield negated, words[start] if start < place else "", " ".join(words[start + 1 : place])


def _holds(option: str, value: str, packet: Packet, arriving: bool) -> bool | None:
    """Whether one condition holds; None if unknown."""
    if option == "--dst-type":
        return arriving if value == "LOCAL" else None
    asks = _OF_PACKET.get(option)
    try:
        return asks(packet, value) if asks else None
    except ValueError:  # not an address, not a port
        return None


def _between(ip: IpAddress, value: str) -> bool:
    first, _, last = value.partition("-")
    low, high = address(first), address(last or first)
    return family_of(low) is family_of(high) is family_of(ip) and int(low) <= int(ip) <= int(high)


def _is_device(packet: Packet, value: str) -> bool:
    prefix = value.removesuffix("+")
    return any(device.startswith(prefix) if prefix != value else device == value for device in packet.devices)


def _is_port(port: int | None, value: str) -> bool | None:
    """Whether the port is in a list of ports and port ranges."""
    return None if port is None else any(_in_range(port, part) for part in value.split(","))


def _in_range(number: int, value: str) -> bool:
    first, _, last = value.partition(":")
    return int(first or 0) <= number <= int(last or (0xFFFF if ":" in value else first))


def _has_flags(packet: Packet, value: str) -> bool | None:
    """`value`: the flags that are compared, and those of them that must be set."""
    if packet.flags is None:
        return None
    compared, wanted = (_flags(names) for names in value.split(" "))
    return packet.flags & compared == wanted


def _in_state(packet: Packet, value: str) -> bool | None:
    states = set(value.split(","))
    return packet.state in states if states <= _STATES else None


def _either_port(packet: Packet, value: str) -> bool | None:
    ends = [_is_port(port, value) for port in (packet.source_port, packet.destination_port)]
    return True if True in ends else None if None in ends else False


def _is_module(_: Packet, value: str) -> bool | None:
    return True if value in _KNOWN_MODULES else None


def _flags(names: str) -> frozenset[str]:
    if names == "NONE":
        return frozenset()
    return frozenset((_ALL_FLAGS if names == "ALL" else names).split(","))


_OF_PACKET: Mapping[str, Callable[[Packet, str], bool | None]] = {
    "-p": lambda packet, value: value in (packet.protocol, "all"),
    "-s": lambda packet, value: packet.source in ip_network(value, strict=False),
    "-d": lambda packet, value: packet.destination in ip_network(value, strict=False),
    "-i": _is_device,
    "-o": _is_device,
    "-f": lambda _, __: False,  # not a fragment
    "-m": _is_module,
    "--comment": lambda _, __: True,
    "--src-range": lambda packet, value: _between(packet.source, value),
    "--dst-range": lambda packet, value: _between(packet.destination, value),
    "--sport": lambda packet, value: _is_port(packet.source_port, value),
    "--sports": lambda packet, value: _is_port(packet.source_port, value),
    "--dport": lambda packet, value: _is_port(packet.destination_port, value),
    "--dports": lambda packet, value: _is_port(packet.destination_port, value),
    "--ports": _either_port,
    "--tcp-flags": _has_flags,
    "--ctstate": _in_state,
    "--state": _in_state,
    "--length": lambda packet, value: packet.octets is None or _in_range(packet.octets, value),
}
