"""A connection that was established although a policy denies it, or denied by mistake: the hop that made its packets
bypass the policy is named.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.diagnose.verdict.rules import conclude
from datapath_probe.diagnose.verdict.verdict_input import Verdict, VerdictInput
from datapath_probe.evidence.fact_kinds import FactKind
from unit.diagnose.altered_runs import dropped, ends, with_events, without
from unit.diagnose.datapath.test_map_pinning import OLD, Kernel, completed
from unit.diagnose.test_foreign_programs import attached_first, pinned
from unit.diagnose.verdict.inputs import checked, found, given_by, given_by_recorded, of_bench, with_findings
from unit.recorded import recorded

PASSED_BY = "denial-passed-by-a-wrong-identity-of-the-source"
EGRESS, INGRESS = HopName.EGRESS_POLICY, HopName.INGRESS_POLICY
NOT_ENFORCED = {
    EGRESS: lambda: of_bench("vxlan", "denial-bypassed-without-the-sources-program"),
    INGRESS: lambda: of_bench("native", PASSED_BY),
}
HEALTHY, LOST = "healthy-cross-node", "overlay-dropped-on-the-wire"


def established(shown_at: HopName) -> VerdictInput:
    """A connection that this policy denies, with every hop before it Ok."""
    at_fault = given_by(NOT_ENFORCED[shown_at]())
    before = [finding for finding in given_by_recorded(HEALTHY).findings if finding.hop is not shown_at]
    return with_findings(at_fault, *before)


def named(verdict: Verdict) -> HopName | None:
    return verdict.divergence.hop if verdict.divergence else None


def replaced_program() -> PathRun:
    """A run whose source has another program under the name of the agent's own."""
    taken = recorded("endpoint-taken-for-the-host")
    return pinned(attached_first(taken, "tcx/ingress", "cil_from_container"), 4321)


def in_recording(name: str, hop: HopName) -> Callable[[], Finding]:
    return lambda: found(given_by_recorded(name), hop)


def on_bench(mode: str, fault: str, hop: HopName) -> Callable[[], Finding]:
    return lambda: found(given_by(of_bench(mode, fault)), hop)


CAUSES = {
    (EGRESS, Reason.PROGRAM_MISSING): in_recording("source-program-detached-direct", HopName.SOURCE_PROGRAM),
    (EGRESS, Reason.FOREIGN_PROGRAM): lambda: found(given_by(replaced_program()), HopName.SOURCE_PROGRAM),
    (EGRESS, Reason.WRONG_IDENTITY): in_recording("ipcache-wrong-identity", HopName.IPCACHE_LOOKUP),
    (EGRESS, Reason.IPCACHE_ENTRY_MISSING): in_recording("ipcache-entry-missing", HopName.IPCACHE_LOOKUP),
    (EGRESS, Reason.STALE_MAP_IN_USE): on_bench("vxlan", "ipcache-not-used", HopName.IPCACHE_LOOKUP),
    (INGRESS, Reason.WRONG_IDENTITY): on_bench("native", PASSED_BY, HopName.SOURCE_IDENTITY),
    (INGRESS, Reason.ENDPOINT_ENTRY_MISMATCH): in_recording("endpoint-wrong-id", HopName.ENDPOINT_LOOKUP),
    (INGRESS, Reason.PROGRAM_MISSING): on_bench(
        "endpoint-routes",
        "denial-bypassed-without-the-destinations-program",
        HopName.DESTINATION_PROGRAM,
    ),
}


@pytest.mark.parametrize(("shown_at", "reason"), CAUSES)
def test_the_hop_that_bypasses_a_denial_is_the_cause_and_the_policy_its_symptom(
    shown_at: HopName, reason: Reason
) -> None:
    cause = CAUSES[shown_at, reason]()
    verdict = conclude(with_findings(established(shown_at), cause))
    assert (verdict.rule, named(verdict), verdict.reason) == ("policy_bypassed", cause.hop, reason)
    assert verdict.symptom is not None
    assert verdict.symptom.hop is shown_at


@pytest.mark.parametrize(
    "harmless",
    [
        in_recording("ipcache-wrong-tunnel-endpoint", HopName.IPCACHE_LOOKUP),
        in_recording("endpoint-entry-missing", HopName.ENDPOINT_LOOKUP),  # not on the egress path
    ],
)
def test_a_fault_that_does_not_affect_the_policy_is_not_the_cause(harmless: Callable[[], Finding]) -> None:
    verdict = conclude(with_findings(established(EGRESS), harmless()))
    assert (verdict.rule, named(verdict)) == ("observed_failure", EGRESS)


def test_a_program_that_lacks_a_tail_call_lets_nothing_pass() -> None:
    run = recorded("endpoint-routes/destination-tail-call-missing@1.18.5")
    lacking = checked(run, HopName.DESTINATION_PROGRAM)
    assert lacking.reason is Reason.PROGRAM_MISSING
    assert named(conclude(with_findings(established(INGRESS), lacking))) is INGRESS


def test_where_no_policy_denies_none_was_bypassed() -> None:
    bypassed = CAUSES[EGRESS, Reason.PROGRAM_MISSING]()
    given = established(EGRESS)
    uncertain = replace(found(given, EGRESS), certain=False)
    assert named(conclude(with_findings(given, bypassed, uncertain))) is EGRESS


def test_a_wrong_identity_of_the_source_because_of_a_missing_program_names_the_program() -> None:
    """Packets leave masqueraded: the wrong identity is not a fault of the node that resolves it."""
    bypassed = CAUSES[EGRESS, Reason.PROGRAM_MISSING]()
    given = established(INGRESS)
    wrong_identity = replace(
        found(given, INGRESS), hop=HopName.SOURCE_IDENTITY, reason=Reason.WRONG_IDENTITY, certain=False
    )
    of_policy = found(given_by_recorded(HEALTHY), INGRESS)
    assert (
        named(conclude(with_findings(given, bypassed, wrong_identity, of_policy))) is HopName.SOURCE_PROGRAM
    )


def test_a_policy_map_that_is_not_used_is_the_cause_of_a_missing_denial() -> None:
    run = completed(recorded("denial-not-programmed"), Kernel(used=(OLD,)), agent_age_s=600)
    verdict = conclude(given_by(run))
    assert named(verdict) in (EGRESS, INGRESS)
    assert verdict.reason is Reason.STALE_MAP_IN_USE


def test_a_denial_because_of_a_wrong_identity_is_not_the_policys() -> None:
    run = without(recorded(LOST), FactKind.CONNTRACK_ENTRY)
    here, _ = ends(run)
    denied = given_by(with_events(run, here, [dropped(run, 133, "bpf_lxc.c", "EGRESS")]))
    wrong_identity = found(given_by_recorded("ipcache-wrong-identity"), HopName.IPCACHE_LOOKUP)
    elsewhere = found(given_by_recorded("ipcache-skips-the-tunnel"), HopName.IPCACHE_LOOKUP)
    assert named(conclude(denied)) is EGRESS
    assert named(conclude(with_findings(denied, wrong_identity))) is HopName.IPCACHE_LOOKUP
    assert named(conclude(with_findings(denied, replace(elsewhere, defects=())))) is EGRESS
