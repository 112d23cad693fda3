"""The queries of the dashboards, with their variables replaced, as Grafana would send them."""

import json
from collections.abc import Iterator
from typing import Any

from dashboards.__main__ import DASHBOARDS, FOLDER

_TIMES = {"__rate_interval": "1m", "__range": "10m"}


def document(name: str) -> dict[str, Any]:
    """The dashboard, as the chart has it."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def targets(name: str) -> Iterator[tuple[str, str]]:
    """The title of the panel, and the expression, of each query."""
    for panel in document(name)["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def queries(**variables: str) -> Iterator[tuple[str, str]]:
    """The place and the expression of each query of all dashboards. `variables`: namespace, probe, hop."""
    for name in DASHBOARDS:
        for title, expression in targets(name):
            replaced = expression
            for variable, value in (*_TIMES.items(), *variables.items()):
                replaced = replaced.replace(f"${variable}", value)
            yield f"{name}: {title}", replaced
