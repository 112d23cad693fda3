"""The process that starts all others on behalf of the node agent: a fork of it, made before it has threads.

A process with threads can't safely prepare its children: enter namespaces, mount, give up privileges. This one has
none, so each child does that itself before it becomes the command. Nothing outlives its job: children are killed when
their job is, when the launcher ends, and when the node agent ends.

In: messages of `job` over a socket. Out: `{"ended": id, "code": …}`. Called by `processes`.
"""

import contextlib
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import linux, netlink
from .job import Job

MESSAGE_LIMIT = 192 * 1024
_MOST_DESCRIPTORS = 5
_UNPRIVILEGED = 65534
_CANT_PREPARE, _CANT_RUN = 125, 127
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    "XTABLES_LOCKFILE": "/tmp/xtables.lock",  # noqa: S108  # iptables locks even to read
}
_SCRATCH = "/run/datapath-probe"
"""A directory of the image, for files of jobs."""


@dataclass(slots=True)
class _Child:
    id: int
    pid: int


def start() -> socket.socket:
    """Fork the launcher, and return the socket to it. To be called before any thread is started."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, its):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MESSAGE_LIMIT)
    if os.fork():
        its.close()
        return ours
    ours.close()
    try:
        linux.end_with_parent(signal.SIGKILL)
        _Launcher(its).serve()
    finally:
        os._exit(0)


class _Launcher:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._own_network = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def serve(self) -> None:
        """Run jobs until the node agent ends."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # the node agent ends first
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._control:
                    self._reap(key.data, key.fd)
                elif not self._serve_one():
                    return

    def _serve_one(self) -> bool:
        """Handle one message; False if the node agent has ended."""
        data, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_LIMIT, _MOST_DESCRIPTORS)
        if not data:
            for each in self._children.values():
                _kill(each.pid)
            return False
        message = json.loads(data)
        if "run" in message:
            self._run(Job.decoded(message["run"]), descriptors)
        elif child := self._children.get(message["kill"]):  # otherwise it has just ended
            _kill(child.pid)
        return True

    def _run(self, job: Job, descriptors: Sequence[int]) -> None:
        pid = self._spawned(job, descriptors) if job.is_simple else _forked(job, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        child = _Child(job.id, pid)
        self._children[job.id] = child
        self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, child)

    def _spawned(self, job: Job, descriptors: Sequence[int]) -> int:
        """Start a command that needs no preparation but a network namespace: without a copy of this process, which
        takes more CPU time than most commands. These end by themselves within milliseconds.
        """
        if job.enters_network:
            linux.enter_network(descriptors[3])
        try:
            with subprocess.Popen(
                job.argv,
                stdin=descriptors[0],
                stdout=descriptors[1],
                stderr=descriptors[2],
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            ) as started:
                started.returncode = 0  # it is waited for elsewhere
                return started.pid
        except OSError:
            return _forked(job, descriptors)  # which says why
        finally:
            if job.enters_network:
                linux.enter_network(self._own_network)

    def _reap(self, child: _Child, pidfd: int) -> None:
        """Report the end of a child, after all that it has started was killed."""
        self._selector.unregister(pidfd)
        os.close(pidfd)
        _kill(child.pid)  # its group; not reaped yet, so no other can have its number
        _, status, usage = os.wait4(child.pid, 0)
        del self._children[child.id]
        code = os.waitstatus_to_exitcode(status)
        report = {"ended": child.id, "code": code, "cpu_s": usage.ru_utime + usage.ru_stime}
        self._control.send(json.dumps(report).encode())


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # it may not lead a group yet


def _forked(job: Job, descriptors: Sequence[int]) -> int:
    """The pid of a copy of this process that becomes the command."""
    launcher = os.getpid()
    pid = os.fork()
    if not pid:
        _become(job, descriptors, launcher)
    return pid


def _become(job: Job, descriptors: Sequence[int], launcher: int) -> None:
    """In the child: prepare, and become the command. Never returns."""
    code = _CANT_PREPARE
    try:
        os.setsid()
        for target, descriptor in enumerate(descriptors[:3]):
            os.dup2(descriptor, target)
        _prepare(job, descriptors[3:])
        if os.getppid() != launcher:  # it ended before it could take this process with it
            return
        code = _CANT_RUN
        if job.function:
            sys.stdout.flush()
            os.write(1, netlink.FUNCTIONS[job.argv[0]](*job.argv[1:]))
            code = 0
        else:
            os.execvp(job.argv[0], job.argv)  # noqa: S606  # that is what it is for
    except OSError as error:
        os.write(2, f"{job.argv[0]}: {error.strerror or error}\n".encode())
        code = 1 if job.function else code
    finally:
        os._exit(code)


def _prepare(job: Job, namespaces: Sequence[int]) -> None:
    left = list(namespaces)
    if job.enters_network:
        linux.enter_network(left.pop(0))
    if job.enters_mounts:
        linux.enter_mounts(left.pop(0))
    if job.files:
        linux.leave_mounts()
        linux.mount_memory(_SCRATCH)
        for place, (path, content) in enumerate(job.files):
            source = Path(_SCRATCH, str(place))
            source.write_text(content, encoding="utf-8", errors="surrogateescape")
            linux.bind(str(source), path)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if job.unprivileged:
        os.setgroups([])
        os.setresgid(_UNPRIVILEGED, _UNPRIVILEGED, _UNPRIVILEGED)
        os.setresuid(_UNPRIVILEGED, _UNPRIVILEGED, _UNPRIVILEGED)
        linux.gain_no_privileges()
    # after the change of the user, which voids it
    linux.end_with_parent(signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.chdir("/")
    os.closerange(3, 256)
    os.environ.clear()
    os.environ.update(_ENVIRONMENT)
