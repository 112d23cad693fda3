"""The project's images for the lab: its Dockerfile, local base images, and prefetched wheels.

A build container may have no access to a package index (CA, proxy), so the wheels are in its context. They are fetched
for the Python version of the base image and verified with the hashes in requirements.txt. Called by `cli` and the e2e
tests.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from lab import images
from lab.buildcache import cached, digest
from lab.paths import CHECKOUT
from lab.shell import run

BASE_PYTHON = "3.13"
_SOURCES = (
    "Dockerfile",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "requirements.txt",
    "requirements-build.txt",
    "operator",
)


def build(name: str, target: str = "") -> Path:
    """A docker-archive with the image `name`: the operator's, or that of another target of the Dockerfile. Built if the
    sources changed.
    """
    bases = {images.PYTHON_IMAGE: images.python()}
    if target:
        bases[images.NODE_IMAGE] = images.node()
    with tempfile.TemporaryDirectory(prefix="datapath-probe-image-") as tmp:
        context = Path(tmp, "context")
        _copy_sources(context)  # first, so that the key matches the build also while files are edited

        def make(out: Path) -> None:
            for base, archive in bases.items():
                images.provide_base(base, archive)
            shutil.copytree(_wheelhouse(context / "requirements.txt"), context / "wheelhouse")
            wheel = ("pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir")
            run(sys.executable, "-m", *wheel, context / "dist", context)
            local: tuple[str, ...] = (
                "--build-arg",
                f"BASE={images.PYTHON_IMAGE}",
                "--build-arg",
                "WHEELS=local",
            )
            local = (*local, "--build-arg", f"NODE_BASE={images.NODE_IMAGE}") if target else local
            how = (
                "--layers",
                "--isolation=chroot",
                "--pull-never",
                *(("--target", target) if target else ()),
            )
            images.buildah("bud", *how, *local, "--tag", name, context)
            images.buildah("push", name, f"docker-archive:{out / 'image.tar'}:{name}")
            images.prune_build_steps()

        short = name.partition(":")[0].rpartition("/")[2]
        return cached("images", short, digest(name, *map(str, bases.values()), context), make) / "image.tar"


def _copy_sources(context: Path) -> None:
    context.mkdir()
    for name in _SOURCES:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, context / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, context)


def _wheelhouse(requirements: Path) -> Path:
    def make(out: Path) -> None:
        run(
            *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", out),
            *("--only-binary=:all:", "--python-version", BASE_PYTHON),
            *("--no-deps", "--require-hashes", "--requirement", requirements),
        )

    return cached("wheels", "operator", digest(requirements, BASE_PYTHON), make)
