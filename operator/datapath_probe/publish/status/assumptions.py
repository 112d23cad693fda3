"""What a verdict that names a hop takes on trust: hops that could not be checked. Pure.

A path that is Unknown because of such a hop takes nothing on trust, and a segment claims nothing about the hops around
it. Called by `paths`.
"""

from collections.abc import Iterator

from ...api.path_result import Assumption
from ...api.vocabulary import HOP_ORDER, HopVerdict
from ...diagnose.finding.diagnosis import Diagnosis


def assumptions(diagnosis: Diagnosis) -> Iterator[Assumption]:
    """In path order: each hop before the divergent one that is Unknown, for it is assumed to be no cause, and the hop
    beyond which packets are not followed, such as an L7 proxy, wherever it is.
    """
    if diagnosis.divergence is None:
        return
    divergent = HOP_ORDER[diagnosis.divergence.hop]
    for finding in diagnosis.findings:
        if finding.verdict is not HopVerdict.UNKNOWN:
            continue
        if finding.unfollowed_beyond:
            message = (
                f"packets are not followed beyond this hop, a fault there is not ruled out: {finding.message}"
            )
            yield Assumption(hop=finding.hop, message=message)
        elif HOP_ORDER[finding.hop] < divergent:
            message = (
                f"assumed to be as intended, it could not be checked: {finding.reason}: {finding.message}"
            )
            yield Assumption(hop=finding.hop, message=message)
