"""Addresses, ports and numbers in the keys and values of Cilium's maps.

Addresses and ports are in network byte order, all other integers in the machine's byte order, which is little-endian
wherever Cilium runs. Called by the modules of `sources`. Source: Cilium 1.16–1.20 `bpf/lib/common.h`.
"""

from enum import IntEnum

from ..addresses import address
from ..evidence.parameters import fitting


class L4Protocol(IntEnum):
    """IP protocol numbers. ANY stands for all protocols in Cilium's keys of Services."""

    ANY = 0
    ICMP = 1
    TCP = 6
    UDP = 17
    ICMPV6 = 58
    SCTP = 132


def packed(ip: str) -> bytes:
    """4 or 16 bytes. Raises ValueError for an invalid address, or one with a zone (`%eth0`)."""
    return address(ip).packed


def packed16(ip: str) -> bytes:
    """16 bytes, with an IPv4 address in the first four."""
    return packed(ip).ljust(16, b"\0")


def family(ip: str) -> int:
    """Cilium's family byte, `ENDPOINT_KEY_IPV4` or `ENDPOINT_KEY_IPV6`."""
    return 1 if len(packed(ip)) == 4 else 2


def be16(number: int) -> bytes:
    """A port or a RevNAT id. Raises ValueError beyond 16 bits."""
    return fitting(number, 16).to_bytes(2, "big")


def le16(number: int) -> bytes:
    """Raises ValueError beyond 16 bits."""
    return fitting(number, 16).to_bytes(2, "little")


def le32(number: int) -> bytes:
    """Raises ValueError beyond 32 bits."""
    return fitting(number, 32).to_bytes(4, "little")


def mac_text(value: bytes) -> str:
    """`aa:bb:cc:dd:ee:ff`, from the first six bytes: a `mac_t` is padded to eight."""
    return value[:6].hex(":")
