"""Many commands in one round trip through a shell: the script that is sent, and the reply that comes back. Pure.

In: commands. Out: the text for `sh`'s stdin, and from its output one result per command. Called by `query` and `shell`.

How the script works: `timeout` starts one inner `sh` that runs the commands one after another. `dd` collects their
output and writes it at once, including the end mark (a reply in two small writes may wait 40 ms for a delayed ACK).
Marks contain a nonce that no output can contain by chance, so output may be any bytes. On timeout, `timeout` kills the
process group of the commands; when the reply is full, `dd` closes the pipe. In both cases the reply ends and contains
the results so far. There is one `timeout` per batch, not per command, because starting processes is the main cost; for
the same reason neighboring bpftool commands share one process (`bpftool_batch`). The outer shell keeps no state between
batches.

Requirements in the container: a POSIX `sh` (tested: dash, bash, busybox), and `timeout`, `head` and `dd` of GNU
coreutils (busybox's `timeout` kills only one process). Standard output is exact; NUL bytes of standard error are lost.
"""

import re
import secrets
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Final

from ...evidence.errors import EvidenceError
from ...tools import bpftool_batch
from ...tools.command import Command

# All commands are one argument of the inner shell, and Linux limits an argument to 128 KiB.
_COMMANDS_LIMIT: Final = 100_000
_STDERR_LIMIT: Final = 64 * 1024
# A batch has the longest timeout of its commands, plus this margin for the others.
_SLACK_S: Final = 1.0

_OUTER: Final = """\
unset e u; export LC_ALL=C; read -r u _ </proc/uptime; {{ printf '{nonce}s %s\\n' "$u"
e=$(timeout -s KILL {limit_s:.3f} sh -c {commands} </dev/null 2>&1 >&3 3>&- | head -c {stderr_limit})
read -r u _ </proc/uptime; printf '{nonce}r%s{nonce}x %s\\n' "$e" "$u"
}} 3>&1 | dd bs={reply_limit} count=1 iflag=fullblock 2>/dev/null
"""
# Each command runs in a subshell, so that not even a builtin can change the shared shell. `dpb` takes lines of a
# bpftool batch, and starts as many bpftool processes as are needed to run all of them.
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
_OTHER_MARKS: Final = 64  # more than `s`, `r` and `x`; each command has at most `o` and `e`
# Bounded, because a compromised container may print marks of its own.
_UPTIME: Final = rb"([0-9]{1,10}(?:\.[0-9]{1,2})?)"
_MARKS: Final = (b"s", b"o", b"e", b"r", b"x")
_START: Final = re.compile(rb"s " + _UPTIME + rb"\n")
_RESULT: Final = re.compile(rb"o ([0-9]{1,3}) " + _UPTIME + rb"\n")
_END: Final = re.compile(rb"x " + _UPTIME + rb"\n")
_LATE_S: Final = 60.0  # the longest time that a batch can take beyond its limit, on a node that is very slow
_TICK_S: Final = 0.02  # resolution of /proc/uptime, with a margin
_BYTES: Final = "surrogateescape"  # as in os.fsencode: an argv may contain any byte except NUL


class FramingError(Exception):
    """The reply does not belong to this batch: the channel can't be trusted any more."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one command. `age_s`: from its start to the end of the batch, by the node's clock (10 ms ticks)."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    age_s: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Why the first command without a result has none: it had run for `ran_s` when the batch was cut off.

    A reply that is full of standard output ends before standard error. Then no result is complete, but the first
    `fitting` commands, fewer than there were, would fit into a reply. `shared`: several commands shared the process,
    and it is not known which of them is the cause.
    """

    reason: EvidenceError
    message: str
    ran_s: float = 0.0
    fitting: int = 0
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """The results of the batch's first commands; without a `cut`, of all."""

    results: tuple[Result, ...]
    cut: Cut | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands that run together. `reply_limit`: maximum number of bytes that they print, in the pod and here.
    `shares`: neighboring commands may share a process.
    """

    commands: tuple[Command, ...]
    reply_limit: int
    shares: bool = False
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))

    @classmethod
    def of(cls, commands: Sequence[Command], reply_limit: int, *, shares: bool = False) -> "Batch":
        """As many of the first commands as fit into one script, at least one if there is one."""
        size, count = 0, 0
        for command in commands:
            size += len(_command(command).encode(errors=_BYTES))
            if count and size > _COMMANDS_LIMIT:
                break
            count += 1
        return cls(tuple(commands[:count]), reply_limit, shares)

    @property
    def limit_s(self) -> float:
        """The time after which all commands together are killed."""
        return max((command.timeout_s for command in self.commands), default=0.0) + _SLACK_S

    @property
    def by_agent(self) -> bool:
        """Whether the agent's process has to respond."""
        return any(command.by_agent for command in self.commands)

    def script(self) -> bytes:
        """The text for the shell's stdin."""
        commands = _INNER.format(nonce=self.nonce) + "".join(self._commands())
        return _OUTER.format(
            nonce=self.nonce,
            limit_s=self.limit_s,
            commands=shlex.quote(commands),
            stderr_limit=_STDERR_LIMIT,
            reply_limit=self.reply_limit,
        ).encode(errors=_BYTES)

    def is_whole(self, reply: bytes | bytearray) -> bool:
        """Whether the reply is complete."""
        if len(reply) >= self.reply_limit:
            return True
        mark = reply.rfind(self.nonce.encode(), -len(self.nonce) - 64)
        return mark >= 0 and _END.fullmatch(reply, mark + len(self.nonce)) is not None

    def decode(self, reply: bytes) -> Reply:
        """The results in a complete reply. Raises FramingError."""
        # The nonce alone is not a mark: `ps` would show it among the arguments of the inner shell.
        most = 2 * len(self.commands) + _OTHER_MARKS  # a forged reply may have a hundred thousand
        before, *pieces = _pieces(reply, self.nonce.encode(), most)
        start = _START.match(pieces[0]) if pieces else None
        if before or start is None or len(reply) > self.reply_limit:
            raise FramingError("the shell printed output that belongs to no command")
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
            elif piece[:1] == b"r":  # standard error follows; the output of a killed command is dropped
                output = piece[1:]
            elif len(reply) < self.reply_limit:  # otherwise the limit cuts the last mark
                raise FramingError("the reply has an invalid mark")
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
        times = [started, *(until for _, _, until in stdouts), ended]
        if times != sorted(times) or ended - started > self.limit_s + _LATE_S:
            raise FramingError("the times of the reply are impossible")
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
        """The command lines of the inner shell."""
        at = 0
        while at < len(self.commands):
            sharing = self._sharing(at)
            yield _shared_command(sharing) if sharing else _command(self.commands[at])
            at += len(sharing) or 1

    def _sharing(self, at: int) -> list[Command]:
        """The commands from this index on that share a process; empty if the first has its own."""
        return list(takewhile(self._may_share, self.commands[at:]))

    def _may_share(self, command: Command) -> bool:
        return self.shares and bpftool_batch.fits(command)

    def _cut(self, batch_s: float, ran_s: float, stderr: bytes) -> Cut:
        if batch_s >= self.limit_s - _TICK_S:
            return Cut(EvidenceError.TIMEOUT, f"killed after {ran_s:.1f} s", ran_s)
        if len(stderr) >= _STDERR_LIMIT // 2:  # `$(…)` removes NUL bytes
            return Cut(EvidenceError.TRUNCATED, f"more than {_STDERR_LIMIT} bytes on standard error", ran_s)
        last_words = stderr[-200:].decode(errors="replace").strip() or "no message"
        return Cut(EvidenceError.COMMAND_FAILED, f"the commands were cut off: {last_words}", ran_s)


def _pieces(reply: bytes, nonce: bytes, most: int) -> list[bytes]:
    """What stands between the marks, at most this number of them. A nonce that no kind of mark follows belongs to the
    output around it.
    """
    pieces: list[bytes] = []
    for part in reply.split(nonce, most):
        if pieces and part[:1] not in _MARKS:
            pieces[-1] += nonce + part
        else:
            pieces.append(part)
    return pieces


def _command(command: Command) -> str:
    return f"dp {shlex.join(command.argv)}\n"


def _shared_command(commands: Sequence[Command]) -> str:
    return f"dpb {shlex.join(map(bpftool_batch.line, commands))}\n"
