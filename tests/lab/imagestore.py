"""A containerd store with all images unpacked: built once, then copied to each node in a second.

Importing a gigabyte of images takes half a minute per node. Blobs and committed snapshots never change, so nodes share
their inodes (and page cache) by hard links; only two small databases are copied. Called by `build` and `lifecycle`.
"""

import shutil
import tempfile
from pathlib import Path

from lab.buildcache import cached, digest
from lab.processes import start_detached
from lab.shell import run, wait_until

_DATABASES = ("io.containerd.metadata.v1.bolt/meta.db", "io.containerd.snapshotter.v1.overlayfs/metadata.db")


def prepared(archives: list[Path]) -> Path:
    """The store with these images, built if not in the cache."""
    return cached(
        "containerd", "store", digest(*(str(a) for a in archives)), lambda out: _make(out, archives)
    )


def copy_to(store: Path, containerd_root: Path) -> None:
    """Copy the store to a node's (empty) containerd root."""
    linked = run("cp", "--archive", "--link", f"{store}/.", containerd_root, check=False)
    if linked.returncode != 0:  # the cache is on another file system
        run("cp", "--archive", f"{store}/.", containerd_root)
        return
    for database in _DATABASES:
        (containerd_root / database).unlink()
        shutil.copy2(store / database, containerd_root / database)


def _make(out: Path, archives: list[Path]) -> None:
    with tempfile.TemporaryDirectory(prefix="lab-containerd-") as tmp:
        socket = f"{tmp}/containerd.sock"
        config = Path(tmp, "config.toml")
        config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        argv = [
            "containerd",
            "--config",
            str(config),
            "--root",
            str(out),
            "--state",
            tmp,
            "--address",
            socket,
        ]
        # In its own mount namespace, so that no mount outlives it.
        daemon = start_detached(["unshare", "--mount", *argv], Path(tmp, "log"))
        try:
            ctr = ("ctr", "--address", socket, "--namespace", "k8s.io")
            wait_until("containerd answers", lambda: run(*ctr, "version", check=False).returncode == 0, 30)
            for archive in archives:
                run(*ctr, "image", "import", archive)
        finally:
            daemon.stop()
