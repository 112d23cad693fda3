"""Marks and colors of the report. Each mark means the same as its color, for reports without color."""

from rich.text import Text

from ...api.vocabulary import HopVerdict, ProbeVerdict
from ...visible import visible

VERDICT_STYLES = {
    ProbeVerdict.HEALTHY: "green",
    ProbeVerdict.DEGRADED: "yellow",
    ProbeVerdict.BROKEN: "red",
    ProbeVerdict.UNKNOWN: "magenta",
}
VERDICT_MARKS = {
    ProbeVerdict.HEALTHY: "✓",
    ProbeVerdict.DEGRADED: "!",
    ProbeVerdict.BROKEN: "✗",
    ProbeVerdict.UNKNOWN: "?",
}
HOP_MARKS = {
    HopVerdict.OK: ("✓", "green"),
    HopVerdict.STALE: ("!", "yellow"),
    HopVerdict.BROKEN: ("✗", "red"),
    HopVerdict.UNKNOWN: ("?", "magenta"),
}


def plain(text: str, style: str = "") -> Text:
    """Text without markup: brackets are printed as they are, and control characters are visible."""
    return Text(visible(text), style=style)
