"""A question: one read-only command on one node's Cilium agent. Also the key of its answer."""

import re
from dataclasses import dataclass, field

# How long an answer is waited for; more where a large program has to start, or the agent itself has to answer.
USUAL_S, LONG_S = 5.0, 7.0

_WRAPPING = re.compile(r"nsenter|timeout|-.*|[0-9]+", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Question:
    """`argv` is run in the agent container of `node`; equal questions share one answer.

    `max_age_s` is how old a shared answer may be (seconds); 0 asks afresh. It is for what is costly to ask and
    changes only with the agent or the endpoint; it is no part of the key. `repeatable` False: it shows what happens
    while it runs, so asking again would show another time. `by_agent`: the agent's own process has to answer, not only
    a tool beside it. `often_absent`: a key that a healthy map need not have; whoever batches questions asks it last.
    """

    node: str
    argv: tuple[str, ...]
    timeout_s: float = field(default=USUAL_S, compare=False)
    max_age_s: float = field(default=0.2, compare=False)
    repeatable: bool = field(default=True, compare=False)
    by_agent: bool = field(default=False, compare=False)
    often_absent: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if not self.argv or self.argv[0].startswith("-"):
            raise ValueError("argv starts with the name of a program")
        if any("\0" in word for word in self.argv):
            raise ValueError("argv can't hold NUL")

    @property
    def program(self) -> str:
        """The tool that answers, whatever it is wrapped in (`nsenter --net=…`, `timeout -k 1 4`)."""
        return next((word for word in self.argv if not _WRAPPING.fullmatch(word)), self.argv[0])
