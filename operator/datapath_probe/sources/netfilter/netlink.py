"""Attributes of netlink messages, decoded strictly: a length that exceeds its container is an error. Called by
`nft_netlink` and `kernel_conntrack`. Source: Linux 6.x `include/uapi/linux/netlink.h`.
"""

import struct
from collections.abc import Iterator

_HEADER = struct.Struct("=HH")  # length, type
_TYPE = 0x3FFF  # the other bits are flags
NESTED = 0x8000


def split(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, content) of each attribute. Raises ValueError if one is cut off."""
    place, end = 0, len(octets)
    while place + _HEADER.size <= end:
        length, kind = _HEADER.unpack_from(octets, place)
        if not _HEADER.size <= length <= end - place:
            raise ValueError("cut off in an attribute")
        yield kind & _TYPE, octets[place + _HEADER.size : place + length]
        place += (length + 3) & ~3


def attribute(kind: int, content: bytes) -> bytes:
    """One attribute, padded."""
    octets = _HEADER.pack(_HEADER.size + len(content), kind) + content
    return octets.ljust((len(octets) + 3) & ~3, b"\0")
