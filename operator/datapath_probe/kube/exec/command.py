"""A command: how a fact is had from the agent's container on a node. Known in this package alone."""

import re
import shlex
from dataclasses import dataclass
from functools import lru_cache

USUAL_S = 5.0
_SHOWN = 200  # of a word

_WRAPPING = re.compile(r"nsenter|timeout|-.*|[0-9]+", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """`argv` is run in the agent container of `node`, and only reads.

    `repeatable` False: it shows what happens while it runs. `by_agent`: the agent's own process has to answer, not only
    a tool beside it. `often_absent`: a key that a healthy map need not have; it comes last in a batch.
    """

    node: str
    argv: tuple[str, ...]
    timeout_s: float = USUAL_S
    repeatable: bool = True
    by_agent: bool = False
    often_absent: bool = False

    def __post_init__(self) -> None:
        if not self.argv or self.argv[0].startswith("-"):
            raise ValueError("argv starts with the name of a program")
        if any("\0" in word for word in self.argv):
            raise ValueError("argv can't hold NUL")

    @property
    def text(self) -> str:
        """The command as people write it; a script is cut."""
        return _text(self.argv)

    @property
    def program(self) -> str:
        """The tool that answers, whatever it is wrapped in (`nsenter --net=…`, `timeout -k 1 4`)."""
        return next((word for word in self.argv if not _WRAPPING.fullmatch(word)), self.argv[0])


@lru_cache(maxsize=4096)  # most commands are run again and again
def _text(argv: tuple[str, ...]) -> str:
    return shlex.join(word if len(word) <= _SHOWN else f"{word[:_SHOWN]}…" for word in argv)
