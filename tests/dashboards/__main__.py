"""Writes the Grafana dashboards of the chart: charts/datapath-probe/dashboards/*.json.

`make dashboards` writes them; `make dashboards-check` fails if one is out of date.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import fleet, health, hops, probe
from generated import ROOT, write_or_check

FOLDER = ROOT / "charts/datapath-probe/dashboards"
DASHBOARDS = {"fleet": fleet.build, "probe": probe.build, "hops": hops.build, "operator": health.build}


def files() -> Iterator[tuple[Path, str]]:
    """Each dashboard, as a file with its content."""
    for name, build in DASHBOARDS.items():
        made = build().build()
        for number, panel in enumerate(made.panels or (), start=1):
            panel.id_val = number
        yield FOLDER / f"{name}.json", f"{JSONEncoder(sort_keys=True, indent=1).encode(made)}\n"


if __name__ == "__main__":
    sys.exit(write_or_check("dashboards", files(), *sys.argv[1:]))
