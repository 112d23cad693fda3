"""The captured packets as a table for the report: a line per packet and interface, outer headers first. Called by
`report`.
"""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ...api.status.capture import Capture, CapturedPacket
from .style import plain


def packet_report(capture: Capture) -> Iterator[RenderableType]:
    """The packets, and the nodes without any."""
    when = capture.time.strftime("%H:%M:%S UTC")
    yield Text(f"packets of the run that ended at {when}, headers only", style="bright_black")
    if capture.packets:
        yield _table(capture.packets)
    if capture.omitted_packets:
        yield Text(f"{capture.omitted_packets} more are not listed", style="bright_black")
    for error in capture.errors:
        yield plain(f"not captured on {error.node}: {error.reason}: {error.message}", "yellow")
    yield Text("")


def _table(packets: tuple[CapturedPacket, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bright_black", pad_edge=False)
    for name in ("offset", "node", "interface", "outer headers", "packet", "TCP", "bytes"):
        table.add_column(
            name, no_wrap=name != "packet", justify="right" if name in ("offset", "bytes") else "left"
        )
    for packet in packets:
        arrow = "→" if packet.direction == "out" else "←"
        addresses = packet.outer_addresses
        outer = f"{addresses.replace(' ', '')} VNI {packet.vni}" if addresses else ""
        table.add_row(
            *map(plain, (packet.offset, packet.node, f"{arrow} {packet.interface}")),
            plain(outer, "cyan"),
            *map(plain, (f"{packet.source}→{packet.destination}", packet.flags, str(packet.length))),
        )
    return table
