"""Debian packages that the lab needs; missing ones are installed without starting their services.

Called by `lifecycle`, `cli` and `preconditions`.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.shell import run, step

# package → a file that it installs
NEEDED = {
    "buildah": "/usr/bin/buildah",
    "containerd": "/usr/bin/containerd",
    "containernetworking-plugins": "/usr/lib/cni/loopback",
    "curl": "/usr/bin/curl",
    "etcd-server": "/usr/bin/etcd",
    "iproute2": "/sbin/ip",
    "iptables": "/usr/sbin/iptables",
    "mmdebstrap": "/usr/bin/mmdebstrap",
    "openssl": "/usr/bin/openssl",
    "procps": "/usr/bin/ps",
    "runc": "/usr/sbin/runc",
    "util-linux": "/usr/bin/nsenter",
}
_POLICY = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    return [package for package, file in NEEDED.items() if not Path(file).exists()]


def install() -> None:
    """Install missing packages. Raises LabError if apt fails."""
    packages = missing()
    if not packages:
        return
    with step(f"installing {', '.join(packages)}"), _no_service_starts():
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "-q", env=env)
        run("apt-get", "install", "-y", "-q", "--no-install-recommends", *packages, env=env)


def obtainable() -> bool:
    return not missing() or shutil.which("apt-get") is not None


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Prevent that containerd and etcd start as services: Debian calls this script first."""
    if _POLICY.exists():
        kept = _POLICY.with_name("policy-rc.d.lab")
        _POLICY.rename(kept)
    else:
        kept = None
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
        if kept is not None:
            kept.rename(_POLICY)
