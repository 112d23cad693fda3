"""IP addresses as values of `ipaddress`, and the family of each. Used everywhere, also by what is below all else."""

from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

IpAddress = IPv4Address | IPv6Address

# The addresses of a run occur in thousands of records; equal ones are one object, which compares in no time.
_REMEMBERED = 16_384


class IpFamily(IntEnum):
    """The versions of IP."""

    IPV4 = 4
    IPV6 = 6

    def __str__(self) -> str:
        return f"IPv{self.value}"


@lru_cache(maxsize=_REMEMBERED)
def address(value: str | bytes) -> IpAddress:
    """The address of this text, or of 4 or 16 bytes in network order; ValueError if it is none, or has a zone."""
    ip = ip_address(value)
    if isinstance(ip, IPv6Address) and ip.scope_id is not None:
        raise ValueError(f"{value!r} has a zone")
    return ip


def parse_address(text: str) -> IpAddress | None:
    """The address of this text; None if it is none."""
    try:
        return address(text) if text else None
    except ValueError:
        return None


def unless_ipv4(family: IpFamily) -> int | None:
    """The parameter of a fact for which IPv4 is the default."""
    return None if family is IpFamily.IPV4 else int(family)


def family_of(ip: IpAddress) -> IpFamily:
    """The version of IP that the address belongs to."""
    return IpFamily.IPV4 if isinstance(ip, IPv4Address) else IpFamily.IPV6


def is_within(ip: IpAddress, cidr: str) -> bool:
    """Whether the range contains the address; False if the text is no range."""
    try:
        return ip in ip_network(cidr, strict=False)
    except ValueError:
        return False


def with_port(ip: IpAddress | str, port: int | None) -> str:
    """Address and port as one text; an IPv6 address is in brackets."""
    return f"[{ip}]:{port}" if ":" in str(ip) else f"{ip}:{port}"
