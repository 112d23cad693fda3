"""Adjustments of findings before the rules run: some findings do not count, because what seems wrong may be right.

Each adjustment gets the result of the one before it. Their docstrings are part of docs/verdict.md.
"""

from collections.abc import Callable
from dataclasses import replace

from ...api.reasons import Reason
from ...api.vocabulary import HopName, HopVerdict, Witness
from ..finding.finding import Finding
from .verdict_input import VerdictInput

Adjustment = Callable[[VerdictInput], tuple[Finding, ...]]

# Programs are attached to a device: another device with its name lacks them too.
_DEVICE_OF: dict[HopName, HopName] = {
    HopName.SOURCE_PROGRAM: HopName.SOURCE_INTERFACE,
    HopName.DESTINATION_PROGRAM: HopName.DESTINATION_INTERFACE,
    HopName.REPLY_PROGRAM: HopName.DESTINATION_INTERFACE,
    HopName.REPLY_DELIVERY: HopName.SOURCE_INTERFACE,
}


def doubt_programs_of_unknown_devices(given: VerdictInput) -> tuple[Finding, ...]:
    """A missing program is Unknown if its device could not be read.

    The device may be a different one with the same name, which has no programs either. First, because it depends only
    on the evidence of two hops.
    """
    device = {finding.hop: finding for finding in given.findings}

    def adjusted(finding: Finding) -> Finding:
        of = device.get(_DEVICE_OF.get(finding.hop, finding.hop))
        if finding.reason is not Reason.PROGRAM_MISSING or of is None or of is finding:
            return finding
        if of.verdict is not HopVerdict.UNKNOWN or Witness.PROGRAMMED in of.evidence:
            return finding
        return withheld(finding, f"{of.hop} can't be judged ({of.message})", of.reason)

    return tuple(map(adjusted, given.findings))


def withhold_beyond_not_followed(given: VerdictInput) -> tuple[Finding, ...]:
    """From the first hop that is not followed (L7 proxy, authentication), findings are Unknown.

    No check knows the path of packets beyond that hop. Hops before it are judged as usual.
    """
    start, reason = given.not_followed, Reason.UNSUPPORTED_CONFIGURATION
    if start is None:
        return given.findings

    def adjusted(finding: Finding) -> Finding:
        if finding is start:
            return replace(finding, verdict=HopVerdict.UNKNOWN, reason=reason)
        return finding if given.is_followed_to(finding.hop) else withheld(finding, start.message, reason)

    return tuple(map(adjusted, given.findings))


def withhold_unsupported(given: VerdictInput) -> tuple[Finding, ...]:
    """With an unsupported setting or version, all findings are Unknown.

    Before the next adjustment, because this reason remains after the change.
    """
    if given.unsupported is None:
        return given.findings
    reason, why = Reason(given.unsupported.reason), given.unsupported.message
    return tuple(withheld(finding, why, reason) for finding in given.findings)


def withhold_during_change(given: VerdictInput) -> tuple[Finding, ...]:
    """While Kubernetes or Cilium changes something on the path, findings are Unknown (`InTransition`).

    The datapath may match neither the old state nor the new one.
    """
    if given.change is None:
        return given.findings
    return tuple(withheld(finding, given.change) for finding in given.findings)


def demote_drops_of_success(given: VerdictInput) -> tuple[Finding, ...]:
    """If the expectation was met, Broken becomes Stale.

    A dropped packet that was retransmitted caused no failure. Last, so that Unknown findings stay Unknown.
    """
    if not given.outcome.met:
        return given.findings
    return tuple(
        replace(f, verdict=HopVerdict.STALE) if f.verdict is HopVerdict.BROKEN else f for f in given.findings
    )


ADJUSTMENTS: tuple[Adjustment, ...] = (
    doubt_programs_of_unknown_devices,
    withhold_beyond_not_followed,
    withhold_unsupported,
    withhold_during_change,
    demote_drops_of_success,
)


def withheld(finding: Finding, why: str, reason: Reason = Reason.IN_TRANSITION) -> Finding:
    """The finding as Unknown. A finding that is already Unknown keeps its own, more specific reason."""
    if finding.verdict in (HopVerdict.OK, HopVerdict.UNKNOWN):
        return finding
    message = f"{why}; seen meanwhile: {finding.message}"
    return replace(finding, verdict=HopVerdict.UNKNOWN, reason=reason, message=message)
