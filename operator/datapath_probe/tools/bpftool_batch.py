"""Many bpftool commands in one process: `bpftool -j batch file -`. Called by `framing`. Pure.

Starting a process takes longer than twenty look-ups. In: commands, and the output of one such process. Out: the lines
of the batch file, and what each command would have printed alone.

bpftool stops after the first command that fails, such as the look-up of an absent key, and exits with that command's
code. The remaining commands need another process.
Source: Linux 5.7–6.x `tools/bpf/bpftool/main.c`; observed with 7.5.
"""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from .command import Command

_BPFTOOL: Final = ("bpftool", "-j")
_WORD: Final = re.compile(
    r"[\w.:/@%+=,-]+", re.ASCII
)  # without the characters that are special in batch files: quotes, #, \
_BETWEEN: Final = b'},{"command":['
# After the last command bpftool may report an errno that one of the commands left behind.
_COMPLAINT: Final = re.compile(rb',\{"error":"reading batch file failed: [^"]*"\}(?=\]\n\Z)')


def fits(command: Command) -> bool:
    """Whether the command can be a line of a batch file."""
    return _fits(command.argv)


@lru_cache(maxsize=4096)  # most commands are run again and again
def _fits(argv: tuple[str, ...]) -> bool:
    words = argv[len(_BPFTOOL) :]
    return argv[: len(_BPFTOOL)] == _BPFTOOL and bool(words) and all(map(_WORD.fullmatch, words))


def line(command: Command) -> str:
    """The command as a line of a batch file."""
    return " ".join(command.argv[len(_BPFTOOL) :])


def results(commands: Sequence[Command], printed: bytes, exit_code: int) -> list[tuple[bytes, int]]:
    """Output and exit code of the commands that ran, from the first on; empty if the output is not understood."""
    printed, complaints = _COMPLAINT.subn(b"", printed)
    if not (printed.startswith(b'[{"command":[') and printed.endswith(b"}]\n")):
        return []
    pieces = printed[len(b'[{"command":[') : -len(b"}]\n")].split(_BETWEEN)
    heads = [_head(command) for command in commands[: len(pieces)]]
    if len(heads) < len(pieces) or not all(map(bytes.startswith, pieces, heads)):
        return []
    last_code = 0 if complaints else exit_code
    if last_code == 0 and len(pieces) < len(commands):
        return []
    outputs = [piece.removeprefix(head) + b"\n" for piece, head in zip(pieces, heads, strict=True)]
    return [*((output, 0) for output in outputs[:-1]), (outputs[-1], last_code)]


def _head(command: Command) -> bytes:
    return _printed(command.argv)


@lru_cache(maxsize=4096)
def _printed(argv: tuple[str, ...]) -> bytes:
    words = json.dumps(argv[len(_BPFTOOL) :], separators=(",", ":"))
    return f'{words.removeprefix("[")},"output":'.encode()
