"""Commands into readings over as many batches as it takes, without I/O.

In: commands; the reply to each batch, or the error that ends it all. Out: the next batch, and in the end one
reading a command. Called by `agents`.
"""

from collections.abc import Sequence
from itertools import takewhile

from ...evidence.errors import EvidenceError
from ...evidence.reading import Answer, Reading, Unavailable
from . import bpftool_batch
from .command import Command
from .failure import NOT_RUN, ExecError, timeout
from .framing import Batch, Reply, Result


class Query:
    """One `ask`. As a rule it is one batch; what a batch did not get to goes into the next.

    What the agent's process answers comes last and in a batch of its own: an agent that hangs takes nothing with it.
    Who has not answered one command in time is not asked the others. `silence`: the agent's process has not.

    It ends: each batch settles at least its first command, or the next batch is smaller, or is the first in which
    no commands share a process, so that each answers for itself.
    """

    def __init__(self, commands: Sequence[Command], *, reply_limit: int) -> None:
        self._commands = tuple(commands)
        self._pending = sorted(commands, key=_place)
        self._reply_limit = reply_limit
        self._batch_size = len(self._pending)
        self._shares = True
        self._readings: dict[Command, Reading] = {}
        self.silence: ExecError | None = None

    def next_batch(self) -> Batch | None:
        """What to run now; None when every command has its reading."""
        if not self._pending:
            return None
        by_agent = self._pending[0].by_agent
        alike = takewhile(lambda command: command.by_agent is by_agent, self._pending[: self._batch_size])
        return Batch.of(tuple(alike), self._reply_limit, shares=self._shares)

    def take(self, reply: Reply, now: float) -> None:
        """The reply to the last batch, received at `now` (seconds since the epoch)."""
        for result in reply.results:
            self._settle(_reading(self._pending[0], result, now))
        cut = reply.cut
        if cut and cut.fitting:
            self._batch_size = cut.fitting
            return
        self._batch_size = len(self._pending)
        if cut is None:
            return
        first = self._pending[0]
        if cut.reason is EvidenceError.TIMEOUT and cut.ran_s >= first.timeout_s:
            self._leave_alone(first, cut.ran_s, now)
        elif cut.shared:
            self._shares = False
        elif not reply.results:  # else it may have been cut off for what others did: ask it again
            self._settle(Unavailable(cut.reason, f"{first.program}: {cut.message}", now - cut.ran_s))

    def _leave_alone(self, overdue: Command, ran_s: float, now: float) -> None:
        """Nothing more is asked of who did not answer this: the agent's process, or a tool."""
        node, program = overdue.node, overdue.program
        if overdue.by_agent:
            late = timeout(f"the Cilium agent on {node} did not answer {program}", round(ran_s))
            self.silence = ExecError(EvidenceError.AGENT_NOT_RESPONDING, late.message)
            self.give_up(self.silence, now)
            return
        late = timeout(f"{program} on {node} did not answer", round(ran_s))
        same = [command for command in self._pending if command.program == program]
        self._readings |= dict.fromkeys(same, Unavailable(late.reason, late.message, now - ran_s))
        self._pending = [command for command in self._pending if command not in self._readings]

    def give_up(self, error: ExecError, now: float) -> None:
        """No more batches: what has no reading yet is unavailable."""
        while self._pending:
            self._settle(Unavailable(error.reason, error.message, now))

    def readings(self) -> tuple[Reading, ...]:
        """One reading a command so far, in the commands' order."""
        return tuple(self._readings[command] for command in self._commands)

    def _settle(self, reading: Reading) -> None:
        self._readings[self._pending.pop(0)] = reading


def _place(command: Command) -> tuple[bool, ...]:
    """Those that can share a process are neighbours; behind an absent key the others would need a process more."""
    return command.by_agent, bpftool_batch.fits(command), command.often_absent


def _reading(command: Command, result: Result, now: float) -> Reading:
    started_at = now - result.age_s
    if result.exit_code in NOT_RUN:
        return Unavailable(EvidenceError.NO_SUCH_EXECUTABLE, f"{command.program} can't be run", started_at)
    return Answer(
        result.exit_code, result.stdout, result.stderr, started_at, result.duration_s, source=command.text
    )
