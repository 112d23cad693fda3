"""The drawing as an SVG document that is readable on light and dark pages.

The width of text is computed from its number of characters, so the file does not depend on the fonts of the machine.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from .layout import BOX_HEIGHT, Box, Drawing

MARGIN, PADDING, HEADING = 20, 20, 48
LEGEND_HEIGHT = 44
_INSET, _LINE_HEIGHT, _MOST_LINES = 14, 17, 4
_CAPTION_PX, _CONTENTS_PX = 6.4, 6.2  # widths of a character
_FONT = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
_STYLE = f"""
.page{{fill:#ffffff;stroke:#d0d7de}} .panel{{fill:#f6f8fa;stroke:#d0d7de}}
.io{{fill:#ddf0ff;stroke:#4b8fd1}} .pure{{fill:#e3f6e6;stroke:#4f9d63}}
text{{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:12px;fill:#3b434b}}
.name{{{_FONT};font-size:14px;font-weight:700;fill:#14181d}} .contents{{{_FONT};font-size:10.3px;fill:#57606a}}
.heading{{font-size:14px;font-weight:600;fill:#14181d}}
.arrow{{fill:none;stroke:#6e7781;stroke-width:1.6}} .head{{fill:#6e7781}}
.zoom{{fill:none;stroke:#4f9d63;stroke-width:1.4;stroke-dasharray:3 4}}
@media (prefers-color-scheme: dark){{
.page{{fill:#0d1117;stroke:#30363d}} .panel{{fill:#161b22;stroke:#30363d}}
.io{{fill:#10263c;stroke:#3f7ab8}} .pure{{fill:#112a1a;stroke:#3d8451}}
text{{fill:#b6bfc9}} .name,.heading{{fill:#f0f3f6}} .contents{{fill:#8d96a0}}
.arrow{{stroke:#8b949e}} .head{{fill:#8b949e}} .zoom{{stroke:#3d8451}}
}}"""


@dataclass(frozen=True, slots=True)
class Panel:
    """A drawing under a heading; `contents`: the names of each package's children; `pure`: packages without I/O."""

    heading: str
    drawing: Drawing
    captions: Mapping[str, str]
    contents: Mapping[str, Sequence[str]]
    pure: Collection[str]
    box: Box


def document(
    panels: Sequence[Panel], zoom: tuple[tuple[float, float], tuple[float, float]], note: str
) -> str:
    """The panels side by side; `zoom`: a dotted line from the package that the second panel shows to that panel."""
    width = panels[-1].box.right + MARGIN
    height = max(panel.box.bottom for panel in panels) + LEGEND_HEIGHT
    (x1, y1), (x2, y2) = zoom
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(note)}">',
        f"<style>{_STYLE}\n</style>",
        _rectangle("page", Box(0.5, width - 0.5, 0.5, height - 0.5), radius=10),
        *(line for panel in panels for line in _panel(panel)),
        f'<path class="zoom" d="M{x1:g} {y1:g}H{x2 - (x2 - x1) / 2:g}V{y2:g}H{x2:g}"/>',
        *_legend(height - LEGEND_HEIGHT / 2, note),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _panel(panel: Panel) -> Iterator[str]:
    yield _rectangle("panel", panel.box, radius=8)
    yield _text("heading", panel.box.left + PADDING, panel.box.top + 28, panel.heading)
    for points in panel.drawing.arrows.values():
        yield from _arrow(points)
    for package, box in panel.drawing.boxes.items():
        yield from _package(panel, package, box)


def _package(panel: Panel, package: str, box: Box) -> Iterator[str]:
    width = box.right - box.left - 2 * _INSET
    lines = [("name", package)]
    lines += [("caption", line) for line in wrap(panel.captions[package], int(width / _CAPTION_PX))]
    inside = " · ".join(panel.contents.get(package, ()))
    lines += [("contents", line) for line in wrap(inside, int(width / _CONTENTS_PX))]
    if len(lines) > _MOST_LINES:
        raise ValueError(f"the text of {package} does not fit into its box")
    yield _rectangle("pure" if package in panel.pure else "io", box, radius=6)
    baseline = (box.top + box.bottom) / 2 - _LINE_HEIGHT * (len(lines) - 1) / 2 + 4.5
    for number, (kind, text) in enumerate(lines):
        yield _text(kind, box.left + _INSET, baseline + number * _LINE_HEIGHT, text)


def _arrow(points: Sequence[tuple[float, float]]) -> Iterator[str]:
    """A line that ends in a head; it bends between floors only."""
    (x, y), *rest = points
    path = f"M{x:g} {y:g}"
    for here, there in zip(points, rest, strict=False):
        straight = here[0] == there[0] or there[1] - here[1] >= BOX_HEIGHT
        bend = (here[1] + there[1]) / 2
        curve = f"C{here[0]:g} {bend:g} {there[0]:g} {bend:g} "
        path += f"{'L' if straight else curve}{there[0]:g} {there[1] - 6 * (there == rest[-1]):g}"
    x, y = rest[-1]
    yield f'<path class="arrow" d="{path}"/>'
    yield f'<path class="head" d="M{x:g} {y:g}l-5 -9h10z"/>'


def _legend(y: float, note: str) -> Iterator[str]:
    x = float(MARGIN)
    for kind, text in (("pure", "no I/O, no clock"), ("io", "may do I/O")):
        yield _rectangle(kind, Box(x, x + 22, y - 8, y + 6), radius=3)
        yield _text("caption", x + 30, y + 3, text)
        x += 30 + len(text) * _CAPTION_PX + 26
    yield _text("caption", x, y + 3, note)


def _rectangle(kind: str, box: Box, radius: float) -> str:
    size = f'width="{box.right - box.left:g}" height="{box.bottom - box.top:g}"'
    return f'<rect class="{kind}" x="{box.left:g}" y="{box.top:g}" {size} rx="{radius:g}"/>'


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>'
