"""What may be behind a failed request although a hop has all that Cilium needs: something else loses packets there.

Called by the checks, each for the objects that its hop owns, and only after a request has failed: a rule or a queue
does no harm to a request that came through.
"""

from ...api.vocabulary import HopVerdict
from ...evidence.errors import EvidenceError
from ...evidence.reading import Unavailable
from .finding import Finding
from .hop_check import Contradiction, HopCheck

Fault = Contradiction | Unavailable | None
"""What loses packets, an answer that could not be had, or nothing found."""

# Not collected, as what a saved run or a dump lacks, or there is no such tool: the hop is judged without it.
_OPTIONAL_EVIDENCE = frozenset({EvidenceError.NOT_COLLECTED, EvidenceError.NO_SUCH_EXECUTABLE})


def worst_of(hop: HopCheck, finding: Finding, *faults: Fault) -> Finding:
    """The finding of a hop, unless it is Ok and something that the hop owns loses packets, or can't be seen."""
    if finding.verdict is not HopVerdict.OK:
        return finding
    found = [fault for fault in faults if fault is not None]
    worst = next((fault for fault in found if isinstance(fault, Contradiction)), found[0] if found else None)
    return hop.fault(worst) if worst else finding


def if_expected(reading: Unavailable) -> Unavailable | None:
    """The reading, if there should have been an answer."""
    return None if reading.reason in _OPTIONAL_EVIDENCE else reading
