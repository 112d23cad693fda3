"""Where things lie: the cache, outside the checkout, and the state of a lab.

There is one lab on a machine, unless LAB_NAME gives another one its own name: labs see nothing of each other.
"""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent

_SUFFIX = f"-{name}" if (name := os.environ.get("LAB_NAME")) else ""
STATE = Path(f"/var/lib/datapath-probe-lab{_SUFFIX}")
LOCK = Path(f"/run/lock/datapath-probe-lab{_SUFFIX}.lock")
CGROUP = f"dplab{_SUFFIX}"
"""The lab's cgroup in every hierarchy: cleaning up goes by it."""


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "datapath-probe-lab"
