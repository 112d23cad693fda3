"""Commands of one tool that share a process: `bpftool -j batch file -`, `ip -j -batch -`. Pure. Called by `collectors`.

Starting a process takes longer than what it is asked. In: facts, and what such a process printed. Out: what each
command would have printed alone. Both tools stop at the first command that fails: bpftool prints its error as a result,
`ip` only says which one it was.
Source: iproute2 6.15 `lib/utils.c` (do_batch); bpftool: see `tools.bpftool_batch`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ...evidence.fact import Fact
from ...sources.maps.map_keys import MAP_KEYS
from ...tools import bpftool_batch
from ...tools.commands import argv_inside, command_of
from .processes import Ended

_WORD: Final = re.compile(r"[\w.:/@%+=,-]+", re.ASCII)  # nothing that is special in a batch file
_BPFTOOL: Final = ("bpftool", "-j", "batch", "file", "-")
_FAILED: Final = re.compile(rb"Command failed -:([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Group:
    """Facts that can share a process. `argv`: that of the process. `namespace`: of the network, "" for the node's."""

    argv: tuple[str, ...]
    namespace: str = ""


def group_of(fact: Fact) -> Group | None:
    """The group of a fact; None if its command needs a process of its own, or none at all."""
    if fact.kind in MAP_KEYS:
        return None
    namespace = str(fact.get("namespace") or "")
    argv = argv_inside(fact)
    if argv[0] == "bpftool":
        fits = not namespace and bpftool_batch.fits(command_of(fact))
        return Group(_BPFTOOL) if fits else None
    options = _options(argv)
    if argv[0] == "ip" and "-j" in options and all(map(_WORD.fullmatch, argv)):
        return Group(("ip", *options, "-batch", "-"), namespace)
    return None


def line(fact: Fact) -> str:
    """The command of a fact as a line of a batch file."""
    argv = argv_inside(fact)
    return " ".join(argv[1 + len(_options(argv)) :])


def results(group: Group, facts: Sequence[Fact], ended: Ended) -> list[tuple[bytes, int]]:
    """Output and exit code of the first commands: not of all if one failed, or if the output is not understood."""
    if group.argv == _BPFTOOL:
        return bpftool_batch.results([command_of(fact) for fact in facts], ended.stdout, ended.exit_code)
    printed = [(text, 0) for text in ended.stdout.splitlines(keepends=True)]
    if ended.exit_code == 0:
        return printed if len(printed) == len(facts) and not ended.stderr else []
    failed = _FAILED.search(ended.stderr)
    before = int(failed[1]) - 1 if failed else 0
    # a command that fails may have begun its output
    return printed[:before] if before <= len(printed) <= before + 1 else []


def _options(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The options before the first word."""
    count = next((place for place, word in enumerate(argv[1:]) if not word.startswith("-")), 0)
    return argv[1 : 1 + count]
