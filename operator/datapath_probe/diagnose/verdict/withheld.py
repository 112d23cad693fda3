"""Findings that do not count, since what seems wrong may be right: something changes meanwhile, or is not known well
enough, or no check follows the packets there.

Called by `conclude`.
"""

from collections.abc import Sequence
from dataclasses import replace

from ...api.reasons import Reason
from ...api.vocabulary import HOP_ORDER, HopName, HopVerdict
from ..finding.finding import Finding


def withheld(finding: Finding, why: str, reason: Reason = Reason.IN_TRANSITION) -> Finding:
    """The finding as Unknown. What is Unknown anyway keeps its own, more exact reason."""
    if finding.verdict in (HopVerdict.OK, HopVerdict.UNKNOWN):
        return finding
    message = f"{why}; seen meanwhile: {finding.message}"
    return replace(finding, verdict=HopVerdict.UNKNOWN, reason=reason, message=message)


def unfollowed(findings: Sequence[Finding]) -> Finding | None:
    """The first hop from which no check follows the packets."""
    return next((finding for finding in findings if finding.unfollowed_beyond), None)


def is_beyond(start: Finding | None, hop: HopName) -> bool:
    """Whether this hop is the one from which packets are not followed, or comes after it."""
    return start is not None and HOP_ORDER[hop] >= HOP_ORDER[start.hop]


def as_far_as_followed(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings, withheld from the hop on that is not followed: there they explain nothing."""
    start = unfollowed(findings)
    if start is None:
        return findings
    reason = Reason.UNSUPPORTED_CONFIGURATION
    at_start = replace(start, verdict=HopVerdict.UNKNOWN, reason=reason)
    return tuple(
        at_start if f is start else withheld(f, start.message, reason) if is_beyond(start, f.hop) else f
        for f in findings
    )
