"""System calls that Python lacks, or has only since 3.12. Called by the modules of `nodes.agent`.

Each raises OSError. Source: Linux `include/uapi/linux/{sched,mount,prctl,openat2}.h`, x86-64 and arm64.
"""

import ctypes
import errno
import os
import stat
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_OPENAT2 = 437  # the same on all architectures since Linux 5.1
_NEW_MOUNTS, _NEW_NETWORK = 0x00020000, 0x40000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x8, 0x1000, 0x4000, 0x40000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
# No symbolic link leads out of the directory, and none of /proc leads anywhere.
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10


def enter_network(namespace: int) -> None:
    """Enter the network namespace of this file descriptor."""
    _check(_LIBC.setns(namespace, _NEW_NETWORK), "setns")


def enter_mounts(namespace: int) -> None:
    """Enter the mount namespace of this file descriptor."""
    _check(_LIBC.setns(namespace, _NEW_MOUNTS), "setns")


def leave_mounts() -> None:
    """Make further mounts of this process visible to no other process."""
    _check(_LIBC.unshare(_NEW_MOUNTS), "unshare")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)


def mount_memory(target: str) -> None:
    """Mount an empty file system of 1 MiB."""
    _mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, "size=1m,mode=755")


def bind(source: str, target: str) -> None:
    """Show the file `source` at `target`, which exists."""
    _mount(source, target, None, _MS_BIND)


def end_with_parent(signal: int) -> None:
    """Send this signal to this process when its parent ends. A change of the user voids it."""
    _check(_LIBC.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl")


def gain_no_privileges() -> None:
    """No program that this process becomes has more privileges than it."""
    _check(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def read_within(root: Path, path: str, limit: int) -> bytes:
    """The first `limit` bytes of a regular file, as a process sees it whose root directory is `root`: whatever it links
    to lies within.
    """
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        how = (ctypes.c_uint64 * 3)(flags, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
        file = _LIBC.syscall(
            _OPENAT2, directory, os.fsencode(path), ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
        )
        _check(file, "openat2")
    finally:
        os.close(directory)
    with os.fdopen(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, f"{path} is no regular file")
        return opened.read(limit)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = (os.fsencode(text) if text is not None else None for text in (source, target, kind))
    options = os.fsencode(data) if data is not None else None
    _check(_LIBC.mount(*words, ctypes.c_ulong(flags), options), "mount")


def _check(result: int, call: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
