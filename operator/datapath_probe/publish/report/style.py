"""Signs and colors of the report. A sign says the same as its color, for those who see none."""

from rich.text import Text

from ...api.vocabulary import HopVerdict, ProbeVerdict

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
    """Text as it is: brackets are no markup, and what a container said can't steer the terminal."""
    return Text("".join(char if char.isprintable() else "\ufffd" for char in text), style=style)
