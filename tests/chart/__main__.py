"""Writes what the Helm chart takes from elsewhere: the CRD, the alerts, and its values as values.yaml and README table.

`make chart` writes the files; `make chart-check` fails if one of them is out of date.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from . import values

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/datapath-probe"
COPIES = {
    "files/crd.yaml": "crds/datapathprobes.yaml",
    "files/alerts.yaml": "manifests/monitoring/alerts.yaml",
}
BEGIN, END = "<!-- begin of values -->\n", "<!-- end of values -->\n"


def files() -> Iterator[tuple[Path, str]]:
    """Each file that is made, with its content."""
    for name, source in COPIES.items():
        yield CHART / name, (ROOT / source).read_text(encoding="utf-8")
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    yield CHART / "values.yaml", values.values_yaml(schema)
    readme = CHART / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    yield readme, f"{before}{BEGIN}\n{values.table(schema)}\n{END}{rest.partition(END)[2]}"


def main(*arguments: str) -> int:
    """Write the files, or with `--check` compare them. The exit code says whether they are the same."""
    parser = argparse.ArgumentParser(prog="chart")
    parser.add_argument("--check", action="store_true")
    check: bool = parser.parse_args(arguments).check
    out_of_date = []
    for path, content in files():
        if not check:
            path.write_text(content, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != content:
            out_of_date.append(str(path.relative_to(ROOT)))
    if out_of_date:
        print(f"{', '.join(out_of_date)}: out of date, run make chart", file=sys.stderr)
    return 1 if out_of_date else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
