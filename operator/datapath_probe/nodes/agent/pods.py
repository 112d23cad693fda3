"""The pods of this node, as the kernel knows them: by the UID in the cgroup of their processes.

In: the UID of a pod. Out: its network namespace, and its files. Called by `requests`. So no access to the container
runtime is needed, which would be access to everything.
Source: Kubernetes `pkg/kubelet/cm/pod_container_manager_linux.go` (names of cgroups, with systemd and without).
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import linux

_PROC = Path("/proc")
_UID = re.compile(r"pod([0-9a-f]{8}(?:[-_]?[0-9a-f]{4}){3}[-_]?[0-9a-f]{12}|[0-9a-f]{32})\b")
_FILE_LIMIT = 64 * 1024
_RESOLVER, _HOSTS = "/etc/resolv.conf", "/etc/hosts"
_OF_KUBELET = b"# Kubernetes-managed hosts file"
_REMEMBERED = 1000


class NoSuchPodError(Exception):
    """No process of the pod runs on this node."""


@dataclass(frozen=True, slots=True)
class PodView:
    """`network`: a file descriptor of the pod's network namespace, which may be that of the node. `files`: paths and
    texts, for `Where`.
    """

    network: int
    files: tuple[tuple[str, str], ...]


class Pods:
    """Finds pods. Remembers a process of each, and looks whether it still belongs to it."""

    def __init__(self) -> None:
        self._processes: dict[str, int] = {}

    @contextmanager
    def view(self, uid: str) -> Iterator[PodView]:
        """What a process of this pod sees. Raises NoSuchPodError."""
        process = self._process(_plain(uid))
        try:
            network = os.open(_PROC / str(process) / "ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NoSuchPodError(f"the pod has just ended: {error.strerror}") from None
        try:
            # only now: had the process ended before, its number could be that of another one
            if _uid_of(process) != _plain(uid):
                raise NoSuchPodError("the pod has just ended")
            yield PodView(network, tuple(_files(process)))
        finally:
            os.close(network)

    def _process(self, uid: str) -> int:
        known = self._processes.get(uid)
        if known is not None and _uid_of(known) == uid:
            return known
        if len(self._processes) > _REMEMBERED:
            self._processes.clear()
        found = [pid for pid in _pids() if _uid_of(pid) == uid]
        if not found:
            raise NoSuchPodError(f"no process of the pod {uid} runs here")
        # the sandbox does not have the kubelet's file of hosts
        best = max(found, key=lambda pid: _OF_KUBELET in (_read(pid, _HOSTS) or b""))
        self._processes[uid] = best
        return best


def _pids() -> Iterator[int]:
    return (int(process.name) for process in _PROC.iterdir() if process.name.isdigit())


def _uid_of(pid: int) -> str:
    """The UID of the pod that a process belongs to; "" if none."""
    try:
        groups = (_PROC / str(pid) / "cgroup").read_text(errors="replace")
    except OSError:
        return ""
    # the outermost pod: within its own cgroup, a container can give any name
    found = _UID.search(groups)
    return _plain(found[1]) if found else ""


def _plain(uid: str) -> str:
    return uid.replace("-", "").replace("_", "").lower()


def _files(pid: int) -> Iterator[tuple[str, str]]:
    for path in (_RESOLVER, _HOSTS):
        content = _read(pid, path)
        if content is not None:
            yield path, content.decode(errors="surrogateescape")


def _read(pid: int, path: str) -> bytes | None:
    """A file as the process sees it; None if it has none."""
    try:
        return linux.read_within(_PROC / str(pid) / "root", path, _FILE_LIMIT)
    except OSError:
        return None
