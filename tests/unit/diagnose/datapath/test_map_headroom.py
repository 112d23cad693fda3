"""Maps that are nearly full are named before they break a request."""

import json
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict, Witness
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.agent import map_pressure
from unit.diagnose.altered_runs import ends
from unit.diagnose.test_name_resolution import answering
from unit.recorded import recorded
from unit.sources.golden import printed

HEALTHY = "healthy-service-cross-node"


def pressed(run: PathRun, **shares: float) -> PathRun:
    """The run with this pressure of maps on both nodes."""
    metrics = [
        {"name": map_pressure.METRIC, "labels": {"map_name": name.replace("ANY", "*")}, "value": share}
        for name, share in shares.items()
    ]
    answer = printed(json.dumps(metrics))
    return answering(run, {map_pressure.fact(node.name): answer for node in run.plan.nodes})


@pytest.mark.parametrize(
    ("name", "hop"),
    [
        ("lb4_services_v2", HopName.SERVICE_LOOKUP),
        ("lb4_backends_v3", HopName.SERVICE_LOOKUP),
        ("ipcache_v2", HopName.IPCACHE_LOOKUP),
        ("ct4_global", HopName.EGRESS_POLICY),
        ("policy_v2_ANY", HopName.EGRESS_POLICY),
        ("lxc", HopName.ENDPOINT_LOOKUP),
        ("lb4_reverse_nat", HopName.REPLY_TRANSLATION),
    ],
)
def test_a_nearly_full_map_is_a_latent_fault_of_the_hop_that_uses_it(name: str, hop: HopName) -> None:
    diagnosis = diagnose(pressed(recorded(HEALTHY), **{name: 0.93}))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.MAP_NEARLY_FULL)
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is hop
    assert diagnosis.message.startswith("93% of the entries of cilium_")


def test_a_map_with_room_is_shown_at_its_hop() -> None:
    diagnosis = diagnose(pressed(recorded(HEALTHY), ct4_global=0.9, ipcache_v2=0.25))
    assert diagnosis.verdict is ProbeVerdict.HEALTHY
    found = next(f for f in diagnosis.findings if f.hop is HopName.IPCACHE_LOOKUP)
    assert found.evidence[Witness.PROGRAMMED].facts["mapPressure"] == "ipcache 25%"
    assert diagnosis.map_pressure == {"ct4_global": 0.9, "ipcache": 0.25}


@pytest.mark.parametrize("name", ["snat_v4_external", "node_map_v2", "lb6_services_v2"])
def test_maps_that_the_path_does_not_use_do_not_matter(name: str) -> None:
    diagnosis = diagnose(pressed(recorded(HEALTHY), **{name: 1.0}))
    assert diagnosis.verdict is ProbeVerdict.HEALTHY
    assert diagnosis.map_pressure == {}


def test_it_must_be_read_twice() -> None:
    run = pressed(recorded(HEALTHY), ipcache_v2=0.95)
    once = replace(run, evidence=run.evidence.first_readings(), second_look=False)
    assert diagnose(once).needs_second_look
    assert map_pressure.fact(ends(run)[0]) in diagnose(once).confirm


def test_missing_evidence_of_it_changes_nothing() -> None:
    run = recorded(HEALTHY)
    gone = Unavailable(EvidenceError.AGENT_NOT_RESPONDING, "no answer")
    assert diagnose(answering(run, {map_pressure.fact(ends(run)[0]): gone})).verdict is ProbeVerdict.HEALTHY
    assert diagnose(run).map_pressure == {}


def test_a_failed_request_is_not_explained_by_a_nearly_full_map() -> None:
    run = recorded("endpoint-entry-missing")
    assert diagnose(pressed(run, lxc=0.99)).divergence == diagnose(answering(run, {})).divergence


def test_it_is_asked_for_on_the_nodes_of_the_path_while_the_request_is_in_flight() -> None:
    run = recorded("healthy-cross-node")
    in_flight = replace(run, request=replace(run.request, reading=None), evidence=Evidence())
    nodes = {fact.node for fact in facts_of(in_flight) if fact.kind is FactKind.MAP_PRESSURE}
    assert nodes == set(ends(run))
