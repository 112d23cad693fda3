"""Draw docs/architecture.svg: the packages of the operator, and beside them those of `diagnose`.

`make docs-architecture` writes the file; `make docs-architecture-check` fails if it is out of date.
"""

import argparse
import configparser
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import grimp

from . import captions
from .imports import PACKAGE, Packages, contents, packages
from .layout import BOX_HEIGHT, Box, laid_out
from .svg import HEADING, MARGIN, PADDING, Panel, document

ROOT = Path(__file__).parents[2]
WIDTH, DIAGNOSE_WIDTH, BETWEEN = 480, 424, 44
NOTE = 'An arrow means "imports". Arrows that follow from others are left out.'


def pure_packages(importlinter: Path = ROOT / ".importlinter") -> set[str]:
    """The packages that the contract `pure` keeps free of I/O."""
    config = configparser.ConfigParser()
    config.read(importlinter)
    return {
        name.rpartition(".")[2] for name in config["importlinter:contract:pure"]["source_modules"].split()
    }


def drawing() -> str:
    """The SVG document."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    diagnose = packages(graph, f"{PACKAGE}.diagnose", modules=True)
    everything = packages(graph)
    inside = {package: contents(graph, package) for package in everything.imports if package != "diagnose"}
    left = _panel("Packages", everything, captions.ALL, MARGIN, WIDTH, inside, pure_packages())
    at = left.box.right + BETWEEN
    right = _panel(
        "Inside diagnose", diagnose, captions.DIAGNOSE, at, DIAGNOSE_WIDTH, {}, set(diagnose.imports)
    )
    package = left.drawing.boxes["diagnose"]
    zoom = (package.right, package.top + BOX_HEIGHT / 2), (right.box.left, package.top + BOX_HEIGHT / 2)
    return document([left, right], zoom, NOTE)


def _panel(
    heading: str,
    found: Packages,
    captioned: Mapping[str, str],
    left: float,
    width: float,
    inside: Mapping[str, Sequence[str]],
    pure: set[str],
) -> Panel:
    if new := found.imports.keys() - captioned.keys():
        raise ValueError(f"describe {', '.join(sorted(new))} in tests/architecture/captions.py")
    laid = laid_out(found, left + PADDING, MARGIN + HEADING, width)
    bottom = MARGIN + HEADING + laid.height + PADDING
    box = Box(left, left + width + 2 * PADDING, MARGIN, bottom)
    return Panel(heading, laid, captioned, inside, pure, box)


def main(*arguments: str) -> int:
    """Write the drawing to a file, or with `--check` compare it. The exit code says whether they are the same."""
    parser = argparse.ArgumentParser(prog="architecture")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("path", type=Path)
    options = parser.parse_args(arguments)
    if not options.check:
        options.path.write_text(drawing(), encoding="utf-8")
    elif options.path.read_text(encoding="utf-8") != drawing():
        print(f"{options.path} is out of date: run make docs-architecture", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
