"""What has timed out during a run. It is not asked again, because each attempt would take another timeout.

In: readings. Out: `Unavailable` for facts that need the same agent or tool. Called by `collect.collector`.
"""

from .delivery import delivery
from .errors import EvidenceError
from .fact import Fact
from .reading import Reading, Unavailable

_ALL, _AGENT = "", "the agent's process"


class UnresponsiveAgents:
    """The timeouts of a run: an agent's process, a tool on a node, or everything on a node."""

    def __init__(self) -> None:
        self._met: dict[tuple[str, str], Unavailable] = {}

    def note(self, fact: Fact, reading: Reading) -> None:
        """Record a reading, if it is a timeout."""
        if not isinstance(reading, Unavailable):
            return
        if reading.reason == EvidenceError.AGENT_NOT_RESPONDING:
            self._met[fact.node, _AGENT if delivery(fact).by_agent else _ALL] = reading
        elif reading.reason == EvidenceError.TIMEOUT:
            self._met[fact.node, delivery(fact).tool] = reading

    def of(self, fact: Fact) -> Unavailable | None:
        """Why the fact can't be collected; None if it may succeed."""
        how = delivery(fact)
        scopes = (_ALL, _AGENT, how.tool) if how.by_agent else (_ALL, how.tool)
        return next(
            (self._met[fact.node, scope] for scope in scopes if (fact.node, scope) in self._met), None
        )
