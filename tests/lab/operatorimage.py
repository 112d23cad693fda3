"""The operator's image for the lab: the project's Dockerfile, a local base, and wheels fetched beforehand.

A build container may reach no package index (no CA of the machine, no proxy), so the wheels are put into its
context. They are fetched for the Python of the base image and checked against the hashes of requirements.txt.
"""

import shutil
import sys
from pathlib import Path

from lab import images
from lab.buildcache import cached, digest
from lab.paths import CHECKOUT
from lab.shell import run

BASE_PYTHON = "3.13"
_SOURCES = ("Dockerfile", "LICENSE", "README.md", "pyproject.toml", "requirements.txt", "operator")
_NO_BYTECODE = shutil.ignore_patterns("__pycache__")


def build(name: str) -> Path:
    """A docker-archive with the operator's image called `name`; built when the sources changed."""
    sources = [CHECKOUT / source for source in _SOURCES]

    def make(out: Path) -> None:
        images.need_base(images.PYTHON_IMAGE, images.python())
        context = out / "context"
        context.mkdir()
        for source in sources:
            if source.is_dir():
                shutil.copytree(source, context / source.name, ignore=_NO_BYTECODE)
            else:
                shutil.copy(source, context)
        shutil.copytree(_wheelhouse(CHECKOUT / "requirements.txt"), context / "wheelhouse")
        run(
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            context / "dist",
            context,
        )
        images.buildah("bud", "--layers", "--isolation=chroot", "--pull-never", "--tag", name,
                       "--build-arg", f"BASE={images.PYTHON_IMAGE}", context)  # fmt: skip
        images.buildah("push", name, f"docker-archive:{out / 'image.tar'}:{name}")
        shutil.rmtree(context)

    return (
        cached("images", "datapath-probe", digest(name, str(images.python()), *sources), make) / "image.tar"
    )


def _wheelhouse(requirements: Path) -> Path:
    def make(out: Path) -> None:
        run(
            *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", out),
            *("--only-binary=:all:", "--python-version", BASE_PYTHON),
            *("--require-hashes", "--requirement", requirements),
        )

    return cached("wheels", "operator", digest(requirements, BASE_PYTHON), make)
