"""The rules of the verdict and their order, with inputs from recorded runs."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.connection.progress import segment_between
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.diagnose.verdict.adjustments import ADJUSTMENTS
from datapath_probe.diagnose.verdict.rules import RULES, conclude
from datapath_probe.diagnose.verdict.verdict_input import Verdict, VerdictInput
from datapath_probe.evidence.fact_kinds import FactKind
from unit.diagnose.altered_runs import dropped, ends, with_events, without
from unit.diagnose.test_answered_by_another import refused
from unit.diagnose.test_l7_policies import behind_l7_policy
from unit.diagnose.test_unexpected_answers import reporting
from unit.diagnose.verdict.inputs import finding_of, given_by, given_by_recorded, of_bench, with_findings
from unit.diagnose.verdict.test_loss_counters import silent
from unit.plans import with_backends
from unit.recorded import recorded

HEALTHY, LATENT, BROKEN = "healthy-cross-node", "ipcache-entry-missing", "ipcache-wrong-tunnel-endpoint"
OF_AGENT = (FactKind.AGENT_ENDPOINT, FactKind.POLICY_RULES, FactKind.ROUTE)
LOST, REFUSED = "overlay-dropped-on-the-wire", "connection-refused"
EGRESS, INGRESS = HopName.EGRESS_POLICY, HopName.INGRESS_POLICY
IPCACHE, ENDPOINT = HopName.IPCACHE_LOOKUP, HopName.ENDPOINT_LOOKUP


def encrypted(run: PathRun) -> PathRun:
    """The run in a cluster with a setting that can't be judged."""
    plan = replace(run.plan, config={**run.plan.config, "enable-wireguard": "true"})
    return replace(run, plan=plan, plan_after=None)


def changing(run: PathRun) -> PathRun:
    """The run, with other addresses of all backends afterwards."""
    moved = (replace(backend, ip=ip_address("10.244.9.9")) for backend in run.plan.backends)
    return replace(run, plan_after=with_backends(run.plan, *moved))


def expecting(run: PathRun, max_latency_s: float) -> PathRun:
    """The run with this expectation."""
    expect = replace(run.plan.expect, max_latency_s=max_latency_s)
    return replace(run, plan=replace(run.plan, expect=expect), plan_after=None)


DECIDED: dict[str, Callable[[], PathRun]] = {
    "unsupported_configuration": lambda: encrypted(recorded(BROKEN)),
    "outcome_unknown": lambda: recorded("refused-is-not-denied"),
    "latent_fault": lambda: recorded(LATENT),
    "path_not_followed": lambda: behind_l7_policy(HEALTHY),
    "expectation_missed": lambda: expecting(recorded(HEALTHY), 0.0001),
    "hop_not_judged": lambda: without(recorded(HEALTHY), FactKind.ROUTE, FactKind.ROUTES),
    "denied_as_expected": lambda: recorded("denied-as-expected"),
    "healthy": lambda: recorded(HEALTHY),
    "change_in_progress": lambda: recorded("wrong-tunnel-endpoint-repaired-meanwhile"),
    "root_cause": lambda: recorded(BROKEN),
    "shared_root_cause": lambda: of_bench("vxlan", "tunnel-device-down-before-the-name-server"),
    "policy_bypassed": lambda: of_bench("kpr", "denial-bypassed-without-the-sources-program"),
    "masked_failure": lambda: of_bench("kpr", "rule-by-connections-rejects-inside"),
    "answered_by_another": lambda: refused(recorded(LOST)),
    "observed_failure": lambda: recorded(REFUSED),
    "failure_not_followed": lambda: behind_l7_policy(LOST),
    "policy_not_enforced": lambda: without(recorded("denial-not-enforced"), *OF_AGENT),
    "lost_on_the_wire": lambda: silent(recorded(LOST)),
    "lost_in_transit": lambda: recorded(LOST),
}


def test_each_rule_has_a_run_that_it_decides() -> None:
    assert list(DECIDED) == [rule.__name__ for rule in RULES]


@pytest.mark.parametrize("rule", DECIDED)
def test_a_rule_decides(rule: str) -> None:
    diagnosis = diagnose(DECIDED[rule]())
    assert diagnosis.rule == rule


@pytest.mark.parametrize("part", [*RULES, *ADJUSTMENTS])
def test_each_rule_documents_its_decision_and_its_place(part: Callable[..., object]) -> None:
    assert part.__doc__
    assert part.__doc__.split("\n")[0].endswith(".")


def named(verdict: Verdict) -> HopName | None:
    return verdict.divergence.hop if verdict.divergence else None


@pytest.mark.parametrize(
    ("run", "first"),
    [
        (encrypted(recorded(LATENT)), "unsupported_configuration"),
        (changing(encrypted(recorded(BROKEN))), "change_in_progress"),
        (changing(recorded(BROKEN)), "change_in_progress"),
        (changing(recorded(HEALTHY)), "healthy"),
        (expecting(recorded(LATENT), 0.0001), "latent_fault"),
        (
            expecting(without(recorded(HEALTHY), FactKind.ROUTE, FactKind.ROUTES), 0.0001),
            "expectation_missed",
        ),
        (silent(recorded(BROKEN)), "root_cause"),
    ],
)
def test_of_two_rules_that_apply_the_first_decides(run: PathRun, first: str) -> None:
    assert diagnose(run).rule == first


def test_a_healthy_run_has_no_hop_to_name() -> None:
    verdict = conclude(given_by_recorded(HEALTHY))
    assert (verdict.verdict, verdict.reason) == (ProbeVerdict.HEALTHY, Reason.ALL_HOPS_OK)
    assert verdict.divergence is None


def test_the_first_stale_hop_that_explains_the_failure_is_the_cause() -> None:
    further = finding_of("endpoint-entry-missing", ENDPOINT)
    harmless = finding_of("reply-ipcache-wrong-tunnel-endpoint", HopName.REPLY_IPCACHE)
    verdict = conclude(with_findings(given_by_recorded(BROKEN), further, harmless))
    assert named(verdict) is IPCACHE
    verdicts = {finding.hop: finding.verdict for finding in verdict.findings}
    assert verdicts[IPCACHE] is HopVerdict.BROKEN
    assert verdicts[ENDPOINT] is HopVerdict.STALE


def test_a_failure_observed_downstream_of_the_cause_is_its_symptom() -> None:
    run = recorded(BROKEN)
    _, there = ends(run)
    diagnosis = diagnose(with_events(run, there, [dropped(run, 151, "bpf_host.c")]))
    assert diagnosis.rule == "root_cause"
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is IPCACHE
    assert diagnosis.symptom is not None
    assert diagnosis.symptom.hop is ENDPOINT


def test_a_stale_hop_that_does_not_explain_the_failure_is_not_the_cause() -> None:
    stale = finding_of("reply-ipcache-wrong-tunnel-endpoint", HopName.REPLY_IPCACHE)
    assert named(conclude(with_findings(given_by_recorded(REFUSED), stale))) is HopName.DESTINATION_RESPONSE


def test_a_stale_hop_beyond_the_one_that_was_observed_to_fail_is_not_the_cause() -> None:
    denied = given_by_recorded("ingress-policy-deny")
    beyond = finding_of("destination-link-down", HopName.DESTINATION_INTERFACE)
    assert named(conclude(with_findings(denied, beyond))) is INGRESS


@pytest.mark.parametrize(
    ("other", "hop", "cause"),
    [
        (BROKEN, IPCACHE, IPCACHE),
        ("from-overlay-detached-destination", HopName.OVERLAY_DECAPSULATION, HopName.OVERLAY_DECAPSULATION),
        ("endpoint-entry-missing", ENDPOINT, None),
    ],
)
def test_only_a_fault_before_the_loss_is_the_cause(other: str, hop: HopName, cause: HopName | None) -> None:
    given_ = with_findings(given_by(silent(recorded(LOST))), finding_of(other, hop))
    assert named(conclude(given_)) is cause


def test_an_observed_drop_outweighs_counters() -> None:
    run = silent(recorded(LOST))
    _, there = ends(run)
    diagnosis = diagnose(with_events(run, there, [dropped(run, 151, "bpf_host.c")]))
    assert diagnosis.rule == "observed_failure"
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is ENDPOINT


@pytest.mark.parametrize("name", [HEALTHY, LATENT])
def test_counters_and_hints_do_not_affect_a_successful_run(name: str) -> None:
    loss = given_by(silent(recorded(LOST))).wire_loss
    before = given_by_recorded(name)
    assert conclude(replace(before, wire_loss=loss, hints=("a hint",), lost_events=("lost 3",))) == conclude(
        before
    )


def test_lost_events_are_reported_with_every_failure() -> None:
    for name in (BROKEN, LOST, REFUSED):
        verdict = conclude(replace(given_by_recorded(name), lost_events=("node2 lost 3 events",)))
        assert verdict.message.endswith("node2 lost 3 events")


@pytest.mark.parametrize("name", [HEALTHY, LATENT, BROKEN, REFUSED])
def test_no_hop_is_named_while_something_changes(name: str) -> None:
    verdict = conclude(replace(given_by_recorded(name), change="pod a/b is being deleted"))
    assert verdict.divergence is None
    assert {finding.verdict for finding in verdict.findings} <= {HopVerdict.OK, HopVerdict.UNKNOWN}
    if name != HEALTHY:
        assert (verdict.verdict, verdict.reason) == (ProbeVerdict.UNKNOWN, Reason.IN_TRANSITION)
        assert "pod a/b is being deleted" in verdict.message


def test_a_report_of_a_re_created_pod_is_a_change() -> None:
    elsewhere = reporting(recorded(HEALTHY), local_ip="10.244.9.9")
    assert diagnose(elsewhere).reason is Reason.IMPLAUSIBLE_CLIENT_REPORT
    assert diagnose(elsewhere).rule == "outcome_unknown"
    assert diagnose(changing(elsewhere)).rule == "change_in_progress"


def test_a_lookup_that_could_not_be_judged_stays_in_the_segment() -> None:
    run = recorded(LOST)
    before, after = diagnose(run), diagnose(without(run, FactKind.IPCACHE_ENTRY))
    assert before.segment is not None
    assert after.segment is not None
    order = list(HopName)
    assert order.index(after.segment.after) < order.index(before.segment.after)


RUNS = [
    *(HEALTHY, LATENT, BROKEN, LOST, REFUSED, "ingress-policy-deny", "endpoint-entry-missing"),
    *("policy-map-entry-missing", "destination-link-down", "reply-ipcache-wrong-tunnel-endpoint"),
    *("tunnel-device-down-source", "ipcache-wrong-identity", "source-link-down", "endpoint-wrong-ifindex"),
]
mutated = st.builds(
    lambda of, other, hop: with_findings(given_by_recorded(of), *_at(other, hop)),
    st.sampled_from(RUNS),
    st.sampled_from(RUNS),
    st.sampled_from(list(HopName)),
)


def _at(run: str, hop: HopName) -> list[Finding]:
    return [finding for finding in given_by_recorded(run).findings if finding.hop is hop]


@given(mutated)
def test_healthy_requires_every_hop_to_be_ok_and_the_expectation_met(given_: VerdictInput) -> None:
    verdict = conclude(given_)
    healthy = given_.outcome.met is True and all(f.verdict is HopVerdict.OK for f in given_.findings)
    assert (verdict.verdict is ProbeVerdict.HEALTHY) == healthy
    after = {f.hop: f.verdict for f in verdict.findings}
    assert all(after[f.hop] is not HopVerdict.OK for f in given_.findings if f.verdict is not HopVerdict.OK)


@given(mutated)
def test_a_failed_request_names_a_hop_that_is_not_ok_or_a_segment(given_: VerdictInput) -> None:
    verdict = conclude(given_)
    if not given_.failed:
        return
    assert verdict.verdict is ProbeVerdict.BROKEN
    assert (verdict.divergence is None) != (verdict.segment is None)
    wrong = {f.hop for f in given_.findings if f.verdict in (HopVerdict.STALE, HopVerdict.BROKEN)}
    assert named(verdict) in wrong | {None}


@given(mutated, st.sampled_from(list(HopName)))
def test_a_hop_that_turns_out_to_be_ok_never_makes_a_success_worse(
    given_: VerdictInput, hop: HopName
) -> None:
    if not given_.outcome.met:
        return
    cleared = with_findings(given_, *_at(HEALTHY, hop))
    order = [ProbeVerdict.HEALTHY, ProbeVerdict.UNKNOWN, ProbeVerdict.DEGRADED, ProbeVerdict.BROKEN]
    assert order.index(conclude(cleared).verdict) <= order.index(conclude(given_).verdict)


@given(mutated)
def test_the_last_rule_always_returns_a_verdict(given_: VerdictInput) -> None:
    verdict = RULES[-1](given_)
    assert verdict is not None
    assert verdict.segment == segment_between(given_.findings, given_.progress, given_.last_planned_hop)


@given(mutated)
def test_adjustments_change_nothing_that_is_adjusted(given_: VerdictInput) -> None:
    for adjust in ADJUSTMENTS:
        adjusted = replace(given_, findings=adjust(given_))
        assert adjust(adjusted) == adjusted.findings
