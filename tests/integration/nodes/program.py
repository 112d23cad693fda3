"""The node agent as a program of this machine, with certificates of a CA that tests hold.

In: a directory. Out: the running program, and clients of it. Called by the tests of this folder.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from datapath_probe.addresses import address
from datapath_probe.nodes.address import NodeAgentAddress
from datapath_probe.nodes.certificates.authority import Identity, Pair, Role, issue
from datapath_probe.nodes.client.connections import Connections

NODE = "node1"
_PROGRAM = Path(sys.executable).with_name("datapath-probe")
_START_S = 20.0


@dataclass(frozen=True, slots=True)
class Program:
    """`certificates`: the directory that it reads."""

    process: subprocess.Popen[bytes]
    port: int
    certificates: Path

    @property
    def address(self) -> NodeAgentAddress:
        return NodeAgentAddress(NODE, address("127.0.0.1"), self.port, ready=True, incarnation="uid/0")

    @property
    def launcher(self) -> int:
        """The pid of the process that starts all others."""
        [pid] = children(self.process.pid)
        return pid

    async def wait_ready(self) -> None:
        """Wait until it listens."""
        async with asyncio.timeout(_START_S):
            while self.process.poll() is None:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)
        raise AssertionError("the node agent has ended")


def children(pid: int) -> list[int]:
    """The pids of the children of all threads of a process."""
    tasks = Path("/proc", str(pid), "task")
    with suppress(OSError):
        return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]
    return []


def present(folder: Path, identity: Identity) -> None:
    """Write what the agent is to present."""
    (folder / "tls.crt").write_bytes(identity.pair.certificate)
    (folder / "tls.key").write_bytes(identity.pair.key)
    (folder / "ca.crt").write_bytes(identity.authority)


def issued(ca: Pair, role: Role = Role.OPERATOR) -> Identity:
    """A certificate of this CA."""
    return issue(ca, role, datetime.now(UTC))


@contextmanager
def running(folder: Path, ca: Pair) -> Iterator[Program]:
    """The program, which is killed in the end."""
    certificates = folder / "certificates"
    certificates.mkdir()
    present(certificates, issued(ca, Role.NODE))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = (str(_PROGRAM), "node-agent", "--node-name", NODE, "--listen", "127.0.0.1", "--port", str(port))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen((*argv, "--certificates", str(certificates)), stdout=log, stderr=log)
    try:
        yield Program(process, port, certificates)
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        process.kill()
        process.wait()


@asynccontextmanager
async def connected(identity: Identity | None) -> AsyncIterator[Connections]:
    """Connections of who presents this."""
    connections = Connections(lambda: identity)
    try:
        yield connections
    finally:
        await connections.close()
