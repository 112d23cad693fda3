"""Cilium's agent on the node: its API, its process, and the files that only its process sees.

In: facts. Out: what `cilium-dbg` prints of them, for the same parsers. Called by `collectors`. A user's pod may run a
process of any name: the agent is the one that listens on the socket, where only root of the node could listen.
Source: Cilium 1.16–1.20 `api/v1/openapi.yaml`, `cilium-dbg/cmd/{endpoint_get,policy_get,policy_selectors}.go`; chart
`cilium-agent/daemonset.yaml`.
"""

import json
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...sources.agent import agent_config
from .. import limits
from . import linux
from .bpf import Printed

SOCKET: Final = "/var/run/cilium/cilium.sock"
_CREDENTIALS = struct.Struct("=iII")
_VALUE_LIMIT = 64 * 1024


class CiliumError(Exception):
    """Cilium's agent can't be asked; `reason` says in which sense."""

    def __init__(self, reason: EvidenceError, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def process(path: str = SOCKET) -> int:
    """The pid of the agent. Raises CiliumError if none listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.settimeout(1.0)
        try:
            asked.connect(path)
        except OSError as error:
            raise _silent(path, error) from None
        credentials = asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid = int(_CREDENTIALS.unpack(credentials)[0])
    if not pid:
        message = "Cilium's agent is in another pid namespace: the node agent needs hostPID"
        raise CiliumError(EvidenceError.AGENT_NOT_FOUND, message)
    return pid


@contextmanager
def mounts() -> Iterator[int]:
    """A file descriptor of the mount namespace of the agent's container. Raises CiliumError."""
    try:
        descriptor = os.open(f"/proc/{process()}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CiliumError(EvidenceError.AGENT_NOT_FOUND, f"Cilium's agent has just ended: {error}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def configuration(_: Fact) -> Printed:
    """The files of the agent's configuration that are set, as `grep -sH ""` prints them. Raises CiliumError."""
    root = Path("/proc", str(process()), "root")
    found = []
    for key in agent_config.KEYS:
        path = f"{agent_config.FOLDER}/{key}"
        try:
            value = linux.read_within(root, path, _VALUE_LIMIT)
        except FileNotFoundError:
            continue
        except OSError as error:
            return Printed(2, f"{path}: {error.strerror}\n".encode())
        found += [f"{path}:".encode() + line + b"\n" for line in value.split(b"\n") if line or value == line]
    return Printed(0, b"".join(found))


class CiliumApi:
    """The agent's REST API. Opened lazily; `close` when done."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, fact: Fact) -> tuple[Printed, bytes]:
        """What `cilium-dbg` prints, and its stderr. Raises CiliumError, TimeoutError by the caller's timeout."""
        path, printed = _QUESTIONS[fact.kind]
        if self._session is None:
            connector = aiohttp.UnixConnector(self._path)
            self._session = aiohttp.ClientSession("http://cilium", connector=connector)
        try:
            async with self._session.get(f"/v1/{path(fact)}") as response:
                body = await response.content.read(limits.LARGE_ANSWER_LIMIT + 1)
                while not response.content.at_eof() and len(body) <= limits.LARGE_ANSWER_LIMIT:
                    body += await response.content.read(limits.LARGE_ANSWER_LIMIT + 1 - len(body))
        except (aiohttp.ClientError, OSError) as error:
            raise _silent(self._path, error) from None
        if response.status != 200:
            return Printed(1, b""), f"[GET /{path(fact)}][{response.status}] {body[:200]!r}".encode()
        return Printed(0, printed(body)), b""

    async def close(self) -> None:
        """Close the connection."""
        if self._session:
            await self._session.close()


def _silent(path: str, error: Exception) -> CiliumError:
    message = f"Cilium's agent can't be asked at {path}: {error}"
    return CiliumError(EvidenceError.AGENT_NOT_RESPONDING, message)


def _selectors(body: bytes) -> bytes:
    """As the columns that `cilium-dbg policy selectors` is asked for."""
    listed: list[dict[str, Any]] = json.loads(body) or []
    lines = (f"{one.get('selector', '')}\t{json.dumps(one.get('identities') or [])}\n" for one in listed)
    return "".join(lines).encode()


def _address(fact: Fact) -> str:
    address = fact.text("address")
    return f"endpoint/ipv{6 if ':' in address else 4}:{address}"


_QUESTIONS: Final[Mapping[FactKind, tuple[Callable[[Fact], str], Callable[[bytes], bytes]]]] = {
    FactKind.AGENT_ENDPOINT: (lambda f: f"endpoint/{f.number('endpoint')}", lambda body: b"[" + body + b"]"),
    FactKind.AGENT_ENDPOINT_BY_ADDRESS: (_address, lambda body: b"[" + body + b"]"),
    FactKind.POLICY_RULES: (lambda _: "policy", bytes),
    FactKind.POLICY_SELECTORS: (lambda _: "policy/selectors", _selectors),
}
ASKED_BY_API: Final = frozenset(_QUESTIONS)
