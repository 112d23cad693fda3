"""One node: namespaces held by an init process, an address on the fabric, and the programs in it.

Like a node of kind, without Docker: network, mount, pid, uts, ipc and cgroup namespaces. All processes and mounts of a
node end with its init process. Called by `lifecycle` and `cluster`.
"""

import signal
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import cgroups, network
from lab.paths import HERE, STATE
from lab.processes import Process, from_namespace, start_detached
from lab.settings import node_ip, node_ip_v6
from lab.shell import LabError, run, wait_until


@dataclass(frozen=True, slots=True)
class Node:
    name: str

    @property
    def dir(self) -> Path:
        return STATE / "nodes" / self.name

    @property
    def ip(self) -> str:
        return node_ip(self.name)

    def log(self, role: str) -> Path:
        return STATE / "log" / f"{self.name}-{role}.log"

    def start(self, init_program: Path, *, dual_stack: bool = False) -> None:
        """Create the namespaces and the node's view of the file system."""
        self.dir.mkdir(parents=True)
        (self.dir / "machine-id").write_text(uuid.uuid4().hex + "\n")
        (self.dir / "boot-id").write_text(str(uuid.uuid4()) + "\n")
        if cgroups.is_unified():
            (self.dir / "cgroup2-only").touch()
        cgroups.create(self.name)
        namespaces = ["--mount", "--net", "--uts", "--ipc", "--pid", "--cgroup"]
        start_detached(
            cgroups.joining(
                self.name,
                *("unshare", *namespaces, "--fork", "--kill-child"),
                *(str(HERE / "node-init.sh"), self.name, str(STATE), str(init_program)),
            ),
            self.log("init"),
        )
        wait_until(f"{self.name} starts (see {self.log('init')})", (self.dir / "ready").exists, 20, 0.02)
        cgroups.prepare_for_pods(self.name)
        init = Process.of(int((self.dir / "init.pid").read_text()))
        init.save(self.dir / "init.json")
        network.attach(self.name, init, self.ip, node_ip_v6(self.name) if dual_stack else None)

    def init(self) -> Process:
        """The init process. Raises LabError if the node is not running."""
        process = Process.load(self.dir / "init.json")
        if process is None:
            raise LabError(f"{self.name} is not running")
        return process

    def enter(self, *argv: str) -> list[str]:
        """The command line that runs `argv` inside the node."""
        namespaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--wd=/")
        return cgroups.joining(self.name, "nsenter", f"--target={self.init().pid}", *namespaces, "--", *argv)

    def run(
        self, *argv: str, check: bool = True, timeout_s: float | None = None, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the machine in the node's namespaces and wait for it."""
        return run(*self.enter(*argv), check=check, timeout_s=timeout_s, stdin=stdin)

    def start_role(self, role: str, argv: Sequence[str]) -> None:
        """Run a program in the background; `role`: its name for `stop_role` and the log."""
        pidfile = self.dir / f"{role}.pid"
        pidfile.unlink(missing_ok=True)
        self.log(role).parent.mkdir(parents=True, exist_ok=True)
        (self.dir / f"{role}.argv").write_text("\0".join(argv))
        self.run(str(HERE / "background.sh"), str(pidfile), str(self.log(role)), *argv)
        wait_until(f"{role} of {self.name} starts (see {self.log(role)})", pidfile.exists, 10, 0.01)
        from_namespace(self.init(), int(pidfile.read_text())).save(self.dir / f"{role}.json")

    def role(self, role: str) -> Process | None:
        """The running process of that role."""
        return Process.load(self.dir / f"{role}.json")

    def stop_role(self, role: str, signum: signal.Signals = signal.SIGTERM) -> None:
        process = self.role(role)
        if process is None:
            return
        if signum is signal.SIGTERM:
            process.stop()
        else:
            process.signal(signum)
            wait_until(f"{role} of {self.name} ends", lambda: not process.alive(), 20, 0.05)

    def restart_role(self, role: str, signum: signal.Signals = signal.SIGTERM) -> None:
        self.stop_role(role, signum)
        self.start_role(role, (self.dir / f"{role}.argv").read_text().split("\0"))
