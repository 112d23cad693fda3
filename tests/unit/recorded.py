"""Runs recorded on the lab, healthy and with faults: the test data of diagnosis. One JSON bundle each."""

from functools import cache
from pathlib import Path

from datapath_probe.diagnose.bundle import Bundle
from datapath_probe.diagnose.run import Run

BUNDLES = Path(__file__).parents[1] / "data" / "bundles" / "cilium-1.18.5" / "vxlan"


@cache
def recorded(name: str) -> Run:
    """The run of that name."""
    return Bundle.from_json((BUNDLES / f"{name}.json").read_bytes()).run


def names() -> list[str]:
    """All runs that were recorded."""
    return sorted(path.stem for path in BUNDLES.glob("*.json"))
