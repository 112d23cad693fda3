"""The packets of a run, captured on request. Part of the status."""

from typing import Annotated

from .model import ApiModel, Clip
from .status_fields import Count, IpcacheMatch, Latency, Short, Text, Time

PACKETS_LIMIT = 96


class CapturedPacket(ApiModel):
    """One packet on one interface: headers only."""

    at: Latency
    """When, by its node's clock, from the first packet on that node."""

    node: IpcacheMatch
    """Node on which it was seen."""

    interface: Annotated[str, Clip(16)]
    """Interface on which it was seen."""

    direction: Annotated[str, Clip(3)]
    """out or in, as the node sees it."""

    outer: Annotated[str, Clip(64)] | None = None
    """Nodes that the tunnel's packet goes between: source → destination."""

    encapsulation: Short | None = None
    """The tunnel's protocol."""

    vni: int | None = None
    """The tunnel's network identifier: the security identity of the source."""

    source: Annotated[str, Clip(24)]
    """Address and port."""

    destination: Annotated[str, Clip(24)]
    """Address and port."""

    flags: Annotated[str, Clip(40)]
    """TCP flags."""

    length: Count
    """Bytes of the outermost IP packet."""

    payload: Count
    """Bytes of the request or response in it; they are not kept."""


class Capture(ApiModel):
    """The packets of a run, captured because somebody asked for it."""

    time: Time
    """When that run ended."""

    packets: Annotated[tuple[CapturedPacket, ...], Clip(PACKETS_LIMIT)] = ()
    """What was seen, node by node in the order of the path."""

    left_out: Count = 0
    """Packets that were seen and are not listed, or that the capture had no room for."""

    missing: Text | None = None
    """On which nodes nothing could be captured, and why."""
