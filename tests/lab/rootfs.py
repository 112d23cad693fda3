"""Debian root file systems as tar files, for images that need more than a static binary. Called by `images`."""

from pathlib import Path

from lab.buildcache import cached, digest
from lab.shell import run

_SUITE = "trixie"
_LEFT_OUT = ("doc", "info", "locale", "man")

PYTHON_PACKAGES = ("ca-certificates", "curl", "iproute2", "procps", "python3-minimal", "python3-venv")
NODE_PACKAGES = (*PYTHON_PACKAGES, "bpftool", "findutils", "iptables")
AGENT_PACKAGES = (
    *("bash", "bpftool", "ca-certificates", "clang-19", "curl", "iproute2", "ipset", "iptables"),
    *("jq", "kmod", "procps", "util-linux"),
)
# Cilium compiles with `-target bpf -nostdinc`: it needs clang itself, no linker, libraries or headers.
_NOT_FOR_BPF = ("gcc", "*/*.a", "*/lib*san.so.*", "llvm-19/include", "llvm-19/lib/*.a")
AGENT_TRIM = (
    'ln -s clang-19 "$1/usr/bin/clang"',
    f'cd "$1/usr/lib" && rm -rf ../include {" ".join(_NOT_FOR_BPF)}',
)


def rootfs(name: str, packages: tuple[str, ...], customize: tuple[str, ...] = ()) -> Path:
    """A tar file with a minimal Debian and these packages; built once per recipe."""
    options = [
        f"--include={','.join(packages)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _LEFT_OUT),
        *(f"--customize-hook={hook}" for hook in customize),
    ]

    def make(out: Path) -> None:
        run("mmdebstrap", "--quiet", "--variant=minbase", *options, _SUITE, out / "rootfs.tar")

    return cached("rootfs", name, digest(_SUITE, *options), make) / "rootfs.tar"
