"""What events add to a verdict: the hop that dropped, the rungs that conntrack does not tell. What they do not show
proves nothing.
"""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict, Stance, Witness
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.sources.flows import hubble, monitor
from unit.diagnose.told import dropped, ends, packet, telling, without
from unit.kinds import tool_of
from unit.recorded import names, recorded
from unit.sources.golden import printed

LOST = "overlay-dropped-on-the-wire"
RINGS = (FactKind.FLOWS, FactKind.ICMP_FLOWS, FactKind.NEWEST_FLOW)
MONITOR = (FactKind.MONITOR_DROPS, FactKind.MONITOR_TRACES)


UNHEARD = [name for name in names() if not any(tool_of(q) == "hubble" for q, _ in recorded(name).evidence)]


def hop(diagnosis: Diagnosis, name: HopName) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.hop is name)


def named(diagnosis: Diagnosis) -> tuple[HopName, str, Reason] | None:
    blamed = diagnosis.divergence
    return (blamed.hop, blamed.node, blamed.reason) if blamed else None


def asked(run: PathRun) -> set[FactKind]:
    return {fact.kind for fact in facts_of(run)} & {*RINGS, *MONITOR}


def test_a_drop_that_was_seen_is_named_where_nothing_is_programmed_wrong() -> None:
    run = recorded(LOST)
    _, there = ends(run)
    diagnosis = diagnose(telling(run, there, [dropped(run, 151, "bpf_host.c")]))
    assert named(diagnosis) == (HopName.ENDPOINT_LOOKUP, there, Reason.PACKET_DROPPED)
    assert diagnosis.segment is None
    observed = hop(diagnosis, HopName.ENDPOINT_LOOKUP).evidence[Witness.OBSERVED]
    assert observed.stance is Stance.CONTRADICTS
    assert observed.facts["drop"] == "Stale or unroutable IP (151)"


@pytest.mark.parametrize("reply", [False, True])
def test_a_packet_that_was_sent_to_live_too_short_is_its_senders_doing_wherever_it_died(reply: bool) -> None:
    run = recorded(LOST)
    here, there = ends(run)
    died_at, sender = (here, there) if reply else (there, here)
    diagnosis = diagnose(telling(run, died_at, [dropped(run, 196, "bpf_lxc.c", reply=reply)]))
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
    diagnosis = diagnose(telling(failed, there, [dropped(run, 133, "bpf_lxc.c")]))
    blamed = named(diagnosis)
    assert blamed is not None
    assert blamed[0] in (HopName.IPCACHE_LOOKUP, HopName.INGRESS_POLICY)


def test_a_missing_entry_says_more_than_the_drop_that_it_causes() -> None:
    run = recorded("endpoint-entry-missing")
    _, there = ends(run)
    before, after = diagnose(run), diagnose(telling(run, there, [dropped(run, 151, "bpf_host.c")]))
    assert named(after) == named(before)
    assert "Stale or unroutable IP (151)" in after.message


@pytest.mark.parametrize(
    ("there_dropped", "reply", "named_hop", "reason"),
    [
        (155, False, HopName.INGRESS_POLICY, Reason.CONNTRACK_INSERT_FAILED),
        (133, True, HopName.REPLY_PROGRAM, Reason.CONNTRACK_ENTRY_LOST),
    ],
)
def test_what_conntrack_could_not_keep_is_no_denial(
    there_dropped: int, reply: bool, named_hop: HopName, reason: Reason
) -> None:
    run = without(recorded(LOST), FactKind.CONNTRACK_ENTRY)
    _, there = ends(run)
    way = "EGRESS" if reply else "INGRESS"
    lines = [dropped(run, there_dropped, "bpf_lxc.c", way, reply=reply)]
    assert named(diagnose(telling(run, there, lines))) == (named_hop, there, reason)


def test_two_kinds_of_drop_at_one_hop_are_both_told_and_the_most_frequent_names_it() -> None:
    run = recorded(LOST)
    _, there = ends(run)
    lines = [dropped(run, code, "bpf_lxc.c") for code in (133, 155, 155)]
    diagnosis = diagnose(telling(run, there, lines))
    assert named(diagnosis) == (HopName.INGRESS_POLICY, there, Reason.CONNTRACK_INSERT_FAILED)
    observed = hop(diagnosis, HopName.INGRESS_POLICY).evidence[Witness.OBSERVED]
    assert (observed.facts["drops"], observed.facts["drop"].count("(")) == ("3", 2)
    assert "(133)" in diagnosis.message


LOST_EVENTS = json.dumps({"lost_events": {"source": "PERF_EVENT_RING_BUFFER", "num_events_lost": "12"}})


@pytest.mark.parametrize(
    "name", ["ingress-policy-deny", "endpoint-entry-missing", "denied-as-expected", "refused-is-not-denied"]
)
def test_lost_events_are_told_beside_every_verdict_of_the_node_that_lost_them(name: str) -> None:
    run = recorded(name)
    _, there = ends(run)
    drops = [dropped(run, 133, "bpf_lxc.c")] if name != "refused-is-not-denied" else []
    diagnosis = diagnose(telling(run, there, [LOST_EVENTS, *drops]))
    told = [
        f.evidence[Witness.OBSERVED].facts.get("lostEvents") for f in diagnosis.findings if f.node == there
    ]
    assert told
    assert set(told) == {"12"}
    if diagnosis.reason is Reason.DENIAL_NOT_OBSERVED:
        assert f"{there} lost 12 events" in diagnosis.message
    if diagnosis.met is False:
        assert diagnosis.divergence
        assert diagnosis.divergence.message.endswith(f"; {there} lost 12 events")
        assert diagnosis.message.count(f"{there} lost 12 events") == 1


def test_a_drop_in_a_run_that_succeeded_is_told_and_not_held_against_the_hop() -> None:
    run = recorded("healthy-cross-node")
    _, there = ends(run)
    looked_twice = replace(run, second_look=True)
    diagnosis = diagnose(telling(looked_twice, there, [dropped(run, 133, "bpf_lxc.c")]))
    assert diagnosis.verdict is ProbeVerdict.HEALTHY
    assert hop(diagnosis, HopName.INGRESS_POLICY).evidence[Witness.OBSERVED].facts["drops"] == "1"


def test_a_drop_before_what_the_packets_reached_is_not_where_they_died() -> None:
    run = recorded("connection-refused")
    _, there = ends(run)
    diagnosis = diagnose(telling(run, there, [dropped(run, 133, "bpf_lxc.c")]))
    assert named(diagnosis) == named(diagnose(run))


def test_a_drop_that_no_hop_owns_is_told_with_the_segment() -> None:
    run = recorded(LOST)
    _, there = ends(run)
    diagnosis = diagnose(telling(run, there, [dropped(run, 133, "bpf_host.c")]))
    assert diagnosis.segment == diagnose(run).segment
    assert f"{there} dropped a packet of this connection in bpf_host.c" in diagnosis.message


def test_events_tell_how_far_packets_came_where_conntrack_is_silent() -> None:
    run = without(recorded("connection-refused"), FactKind.CONNTRACK_ENTRY)
    here, there = ends(run)
    assert named(diagnose(run)) is None
    seen = telling(
        run,
        there,
        [
            packet(run, trace_observation_point="TO_ENDPOINT"),
            packet(run, reply=True, flags="RST ACK", trace_observation_point="TO_OVERLAY"),
        ],
    )
    seen = telling(
        seen, here, [packet(run, reply=True, flags="RST ACK", trace_observation_point="TO_ENDPOINT")]
    )
    diagnosis = diagnose(seen)
    assert named(diagnosis) == (HopName.DESTINATION_RESPONSE, there, Reason.CONNECTION_REFUSED)
    assert (
        hop(diagnosis, HopName.INGRESS_POLICY).evidence[Witness.OBSERVED].facts["events"] == "TO_ENDPOINT SYN"
    )


def test_lost_events_are_told_beside_the_verdict() -> None:
    run = recorded(LOST)
    here, _ = ends(run)
    lost = '{"lost_events":{"source":"PERF_EVENT_RING_BUFFER","num_events_lost":"12"}}'
    diagnosis = diagnose(telling(run, here, [packet(run, trace_observation_point="TO_OVERLAY"), lost]))
    assert f"{here} lost 12 events" in diagnosis.message
    observed = hop(diagnosis, HopName.OVERLAY_ENCAPSULATION).evidence[Witness.OBSERVED]
    assert observed.facts["lostEvents"] == "12"


@pytest.mark.parametrize("name", UNHEARD)
def test_rings_that_show_nothing_change_no_verdict(name: str) -> None:
    run = recorded(name)
    silent = run
    for node in ends(run):
        silent = telling(silent, node, [])
    before, after = diagnose(run), diagnose(silent)
    assert (after.verdict, named(after), after.segment) == (before.verdict, named(before), before.segment)
    assert after.findings == before.findings


def test_a_healthy_run_asks_for_no_events() -> None:
    run = recorded("healthy-cross-node")
    assert asked(run) == set()
    assert asked(replace(run, request=replace(run.request, reading=None))) == set()


def test_after_a_failed_request_the_rings_are_marked_and_read_in_the_second_look() -> None:
    run = recorded(LOST)
    marks = [q for q in facts_of(replace(run, second_look=False)) if tool_of(q) == "hubble"]
    assert sorted(marks, key=str) == sorted(map(hubble.newest, ends(run)), key=str)
    marked = replace(run, evidence=run.evidence.adding(marks, [Answer(0, b"", b"", 0.0, 0.0)] * len(marks)))
    ring = [fact for fact in facts_of(marked) if tool_of(fact) == "hubble"]
    assert len(ring) == 2 * len(set(ends(run)))
    assert ring[0].number("port") == run.request.local_port


def test_a_ring_that_has_not_moved_on_is_asked_again() -> None:
    run = recorded(LOST)
    here, there = ends(run)
    events_to_reread = diagnose(telling(telling(run, here, []), there, [], moved_on=False)).events_to_reread
    assert {fact.node for fact in events_to_reread} == {there}
    assert events_to_reread[0] == hubble.newest(there)
    assert diagnose(telling(telling(run, here, []), there, [])).events_to_reread == ()


def test_without_hubble_the_monitor_listens_while_the_request_hangs() -> None:
    run = recorded(LOST)
    _, there = ends(run)
    plan = replace(run.plan, config={**run.plan.config, "enable-hubble": "false"})
    off = replace(run, plan=plan, plan_after=plan)
    waiting = replace(off, request=replace(off.request, reading=None))
    assert asked(waiting) == set()
    assert asked(replace(waiting, hanging=True)) == {*MONITOR}
    closed = Answer(1, b"", b"", 0.0, 0.0)
    hanging = replace(run, request=replace(run.request, reading=None), hanging=True)
    assert asked(hanging) == set()
    unserved = hanging.evidence.adding([hubble.socket(there, hubble.SOCKET)], [closed])
    listening = [q for q in facts_of(replace(hanging, evidence=unserved)) if q.kind in MONITOR]
    target = run.plan.backends[0].pod_facts
    assert target is not None
    assert target.endpoint is not None
    assert listening == [
        monitor.fact(there, 4),
        monitor.traces(there, (target.endpoint.endpoint_id,), 4),
    ]
    line = (
        '{"type":"drop","reason":"Stale or unroutable IP","source":1,"File":1,"summary":{"tcp":"TCP",'
        f'"l3":{{"src":"{run.plan.source.pod.ip}","dst":"{run.plan.backends[0].ip}"}},'
        f'"l4":{{"src":"{run.request.local_port}","dst":"80"}}}}}}'
    )
    caught = Answer(124, line.encode(), b"", 0.0, 4.0)
    heard = replace(off, evidence=off.evidence.adding([monitor.fact(there, 4)], [caught]))
    assert named(diagnose(heard)) == (HopName.ENDPOINT_LOOKUP, there, Reason.PACKET_DROPPED)


def monitored(run: PathRun, node: str, point: str | None = None) -> PathRun:
    """The run without Hubble, with what the monitor saw of its connection on this node: no drop, and this."""
    plan = replace(run.plan, config={**run.plan.config, "enable-hubble": "false"})
    seen = {
        "type": "trace",
        "observationPoint": point,
        "summary": {
            "tcp": "TCP",
            "l3": {"src": run.plan.source.pod.ip, "dst": run.plan.backends[0].ip},
            "l4": {"src": str(run.request.local_port), "dst": str(run.plan.backends[0].port)},
        },
    }
    pods = [run.plan.source, *(backend.pod_facts for backend in run.plan.backends if backend.pod_facts)]
    ids = [pod.endpoint.endpoint_id for pod in pods if pod.endpoint and pod.node.name == node]
    answers = {monitor.fact(node, 4): "", monitor.traces(node, ids, 4): json.dumps(seen) if point else ""}
    caught = [printed(said, 124) for said in answers.values()]
    return replace(run, plan=plan, plan_after=plan, evidence=run.evidence.adding(tuple(answers), caught))


def test_without_hubble_the_monitor_tells_how_far_packets_came() -> None:
    run = without(recorded(LOST), FactKind.CONNTRACK_ENTRY)
    here, there = ends(run)
    seen = diagnose(monitored(monitored(run, here, "to-overlay"), there, "to-endpoint"))
    facts = [
        hop(seen, name).evidence[Witness.OBSERVED].facts["events"]
        for name in (HopName.OVERLAY_ENCAPSULATION, HopName.INGRESS_POLICY)
    ]
    assert facts == ["TO_OVERLAY", "TO_ENDPOINT"]
    silent = diagnose(monitored(monitored(run, here), there))
    assert not any("events" in statement.facts for f in silent.findings for statement in f.evidence.values())


def test_traces_count_only_where_the_monitor_could_listen_for_drops_too() -> None:
    run = recorded(LOST)
    _, there = ends(run)
    told = monitored(run, there, "to-endpoint")
    deaf = without(told, FactKind.MONITOR_DROPS)
    assert diagnose(deaf) == diagnose(without(deaf, FactKind.MONITOR_TRACES))


# without a backend whatever is seen went elsewhere
FAULTS = [name for name in UNHEARD if recorded(name).plan.backends and diagnose(recorded(name)).met is False]


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
def test_whatever_is_seen_of_a_failed_request_it_stays_a_failure_in_any_order(
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
    told, turned = run, run
    for node, said in lines.items():
        told = telling(told, node, said)
        turned = telling(turned, node, said[::-1])
    diagnosis = diagnose(told)
    assert diagnosis.verdict is not ProbeVerdict.HEALTHY
    assert diagnosis.met is False
    assert diagnose(turned) == diagnosis
    if not any(code for _, _, code, _, _ in seen):
        before = {finding.hop for finding in diagnose(run).findings if finding.verdict is HopVerdict.BROKEN}
        after = {finding.hop for finding in diagnosis.findings if finding.verdict is HopVerdict.BROKEN}
        assert after <= before | {HopName.DESTINATION_RESPONSE}


@pytest.mark.parametrize("name", ["overlay-tail-call-missing", "reply-tail-call-missing"])
def test_a_drop_on_the_lab_is_told_with_code_file_and_count(name: str) -> None:
    diagnosis = diagnose(recorded(name))
    assert diagnosis.divergence is not None
    facts = hop(diagnosis, diagnosis.divergence.hop).evidence[Witness.OBSERVED].facts
    assert facts["drop"] == "Missed tail call (140)"
    assert facts["dropFile"].startswith("bpf_")
    assert int(facts["drops"]) >= 2
