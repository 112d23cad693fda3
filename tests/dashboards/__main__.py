"""Writes the Grafana dashboards of the chart: charts/datapath-probe/dashboards/*.json.

`make dashboards` writes them; `make dashboards-check` fails if one is out of date.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import fleet, health, hops, probe

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "charts/datapath-probe/dashboards"
DASHBOARDS = {"fleet": fleet.build, "probe": probe.build, "hops": hops.build, "operator": health.build}


def files() -> Iterator[tuple[Path, str]]:
    """Each dashboard, as a file with its content."""
    for name, build in DASHBOARDS.items():
        made = build().build()
        for number, panel in enumerate(made.panels or (), start=1):
            panel.id_val = number
        yield FOLDER / f"{name}.json", f"{JSONEncoder(sort_keys=True, indent=1).encode(made)}\n"


def main(*arguments: str) -> int:
    """Write the files, or with `--check` compare them. The exit code says whether they are the same."""
    parser = argparse.ArgumentParser(prog="dashboards")
    parser.add_argument("--check", action="store_true")
    check: bool = parser.parse_args(arguments).check
    out_of_date = []
    for path, content in files():
        if not check:
            path.write_text(content, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != content:
            out_of_date.append(str(path.relative_to(ROOT)))
    if out_of_date:
        print(f"{', '.join(out_of_date)}: out of date, run make dashboards", file=sys.stderr)
    return 1 if out_of_date else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
