"""Writes what the Helm chart takes from elsewhere: the CRD, the alerts, and its values as values.yaml and README table.

`make chart` writes the files; `make chart-check` fails if one of them is out of date.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from generated import ROOT, write_or_check

from . import values

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


if __name__ == "__main__":
    sys.exit(write_or_check("chart", files(), *sys.argv[1:]))
