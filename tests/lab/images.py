"""The lab's container images, as docker-archives: built with buildah, once per recipe.

Their names are those in `manifests/` and in the Cilium values. Called by `build` and `operatorimage`.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

from lab import gobuild, toolchain
from lab.buildcache import cached, digest
from lab.paths import HERE, cache
from lab.rootfs import AGENT_PACKAGES, AGENT_TRIM, NODE_PACKAGES, PYTHON_PACKAGES, rootfs
from lab.shell import run

PAUSE_IMAGE = "localhost/lab/pause:1"
PYTHON_IMAGE = "localhost/lab/python:1"
NODE_IMAGE = "localhost/lab/node:1"
APP_IMAGE = "docker.io/lab/app:1"
"""In manifests: `lab/app:1`."""
COREDNS_IMAGE = "localhost/lab/coredns:1"
_MANY_STEPS = 100

_AGENT_BIN = ("cilium-agent", "cilium-dbg", "cilium-health", "cilium-health-responder", "cilium-mount",
              "hubble")  # fmt: skip


def pause_program() -> Path:
    """The sandbox process, in Go: the Go toolchain is required anyway, a C compiler is not."""
    source = HERE / "images/pause"

    def make(out: Path) -> None:
        run(toolchain.go(), "build", "-trimpath", "-ldflags", "-s -w", "-o", out / "pause", ".",
            cwd=source, env=toolchain.environment())  # fmt: skip

    return cached("bin", "pause", digest(source), make) / "pause"


def python() -> Path:
    return _image(PYTHON_IMAGE, {"rootfs.tar": rootfs("python", PYTHON_PACKAGES)})


def node() -> Path:
    """The base of the node agent's image."""
    return _image(NODE_IMAGE, {"rootfs.tar": rootfs("node", NODE_PACKAGES)})


def app() -> Path:
    return _image(APP_IMAGE, {}, base=python())


def pause() -> Path:
    return _image(PAUSE_IMAGE, {"pause": pause_program()})


def coredns() -> Path:
    return _image(COREDNS_IMAGE, {"coredns": gobuild.COREDNS.build() / "coredns"})


def cilium_operator(version: str) -> Path:
    program = gobuild.cilium(version).build() / "cilium-operator-generic"
    return _image(
        f"localhost/lab/cilium-operator-generic:v{version}", {program.name: program}, "cilium-operator"
    )


def cilium_agent(version: str) -> Path:
    module = gobuild.cilium(version)
    programs = module.build()
    source = module.module_dir("github.com/cilium/cilium")
    files = {
        "rootfs.tar": rootfs("cilium-agent", AGENT_PACKAGES, AGENT_TRIM),
        **{f"bin/{name}": programs / name for name in _AGENT_BIN},
        "bin/cilium": programs / "cilium-dbg",
        "cni/cilium-cni": programs / "cilium-cni",
        "loopback": Path("/usr/lib/cni/loopback"),
        "scripts/init-container.sh": source / "images/cilium/init-container.sh",
        "scripts/install-plugin.sh": source / "plugins/cilium-cni/install-plugin.sh",
        "scripts/cni-uninstall.sh": source / "plugins/cilium-cni/cni-uninstall.sh",
        "bpf": source / "bpf",
    }
    return _image(f"localhost/lab/cilium:v{version}", files, "cilium-agent")


def all_images(cilium_version: str) -> list[Path]:
    """The archives that are loaded on every node."""
    return [
        pause(),
        coredns(),
        python(),
        node(),
        app(),
        cilium_operator(cilium_version),
        cilium_agent(cilium_version),
    ]


def _image(name: str, files: Mapping[str, Path], recipe: str = "", base: Path | None = None) -> Path:
    """Build `images/RECIPE/Containerfile` with its own folder and `files` as the context."""
    short = name.rpartition("/")[2].partition(":")[0]
    recipe_dir = HERE / "images" / (recipe or short)
    # Paths of cached directories and Go modules contain a hash or version: they identify the contents.
    inputs = [f"{target}={source}" for target, source in sorted(files.items())]

    def make(out: Path) -> None:
        context = out / "context"
        shutil.copytree(recipe_dir, context)
        for target, source in files.items():
            (context / target).parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, context / target)
            else:
                shutil.copy(source, context / target)
        if base is not None:
            provide_base(PYTHON_IMAGE, base)
        buildah("bud", "--isolation=chroot", "--pull-never", "--tag", name, context)
        buildah("push", name, f"docker-archive:{out / 'image.tar'}:{name}")
        shutil.rmtree(context)
        buildah("rmi", name)

    key = digest(recipe_dir, name, *inputs, str(base))
    return cached("images", recipe or short, key, make) / "image.tar"


def provide_base(name: str, archive: Path) -> None:
    """Make `FROM name` refer to this build of the image."""
    provided = cache() / "buildah" / f"base-{name.rpartition('/')[2].partition(':')[0]}"
    if not provided.exists() or provided.read_text() != str(archive):
        buildah("pull", f"docker-archive:{archive}")
        provided.write_text(str(archive))


def buildah(*argv: str | Path, check: bool = True) -> CompletedProcess[str]:
    """Run buildah with the lab's own storage, separate from the user's."""
    storage = cache() / "buildah"
    return run("buildah", "--root", storage / "root", "--runroot", storage / "run", *argv, check=check)


def prune_build_steps() -> None:
    """Remove cached build steps of old images, about 300 MB per build, once there are many."""
    if len(buildah("images", "--all", "--quiet").stdout.split()) > _MANY_STEPS:
        buildah("rmi", "--prune", "--force")
