"""Where things lie: the cache, outside the checkout, and the state of the one lab of this machine."""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
STATE = Path("/var/lib/datapath-probe-lab")
PREFIX = "dplab"
"""Begins the name of every network namespace and cgroup of the lab: cleaning up goes by it."""


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "datapath-probe-lab"
