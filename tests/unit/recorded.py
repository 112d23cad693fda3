"""Runs recorded on the lab, healthy and with faults: the test data of diagnosis. One JSON bundle each.

Named `mode/fault@version`, as in `kpr/slots-missing@1.18.5`; runs with VXLAN and Cilium 1.18.5 have only the name of
the fault.
"""

from functools import cache
from pathlib import Path

from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.run import PathRun

BUNDLES = Path(__file__).parents[1] / "data" / "bundles"
_SHORT = ("vxlan", "1.18.5")


def _name(path: Path) -> str:
    mode, version = path.parent.name, path.parent.parent.name.removeprefix("cilium-")
    return path.stem if (mode, version) == _SHORT else f"{mode}/{path.stem}@{version}"


_PATHS = {_name(path): path for path in sorted(BUNDLES.glob("cilium-*/*/*.json"))}


@cache
def recorded(name: str) -> PathRun:
    """The run with this name."""
    return Bundle.from_json(document(name)).run


@cache
def document(name: str) -> bytes:
    """The bundle with this name, as it is saved."""
    return _PATHS[name].read_bytes()


def names() -> list[str]:
    """The names of all recorded runs."""
    return sorted(_PATHS)
