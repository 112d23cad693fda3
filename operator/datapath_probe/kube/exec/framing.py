"""Many commands in one round trip through a shell: the script that goes in, the reply that comes out. Pure.

In: commands. Out: the text for `sh`'s stdin, and from what it prints one result a command. Called by
`query` and `shell`.

How the script works. `timeout` starts one inner `sh` that runs the commands one after another; `dd` collects
what they print and writes it at once, end mark included (a reply in two small writes may wait 40 ms for a
delayed ACK). Marks hold a nonce that no output can know, so output may be any bytes. When the time is up
`timeout` kills the commands' process group, when the reply is full `dd` closes the pipe; either way the reply
ends, and tells the results so far. There is one `timeout` a batch, not one a command, because starting a
process is what costs; for the same reason neighbouring bpftool commands share one (`bpftool_batch`). The outer
shell keeps nothing from one batch to the next.

Needs in the container: a POSIX `sh` (tested: dash, bash, busybox), and `timeout`, `head` and `dd` of GNU
coreutils (busybox's `timeout` kills one process only). Standard output comes exact, standard error without
NUL.
"""

import re
import secrets
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Final

from ...evidence.errors import EvidenceError
from . import bpftool_batch
from .command import Command

# All commands are one argument of the inner shell, and Linux takes 128 KiB an argument.
_COMMANDS_LIMIT: Final = 100_000
_STDERR_LIMIT: Final = 64 * 1024
# The batch has the longest of its commands' timeouts, and this much for the others.
_SLACK_S: Final = 1.0

_OUTER: Final = """\
unset e u; export LC_ALL=C; read -r u _ </proc/uptime; {{ printf '{nonce}s %s\\n' "$u"
e=$(timeout -s KILL {limit_s:.3f} sh -c {commands} </dev/null 2>&1 >&3 3>&- | head -c {stderr_limit})
read -r u _ </proc/uptime; printf '{nonce}r%s{nonce}x %s\\n' "$e" "$u"
}} 3>&1 | dd bs={reply_limit} count=1 iflag=fullblock 2>/dev/null
"""
# A command gets a subshell, so that not even a builtin can change the shell it shares with the others.
# `dpb` takes lines of a bpftool batch, and starts as many bpftools as it takes to get through them.
_INNER: Final = """\
unset n c u o k; n={nonce}
dp_end() {{ read -r u _ </proc/uptime; printf '%so %s %s\\n' "$n" "$c" "$u"; printf '%se' "$n" >&2; }}
dp() {{ ("$@"); c=$?; dp_end; }}
dpb() {{
while [ $# -gt 0 ]; do
o=$(printf '%s\\n' "$@" | bpftool -j batch file -); c=$?; k=$#; printf '%s\\n' "$o"; dp_end
while [ $# -gt 0 ]; do case $o in *'"command":['*) o=${{o#*'"command":['}}; shift;; *) break;; esac; done
[ "$c" != 0 ] && [ $# -lt $k ] || break
done
}}
"""
_START: Final = re.compile(rb"s ([0-9.]+)\n")
_RESULT: Final = re.compile(rb"o ([0-9]+) ([0-9.]+)\n")
_END: Final = re.compile(rb"x ([0-9.]+)\n")
_TICK_S: Final = 0.02  # /proc/uptime counts hundredths
_BYTES: Final = "surrogateescape"  # as in os.fsencode: an argv may hold any byte but NUL


class FramingError(Exception):
    """The reply does not belong to this batch: the channel can't be trusted any more."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one command did. `age_s`: from its start to the batch's end, by the node's clock (10 ms ticks)."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    age_s: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Why the first command without a result has none: it ran for `ran_s` when the batch was cut off.

    A reply that is full of standard output ends before it comes to standard error: no result is whole then,
    but the first `fitting` commands, fewer than there were, would make a reply that fits. `shared`: the process was
    that of several commands, and which of them is to blame is not known.
    """

    reason: EvidenceError
    message: str
    ran_s: float = 0.0
    fitting: int = 0
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """The results of the batch's first commands; unless there is a `cut`, of all."""

    results: tuple[Result, ...]
    cut: Cut | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands that go together; `reply_limit` (bytes) bounds all they print, in the pod and here. `shares`:
    neighbours may share a process.
    """

    commands: tuple[Command, ...]
    reply_limit: int
    shares: bool = False
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))

    @classmethod
    def of(cls, commands: Sequence[Command], reply_limit: int, *, shares: bool = False) -> "Batch":
        """As many of the first commands as one script holds, at least one if there is one."""
        size, count = 0, 0
        for command in commands:
            size += len(_command(command).encode(errors=_BYTES))
            if count and size > _COMMANDS_LIMIT:
                break
            count += 1
        return cls(tuple(commands[:count]), reply_limit, shares)

    @property
    def limit_s(self) -> float:
        """So long may all commands take together before they are killed."""
        return max((command.timeout_s for command in self.commands), default=0.0) + _SLACK_S

    @property
    def by_agent(self) -> bool:
        """Whether the agent's process has to answer."""
        return any(command.by_agent for command in self.commands)

    def script(self) -> bytes:
        """What to write to the shell's stdin."""
        commands = _INNER.format(nonce=self.nonce) + "".join(self._commands())
        return _OUTER.format(
            nonce=self.nonce,
            limit_s=self.limit_s,
            commands=shlex.quote(commands),
            stderr_limit=_STDERR_LIMIT,
            reply_limit=self.reply_limit,
        ).encode(errors=_BYTES)

    def is_whole(self, reply: bytes | bytearray) -> bool:
        """Nothing more will come."""
        if len(reply) >= self.reply_limit:
            return True
        mark = reply.rfind(self.nonce.encode(), -len(self.nonce) - 64)
        return mark >= 0 and _END.fullmatch(reply, mark + len(self.nonce)) is not None

    def decode(self, reply: bytes) -> Reply:
        """The results in a whole reply. Raises FramingError."""
        # The nonce alone is no mark: `ps` would show it among the inner shell's arguments.
        before, *pieces = re.split(self.nonce.encode() + b"(?=[soerx])", reply)
        start = _START.match(pieces[0]) if pieces else None
        if before or start is None or len(reply) > self.reply_limit:
            raise FramingError("the shell printed what belongs to no command")
        stdouts: list[tuple[bytes, int, float]] = []
        stderrs: list[bytes] = []
        output = pieces[0][start.end() :]
        for piece in pieces[1:]:
            if end := _END.fullmatch(piece):
                return self._reply(float(start[1]), float(end[1]), stdouts, stderrs, rest=output)
            if result := _RESULT.match(piece):
                stdouts.append((output, int(result[1]), float(result[2])))
                output = piece[result.end() :]
            elif piece[:1] == b"e":
                stderrs.append(output)
                output = piece[1:]
            else:  # r: from here on it is standard error; what a killed command had printed is dropped
                output = piece[1:]
        full = Cut(EvidenceError.TRUNCATED, f"more than {self.reply_limit} bytes")
        if any(map(self._may_share, self.commands)):
            return Reply((), replace(full, shared=True))
        return Reply((), replace(full, fitting=min(len(stdouts), len(self.commands) - 1)))

    def _reply(
        self,
        started: float,
        ended: float,
        stdouts: Sequence[tuple[bytes, int, float]],
        stderrs: Sequence[bytes],
        rest: bytes,
    ) -> Reply:
        results: list[Result] = []
        since = started
        for (stdout, exit_code, until), stderr in zip(stdouts, stderrs, strict=False):
            if len(results) == len(self.commands):
                raise FramingError("more results than commands")
            sharing = self._sharing(len(results))
            outputs = bpftool_batch.results(sharing, stdout, exit_code) if sharing else [(stdout, exit_code)]
            if not outputs:
                break
            for output, code in outputs:
                results.append(Result(code, output, stderr, ended - since, until - since))
            since = until
        if len(results) == len(self.commands):
            return Reply(tuple(results), None)
        cut = self._cut(ended - started, ended - since, rest)
        return Reply(tuple(results), replace(cut, shared=bool(self._sharing(len(results)))))

    def _commands(self) -> Iterator[str]:
        """The inner shell's command lines."""
        at = 0
        while at < len(self.commands):
            sharing = self._sharing(at)
            yield _shared_command(sharing) if sharing else _command(self.commands[at])
            at += len(sharing) or 1

    def _sharing(self, at: int) -> list[Command]:
        """The commands from this place on that share a process; none if the first has one of its own."""
        return list(takewhile(self._may_share, self.commands[at:]))

    def _may_share(self, command: Command) -> bool:
        return self.shares and bpftool_batch.fits(command)

    def _cut(self, batch_s: float, ran_s: float, stderr: bytes) -> Cut:
        if batch_s >= self.limit_s - _TICK_S:
            return Cut(EvidenceError.TIMEOUT, f"killed after {ran_s:.1f} s", ran_s)
        if len(stderr) >= _STDERR_LIMIT // 2:  # `$(…)` took NUL bytes away
            return Cut(EvidenceError.TRUNCATED, f"more than {_STDERR_LIMIT} bytes on standard error", ran_s)
        last_words = stderr[-200:].decode(errors="replace").strip() or "no message"
        return Cut(EvidenceError.COMMAND_FAILED, f"the commands were cut off: {last_words}", ran_s)


def _command(command: Command) -> str:
    return f"dp {shlex.join(command.argv)}\n"


def _shared_command(commands: Sequence[Command]) -> str:
    return f"dpb {shlex.join(map(bpftool_batch.line, commands))}\n"
