"""The Cilium agents, asked over their command channels.

In: facts. Out: one reading each. Implements `collect.interfaces.Agents`; assembled by `kube.cluster`.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.internal_error import internal_error
from ...evidence.reading import Reading
from ...plan.objects import Agent
from ...tools.command import Command
from ...tools.commands import command_of
from .failure import ExecError, not_responding, timeout
from .pool import ChannelPool
from .query import Query

log = structlog.get_logger(__name__)

# Bytes of the reply to one batch. Replies of recorded runs have at most 60 KB; 4 MiB are 5,000 Services of kube-proxy.
REPLY_LIMIT, LARGE_REPLY_LIMIT = 512 * 1024, 4 * 1024 * 1024
# An agent that did not respond is not asked again for this long: each request that waits for it occupies a channel.
_PAUSE_S = 5.0


class ShellAgents:
    """Asks agents through command channels. `locate` returns the agent of a node, None if there is none."""

    def __init__(
        self,
        pool: ChannelPool,
        locate: Callable[[str], Agent | None],
        *,
        budget_s: float = 20.0,
        reply_limit: int = REPLY_LIMIT,
        large_reply_limit: int = LARGE_REPLY_LIMIT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._pool = pool
        self._locate = locate
        self._budget_s = budget_s
        self._limits = {False: reply_limit, True: large_reply_limit}
        self._clock = clock
        self._paused: dict[str, tuple[ExecError, float]] = {}  # by incarnation, with the end of the pause

    async def ask(self, node: str, facts: Sequence[Fact]) -> Sequence[Reading]:
        """One reading per fact, in this order. Never raises."""
        return await self.run(node, [command_of(fact) for fact in facts])

    async def run(self, node: str, commands: Sequence[Command]) -> Sequence[Reading]:
        """Run the commands in the container of the node's agent, usually in one round trip. One reading each, in this
        order; never raises.

        `budget_s` limits the whole call, including the wait for a channel; `reply_limit` bytes limit the output of a
        batch, or `large_reply_limit` bytes that of large commands, which therefore have batches of their own. Each
        command that listens to events gets a channel of its own, so that it starts immediately.
        """
        listening = [(command,) for command in commands if not command.repeatable]
        large = tuple(command for command in commands if command.repeatable and command.large)
        others = tuple(command for command in commands if command.repeatable and not command.large)
        groups = [*listening, *filter(None, (others, large))]
        answered = await asyncio.gather(*(self._run(node, group) for group in groups))
        readings = {
            command: reading
            for group, answers in zip(groups, answered, strict=True)
            for command, reading in zip(group, answers, strict=True)
        }
        return tuple(readings[command] for command in commands)

    async def _run(self, node: str, commands: tuple[Command, ...]) -> Sequence[Reading]:
        query = Query(commands, reply_limit=self._limits[commands[0].large])
        try:
            async with asyncio.timeout(self._budget_s):
                await self._converse(node, query)
        except TimeoutError:
            late = timeout("the shell in its container did not answer", self._budget_s)
            query.give_up(not_responding(node, late), self._clock())
        except ExecError as error:
            if error.reason is EvidenceError.TIMEOUT:
                error = not_responding(node, error)
            query.give_up(error, self._clock())
        except Exception as error:
            log.exception("agent not asked", agent_node=node)
            why = internal_error("the collector", error)
            query.give_up(ExecError(EvidenceError.INTERNAL_ERROR, why.message), self._clock())
        return query.readings()

    async def _converse(self, node: str, query: Query) -> None:
        agent = self._locate(node)
        if agent is None:
            raise ExecError(EvidenceError.AGENT_NOT_FOUND, f"there is no cilium-agent pod on {node}")
        if not agent.ready:
            raise ExecError(
                EvidenceError.AGENT_NOT_READY, f"the cilium-agent {agent.pod} on {node} is not ready"
            )
        may_retry = True
        while batch := query.next_batch():
            try:
                for_streaming = not any(command.repeatable for command in batch.commands)
                async with self._pool.acquire(agent, for_streaming=for_streaming) as channel:
                    if batch.by_agent:  # these come last
                        self._raise_if_paused(agent)
                    query.take(await channel.run(batch), self._clock())
                    if query.silence:
                        self._pause(agent, query.silence)
            except ExecError as error:
                # The channel may have been lost while it was idle. The commands only read, so they may run twice.
                if error.reason is not EvidenceError.CHANNEL_LOST or not may_retry:
                    raise
                may_retry = False

    def _pause(self, agent: Agent, silence: ExecError) -> None:
        now = asyncio.get_running_loop().time()
        self._paused = {key: rest for key, rest in self._paused.items() if rest[1] > now}
        self._paused[agent.incarnation] = (silence, now + _PAUSE_S)

    def _raise_if_paused(self, agent: Agent) -> None:
        silence, until = self._paused.get(agent.incarnation, (None, 0.0))
        if silence and asyncio.get_running_loop().time() < until:
            raise ExecError(silence.reason, silence.message)
