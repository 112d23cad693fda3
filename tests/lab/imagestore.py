"""A containerd store with all images unpacked: made once, then given to each node in a second.

Importing a gigabyte of images takes half a minute a node. Blobs and committed snapshots never change, so
nodes share their inodes by hard links (and the page cache with them); only two small databases are copied.
"""

import shutil
import tempfile
from pathlib import Path

from lab.buildcache import cached, digest
from lab.processes import start_detached
from lab.shell import run, wait_until

_DATABASES = ("io.containerd.metadata.v1.bolt/meta.db", "io.containerd.snapshotter.v1.overlayfs/metadata.db")


def prepared(archives: list[Path]) -> Path:
    """The store that holds these images, from the cache when it was made before."""
    return cached(
        "containerd", "store", digest(*(str(a) for a in archives)), lambda out: _make(out, archives)
    )


def give(store: Path, containerd_root: Path) -> None:
    """Fill a node's (empty) containerd root from the store."""
    linked = run("cp", "--archive", "--link", f"{store}/.", containerd_root, check=False)
    if linked.returncode != 0:  # the cache lies on another file system
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
        # In a mount namespace of its own, so that no mount outlives it.
        daemon = start_detached(["unshare", "--mount", *argv], Path(tmp, "log"))
        try:
            ctr = ("ctr", "--address", socket, "--namespace", "k8s.io")
            wait_until("containerd answers", lambda: run(*ctr, "version", check=False).returncode == 0, 30)
            for archive in archives:
                run(*ctr, "image", "import", archive)
        finally:
            daemon.stop()
