"""A limited number of slots, shared fairly: no party, such as a namespace, can keep the others waiting.

In: the party that wants a slot. Out: a slot, for the duration of a context. Called by `control.schedule`, `runs`,
`collector` and `kube.writes`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Self

# A party gets no slot while it holds this many times the number of free ones: alone it holds at most three quarters of
# the slots, and a newcomer finds one free. Each further busy party lowers this share (dynamic thresholds, as switches
# use for shared buffers: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998).
SHARE = 3
# How long a slot is held for an answer. Most agents answer sooner.
PATIENCE_S = 0.2


class FairSlots:
    """At most `limit` slots at a time. Waiting parties take turns, and each party's own requests are served in order,
    those that have begun first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = self._free = limit
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, _Queue] = {}  # in the order of the next turns
        self._served = ""  # the party whose turn was last

    @property
    def is_unused(self) -> bool:
        """Whether no slot is held or waited for."""
        return self._free == self._limit and not self._waiting

    def slot(self, party: str, *, begun: bool = False) -> "Slot":
        """A slot to hold with `async with`. `begun`: it continues work, and goes before new work of this party."""
        return Slot(self, party, begun=begun)

    async def acquire(self, party: str, *, begun: bool) -> None:
        """Wait for a slot of this party. Called by `Slot`."""
        turn = asyncio.get_running_loop().create_future()
        queue = self._waiting.get(party) or self._added(party)
        queue.add(turn, begun=begun)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._withdraw(party, queue, turn)
            else:  # granted, but canceled before it noticed
                self.release(party)
            raise

    def release(self, party: str) -> None:
        """Return a slot of this party. Called by `Slot`."""
        self._held[party] -= 1
        if not self._held[party]:
            del self._held[party]
        self._free += 1
        self._grant()

    def _added(self, party: str) -> "_Queue":
        """The queue of a party that did not wait: behind all others, except for the one that was just served."""
        queue = self._waiting[party] = _Queue()
        if self._served != party and self._served in self._waiting:
            self._waiting[self._served] = self._waiting.pop(self._served)
        return queue

    def _grant(self) -> None:
        while (party := self._next()) is not None:
            queue = self._waiting.pop(party)
            turn = queue.take()
            if queue:
                self._waiting[party] = queue  # behind the other parties
            if turn.cancelled():  # its task has not noticed yet
                continue
            self._held[party] += 1
            self._free -= 1
            self._served = party
            turn.set_result(None)

    def _next(self) -> str | None:
        """The first waiting party that may hold another slot."""
        return next((party for party in self._waiting if self._held[party] < SHARE * self._free), None)

    def _withdraw(self, party: str, queue: "_Queue", turn: asyncio.Future[None]) -> None:
        queue.remove(turn)
        if not queue and self._waiting.get(party) is queue:
            del self._waiting[party]


class Slot:
    """A slot of one party: `async with` waits for it. It can be returned during a wait, so that others use it."""

    def __init__(self, slots: FairSlots, party: str, *, begun: bool) -> None:
        self._slots = slots
        self._party = party
        self._begun = begun
        self._is_held = False

    async def __aenter__(self) -> Self:
        await self._slots.acquire(self._party, begun=self._begun)
        self._is_held = self._begun = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Return the slot, if it is held."""
        if self._is_held:
            self._is_held = False
            self._slots.release(self._party)

    @asynccontextmanager
    async def released(self) -> AsyncIterator[None]:
        """Return the slot for the duration of a wait. It is not acquired again if the wait ends with an exception."""
        self.release()
        yield
        await self.__aenter__()

    async def wait(self, tasks: Collection[asyncio.Task[Any]], *, timeout_s: float) -> None:
        """Wait until the tasks are done, at most `timeout_s`; `PATIENCE_S` of it with the slot."""
        _, pending = await asyncio.wait(tasks, timeout=min(PATIENCE_S, timeout_s))
        if pending and timeout_s > PATIENCE_S:
            async with self.released():
                await asyncio.wait(pending, timeout=timeout_s - PATIENCE_S)


class FairSlotsByKey:
    """`limit` slots for each key, such as a node."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_key: dict[str, FairSlots] = {}

    @asynccontextmanager
    async def slot(self, key: str, party: str) -> AsyncIterator[None]:
        """Hold one of the slots of this key."""
        slots = self._by_key.setdefault(key, FairSlots(self._limit))
        try:
            async with slots.slot(party):
                yield
        finally:
            # a waiter that is canceled while the last holder leaves finds the key gone, or taken by others
            if slots.is_unused and self._by_key.get(key) is slots:
                del self._by_key[key]


class _Queue:
    """The requests of one party."""

    def __init__(self) -> None:
        self._begun: dict[asyncio.Future[None], None] = {}
        self._new: dict[asyncio.Future[None], None] = {}

    def __bool__(self) -> bool:
        return bool(self._begun or self._new)

    def add(self, turn: asyncio.Future[None], *, begun: bool) -> None:
        (self._begun if begun else self._new)[turn] = None

    def take(self) -> asyncio.Future[None]:
        """Remove the request that is next, and return it."""
        turns = self._begun or self._new
        turn = next(iter(turns))
        del turns[turn]
        return turn

    def remove(self, turn: asyncio.Future[None]) -> None:
        self._begun.pop(turn, None)
        self._new.pop(turn, None)
