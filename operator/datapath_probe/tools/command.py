"""A command: how a fact is read from the agent's container on a node. Used only in this package."""

import re
import shlex
from dataclasses import dataclass
from functools import lru_cache

USUAL_S = 5.0
_SHOWN = 200  # characters of a word

_WRAPPING = re.compile(r"nsenter|timeout|-.*|[0-9]+", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """`argv` runs in the agent container of `node`, and only reads.

    `repeatable` False: shows what happens while it runs. `by_agent`: the agent's process has to respond, not only a
    tool next to it. `often_absent`: a key that is often missing in a healthy map; it comes last in a batch. `large`:
    it may print more than others, and does not share a batch with them.
    """

    node: str
    argv: tuple[str, ...]
    timeout_s: float = USUAL_S
    repeatable: bool = True
    by_agent: bool = False
    often_absent: bool = False
    large: bool = False

    def __post_init__(self) -> None:
        if not self.argv or self.argv[0].startswith("-"):
            raise ValueError("argv starts with the name of a program")
        if any("\0" in word for word in self.argv):
            raise ValueError("argv can't contain NUL")

    @property
    def text(self) -> str:
        """The command for display; scripts are shortened."""
        return _text(self.argv)

    @property
    def program(self) -> str:
        """The tool that responds, without wrappers (`nsenter --net=…`, `timeout -k 1 4`)."""
        return next((word for word in self.argv if not _WRAPPING.fullmatch(word)), self.argv[0])


@lru_cache(maxsize=4096)  # most commands are run again and again
def _text(argv: tuple[str, ...]) -> str:
    return shlex.join(word if len(word) <= _SHOWN else f"{word[:_SHOWN]}…" for word in argv)
