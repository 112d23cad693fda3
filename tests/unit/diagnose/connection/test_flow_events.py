"""What events add to a verdict: the hop that dropped packets, and stages that conntrack does not show.

Missing events prove nothing.
"""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict, Stance, Witness
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.evidence.fact_kinds import FactKind
from unit.diagnose.altered_runs import dropped, ends, packet, with_events, without
from unit.kinds import tool_of
from unit.recorded import names, recorded

LOST = "overlay-dropped-on-the-wire"
WITHOUT_EVENTS = [
    name for name in names() if not any(tool_of(q) == "hubble" for q, _ in recorded(name).evidence)
]


def hop(diagnosis: Diagnosis, name: HopName) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.hop is name)


def named(diagnosis: Diagnosis) -> tuple[HopName, str, Reason] | None:
    divergence = diagnosis.divergence
    return (divergence.hop, divergence.node, divergence.reason) if divergence else None


def test_an_observed_drop_names_the_hop_if_nothing_is_programmed_wrong() -> None:
    run = recorded(LOST)
    _, there = ends(run)
    diagnosis = diagnose(with_events(run, there, [dropped(run, 151, "bpf_host.c")]))
    assert named(diagnosis) == (HopName.ENDPOINT_LOOKUP, there, Reason.PACKET_DROPPED)
    assert diagnosis.segment is None
    observed = hop(diagnosis, HopName.ENDPOINT_LOOKUP).evidence[Witness.OBSERVED]
    assert observed.stance is Stance.CONTRADICTS
    assert observed.facts["drop"] == "Stale or unroutable IP (151)"


@pytest.mark.parametrize("reply", [False, True])
def test_a_packet_that_was_drop_for_its_ttl_is_the_fault_of_the_sender_on_any_node(reply: bool) -> None:
    run = recorded(LOST)
    here, there = ends(run)
    dropped_at, sender = (here, there) if reply else (there, here)
    diagnosis = diagnose(with_events(run, dropped_at, [dropped(run, 196, "bpf_lxc.c", reply=reply)]))
    expected = HopName.DESTINATION_INTERFACE if reply else HopName.SOURCE_INTERFACE
    assert named(diagnosis) == (expected, sender, Reason.PACKET_DROPPED)


def test_policy_that_drops_is_the_symptom_of_a_wrong_identity() -> None:
    run = recorded("ipcache-wrong-identity")
    lost = recorded(LOST)
    _, there = ends(run)
    failed = replace(
        run,
        request=replace(run.request, reading=lost.request.reading, local_port=run.request.local_port),
    )
    failed = without(failed, FactKind.CONNTRACK_ENTRY)
    diagnosis = diagnose(with_events(failed, there, [dropped(run, 133, "bpf_lxc.c")]))
    divergence = named(diagnosis)
    assert divergence is not None
    assert divergence[0] in (HopName.IPCACHE_LOOKUP, HopName.INGRESS_POLICY)


def test_a_missing_entry_is_more_specific_than_the_drop_that_it_causes() -> None:
    run = recorded("endpoint-entry-missing")
    _, there = ends(run)
    before, after = diagnose(run), diagnose(with_events(run, there, [dropped(run, 151, "bpf_host.c")]))
    assert named(after) == named(before)
    assert "Stale or unroutable IP (151)" in after.message


@pytest.mark.parametrize(
    ("there_dropped", "reply", "named_hop", "reason"),
    [
        (155, False, HopName.INGRESS_POLICY, Reason.CONNTRACK_INSERT_FAILED),
        (133, True, HopName.REPLY_PROGRAM, Reason.CONNTRACK_ENTRY_LOST),
    ],
)
def test_a_drop_for_a_conntrack_failure_is_no_denial(
    there_dropped: int, reply: bool, named_hop: HopName, reason: Reason
) -> None:
    run = without(recorded(LOST), FactKind.CONNTRACK_ENTRY)
    _, there = ends(run)
    direction = "EGRESS" if reply else "INGRESS"
    lines = [dropped(run, there_dropped, "bpf_lxc.c", direction, reply=reply)]
    assert named(diagnose(with_events(run, there, lines))) == (named_hop, there, reason)


def test_two_kinds_of_drop_at_one_hop_are_both_reported_and_the_most_frequent_gives_the_reason() -> None:
    run = recorded(LOST)
    _, there = ends(run)
    lines = [dropped(run, code, "bpf_lxc.c") for code in (133, 155, 155)]
    diagnosis = diagnose(with_events(run, there, lines))
    assert named(diagnosis) == (HopName.INGRESS_POLICY, there, Reason.CONNTRACK_INSERT_FAILED)
    observed = hop(diagnosis, HopName.INGRESS_POLICY).evidence[Witness.OBSERVED]
    assert (observed.facts["drops"], observed.facts["drop"].count("(")) == ("3", 2)
    assert "(133)" in diagnosis.message


LOST_EVENTS = json.dumps({"lost_events": {"source": "PERF_EVENT_RING_BUFFER", "num_events_lost": "12"}})


@pytest.mark.parametrize(
    "name", ["ingress-policy-deny", "endpoint-entry-missing", "denied-as-expected", "refused-is-not-denied"]
)
def test_lost_events_are_reported_with_every_finding_of_the_node_that_lost_them(name: str) -> None:
    run = recorded(name)
    _, there = ends(run)
    drops = [dropped(run, 133, "bpf_lxc.c")] if name != "refused-is-not-denied" else []
    diagnosis = diagnose(with_events(run, there, [LOST_EVENTS, *drops]))
    lost = [
        f.evidence[Witness.OBSERVED].facts.get("lostEvents") for f in diagnosis.findings if f.node == there
    ]
    assert lost
    assert set(lost) == {"12"}
    if diagnosis.reason is Reason.DENIAL_NOT_OBSERVED:
        assert f"{there} lost 12 events" in diagnosis.message
    if diagnosis.met is False:
        assert diagnosis.divergence
        assert diagnosis.divergence.message.endswith(f"; {there} lost 12 events")
        assert diagnosis.message.count(f"{there} lost 12 events") == 1


def test_a_drop_in_a_successful_run_is_reported_and_the_hop_stays_ok() -> None:
    run = recorded("healthy-cross-node")
    _, there = ends(run)
    looked_twice = replace(run, second_look=True)
    diagnosis = diagnose(with_events(looked_twice, there, [dropped(run, 133, "bpf_lxc.c")]))
    assert diagnosis.verdict is ProbeVerdict.HEALTHY
    assert hop(diagnosis, HopName.INGRESS_POLICY).evidence[Witness.OBSERVED].facts["drops"] == "1"


def test_a_drop_before_the_stage_that_packets_reached_is_not_the_cause() -> None:
    run = recorded("connection-refused")
    _, there = ends(run)
    diagnosis = diagnose(with_events(run, there, [dropped(run, 133, "bpf_lxc.c")]))
    assert named(diagnosis) == named(diagnose(run))


def test_a_drop_that_no_hop_owns_is_reported_with_the_segment() -> None:
    run = recorded(LOST)
    _, there = ends(run)
    diagnosis = diagnose(with_events(run, there, [dropped(run, 133, "bpf_host.c")]))
    assert diagnosis.segment == diagnose(run).segment
    assert f"{there} dropped a packet of this connection in bpf_host.c" in diagnosis.message


def test_events_show_how_far_packets_got_without_conntrack() -> None:
    run = without(recorded("connection-refused"), FactKind.CONNTRACK_ENTRY)
    here, there = ends(run)
    assert named(diagnose(run)) is None
    seen = with_events(
        run,
        there,
        [
            packet(run, trace_observation_point="TO_ENDPOINT"),
            packet(run, reply=True, flags="RST ACK", trace_observation_point="TO_OVERLAY"),
        ],
    )
    seen = with_events(
        seen, here, [packet(run, reply=True, flags="RST ACK", trace_observation_point="TO_ENDPOINT")]
    )
    diagnosis = diagnose(seen)
    assert named(diagnosis) == (HopName.DESTINATION_RESPONSE, there, Reason.CONNECTION_REFUSED)
    assert (
        hop(diagnosis, HopName.INGRESS_POLICY).evidence[Witness.OBSERVED].facts["events"] == "TO_ENDPOINT SYN"
    )


def test_lost_events_are_reported_with_the_verdict() -> None:
    run = recorded(LOST)
    here, _ = ends(run)
    lost = '{"lost_events":{"source":"PERF_EVENT_RING_BUFFER","num_events_lost":"12"}}'
    diagnosis = diagnose(with_events(run, here, [packet(run, trace_observation_point="TO_OVERLAY"), lost]))
    assert f"{here} lost 12 events" in diagnosis.message
    observed = hop(diagnosis, HopName.OVERLAY_ENCAPSULATION).evidence[Witness.OBSERVED]
    assert observed.facts["lostEvents"] == "12"


@pytest.mark.parametrize("name", WITHOUT_EVENTS)
def test_rings_that_show_nothing_change_no_verdict(name: str) -> None:
    run = recorded(name)
    silent = run
    for node in ends(run):
        silent = with_events(silent, node, [])
    before, after = diagnose(run), diagnose(silent)
    assert (after.verdict, named(after), after.segment) == (before.verdict, named(before), before.segment)
    assert after.findings == before.findings


# without a backend, these packets went to another destination
FAULTS = [
    name for name in WITHOUT_EVENTS if recorded(name).plan.backends and diagnose(recorded(name)).met is False
]


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(FAULTS),
    st.lists(
        st.tuples(
            st.sampled_from([0, 1]),
            st.booleans(),
            st.sampled_from([None, 133, 140, 151, 155, 160, 166, 203]),
            st.sampled_from(["bpf_lxc.c", "bpf_host.c", "bpf_overlay.c"]),
            st.sampled_from(["TO_ENDPOINT", "TO_OVERLAY", "TO_STACK"]),
        ),
        max_size=4,
    ),
    st.randoms(use_true_random=False),
)
def test_a_failed_request_stays_a_failure_with_any_events_in_any_order(
    name: str, seen: list[tuple[int, bool, int | None, str, str]], random: object
) -> None:
    run = recorded(name)
    lines: dict[str, list[str]] = {node: [] for node in ends(run)}
    for end, reply, code, file, point in seen:
        line = (
            dropped(run, code, file, reply=reply)
            if code
            else packet(run, reply=reply, trace_observation_point=point)
        )
        lines[ends(run)[end]].append(line)
    in_order, reversed_ = run, run
    for node, texts in lines.items():
        in_order = with_events(in_order, node, texts)
        reversed_ = with_events(reversed_, node, texts[::-1])
    diagnosis = diagnose(in_order)
    assert diagnosis.verdict is not ProbeVerdict.HEALTHY
    assert diagnosis.met is False
    assert diagnose(reversed_) == diagnosis
    if not any(code for _, _, code, _, _ in seen):
        before = {finding.hop for finding in diagnose(run).findings if finding.verdict is HopVerdict.BROKEN}
        after = {finding.hop for finding in diagnosis.findings if finding.verdict is HopVerdict.BROKEN}
        assert after <= before | {HopName.DESTINATION_RESPONSE}


@pytest.mark.parametrize("name", ["overlay-tail-call-missing", "reply-tail-call-missing"])
def test_a_recorded_drop_is_reported_with_code_file_and_count(name: str) -> None:
    diagnosis = diagnose(recorded(name))
    assert diagnosis.divergence is not None
    facts = hop(diagnosis, diagnosis.divergence.hop).evidence[Witness.OBSERVED].facts
    assert facts["drop"] == "Missed tail call (140)"
    assert facts["dropFile"].startswith("bpf_")
    assert int(facts["drops"]) >= 2
