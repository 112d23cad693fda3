"""What may be behind a failed request although a hop has all that Cilium needs: something else swallows packets there.

Called by the checks, each for the objects that its hop owns, and only after a request has failed: a rule or a queue
does no harm to a request that came through.
"""

from ...api.vocabulary import HopVerdict
from ...evidence.errors import EvidenceError
from ...evidence.reading import Unavailable
from .finding import Finding
from .hop_check import Contradiction, Hop

Fault = Contradiction | Unavailable | None
"""What swallows packets, an answer that says nothing, or nothing found."""

# Not collected, as what a saved run or a dump lacks, or there is no such tool: nothing is held against the hop.
_OPTIONAL_EVIDENCE = frozenset({EvidenceError.NOT_COLLECTED, EvidenceError.NO_SUCH_EXECUTABLE})


def worst_of(hop: Hop, finding: Finding, *suspects: Fault) -> Finding:
    """The finding of a hop, unless it is Ok and something that the hop owns swallows packets, or can't be seen."""
    if finding.verdict is not HopVerdict.OK:
        return finding
    for suspect in suspects:
        if isinstance(suspect, Contradiction):
            return hop.stale(suspect)
    why = next((suspect for suspect in suspects if isinstance(suspect, Unavailable)), None)
    return hop.unknown(why) if why else finding


def if_expected(reading: Unavailable) -> Unavailable | None:
    """The reading itself where it should have told something."""
    return None if reading.reason in _OPTIONAL_EVIDENCE else reading
