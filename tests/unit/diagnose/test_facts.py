"""The facts of a run, and when they are read."""

from dataclasses import replace

from datapath_probe.diagnose.engine import facts_of
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.agent import map_pressure
from datapath_probe.sources.iproute2 import uptime
from datapath_probe.sources.maps import conntrack
from unit.diagnose.altered_runs import pinned_link
from unit.recorded import recorded
from unit.sources.golden import printed


def test_all_traces_of_a_connection_are_read_in_one_round() -> None:
    run = recorded("healthy-service-cross-node")
    before = facts_of(replace(run, request=replace(run.request, reading=None), evidence=Evidence()))
    assert not [fact for fact in before if fact.kind is FactKind.CONNTRACK_ENTRY], "nothing was sent yet"

    source, client, port = run.plan.source.node.name, run.plan.source.ip, run.request.local_port
    assert run.plan.frontend
    expected = {
        conntrack.service_entry(source, client, port, run.plan.frontend.ip, run.plan.frontend.port.port)
    }
    for backend in run.plan.backends:
        assert backend.pod_facts
        node = backend.pod_facts.node.name
        expected |= {
            uptime.uptime(node),
            conntrack.out_entry(source, client, port, backend.ip, backend.port),
            conntrack.in_entry(node, client, port, backend.ip, backend.port),
        }
    assert len(run.plan.backends) == 2
    assert expected <= set(facts_of(replace(run, evidence=Evidence())))


def test_a_run_with_all_evidence_reads_no_more() -> None:
    run = recorded("healthy-cross-node")
    pressure = [map_pressure.fact(node.name) for node in run.plan.nodes]  # newer than the recording
    evidence = run.evidence.adding(pressure, [printed("[]")] * len(pressure))
    run = replace(run, evidence=evidence)
    links = facts_of(run)
    assert {fact.kind for fact in links} == {FactKind.ENDPOINT_PROGRAM_LINK, FactKind.DEVICE_PROGRAM_LINK}
    evidence = evidence.adding(links, [pinned_link(run, fact) for fact in links])
    assert facts_of(replace(run, evidence=evidence)) == []
