"""The packets of a run, captured on request. Part of the status."""

from typing import Annotated

from ..limits import Clip
from ..model import ApiModel
from .fields import BriefName, Count, Latency, Reason, Short, Text, Time, Vni

PACKETS_LIMIT = 96
ERRORS_LIMIT = 8


class CapturedPacket(ApiModel):
    """One packet on one interface: headers only."""

    offset: Latency
    """Time since the first packet on the same node, by that node's clock."""

    node: BriefName
    """Name of the node on which the packet was captured."""

    interface: Annotated[str, Clip(16)]
    """Interface on which the packet was captured."""

    direction: Annotated[str, Clip(3)]
    """Direction from the node's point of view: out or in."""

    outer_addresses: Annotated[str, Clip(64)] | None = None
    """Addresses of the tunnel packet: source → destination. Absent without encapsulation."""

    encapsulation: Short | None = None
    """Tunnel protocol: vxlan or geneve. Absent without encapsulation."""

    vni: Vni | None = None
    """Network identifier of the tunnel packet, which carries the security identity of the source."""

    source: Annotated[str, Clip(24)]
    """Source address and port."""

    destination: Annotated[str, Clip(24)]
    """Destination address and port."""

    flags: Annotated[str, Clip(40)]
    """TCP flags that are set, such as SYN ACK."""

    length: Count
    """Length of the outermost IP packet in bytes."""

    payload: Count
    """Length of the TCP payload in bytes. The payload itself is not stored."""


class CaptureError(ApiModel):
    """A node on which packets could not be captured."""

    node: BriefName
    """Name of the node."""

    reason: Reason
    """Why, in one CamelCase word. docs/errors.md describes each reason."""

    message: Text
    """Why, in one sentence."""


class Capture(ApiModel):
    """The packets of one run, captured on request."""

    time: Time
    """Time when the run ended."""

    packets: Annotated[tuple[CapturedPacket, ...], Clip(PACKETS_LIMIT)] = ()
    """The captured packets, grouped by node in path order."""

    omitted_packets: Count = 0
    """Number of packets that were captured but are not listed, or that exceeded the limit of the capture."""

    errors: Annotated[tuple[CaptureError, ...], Clip(ERRORS_LIMIT)] = ()
    """Nodes on which packets could not be captured."""
