"""Assumptions of a verdict that names a hop: what could not be checked. Called by `paths`. Pure.

A path that is Unknown because of such a hop has no assumptions, and a segment says nothing about the hops in it.
"""

from collections.abc import Iterator

from ...api.status.path_result import Assumption
from ...api.vocabulary import HOP_ORDER, HopVerdict
from ...diagnose.finding.diagnosis import Diagnosis


def assumptions(diagnosis: Diagnosis) -> Iterator[Assumption]:
    """In path order: each Unknown hop before the divergent one, which is assumed not to be the cause, and the hop
    beyond which packets are not followed, such as an L7 proxy; and what a finding itself takes for granted.
    """
    if diagnosis.divergence is None:
        return
    divergent = HOP_ORDER[diagnosis.divergence.hop]
    for finding in diagnosis.findings:
        if finding.assumes:
            yield Assumption(hop=finding.hop, message=f"assumed: {finding.assumes}")
        if finding.verdict is not HopVerdict.UNKNOWN:
            continue
        if finding.unfollowed_beyond:
            message = f"packets are not followed beyond this hop; a fault there can't be ruled out: {finding.message}"
            yield Assumption(hop=finding.hop, message=message)
        elif HOP_ORDER[finding.hop] < divergent:
            message = f"assumed to be as intended, because it could not be checked: {finding.reason}: {finding.message}"
            yield Assumption(hop=finding.hop, message=message)
