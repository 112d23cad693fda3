"""A connection that stood though a policy denies it, or that one denied by mistake: what led its packets past their own
policy is named, not the policy.
"""

from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict
from datapath_probe.diagnose.connection.outcome import Outcome
from datapath_probe.diagnose.connection.progress import Progress
from datapath_probe.diagnose.finding.finding import Finding, Stage
from datapath_probe.diagnose.verdict.rules import Circumstances, Conclusion, conclude

STOOD = Outcome(False, Reason.POLICY_NOT_ENFORCED, "a connection that should be denied stood: HTTP 200")
TIMED_OUT = Outcome(False, Reason.LOST_IN_TRANSIT, "curl exit 28: timed out")
DELIVERED = Progress(Stage.DELIVERED, Stage.DELIVERED)
PATH = (
    HopName.SOURCE_PROGRAM,
    HopName.IPCACHE_LOOKUP,
    HopName.EGRESS_POLICY,
    HopName.SOURCE_IDENTITY,
    HopName.ENDPOINT_LOOKUP,
    HopName.DESTINATION_PROGRAM,
    HopName.INGRESS_POLICY,
    HopName.DESTINATION_RESPONSE,
)
PASSED = frozenset({Stage.SENT})


def ok(hop: HopName) -> Finding:
    return Finding(hop, "node1", "object", HopVerdict.OK, Reason.OK, "fine", {})


def stale(hop: HopName, reason: Reason, predicts: frozenset[Stage] = PASSED) -> Finding:
    return replace(ok(hop), verdict=HopVerdict.STALE, reason=reason, predicts=predicts)


def broken(hop: HopName, reason: Reason, predicts: frozenset[Stage] = PASSED) -> Finding:
    return replace(stale(hop, reason, predicts), verdict=HopVerdict.BROKEN)


def judged(*findings: Finding, outcome: Outcome = STOOD, progress: Progress = DELIVERED) -> Conclusion:
    told = {finding.hop: finding for finding in findings}
    return conclude([told.get(hop, ok(hop)) for hop in PATH], outcome, progress, Circumstances())


def named(conclusion: Conclusion) -> HopName | None:
    return conclusion.divergence.hop if conclusion.divergence else None


EGRESS, INGRESS = HopName.EGRESS_POLICY, HopName.INGRESS_POLICY


@pytest.mark.parametrize(
    ("shown_at", "cause", "reason"),
    [
        (EGRESS, HopName.SOURCE_PROGRAM, Reason.PROGRAM_MISSING),
        (EGRESS, HopName.SOURCE_PROGRAM, Reason.FOREIGN_PROGRAM),
        (EGRESS, HopName.IPCACHE_LOOKUP, Reason.WRONG_IDENTITY),
        (EGRESS, HopName.IPCACHE_LOOKUP, Reason.IPCACHE_ENTRY_MISSING),
        (EGRESS, HopName.IPCACHE_LOOKUP, Reason.STALE_MAP_IN_USE),
        (INGRESS, HopName.SOURCE_IDENTITY, Reason.WRONG_IDENTITY),
        (INGRESS, HopName.ENDPOINT_LOOKUP, Reason.ENDPOINT_ENTRY_MISMATCH),
        (INGRESS, HopName.DESTINATION_PROGRAM, Reason.PROGRAM_MISSING),
    ],
)
def test_what_led_packets_past_a_denial_is_named_and_the_policy_its_symptom(
    shown_at: HopName, cause: HopName, reason: Reason
) -> None:
    conclusion = judged(stale(cause, reason), broken(shown_at, Reason.POLICY_NOT_ENFORCED))
    assert named(conclusion) is cause
    assert conclusion.reason is reason
    assert conclusion.symptom is not None
    assert conclusion.symptom.hop is shown_at


@pytest.mark.parametrize(
    "harmless",
    [
        stale(HopName.IPCACHE_LOOKUP, Reason.WRONG_TUNNEL_ENDPOINT),
        stale(HopName.SOURCE_PROGRAM, Reason.FOREIGN_PROGRAM, frozenset()),  # it only watches
        stale(HopName.ENDPOINT_LOOKUP, Reason.ENDPOINT_ENTRY_MISSING),  # no part of the way out
    ],
)
def test_what_has_no_part_in_a_policy_is_not_named_for_it(harmless: Finding) -> None:
    assert named(judged(harmless, broken(EGRESS, Reason.POLICY_NOT_ENFORCED))) is EGRESS


def test_where_no_policy_denies_nothing_was_passed_by() -> None:
    bypassed = stale(HopName.SOURCE_PROGRAM, Reason.PROGRAM_MISSING)
    no_policy = broken(EGRESS, Reason.POLICY_NOT_ENFORCED, frozenset())
    assert named(judged(bypassed, no_policy)) is EGRESS


def test_who_is_taken_for_another_for_want_of_a_program_names_the_program() -> None:
    bypassed = stale(HopName.SOURCE_PROGRAM, Reason.PROGRAM_MISSING)
    mistaken = broken(HopName.SOURCE_IDENTITY, Reason.WRONG_IDENTITY, frozenset())
    assert named(judged(bypassed, mistaken)) is HopName.SOURCE_PROGRAM


def test_a_policy_map_that_is_not_used_is_named_for_a_denial_that_did_not_come() -> None:
    assert named(judged(stale(INGRESS, Reason.STALE_MAP_IN_USE))) is INGRESS


def test_a_denial_of_somebody_taken_for_another_is_not_the_policys() -> None:
    mistaken = stale(HopName.IPCACHE_LOOKUP, Reason.WRONG_IDENTITY, frozenset({Stage.TRANSLATED}))
    denied = broken(EGRESS, Reason.POLICY_DENIED, frozenset())
    nothing = Progress(Stage.NOTHING, Stage.NOTHING)
    conclusion = judged(mistaken, denied, outcome=TIMED_OUT, progress=nothing)
    assert conclusion.divergence is None
    assert conclusion.segment is not None
    elsewhere = stale(HopName.IPCACHE_LOOKUP, Reason.WRONG_TUNNEL_ENDPOINT)
    assert named(judged(elsewhere, denied, outcome=TIMED_OUT, progress=nothing)) is EGRESS
