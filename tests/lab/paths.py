"""Paths: the cache, outside the checkout, and the state of a lab. Used by all modules of the lab.

There is one lab per machine, unless LAB_NAME names another one: labs are isolated from each other.
"""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent

_SUFFIX = f"-{name}" if (name := os.environ.get("LAB_NAME")) else ""
STATE = Path(f"/var/lib/datapath-probe-lab{_SUFFIX}")
LOCK = Path(f"/run/lock/datapath-probe-lab{_SUFFIX}.lock")
CGROUP = f"dplab{_SUFFIX}"
"""The lab's cgroup in every hierarchy, by which cleanup finds its processes."""


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "datapath-probe-lab"
