"""From findings to one verdict: cause before symptom, a hop before a segment, Unknown before a guess."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HOP_ORDER, HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.connection.outcome import Outcome
from datapath_probe.diagnose.connection.progress import HOPS_BY_STAGE, Progress, segment_between
from datapath_probe.diagnose.engine import CHECKS
from datapath_probe.diagnose.finding.finding import Finding, Segment, Stage
from datapath_probe.diagnose.verdict.loss_counters import WireLoss
from datapath_probe.diagnose.verdict.rules import Circumstances, Conclusion, conclude

PATH = (
    HopName.SOURCE_PROGRAM,
    HopName.IPCACHE_LOOKUP,
    HopName.OVERLAY_ENCAPSULATION,
    HopName.NODE_ROUTING,
    HopName.OVERLAY_DECAPSULATION,
    HopName.ENDPOINT_LOOKUP,
    HopName.DESTINATION_RESPONSE,
    HopName.REPLY_IPCACHE,
)
MET = Outcome(True, Reason.OK, "HTTP 200")
TIMED_OUT = Outcome(False, Reason.LOST_IN_TRANSIT, "curl exit 28: timed out")
SENT = Progress(Stage.SENT, Stage.SENT)


def finding(
    hop: HopName, verdict: HopVerdict = HopVerdict.OK, predicts: frozenset[Stage] = frozenset()
) -> Finding:
    reason = Reason.OK if verdict is HopVerdict.OK else Reason.COMMAND_FAILED
    return Finding(hop, "node1", "object", verdict, reason, f"{hop} is {verdict}", {}, predicts)


def path(**verdicts: Finding) -> list[Finding]:
    return [verdicts.get(hop.name, finding(hop)) for hop in PATH]


def named(conclusion: Conclusion) -> HopName | None:
    return conclusion.divergence.hop if conclusion.divergence else None


def test_all_hops_ok_and_met_is_healthy() -> None:
    conclusion = conclude(path(), MET, SENT, Circumstances())
    assert conclusion.verdict is ProbeVerdict.HEALTHY
    assert conclusion.reason is Reason.ALL_HOPS_OK


def test_a_stale_hop_of_a_met_request_is_a_latent_fault() -> None:
    stale = finding(HopName.IPCACHE_LOOKUP, HopVerdict.STALE)
    conclusion = conclude(path(IPCACHE_LOOKUP=stale), MET, SENT, Circumstances())
    assert conclusion.verdict is ProbeVerdict.DEGRADED
    assert named(conclusion) is HopName.IPCACHE_LOOKUP


def test_an_unknown_hop_of_a_met_request_is_no_health() -> None:
    unknown = finding(HopName.NODE_ROUTING, HopVerdict.UNKNOWN)
    conclusion = conclude(path(NODE_ROUTING=unknown), MET, SENT, Circumstances())
    assert conclusion.verdict is ProbeVerdict.UNKNOWN
    assert conclusion.divergence is None


def test_a_missed_latency_degrades_and_names_no_hop() -> None:
    slow = replace(MET, shortfall=(Reason.TOO_SLOW, "took 300 ms"))
    conclusion = conclude(path(), slow, SENT, Circumstances())
    assert (conclusion.verdict, conclusion.reason) == (ProbeVerdict.DEGRADED, Reason.TOO_SLOW)
    assert conclusion.divergence is None


def test_the_first_stale_hop_that_predicts_the_death_is_the_cause() -> None:
    findings = path(
        SOURCE_PROGRAM=finding(HopName.SOURCE_PROGRAM, HopVerdict.STALE, frozenset({Stage.NOTHING})),
        IPCACHE_LOOKUP=finding(HopName.IPCACHE_LOOKUP, HopVerdict.STALE, frozenset({Stage.SENT})),
        ENDPOINT_LOOKUP=finding(HopName.ENDPOINT_LOOKUP, HopVerdict.STALE, frozenset({Stage.SENT})),
    )
    conclusion = conclude(findings, TIMED_OUT, SENT, Circumstances())
    assert named(conclusion) is HopName.IPCACHE_LOOKUP
    verdicts = {f.hop: f.verdict for f in conclusion.findings}
    assert verdicts[HopName.IPCACHE_LOOKUP] is HopVerdict.BROKEN
    assert verdicts[HopName.ENDPOINT_LOOKUP] is HopVerdict.STALE


def test_what_was_seen_to_fail_downstream_of_the_cause_is_its_symptom() -> None:
    findings = path(
        IPCACHE_LOOKUP=finding(HopName.IPCACHE_LOOKUP, HopVerdict.STALE, frozenset({Stage.SENT})),
        DESTINATION_RESPONSE=finding(HopName.DESTINATION_RESPONSE, HopVerdict.BROKEN),
    )
    conclusion = conclude(findings, TIMED_OUT, SENT, Circumstances())
    assert named(conclusion) is HopName.IPCACHE_LOOKUP
    assert conclusion.symptom is not None
    assert conclusion.symptom.hop is HopName.DESTINATION_RESPONSE


def test_a_stale_hop_that_can_not_explain_the_failure_is_not_blamed() -> None:
    findings = path(
        REPLY_IPCACHE=finding(HopName.REPLY_IPCACHE, HopVerdict.STALE),
        DESTINATION_RESPONSE=finding(HopName.DESTINATION_RESPONSE, HopVerdict.BROKEN),
    )
    conclusion = conclude(findings, TIMED_OUT, Progress(Stage.ANSWERED, Stage.REPLIED), Circumstances())
    assert named(conclusion) is HopName.DESTINATION_RESPONSE


def test_the_identity_that_a_reverse_entry_gives_may_be_why_policy_dropped() -> None:
    findings = path(
        ENDPOINT_LOOKUP=finding(HopName.ENDPOINT_LOOKUP, HopVerdict.BROKEN),
        REPLY_IPCACHE=finding(HopName.REPLY_IPCACHE, HopVerdict.STALE, frozenset({Stage.SENT})),
    )
    conclusion = conclude(findings, TIMED_OUT, SENT, Circumstances())
    assert named(conclusion) is HopName.REPLY_IPCACHE
    assert conclusion.symptom is not None
    assert conclusion.symptom.hop is HopName.ENDPOINT_LOOKUP


WIRE = WireLoss(
    Segment(HopName.OVERLAY_ENCAPSULATION, HopName.OVERLAY_DECAPSULATION, "node1"), "4 sent, 0 received"
)


def test_a_loss_on_the_wire_narrows_the_segment() -> None:
    conclusion = conclude(path(), TIMED_OUT, SENT, Circumstances(wire=WIRE, hints=("node2 lost 3 events",)))
    assert (conclusion.verdict, conclusion.reason) == (ProbeVerdict.BROKEN, Reason.LOST_BETWEEN_NODES)
    assert conclusion.segment == WIRE.segment
    assert "4 sent, 0 received" in conclusion.message
    assert "node2 lost 3 events" in conclusion.message


@pytest.mark.parametrize(
    ("stale", "cause"),
    [
        (HopName.IPCACHE_LOOKUP, HopName.IPCACHE_LOOKUP),
        (HopName.OVERLAY_DECAPSULATION, HopName.OVERLAY_DECAPSULATION),
        (HopName.ENDPOINT_LOOKUP, None),
    ],
)
def test_only_what_packets_met_before_they_were_lost_is_the_cause(
    stale: HopName, cause: HopName | None
) -> None:
    findings = path(**{stale.name: finding(stale, HopVerdict.STALE, frozenset({Stage.SENT}))})
    assert named(conclude(findings, TIMED_OUT, SENT, Circumstances(wire=WIRE))) is cause


def test_a_drop_that_was_seen_outweighs_what_was_counted() -> None:
    findings = path(ENDPOINT_LOOKUP=finding(HopName.ENDPOINT_LOOKUP, HopVerdict.BROKEN))
    assert named(conclude(findings, TIMED_OUT, SENT, Circumstances(wire=WIRE))) is HopName.ENDPOINT_LOOKUP


def test_neither_wire_nor_clues_matter_to_a_run_that_succeeded() -> None:
    assert conclude(path(), MET, SENT, Circumstances(wire=WIRE, hints=("a clue",))) == conclude(
        path(), MET, SENT, Circumstances()
    )


hops = st.sampled_from(PATH)
verdicts = st.sampled_from(list(HopVerdict))
stages = st.frozensets(st.sampled_from(list(Stage)), max_size=3)
paths_ = st.fixed_dictionaries(
    {hop.name: st.builds(finding, st.just(hop), verdicts, stages) for hop in PATH}
).map(lambda found: path(**found))
ladders = st.lists(st.sampled_from(list(Stage)), min_size=2, max_size=2).map(
    lambda pair: Progress(min(pair), max(pair))
)


@given(paths_, ladders, st.sampled_from([MET, TIMED_OUT, Outcome(None, Reason.CURL_NOT_FOUND, "")]))
def test_health_takes_every_hop_to_be_ok_and_the_expectation_met(
    findings: list[Finding], progress: Progress, outcome: Outcome
) -> None:
    conclusion = conclude(findings, outcome, progress, Circumstances())
    healthy = outcome.met is True and all(f.verdict is HopVerdict.OK for f in findings)
    assert (conclusion.verdict is ProbeVerdict.HEALTHY) == healthy
    if any(f.verdict is HopVerdict.UNKNOWN for f in findings):
        assert conclusion.verdict is not ProbeVerdict.HEALTHY
    after = {f.hop: f.verdict for f in conclusion.findings}
    assert all(after[f.hop] is not HopVerdict.OK for f in findings if f.verdict is not HopVerdict.OK)


@given(paths_, ladders, hops)
def test_a_hop_that_turns_out_to_be_fine_never_makes_a_verdict_worse(
    findings: list[Finding], progress: Progress, hop: HopName
) -> None:
    cleared = [finding(f.hop) if f.hop is hop else f for f in findings]
    before, after = (
        conclude(findings, MET, progress, Circumstances()),
        conclude(cleared, MET, progress, Circumstances()),
    )
    order = [ProbeVerdict.HEALTHY, ProbeVerdict.UNKNOWN, ProbeVerdict.DEGRADED, ProbeVerdict.BROKEN]
    assert order.index(after.verdict) <= order.index(before.verdict)
    if all(f.verdict is not HopVerdict.UNKNOWN or f.hop is hop for f in findings):
        assert after.verdict is not ProbeVerdict.UNKNOWN


@given(paths_, ladders)
def test_a_failed_request_names_a_hop_that_is_not_ok_or_a_segment(
    findings: list[Finding], progress: Progress
) -> None:
    conclusion = conclude(findings, TIMED_OUT, progress, Circumstances())
    assert conclusion.verdict is ProbeVerdict.BROKEN
    assert (conclusion.divergence is None) != (conclusion.segment is None)
    blamed = {f.hop for f in findings if f.verdict in (HopVerdict.STALE, HopVerdict.BROKEN)}
    assert named(conclusion) in blamed | {None}


def test_nothing_is_blamed_from_a_hop_on_that_is_not_followed() -> None:
    cause = finding(HopName.ENDPOINT_LOOKUP, HopVerdict.STALE, frozenset({Stage.SENT}))
    unjudged = replace(
        finding(HopName.IPCACHE_LOOKUP, HopVerdict.UNKNOWN), reason=Reason.UNSUPPORTED_CONFIGURATION
    )
    hops = path(IPCACHE_LOOKUP=unjudged, ENDPOINT_LOOKUP=cause)
    assert named(conclude(hops, TIMED_OUT, SENT, Circumstances())) is HopName.ENDPOINT_LOOKUP
    hops = path(IPCACHE_LOOKUP=replace(unjudged, unfollowed_beyond=True), ENDPOINT_LOOKUP=cause)
    conclusion = conclude(hops, TIMED_OUT, SENT, Circumstances())
    assert (conclusion.verdict, conclusion.reason) == (
        ProbeVerdict.UNKNOWN,
        Reason.UNSUPPORTED_CONFIGURATION,
    )


def test_without_cause_and_witness_only_a_segment_is_named() -> None:
    conclusion = conclude(path(), TIMED_OUT, SENT, Circumstances())
    assert (conclusion.verdict, conclusion.reason) == (ProbeVerdict.BROKEN, Reason.LOST_IN_TRANSIT)
    assert conclusion.divergence is None
    assert conclusion.segment is not None
    assert conclusion.segment.after is HopName.IPCACHE_LOOKUP
    assert conclusion.segment.before is HopName.ENDPOINT_LOOKUP


def test_a_lookup_that_could_not_be_judged_stays_in_the_segment() -> None:
    unknown = finding(HopName.IPCACHE_LOOKUP, HopVerdict.UNKNOWN)
    conclusion = conclude(path(IPCACHE_LOOKUP=unknown), TIMED_OUT, SENT, Circumstances())
    assert conclusion.segment is not None
    assert conclusion.segment.after is HopName.SOURCE_PROGRAM


@pytest.mark.parametrize("outcome", [MET, TIMED_OUT])
def test_nothing_is_blamed_while_something_is_in_transition(outcome: Outcome) -> None:
    stale = finding(HopName.IPCACHE_LOOKUP, HopVerdict.STALE, frozenset({Stage.SENT}))
    conclusion = conclude(
        path(IPCACHE_LOOKUP=stale), outcome, SENT, Circumstances("pod a/b is being deleted")
    )
    assert (conclusion.verdict, conclusion.reason) == (ProbeVerdict.UNKNOWN, Reason.IN_TRANSITION)
    assert "pod a/b is being deleted" in conclusion.message
    assert conclusion.divergence is None
    assert {f.verdict for f in conclusion.findings} == {HopVerdict.OK, HopVerdict.UNKNOWN}


def test_a_transition_elsewhere_does_not_hide_health() -> None:
    assert conclude(path(), MET, SENT, Circumstances("node1 is not ready")).verdict is ProbeVerdict.HEALTHY


def test_a_client_that_could_not_run_says_nothing_of_the_path() -> None:
    no_client = Outcome(None, Reason.CURL_NOT_FOUND, "no curl")
    stale = finding(HopName.IPCACHE_LOOKUP, HopVerdict.STALE, frozenset({Stage.SENT}))
    conclusion = conclude(path(IPCACHE_LOOKUP=stale), no_client, SENT, Circumstances())
    assert (conclusion.verdict, conclusion.reason) == (ProbeVerdict.UNKNOWN, Reason.CURL_NOT_FOUND)


def test_every_hop_has_a_check() -> None:
    assert CHECKS.keys() == set(HopName)


@pytest.mark.parametrize("stage", list(Stage))
def test_a_segment_holds_every_hop_that_can_be_to_blame(stage: Stage) -> None:
    findings = [finding(hop, HopVerdict.UNKNOWN) for hop in HopName]
    segment = segment_between(findings, Progress(stage, stage))
    inside = [hop for hop in HopName if HOP_ORDER[segment.after] < HOP_ORDER[hop] < HOP_ORDER[segment.before]]
    assert set(HOPS_BY_STAGE[stage]) <= {*inside, HopName.REPLY_TRANSLATION}


def test_a_report_from_a_re_created_pod_is_a_transition() -> None:
    elsewhere = Outcome(None, Reason.IMPLAUSIBLE_CLIENT_REPORT, "curl spoke from another address")
    assert conclude(path(), elsewhere, SENT, Circumstances()).reason is Reason.IMPLAUSIBLE_CLIENT_REPORT
    assert (
        conclude(path(), elsewhere, SENT, Circumstances("pod a/b was re-created")).reason
        is Reason.IN_TRANSITION
    )


def test_a_stale_hop_beyond_the_one_that_was_seen_to_fail_is_not_the_cause() -> None:
    findings = path(
        SOURCE_PROGRAM=finding(HopName.SOURCE_PROGRAM, HopVerdict.BROKEN),
        IPCACHE_LOOKUP=finding(HopName.IPCACHE_LOOKUP, HopVerdict.STALE, frozenset({Stage.NOTHING})),
    )
    conclusion = conclude(findings, TIMED_OUT, Progress(Stage.NOTHING, Stage.NOTHING), Circumstances())
    assert named(conclusion) is HopName.SOURCE_PROGRAM
