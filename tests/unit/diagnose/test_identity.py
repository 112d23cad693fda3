"""With native routing, packets of a pod that have no entry on the destination's node: masqueraded, or unknown."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.maps import conntrack
from unit.recorded import recorded

ABSENT = Answer(254, b"null", b"", 0.0, 0.0)
RUN = recorded("native/healthy-cross-node@1.18.5")


def answering(run: PathRun, answers: Mapping[Fact, Reading]) -> PathRun:
    """The run with other answers, each read twice."""
    readings = {**run.evidence.readings, **{q: (answer, answer) for q, answer in answers.items()}}
    return replace(run, evidence=Evidence(readings), second_look=True)


def entries() -> tuple[Fact, Fact]:
    """The IN entry of the run's connection, and that of one from the node's own address."""
    [backend] = RUN.plan.backends
    source, target = RUN.plan.source, backend.pod_facts
    assert target is not None
    assert source.node.cilium is not None
    own, of_node = (
        conntrack.in_entry(target.node.name, ip, RUN.request.local_port, backend.ip, backend.port)
        for ip in (source.ip, source.node.cilium.internal_ips[0])
    )
    return own, of_node


def test_a_source_whose_packets_have_its_nodes_address_is_masqueraded() -> None:
    own, of_node = entries()
    known = RUN.evidence.latest(own)
    run = answering(RUN, {own: ABSENT})
    assert of_node in facts_of(run)
    diagnosis = diagnose(answering(run, {of_node: known}))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.WRONG_IDENTITY)
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.SOURCE_IDENTITY
    assert "masqueraded" in diagnosis.message


@pytest.mark.parametrize("answer", [ABSENT, Unavailable("EvidenceTimeout", "no answer", 0.0)])
def test_without_an_entry_on_the_destinations_node_the_identity_is_unknown(answer: Reading) -> None:
    own, of_node = entries()
    diagnosis = diagnose(answering(RUN, {own: ABSENT, of_node: answer}))
    [identity] = [f for f in diagnosis.findings if f.hop is HopName.SOURCE_IDENTITY]
    assert identity.verdict is HopVerdict.UNKNOWN
    assert diagnosis.verdict is ProbeVerdict.UNKNOWN


def test_with_its_entry_no_other_is_read() -> None:
    _, of_node = entries()
    assert of_node not in facts_of(RUN)
