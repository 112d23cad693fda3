"""Facts → readings, on the node: each kind from where its value is.

In: facts. Out: one reading each, whatever happens. Called by `server`. Entries of maps come from bpf(2), what Cilium's
agent knows from its API; the rest comes from tools of this image. Only `monitor` and three rare questions take a
program of Cilium's own image, which stays there when its shell goes.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from ...evidence.delivery import delivery
from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.internal_error import internal_error
from ...evidence.parameters import is_namespace_name
from ...evidence.reading import Answer, Reading, Unavailable
from ...sources.maps.map_keys import MAP_KEYS
from ...sources.netfilter import kernel_conntrack
from ...sources.netns import FOLDER
from ...tools.commands import argv_inside, command_of
from .. import limits
from . import bpf, cilium, hubble
from .batches import Group, group_of, line, results
from .bpf import Printed
from .cilium import ASKED_BY_API, CiliumApi, CiliumError
from .hubble import Hubble
from .processes import CANT_PREPARE, Ended, LauncherGoneError, Processes, Where

log = structlog.get_logger(__name__)

NAMESPACES = Path("/var/run/netns")
"""Where the container runtime names the network namespaces of pods, and where Cilium's agent sees them as `FOLDER`."""
_NOT_RUN = 127
_OF_CILIUM: Final = frozenset(("cilium-agent", "cilium-dbg"))
_FUNCTIONS: Final[Mapping[FactKind, Callable[[Fact], tuple[str, ...]]]] = {
    FactKind.KERNEL_CONNTRACK_ENTRY: lambda f: ("conntrack_entry", kernel_conntrack.question(f).hex()),
    FactKind.NFTABLES_RULES: lambda _: ("nftables",),
}
_IN_EACH_NAMESPACE: Final[Mapping[FactKind, tuple[str, ...]]] = {
    FactKind.NAMESPACE_ADDRESSES: ("ip", "-j", "addr", "show", "scope", "global"),
    FactKind.NAMESPACE_DEVICES: ("ip", "-j", "addr", "show"),
}
_LISTENING: Final = frozenset((FactKind.MONITOR_DROPS, FactKind.MONITOR_TRACES))
# Tools that end within milliseconds. The others may run for longer: packet filters of thousands of rules, all cgroups.
_BRIEF: Final = frozenset(("bpftool", "cat", "ip", "ss", "tc"))
_ENDING = "the node agent is about to end"
_MARGIN_S = 1.0
# A Cilium agent that did not respond is not asked again for this long.
_PAUSE_S = 5.0


class Collectors:
    """Tells facts about the node that this process runs on."""

    def __init__(
        self, processes: Processes, api: CiliumApi, events: Hubble, namespaces: Path = NAMESPACES
    ) -> None:
        self._processes = processes
        self._api = api
        self._hubble = events
        self._namespaces = namespaces
        self._silent_until = 0.0

    async def collect(self, facts: Sequence[Fact]) -> list[Reading]:
        """One reading per fact, in order. Never raises. Ends within the longest timeout of these facts, or within some
        of them where commands that share a process fail.
        """
        groups: dict[Group, list[Fact]] = {}
        alone: list[Fact] = []
        for fact in dict.fromkeys(facts):
            group = group_of(fact)
            if group:
                groups.setdefault(group, []).append(fact)
            else:
                alone.append(fact)
        together, separate = await asyncio.gather(
            asyncio.gather(*(self._together(group, shared) for group, shared in groups.items())),
            asyncio.gather(*map(self._reading_of, alone)),
        )
        found = dict(zip(alone, separate, strict=True))
        for readings in together:
            found |= readings
        return [found[fact] for fact in facts]

    async def _reading_of(self, fact: Fact) -> Reading:
        """A fact that is not asked for together with others."""
        how, at = delivery(fact), time.time()
        if how.by_agent and time.monotonic() < self._silent_until:
            return _agent_is_silent(fact, at)
        try:
            async with asyncio.timeout(how.timeout_s + _MARGIN_S):
                return await self._collected(fact)
        except TimeoutError:
            if how.by_agent:
                self._silent_until = time.monotonic() + _PAUSE_S
                return _agent_is_silent(fact, at)
            return _late(fact, at)
        except CiliumError as error:
            return Unavailable(error.reason, str(error), at)
        except LauncherGoneError:
            return Unavailable(EvidenceError.CHANNEL_LOST, _ENDING, at)
        except Exception as error:
            log.exception("fact not collected", kind=fact.kind)
            return internal_error("the node agent", error)

    async def _collected(self, fact: Fact) -> Reading:
        at, started = time.time(), time.monotonic()
        if fact.kind in MAP_KEYS:
            printed, stderr = bpf.lookup(*MAP_KEYS[fact.kind](fact)), b""
        elif fact.kind in ASKED_BY_API:
            printed, stderr = await self._api.ask(fact)
        elif fact.kind in hubble.KINDS:
            printed, stderr = await self._hubble.ask(fact), b""
        elif fact.kind in _READ_HERE:
            printed, stderr = _READ_HERE[fact.kind](fact), b""
        elif fact.kind in _IN_EACH_NAMESPACE:
            printed, stderr = await self._in_each_namespace(fact)
        else:
            return await self._run(fact)
        truncated = len(printed.text) > limits.LARGE_ANSWER_LIMIT
        duration_s = time.monotonic() - started
        text = printed.text[: limits.LARGE_ANSWER_LIMIT]
        return Answer(printed.exit_code, text, stderr, at, duration_s, truncated)

    async def _run(self, fact: Fact) -> Reading:
        """Run the command that prints the fact."""
        at, argv = time.time(), argv_inside(fact)
        function = _FUNCTIONS.get(fact.kind)
        with ExitStack() as opened:
            network = mounts = None
            if namespace := fact.get("namespace"):
                try:
                    network = opened.enter_context(_opened(self._namespaces / str(namespace)))
                except OSError as error:
                    message = f"{self._namespaces}/{namespace}: {error.strerror}".encode()
                    return Answer(1, b"", message, at, 0.0)
            if command_of(fact).program in _OF_CILIUM:
                argv = argv[argv.index(command_of(fact).program) :]  # its image may have nothing else
                mounts = opened.enter_context(cilium.mounts())
            ended = await self._processes.run(
                function(fact) if function else argv,
                where=Where(network, mounts),
                timeout_s=_time_of(fact),
                stdout_limit=_limit_of(fact),
                function=function is not None,
                brief=delivery(fact).tool in _BRIEF,
            )
        return _reading(fact, ended, at, ended.stdout)

    async def _in_each_namespace(self, fact: Fact) -> tuple[Printed, bytes]:
        """What a command prints in each named network namespace, after the name of its file."""
        names = sorted(path.name for path in self._namespaces.iterdir() if is_namespace_name(path.name))
        runs = await asyncio.gather(*(self._in_namespace(name, fact) for name in names))
        listed = (f"{FOLDER}/{name}\n".encode() + run[0] for name, run in zip(names, runs, strict=True))
        return Printed(0, b"".join(listed)), b"".join(stderr for _, stderr in runs)

    async def _in_namespace(self, name: str, fact: Fact) -> tuple[bytes, bytes]:
        try:
            with _opened(self._namespaces / name) as network:
                ended = await self._processes.run(
                    _IN_EACH_NAMESPACE[fact.kind],
                    where=Where(network),
                    timeout_s=delivery(fact).timeout_s,
                    stdout_limit=limits.ANSWER_LIMIT,
                    brief=True,
                )
        except OSError as error:  # it has just been deleted
            return b"", f"{name}: {error.strerror}\n".encode()
        return (ended.stdout, b"") if not ended.exit_code else (b"", ended.stderr)

    async def _together(self, group: Group, facts: Sequence[Fact]) -> dict[Fact, Reading]:
        """Readings of facts whose commands share a process, or as few as possible."""
        pending = sorted(facts, key=lambda fact: delivery(fact).often_absent)
        found: dict[Fact, Reading] = {}
        while pending:
            readings = await self._batch(group, pending) if len(pending) > 1 else []
            found |= zip(pending, readings, strict=False)
            pending = pending[len(readings) :]
            if pending and len(found) < len(facts):  # the next one has failed
                fact = pending.pop(0)
                found[fact] = await self._reading_of(fact)
        return found

    async def _batch(self, group: Group, facts: Sequence[Fact]) -> list[Reading]:
        """Readings of the first facts, as far as the commands in one process went."""
        at, timeout_s = time.time(), max(delivery(fact).timeout_s for fact in facts)
        with ExitStack() as opened:
            network = None
            if group.namespace:
                try:
                    network = opened.enter_context(_opened(self._namespaces / group.namespace))
                except OSError:
                    return []
            try:
                ended = await self._processes.run(
                    group.argv,
                    where=Where(network),
                    stdin="".join(f"{line(fact)}\n" for fact in facts).encode(),
                    timeout_s=timeout_s,
                    stdout_limit=limits.ANSWER_LIMIT,
                    brief=True,
                )
            except LauncherGoneError:
                return [Unavailable(EvidenceError.CHANNEL_LOST, _ENDING, at)] * len(facts)
        if ended.overdue or ended.exit_code == _NOT_RUN:
            return [_reading(fact, ended, at, b"") for fact in facts]
        return [
            _reading(fact, replace(ended, exit_code=code), at, output)
            for fact, (output, code) in zip(facts, results(group, facts, ended), strict=False)
        ]


def _reading(fact: Fact, ended: Ended, at: float, stdout: bytes) -> Reading:
    program = command_of(fact).program
    if ended.overdue and fact.kind not in _LISTENING:
        return _late(fact, at)
    if ended.exit_code in (_NOT_RUN, CANT_PREPARE):
        reason = (
            EvidenceError.NO_SUCH_EXECUTABLE if ended.exit_code == _NOT_RUN else EvidenceError.COMMAND_FAILED
        )
        said = ended.stderr.decode(errors="replace").strip()
        return Unavailable(reason, f"{program} can't be run: {said}", at)
    # as shells tell of a signal
    code = 128 - ended.exit_code if ended.exit_code < 0 else ended.exit_code
    return Answer(code, stdout, ended.stderr, at, ended.duration_s, ended.truncated)


def _late(fact: Fact, at: float) -> Unavailable:
    how = delivery(fact)
    message = f"{how.tool} on {fact.node} did not answer within {how.timeout_s:g} s"
    return Unavailable(EvidenceError.TIMEOUT, message, at)


def _agent_is_silent(fact: Fact, at: float) -> Unavailable:
    message = f"the Cilium agent on {fact.node} did not answer within {delivery(fact).timeout_s:g} s"
    return Unavailable(EvidenceError.AGENT_NOT_RESPONDING, message, at)


def _time_of(fact: Fact) -> float:
    """How long the command may run. What listens is killed at the end of its window."""
    return float(fact.number("window_s")) if fact.kind in _LISTENING else delivery(fact).timeout_s


def _limit_of(fact: Fact) -> int:
    return limits.LARGE_ANSWER_LIMIT if delivery(fact).large else limits.ANSWER_LIMIT


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A file descriptor of this file. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _uptime(_: Fact) -> Printed:
    return Printed(0, Path("/proc/uptime").read_bytes())


def _is_socket(fact: Fact) -> Printed:
    return Printed(0 if Path(fact.text("path")).is_socket() else 1, b"")


_READ_HERE: Final[Mapping[FactKind, Callable[[Fact], Printed]]] = {
    FactKind.AGENT_CONFIG: cilium.configuration,
    FactKind.HUBBLE_SOCKET: _is_socket,
    FactKind.UPTIME: _uptime,
}
