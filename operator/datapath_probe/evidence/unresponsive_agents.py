"""Who has not answered so far in a run: to ask them once more would be to wait once more."""

from .delivery import delivery
from .errors import EvidenceError
from .fact import Fact
from .reading import Reading, Unavailable

_ALL, _AGENT = "", "the agent's process"


class UnresponsiveAgents:
    """What silence a run has met: an agent's process, a tool on a node, or all that is asked of a node."""

    def __init__(self) -> None:
        self._met: dict[tuple[str, str], Unavailable] = {}

    def note(self, fact: Fact, reading: Reading) -> None:
        """What came of a fact."""
        if not isinstance(reading, Unavailable):
            return
        if reading.reason == EvidenceError.AGENT_NOT_RESPONDING:
            self._met[fact.node, _AGENT if delivery(fact).by_agent else _ALL] = reading
        elif reading.reason == EvidenceError.TIMEOUT:
            self._met[fact.node, delivery(fact).tool] = reading

    def of(self, fact: Fact) -> Unavailable | None:
        """Why the fact would not be had; None if it may well be."""
        how = delivery(fact)
        whoms = (_ALL, _AGENT, how.tool) if how.by_agent else (_ALL, how.tool)
        return next((self._met[fact.node, whom] for whom in whoms if (fact.node, whom) in self._met), None)
