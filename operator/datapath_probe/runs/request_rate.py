"""How many requests the pods of a namespace send within a minute; more of them wait. Held by `limits`.

In: the namespace of a request. Out: how long it waited.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

_MINUTE_S = 60.0


@dataclass(slots=True)
class _Namespace:
    """`starts`: of the latest requests, as many as a minute may have. `turn`: held by the one that goes next."""

    starts: deque[float]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_idle(self, now: float) -> bool:
        return not self.turn.locked() and (not self.starts or self.starts[-1] + _MINUTE_S <= now)


class RequestRate:
    """`limit`: of each namespace in any minute; None means any number."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._namespaces: dict[str, _Namespace] = {}

    async def turn(self, namespace: str) -> float:
        """Return once the namespace may send one more request, in the order of calls: after how many seconds."""
        if self._limit is None:
            return 0.0
        began = asyncio.get_running_loop().time()
        known = self._namespaces.get(namespace) or self._new(namespace, began)
        async with known.turn:
            if len(known.starts) == self._limit:
                await asyncio.sleep(known.starts[0] + _MINUTE_S - asyncio.get_running_loop().time())
            now = asyncio.get_running_loop().time()
            known.starts.append(now)
        return now - began

    def _new(self, namespace: str, now: float) -> _Namespace:
        self._namespaces = {name: each for name, each in self._namespaces.items() if not each.is_idle(now)}
        made = self._namespaces[namespace] = _Namespace(deque(maxlen=self._limit))
        return made
