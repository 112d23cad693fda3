"""Commands → readings, in as many batches as needed, without I/O.

In: commands; the reply to each batch, or an error that ends the query. Out: the next batch, and finally one reading per
command. Called by `agents`.
"""

from collections.abc import Sequence
from itertools import takewhile

from ...evidence.errors import EvidenceError
from ...evidence.reading import Answer, Reading, Unavailable
from ...tools import bpftool_batch
from ...tools.command import Command
from .failure import NOT_RUN, ExecError, timeout
from .framing import Batch, Reply, Result


class Query:
    """The commands of one call of `agents`. Usually one batch; commands without a result go into the next batch.

    Commands that the agent's process has to answer come last, in a batch of their own, so that an agent that hangs
    delays no others. After one command has timed out, no others are sent to the same tool. `silence`: the agent's
    process timed out.

    A query always ends: each batch settles at least its first command, or the next batch is smaller, or is the first
    without shared processes, so that each command has its own result.
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
        """The next batch to run; None when every command has its reading."""
        if not self._pending:
            return None
        by_agent = self._pending[0].by_agent
        alike = takewhile(lambda command: command.by_agent is by_agent, self._pending[: self._batch_size])
        return Batch.of(tuple(alike), self._reply_limit, shares=self._shares)

    def take(self, reply: Reply, now: float) -> None:
        """Process the reply to the last batch, received at `now` (seconds since the epoch)."""
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
            self._skip_unresponsive(first, cut.ran_s, now)
        elif cut.shared:
            self._shares = False
        elif not reply.results:  # otherwise other commands may be the cause: run it again
            self._settle(Unavailable(cut.reason, f"{first.program}: {cut.message}", now - cut.ran_s))

    def _skip_unresponsive(self, overdue: Command, ran_s: float, now: float) -> None:
        """Settle all commands that need what has timed out: the agent's process, or a tool."""
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
        """Stop: commands without a reading are unavailable."""
        while self._pending:
            self._settle(Unavailable(error.reason, error.message, now))

    def readings(self) -> tuple[Reading, ...]:
        """One reading per command, in the order of the commands."""
        return tuple(self._readings[command] for command in self._commands)

    def _settle(self, reading: Reading) -> None:
        self._readings[self._pending.pop(0)] = reading


def _place(command: Command) -> tuple[bool, ...]:
    """Sort key: commands that can share a process are adjacent; a look-up of an absent key ends a process, so it comes
    last.
    """
    return command.by_agent, bpftool_batch.fits(command), command.often_absent


def _reading(command: Command, result: Result, now: float) -> Reading:
    started_at = now - result.age_s
    if result.exit_code in NOT_RUN:
        return Unavailable(EvidenceError.NO_SUCH_EXECUTABLE, f"{command.program} can't be run", started_at)
    return Answer(
        result.exit_code, result.stdout, result.stderr, started_at, result.duration_s, source=command.text
    )
