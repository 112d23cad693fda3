"""What rules of either kind of packet filter are held against, and what becomes of a packet: the words that
`iptables` and `nftables` share.

Source: Linux 6.x `net/ipv4/tcp_output.c` (`tcp_syn_options`: twenty octets of options where nobody has turned any off).
"""

from dataclasses import dataclass, replace
from enum import Enum

from ..addresses import IpAddress

SYN = frozenset({"SYN"})
SYN_ACK = frozenset({"SYN", "ACK"})
_DATA = frozenset({"ACK", "PSH"})
DROPS, REDIRECTS, DIVERTS = "drops", "redirects", "sends elsewhere"
_HANDSHAKE_OCTETS = 60  # IPv4 and TCP headers with options, no data


class Match(Enum):
    """Whether a rule means a packet: `UNKNOWN` where nothing that can be read of it speaks against that."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Packet:
    """What is known of a packet; `devices`: those of its way, by either of which a rule may know it. `state`: what the
    kernel's conntrack takes it for. `flags` None: it has none, or they are not known; `octets` None: all sizes occur.
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

    def of_handshake(self, headers: int = 0) -> "Packet":
        """The first packet of a connection, or the answer to it; `headers`: octets of those around it in a tunnel."""
        octets = _HANDSHAKE_OCTETS + headers
        if self.protocol != "tcp":
            return replace(self, octets=octets) if headers else self
        return replace(self, flags=SYN if self.state == "NEW" else SYN_ACK, octets=octets)

    def with_data(self) -> "Packet":
        """A later packet of the same connection, which carries data."""
        if self.protocol != "tcp":
            return replace(self, octets=None)
        return replace(self, state="ESTABLISHED", flags=_DATA, octets=None)


@dataclass(frozen=True, slots=True)
class Loss:
    """The rule that keeps the packet from going on, and what it `does` to it; `packets` None: it does not count. Not
    `certain`: nobody can tell whether the rule means this packet, or what those to whom it hands it make of it.
    """

    table: str
    rule: str
    packets: int | None
    does: str = DROPS
    certain: bool = True
