"""Prints a status as a report or as JSON.

In: heading and status. Out: stdout. Called by `main`.
"""

import json

import click
from rich.console import Console

from ..api.status.probe_status import ProbeStatus
from ..publish.report.report import Heading, report

PLAIN_WIDTH = 120


def show(heading: Heading, status: ProbeStatus, *, output: str, facts: bool) -> None:
    """Print in color on a terminal; elsewhere as plain text with a fixed width."""
    if output == "json":
        click.echo(json.dumps(status.to_object(), indent=2, ensure_ascii=False))
        return
    parts = report(heading, status, facts=facts)
    console = Console(highlight=False, markup=False, emoji=False)  # brackets are no markup
    if console.is_terminal:
        console.print(*parts, sep="\n")
        return
    console.width = PLAIN_WIDTH
    with console.capture() as capture:
        console.print(*parts, sep="\n")
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))
