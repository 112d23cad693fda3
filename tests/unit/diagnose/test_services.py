"""Service entries of other versions and settings of Cilium."""

import json
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.lookup.service_frontend import address_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.byte_order import L4Protocol
from datapath_probe.sources.maps import lbmap
from unit.plans import with_backends, with_frontend
from unit.recorded import recorded

FLAGS_2, STATE = 9, 7  # octets of the values
_REPORTS = range(48, 56)  # of a conntrack entry: when packets were last recorded
ABSENT = Answer(254, b"null", b"", at=0.0, duration_s=0.0)


def with_entries_of_any_protocol(run: PathRun) -> PathRun:
    """The run as if its node had the Service under protocol ANY alone, as Cilium made it before 1.17."""
    readings: dict[Fact, tuple[Reading, ...]] = {}
    for fact, answers in run.evidence:
        readings[fact] = answers
        if fact.kind is FactKind.SERVICE_SLOT:
            of_any = {**dict(fact.parameters), "protocol": L4Protocol.ANY}
            readings[Fact.of(fact.kind, fact.node, **of_any)] = answers
            readings[fact] = (ABSENT,) * len(answers)
    return replace(run, evidence=Evidence(readings))


def test_an_entry_of_any_protocol_is_as_good_as_one_of_tcp() -> None:
    diagnosis = diagnose(with_entries_of_any_protocol(recorded("healthy-service-cross-node")))
    assert diagnosis.verdict is ProbeVerdict.HEALTHY


def test_a_fault_of_an_entry_of_any_protocol_is_named() -> None:
    run = recorded("backend-slot-missing")
    assert diagnose(with_entries_of_any_protocol(run)).divergence == diagnose(run).divergence


def with_octet(run: PathRun, kind: FactKind, place: int, octet: int, slot: int | None = None) -> PathRun:
    """The run, all its answers read twice, as if entries of this kind had another octet; `slot`: those of it alone."""
    readings: dict[Fact, tuple[Reading, ...]] = {}
    for fact, answers in run.evidence:
        readings[fact] = (answers[0], answers[0])
        if fact.kind is not kind or (slot is not None and fact.get("slot") != slot):
            continue
        readings[fact] = (_with_octet(answers[0], place, octet),) * 2
    return replace(run, evidence=Evidence(readings), second_look=True)


def _with_octet(reading: Reading, place: int, octet: int) -> Reading:
    assert isinstance(reading, Answer)
    entry = json.loads(reading.stdout)
    if entry is None:
        return reading
    entry["value"][place] = f"0x{octet:02x}"
    return replace(reading, stdout=json.dumps(entry).encode())


@pytest.mark.parametrize(("flag", "words"), [(0x01, "local redirect policy"), (0x04, "L7 load balancing")])
def test_a_service_whose_packets_are_redirected_is_not_compared_with_its_endpoints(
    flag: int, words: str
) -> None:
    run = with_octet(recorded("healthy-service-cross-node"), FactKind.SERVICE_SLOT, FLAGS_2, flag, slot=0)
    diagnosis = diagnose(run)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.UNSUPPORTED_CONFIGURATION)
    assert words in diagnosis.message


def test_beyond_a_redirect_no_hop_is_named() -> None:
    run = with_octet(recorded("egress-policy-deny-service"), FactKind.SERVICE_SLOT, FLAGS_2, 0x04)
    diagnosis = diagnose(run)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.UNSUPPORTED_CONFIGURATION)


@pytest.mark.parametrize(
    ("state", "words"), [(1, "terminating"), (2, "quarantined"), (3, "maintenance"), (9, "of state 9")]
)
def test_a_ready_backend_that_the_node_keeps_as_inactive_is_a_latent_fault(state: int, words: str) -> None:
    run = recorded("healthy-service-cross-node")
    diagnosis = diagnose(with_octet(run, FactKind.SERVICE_BACKEND, STATE, state))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.BACKEND_MISMATCH)
    assert words in diagnosis.message


def test_a_terminating_backend_of_a_terminating_pod_is_ok() -> None:
    run = with_octet(recorded("healthy-service-cross-node"), FactKind.SERVICE_BACKEND, STATE, 1)
    backends = tuple(
        replace(
            backend,
            target=replace(
                backend.pod_facts, pod=replace(backend.pod_facts.pod, ready=False, terminating=True)
            ),
        )
        for backend in run.plan.backends
        if backend.pod_facts
    )
    plan = with_backends(run.plan, *backends)
    lookup = next(
        finding
        for finding in diagnose(replace(run, plan=plan, plan_after=plan)).findings
        if finding.hop is HopName.SERVICE_LOOKUP
    )
    assert lookup.verdict is HopVerdict.OK


def without_affinity(run: PathRun) -> PathRun:
    """The run without session affinity in Kubernetes and on the node."""
    frontend = run.plan.frontend
    assert frontend is not None
    service = replace(frontend.service, session_affinity="None")
    plan = with_frontend(run.plan, replace(frontend, service=service))
    slot = lbmap.slot(plan.source.node.name, address_of(frontend), 0)
    readings = dict(run.evidence)
    readings[slot] = tuple(
        replace(
            answer, stdout=answer.stdout.replace(b'"0x10","0x00","0x00","0x00"]', b'"0x00",' * 3 + b'"0x00"]')
        )
        for answer in readings[slot]
        if isinstance(answer, Answer)
    )
    return replace(run, plan=plan, plan_after=plan, evidence=Evidence(readings))


def test_a_backend_in_no_slot_and_without_affinity_comes_from_conntrack() -> None:
    run = without_affinity(recorded("affinity-remembers-a-dead-backend"))
    findings = {finding.hop: finding for finding in diagnose(run).findings}
    assert findings[HopName.SERVICE_LOOKUP].verdict is HopVerdict.OK
    assert findings[HopName.SERVICE_TRANSLATION].reason is Reason.BACKEND_STALE
    assert "conntrack" in findings[HopName.SERVICE_TRANSLATION].message


def test_session_affinity_that_differs_from_the_services_is_reported() -> None:
    run = recorded("healthy-service-cross-node")
    frontend = run.plan.frontend
    assert frontend is not None
    sticking = replace(frontend, service=replace(frontend.service, session_affinity="ClientIP"))
    plan = with_frontend(run.plan, sticking)
    evidence = run.evidence
    for fact, readings in run.evidence:
        evidence = evidence.adding([fact], [readings[-1]])
    diagnosis = diagnose(replace(run, plan=plan, plan_after=plan, evidence=evidence, second_look=True))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.AFFINITY_MISMATCH)
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.SERVICE_LOOKUP
    assert "without session affinity" in diagnosis.message


@pytest.mark.parametrize("name", ["healthy-service-cross-node", "kpr/healthy-service@1.18.5"])
def test_a_backend_of_another_ip_version_is_none_that_this_connection_went_to(name: str) -> None:
    run = recorded(name)
    readings: dict[Fact, tuple[Reading, ...]] = {}
    for fact, answers in run.evidence:
        if fact.kind is FactKind.SERVICE_BACKEND:
            readings[fact] = tuple(map(with_longer_address, answers))
        elif fact.kind is FactKind.CONNTRACK_ENTRY and fact.text("entry") == "out":
            readings[fact] = (ABSENT,) * len(answers)
        else:
            readings[fact] = answers
    diagnosis = diagnose(replace(run, evidence=Evidence(readings)))
    assert diagnosis.verdict is not ProbeVerdict.HEALTHY
    assert diagnosis.backend is None or diagnosis.backend in run.plan.backends


def with_longer_address(reading: Reading) -> Reading:
    """The value as if the address in front of it were one of IPv6."""
    if not isinstance(reading, Answer):
        return reading
    saved = json.loads(reading.stdout)
    saved["value"] = [*["0x20"] * 12, *saved["value"]]
    return replace(reading, stdout=json.dumps(saved).encode())


def _recorded_earlier(run: PathRun) -> PathRun:
    """The run as if the datapath had last recorded packets of its SVC entry for an earlier connection."""
    readings = dict(run.evidence)
    for fact, answers in run.evidence:
        if fact.kind is FactKind.CONNTRACK_ENTRY and fact.get("entry") == "service":
            for place in range(_REPORTS.start, _REPORTS.stop):
                answers = tuple(_with_octet(answer, place, 0) for answer in answers)
            readings[fact] = answers
    return replace(run, evidence=Evidence(readings))


def test_an_older_entry_selected_the_backend_that_has_a_connection_of_this_run() -> None:
    run = without_affinity(recorded("affinity-remembers-a-dead-backend"))
    older = diagnose(_recorded_earlier(run))
    assert older.backend == diagnose(run).backend
    findings = {finding.hop: finding for finding in older.findings}
    assert findings[HopName.SERVICE_TRANSLATION].reason is Reason.BACKEND_STALE


def test_an_older_entry_alone_does_not_show_the_backend() -> None:
    run = _recorded_earlier(without_affinity(recorded("affinity-remembers-a-dead-backend")))
    out = {q: r for q, r in run.evidence if q.kind is FactKind.CONNTRACK_ENTRY and q.get("entry") == "out"}
    gone = dict(run.evidence) | {q: (ABSENT,) * len(r) for q, r in out.items()}
    assert diagnose(replace(run, evidence=Evidence(gone))).backend is None
