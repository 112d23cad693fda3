"""A packet as the rules of netfilter match it, what the kernel's routes say of its addresses, and what happens to it.
Shared by `iptables` and `nftables`.

Source: Linux 6.x `net/ipv4/tcp_output.c` (`tcp_syn_options`: 20 bytes of options unless some are disabled).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from ..addresses import IpAddress, IpFamily, family_of

SYN = frozenset({"SYN"})
SYN_ACK = frozenset({"SYN", "ACK"})
_DATA = frozenset({"ACK", "PSH"})
DROPS, REDIRECTS, DIVERTS = "drops", "redirects", "sends elsewhere"
_HANDSHAKE_OCTETS = {IpFamily.IPV4: 60, IpFamily.IPV6: 80}  # IP and TCP headers with options, no data


class Match(Enum):
    """Whether a rule matches a packet. `UNKNOWN`: no known condition rules it out."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Packet:
    """What is known of a packet. `devices`: those of its path, any of which a rule may refer to. `state`: its conntrack
    state in the kernel. `flags` None: not TCP, or unknown; `octets` None: all sizes occur. `input_device`: the one
    among them where it arrives at this host; "" if unknown, or if the host itself sends it.
    """

    protocol: str
    source: IpAddress
    destination: IpAddress
    destination_port: int | None = None
    source_port: int | None = None
    devices: frozenset[str] = frozenset()
    state: str = "NEW"
    flags: frozenset[str] | None = None
    octets: int | None = None
    input_device: str = ""

    def arriving_at(self, device: str) -> "Packet":
        """The packet as it arrives at this device, which is on its path."""
        return replace(self, devices=self.devices | {device}, input_device=device)

    def of_handshake(self, headers: int = 0) -> "Packet":
        """The first packet of a connection, or the reply to it; `headers`: bytes of the tunnel headers around it."""
        octets = _HANDSHAKE_OCTETS[family_of(self.destination)] + headers
        if self.protocol != "tcp":
            return replace(self, octets=octets) if headers else self
        return replace(self, flags=SYN if self.state == "NEW" else SYN_ACK, octets=octets)

    def with_data(self) -> "Packet":
        """A later packet of the same connection, with data."""
        if self.protocol != "tcp":
            return replace(self, octets=None)
        return replace(self, state="ESTABLISHED", flags=_DATA, octets=None)


@dataclass(frozen=True, slots=True)
class RouteTo:
    """The kernel's route to an address. `kind` as iproute2 prints it: "unicast", "local", …; "" if there is none."""

    kind: str = ""
    device: str = ""


Routes = Callable[[IpAddress], RouteTo | None]
"""Looks up the kernel's route to an address; None if it is not known."""


def no_routes(_: IpAddress) -> None:
    """No route is known."""


@dataclass(frozen=True, slots=True)
class Loss:
    """The rule that stops the packet, and what it `does` to it; `packets` None: it has no counter. Not `certain`: it is
    unknown whether the rule matches this packet, or what a program or proxy does with it.
    """

    table: str
    rule: str
    packets: int | None
    does: str = DROPS
    certain: bool = True
