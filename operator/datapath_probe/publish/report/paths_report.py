"""The paths of a run as a table, the worst first, if there are several. Called by `report`."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ...api.status.path_result import PathResult
from ...api.status.probe_status import ProbeStatus
from ...api.vocabulary import HopVerdict
from ..status.summary import latency_text
from ..status.summary import path_text as ends_text
from .style import VERDICT_MARKS, VERDICT_STYLES, plain


def path_text(status: ProbeStatus, path: PathResult | None) -> str:
    """ "default/xwing@node2 → default/deathstar:80 → 10.244.0.157@node1"; without a path, as far as it is known."""
    source = status.source or ""
    if path:
        namespace = source.partition("/")[0]
        source = f"{namespace}/{path.source.pod}@{path.source.node}"
    return ends_text(source, status.destination or "", path)


def paths_table(status: ProbeStatus) -> Iterator[RenderableType]:
    """A table of the paths in the status, and the number of paths that are not listed."""
    yield _table(status)
    total = status.path_counts.total if status.path_counts else 0
    if total > len(status.paths):
        yield Text(f"{total - len(status.paths)} more are not listed", style="bright_black")
    yield Text("")


def _table(status: ProbeStatus) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bright_black", pad_edge=False)
    table.add_column("")
    for name in ("source", "destination"):
        table.add_column(name, no_wrap=True)
    table.add_column("what was found", ratio=1)
    table.add_column("time", justify="right")
    for path in status.paths:
        style = VERDICT_STYLES[path.verdict]
        destination = path.destination
        place = f"@{destination.node}" if destination.node else ""
        table.add_row(
            Text(VERDICT_MARKS[path.verdict], style=f"bold {style}"),
            plain(f"{path.source.pod}@{path.source.node}"),
            plain(f"{destination.name or destination.ip or status.destination or ''}{place}"),
            plain(_found(path), style),
            plain(latency_text(path) or ""),
        )
    return table


def _found(path: PathResult) -> str:
    """The verdict, with the first hop that is not Ok."""
    for verdict in (HopVerdict.BROKEN, HopVerdict.STALE, HopVerdict.UNKNOWN):
        hop = next((hop for hop in path.hops if hop.verdict is verdict), None)
        if hop:
            return f"{path.verdict} at {hop.name} on {hop.node}: {hop.reason}"
    return path.verdict
