"""A refusal that did not come from the pod: the hop that diverted its packets is named, not the application.

Derived from recorded faults where packets go to the node's own stack.
"""

import json
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.diagnose.verdict.rules import conclude
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.curl.curl_exit import CurlExit
from datapath_probe.sources.maps import conntrack
from unit.diagnose.altered_runs import ends, packet, with_events
from unit.diagnose.test_unexpected_answers import reporting
from unit.diagnose.verdict.inputs import finding_of, given_by_recorded, with_findings
from unit.recorded import recorded

RX_FLAGS, LAST_TX, LAST_RX = 43, 48, 52
RST_ACK = 0x14


def refused(run: PathRun) -> PathRun:
    """The run as if a RST arrived from the destination's node: in the source's entry, in curl's report, and in the
    events of that node.
    """
    backend = run.plan.backends[0]
    entry = conntrack.out_entry(
        run.plan.source.node.name, run.plan.source.ip, run.request.local_port, backend.ip, backend.port
    )
    readings = dict(run.evidence.readings)
    readings[entry] = tuple(map(_with_rst, readings[entry]))
    run = reporting(replace(run, evidence=Evidence(readings)), errormsg="Connection refused")
    assert isinstance(run.request.reading, Answer)
    reading = replace(run.request.reading, exit_code=CurlExit.COULDNT_CONNECT)
    run = replace(run, request=replace(run.request, reading=reading))
    point = "TO_OVERLAY" if run.plan.config["routing-mode"] == "tunnel" else "TO_STACK"
    rst = packet(run, reply=True, flags="RST ACK", trace_observation_point=point)
    return with_events(run, ends(run)[1], [rst])


def _with_rst(reading: Reading) -> Reading:
    """The entry after a RST was received in the second in which the last packet was sent."""
    assert isinstance(reading, Answer)
    shown = json.loads(reading.stdout)
    octets = shown["value"]
    octets[RX_FLAGS] = f"0x{RST_ACK:02x}"
    octets[LAST_RX : LAST_RX + 4] = octets[LAST_TX : LAST_TX + 4]
    return replace(reading, stdout=json.dumps(shown).encode())


@pytest.mark.parametrize(
    "name",
    [
        "endpoint-taken-for-the-host",
        "endpoint-entry-missing",
        "native/endpoint-taken-for-the-host@1.18.5",
        "kpr/endpoint-entry-missing@1.18.5",
    ],
)
def test_packets_that_go_to_the_nodes_stack_are_the_cause_of_a_refusal(name: str) -> None:
    before, after = diagnose(recorded(name)), diagnose(refused(recorded(name)))
    assert after.rule == "root_cause"
    assert after.verdict is ProbeVerdict.BROKEN
    assert after.divergence == before.divergence
    assert after.divergence is not None
    assert after.divergence.hop is HopName.ENDPOINT_LOOKUP
    assert after.symptom is not None
    assert (after.symptom.hop, after.symptom.reason) == (
        HopName.DESTINATION_RESPONSE,
        Reason.CONNECTION_REFUSED,
    )


def test_a_pod_that_received_the_packets_has_refused() -> None:
    diverted = finding_of("endpoint-taken-for-the-host", HopName.ENDPOINT_LOOKUP)
    verdict = conclude(with_findings(given_by_recorded("connection-refused"), diverted))
    assert verdict.rule == "observed_failure"
    assert verdict.divergence is not None
    assert verdict.divergence.hop is HopName.DESTINATION_RESPONSE


@pytest.mark.parametrize("name", ["overlay-dropped-on-the-wire", "ipcache-wrong-tunnel-endpoint"])
def test_without_a_hop_that_diverts_packets_the_application_is_not_named(name: str) -> None:
    diagnosis = diagnose(refused(recorded(name)))
    assert diagnosis.rule == "answered_by_another"
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.CONNECTION_REFUSED)
    assert "although no packet of this connection reached the pod" in diagnosis.message
    assert diagnosis.divergence is None
    assert diagnosis.segment is not None
    assert diagnosis.segment.after in (
        HopName.SOURCE_PROGRAM,
        HopName.LOCALITY_LOOKUP,
        HopName.IPCACHE_LOOKUP,
    )


def unreached(run: PathRun) -> PathRun:
    """The run as if the destination's node had no entry of the connection, although it answers all look-ups."""
    backend = run.plan.backends[0]
    fact = conntrack.in_entry(
        ends(run)[1], run.plan.source.ip, run.request.local_port, backend.ip, backend.port
    )
    readings = dict(run.evidence.readings)
    absent = Answer(254, b"null\n", b"", 0.0, 0.0)
    readings[fact] = (absent, absent)
    return replace(run, evidence=Evidence(readings))


def test_a_response_of_something_else_is_not_the_applications() -> None:
    run = unreached(reporting(recorded("healthy-cross-node"), http_code=404))
    diagnosis = diagnose(run)
    assert diagnosis.rule == "answered_by_another"
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.UNEXPECTED_STATUS)
    assert "although no packet of this connection reached the pod" in diagnosis.message
    assert diagnosis.divergence is None


def test_a_response_that_came_from_the_pod_is_the_applications() -> None:
    diagnosis = diagnose(reporting(recorded("healthy-cross-node"), http_code=404))
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.DESTINATION_RESPONSE


def test_a_refusal_without_evidence_from_the_destinations_node_is_not_laid_to_the_application() -> None:
    run = recorded("connection-refused")
    backend = run.plan.backends[0]
    fact = conntrack.in_entry(
        ends(run)[1], run.plan.source.ip, run.request.local_port, backend.ip, backend.port
    )
    readings = dict(run.evidence.readings)
    readings[fact] = (Unavailable("EvidenceTimeout", "no answer within 5 s"),) * 2
    diagnosis = diagnose(replace(run, evidence=Evidence(readings)))
    assert (diagnosis.verdict, diagnosis.divergence) == (ProbeVerdict.BROKEN, None)
    assert "is known to have reached the pod" in diagnosis.message
    assert "no process listens" not in diagnosis.message
