"""Faults that lose packets at a hop although Cilium's own objects there are correct.

Checks look for them in the objects of their hops, and only after a request failed: a rule or a queueing discipline does
no harm to a request that succeeded.
"""

from ...api.vocabulary import HopVerdict
from ...evidence.errors import EvidenceError
from ...evidence.reading import Unavailable
from .finding import Finding
from .hop_check import Contradiction, HopCheck

Fault = Contradiction | Unavailable | None
"""A fault that loses packets, missing evidence, or None if nothing was found."""

# Not collected (a saved run or a dump lacks it) or no such tool: the hop is judged without it.
_OPTIONAL_EVIDENCE = frozenset({EvidenceError.NOT_COLLECTED, EvidenceError.NO_SUCH_EXECUTABLE})


def worst_of(hop: HopCheck, finding: Finding, *faults: Fault) -> Finding:
    """The finding of a hop. If it is Ok: the first contradiction among the faults, or missing evidence."""
    if finding.verdict is not HopVerdict.OK:
        return finding
    found = [fault for fault in faults if fault is not None]
    worst = next((fault for fault in found if isinstance(fault, Contradiction)), found[0] if found else None)
    return hop.fault(worst) if worst else finding


def if_expected(reading: Unavailable) -> Unavailable | None:
    """The reading, unless this evidence is optional."""
    return None if reading.reason in _OPTIONAL_EVIDENCE else reading
