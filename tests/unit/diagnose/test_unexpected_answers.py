"""Requests with an unexpected answer: from something else, late, or after a retransmission."""

import json
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.iproute2 import qdisc
from datapath_probe.sources.netfilter import iptables
from unit.diagnose.altered_runs import ends, no_conntrack_entries
from unit.recorded import recorded

HEALTHY = "healthy-cross-node"
TABLE = "*{}\n:{} ACCEPT [9:900]\n{}\nCOMMIT\n"
DIVERTS = TABLE.format("nat", "OUTPUT", "[1:60] -A OUTPUT -p tcp -j DNAT --to-destination 10.244.9.9:80")
REDIRECTS = TABLE.format("nat", "OUTPUT", "[1:60] -A OUTPUT -p tcp -j REDIRECT --to-ports 15001")
DROPS_SOME = TABLE.format(
    "filter",
    "INPUT",
    "[2:120] -A INPUT -p tcp -m statistic --mode random --probability 0.30000000000 -j DROP",
)
DELAYS = [
    {"kind": "netem", "dev": "cilium_vxlan", "drops": 0, "qlen": 0, "options": {"delay": {"delay": 1.2}}}
]


def reporting(run: PathRun, **changes: object) -> PathRun:
    """The run with another report of curl."""
    reading = run.request.reading
    assert isinstance(reading, Answer)
    start = reading.stderr.index(b"{")
    report = json.loads(reading.stderr[start:]) | changes
    said = replace(reading, stderr=reading.stderr[:start] + json.dumps(report).encode())
    return replace(run, request=replace(run.request, reading=said))


def with_answer(run: PathRun, fact: Fact, text: str) -> PathRun:
    """The run with this answer, read twice."""
    answer = Answer(0, text.encode(), b"", 0.0, 0.0)
    readings = {q: r * 2 for q, r in run.evidence.readings.items()} | {fact: (answer, answer)}
    return replace(run, evidence=Evidence(readings), second_look=True)


def asked_inside(run: PathRun, node: str) -> Fact:
    """The fact of the packet filters inside the pod on this node."""
    return next(q for q in facts_of(run) if q == iptables.fact(node, str(q.get("namespace"))))


def named(diagnosis: Diagnosis) -> tuple[HopName, Reason] | None:
    return (diagnosis.divergence.hop, diagnosis.divergence.reason) if diagnosis.divergence else None


def test_a_rule_that_diverts_the_request_is_reported_if_no_node_has_an_entry_of_it() -> None:
    run = no_conntrack_entries(recorded(HEALTHY))
    diagnosis = diagnose(with_answer(run, asked_inside(run, ends(run)[0]), DIVERTS))
    assert diagnosis.verdict is ProbeVerdict.DEGRADED
    assert named(diagnosis) == (HopName.SOURCE_INTERFACE, Reason.NETFILTER_DROPS)


def test_an_answer_of_something_else_is_not_the_destinations() -> None:
    run = reporting(no_conntrack_entries(recorded(HEALTHY)), http_code=503)
    diagnosis = diagnose(with_answer(run, asked_inside(run, ends(run)[0]), DIVERTS))
    assert diagnosis.verdict is ProbeVerdict.BROKEN
    assert named(diagnosis) == (HopName.SOURCE_INTERFACE, Reason.NETFILTER_DROPS)


def test_a_wrong_answer_without_an_entry_on_any_node_is_no_fault_of_the_application() -> None:
    diagnosis = diagnose(reporting(no_conntrack_entries(recorded(HEALTHY)), http_code=503))
    assert (diagnosis.verdict, named(diagnosis)) == (ProbeVerdict.BROKEN, None)


def test_a_sidecar_of_the_pod_is_no_fault() -> None:
    run = no_conntrack_entries(recorded(HEALTHY))
    diagnosis = diagnose(with_answer(run, asked_inside(run, ends(run)[0]), REDIRECTS))
    assert diagnosis.verdict is ProbeVerdict.HEALTHY


def test_a_rule_that_drops_some_packets_is_reported_after_a_retransmission() -> None:
    run = reporting(recorded(HEALTHY), time_namelookup=0.0, time_connect=1.03)
    diagnosis = diagnose(with_answer(run, asked_inside(run, ends(run)[1]), DROPS_SOME))
    assert diagnosis.verdict is ProbeVerdict.DEGRADED
    assert named(diagnosis) == (HopName.DESTINATION_INTERFACE, Reason.NETFILTER_DROPS)


@pytest.mark.parametrize("connect_s", [1.03, 0.01])
def test_a_qdisc_that_delays_packets_is_reported_if_the_answer_was_late(connect_s: float) -> None:
    run = reporting(recorded(HEALTHY), time_namelookup=0.0, time_connect=connect_s)
    diagnosis = diagnose(with_answer(run, qdisc.losing(ends(run)[0]), json.dumps(DELAYS)))
    late = (HopName.OVERLAY_ENCAPSULATION, Reason.QDISC_DROPS)
    assert named(diagnosis) == (late if connect_s > 1 else None)


def test_after_a_successful_request_no_filters_are_read() -> None:
    kinds = {fact.kind for fact in facts_of(replace(recorded(HEALTHY), evidence=Evidence()))}
    assert FactKind.IPTABLES_RULES not in kinds
