"""The value of a `fib` expression of nf_tables: what the host's routes say of an address of the packet.

Called by `nft_match`. Source: Linux 6.x `net/ipv{4,6}/netfilter/nft_fib_ipv{4,6}.c`,
`include/uapi/linux/netfilter/nf_tables.h` (NFT_FIB_RESULT_*, NFTA_FIB_F_*), `include/uapi/linux/rtnetlink.h` (RTN_*).
"""

from ..packet import Packet, Routes, RouteTo

_OIF, _OIFNAME, _ADDRTYPE = 1, 2, 3  # what is asked for
_OF_DESTINATION, _AT_INPUT, _AT_OUTPUT, _PRESENT = 2, 8, 16, 32  # flags; without the first: of the source
_TYPES = {"local": 2, "broadcast": 3, "multicast": 5}
_UNICAST = 1
_LOOPBACK = "lo"
_NAME_OCTETS = 16


def result(flags: int, wanted: int, packet: Packet, routes: Routes) -> bytes | None:
    """The value as the kernel writes it to a register; None if it is not known."""
    if wanted == _ADDRTYPE:
        return _type_of(flags, packet, routes)
    device = _device(flags, packet, routes)
    if device is None or wanted not in (_OIF, _OIFNAME):
        return None
    if flags & _PRESENT:
        return bytes([bool(device), 0, 0, 0])
    if wanted == _OIFNAME:
        return device.encode().ljust(_NAME_OCTETS, b"\0")
    return None if device else bytes(4)  # the index of a device is not known, that there is none is


def _device(flags: int, packet: Packet, routes: Routes) -> str | None:
    """The device of the route to the address, "" if there is none; None if it is not known."""
    if flags & _AT_OUTPUT:
        return None
    if packet.input_device == _LOOPBACK or (flags & _AT_INPUT and not packet.input_device):
        return packet.input_device or None
    route = _route(flags, packet, routes)
    if route is None:
        return None
    fits = route.kind == "unicast" and (not flags & _AT_INPUT or route.device == packet.input_device)
    return route.device if fits else ""


def _type_of(flags: int, packet: Packet, routes: Routes) -> bytes | None:
    """The type of the address: all that is not the host's own, or of a special kind, is unicast."""
    route = _route(flags, packet, routes)
    if route is None:
        return None
    of_device = flags & (_AT_INPUT | _AT_OUTPUT)
    if route.kind in _TYPES and of_device:
        return None  # it is not known which device has the address
    return _TYPES.get(route.kind, _UNICAST).to_bytes(4, "little")


def _route(flags: int, packet: Packet, routes: Routes) -> RouteTo | None:
    return routes(packet.destination if flags & _OF_DESTINATION else packet.source)
