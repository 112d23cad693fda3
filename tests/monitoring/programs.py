"""Prometheus and Alertmanager of Debian, which `make monitoring-programs` fetches."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

from lab.paths import CHECKOUT
from lab.paths import cache as cache_folder

# Debian's Alertmanager reads its templates from /usr/share: it gets a view of that folder to which its own is added.
_WITH_SHARE = 'mount -t overlay overlay -o "lowerdir=$0:/usr/share" /usr/share && exec "$@"'


def prometheus() -> list[str]:
    """The beginning of a command line. Skips the test if there is no Prometheus."""
    return [str(_fetched() / "bin/prometheus")]


def promtool() -> list[str]:
    return [str(_fetched() / "bin/promtool")]


def alertmanager() -> list[str]:
    """The same for Alertmanager, which needs root for its view of /usr/share."""
    of_its_own = ["unshare", "--mount", "sh", "-c", _WITH_SHARE, str(_fetched() / "share")]
    return [*of_its_own, str(_fetched() / "bin/prometheus-alertmanager")]


@cache
def _fetched() -> Path:
    made = subprocess.run(
        ["make", "--silent", "monitoring-programs"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"needs Prometheus and Alertmanager: {(made.stdout + made.stderr).strip()}")
    return cache_folder() / "monitoring/usr"
