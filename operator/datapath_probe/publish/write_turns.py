"""Which status is written next when many wait: urgent ones first, but never without end, and within both kinds
namespaces take turns.

In: probes whose status is to be written. Out: turns, a limited number at a time. Called by `status_writer`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .interfaces import ProbeRef

_Lane = dict[str, dict[ProbeRef, asyncio.Future[None]]]  # by namespace, in the order of the next turns


URGENT_IN_A_ROW = 3
"""How many urgent statuses go before one that is not, if both wait."""


class WriteTurns:
    """At most `limit` turns at a time, and one of each probe."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._in_a_row = 0
        self._urgent: _Lane = {}
        self._routine: _Lane = {}

    @asynccontextmanager
    async def turn(self, probe: ProbeRef, *, urgent: bool) -> AsyncIterator[None]:
        """The turn of this probe; waits for it."""
        turn = asyncio.get_running_loop().create_future()
        _add(self._urgent if urgent else self._routine, probe, turn)
        self._start()
        try:
            await turn
            yield
        finally:
            if turn.cancelled():
                _remove(self._urgent, probe, turn)
                _remove(self._routine, probe, turn)
            else:
                self._free += 1
                self._start()

    def hasten(self, probe: ProbeRef) -> None:
        """The status of a waiting probe has become urgent."""
        turn = self._routine.get(probe.namespace, {}).get(probe)
        if turn:
            _remove(self._routine, probe, turn)
            _add(self._urgent, probe, turn)

    def _start(self) -> None:
        while self._free and (lane := self._next_lane()):
            namespace = next(iter(lane))
            waiting = lane.pop(namespace)
            probe = next(iter(waiting))
            turn = waiting.pop(probe)
            if waiting:
                lane[namespace] = waiting  # behind the other namespaces
            if not turn.cancelled():  # otherwise its task has not noticed yet
                self._free -= 1
                turn.set_result(None)

    def _next_lane(self) -> _Lane:
        urgent = bool(self._urgent) and not (self._routine and self._in_a_row >= URGENT_IN_A_ROW)
        self._in_a_row = self._in_a_row + 1 if urgent else 0
        return self._urgent if urgent else self._routine


def _add(lane: _Lane, probe: ProbeRef, turn: asyncio.Future[None]) -> None:
    lane.setdefault(probe.namespace, {})[probe] = turn


def _remove(lane: _Lane, probe: ProbeRef, turn: asyncio.Future[None]) -> None:
    waiting = lane.get(probe.namespace, {})
    if waiting.get(probe) is turn:
        del waiting[probe]
        if not waiting:
            del lane[probe.namespace]
