"""When events are read, and by which tool: Hubble, or the monitor while the request hangs."""

import json
from dataclasses import replace

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, Witness
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.sources.flows import hubble, monitor
from unit.diagnose.altered_runs import ends, with_events, without
from unit.diagnose.connection.test_flow_events import LOST, hop, named
from unit.kinds import tool_of
from unit.recorded import recorded
from unit.sources.golden import printed

RINGS = (FactKind.FLOWS, FactKind.ICMP_FLOWS, FactKind.NEWEST_FLOW)
MONITOR = (FactKind.MONITOR_DROPS, FactKind.MONITOR_TRACES)


def asked(run: PathRun) -> set[FactKind]:
    return {fact.kind for fact in facts_of(run)} & {*RINGS, *MONITOR}


def test_a_healthy_run_reads_no_events() -> None:
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


def test_a_ring_that_has_not_moved_on_is_read_again() -> None:
    run = recorded(LOST)
    here, there = ends(run)
    events_to_reread = diagnose(
        with_events(with_events(run, here, []), there, [], moved_on=False)
    ).events_to_reread
    assert {fact.node for fact in events_to_reread} == {there}
    assert events_to_reread[0] == hubble.newest(there)
    assert diagnose(with_events(with_events(run, here, []), there, [])).events_to_reread == ()


def test_without_hubble_the_monitor_runs_while_the_request_hangs() -> None:
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
        f'"l3":{{"src":"{run.plan.source.ip}","dst":"{run.plan.backends[0].ip}"}},'
        f'"l4":{{"src":"{run.request.local_port}","dst":"80"}}}}}}'
    )
    seen_by_monitor = Answer(124, line.encode(), b"", 0.0, 4.0)
    captured = replace(off, evidence=off.evidence.adding([monitor.fact(there, 4)], [seen_by_monitor]))
    assert named(diagnose(captured)) == (HopName.ENDPOINT_LOOKUP, there, Reason.PACKET_DROPPED)


def monitored(run: PathRun, node: str, point: str | None = None) -> PathRun:
    """The run without Hubble, with the monitor's events of its connection on this node: no drop, and one trace."""
    plan = replace(run.plan, config={**run.plan.config, "enable-hubble": "false"})
    seen = {
        "type": "trace",
        "observationPoint": point,
        "summary": {
            "tcp": "TCP",
            "l3": {"src": str(run.plan.source.ip), "dst": str(run.plan.backends[0].ip)},
            "l4": {"src": str(run.request.local_port), "dst": str(run.plan.backends[0].port)},
        },
    }
    pods = [run.plan.source, *(backend.pod_facts for backend in run.plan.backends if backend.pod_facts)]
    ids = [pod.endpoint.endpoint_id for pod in pods if pod.endpoint and pod.node.name == node]
    answers = {monitor.fact(node, 4): "", monitor.traces(node, ids, 4): json.dumps(seen) if point else ""}
    seen_by_monitor = [printed(text, 124) for text in answers.values()]
    return replace(
        run, plan=plan, plan_after=plan, evidence=run.evidence.adding(tuple(answers), seen_by_monitor)
    )


def test_without_hubble_the_monitor_shows_how_far_packets_got() -> None:
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


def test_traces_count_only_if_the_monitor_ran_for_drops_too() -> None:
    run = recorded(LOST)
    _, there = ends(run)
    traced = monitored(run, there, "to-endpoint")
    without_drops = without(traced, FactKind.MONITOR_DROPS)
    assert diagnose(without_drops) == diagnose(without(without_drops, FactKind.MONITOR_TRACES))
