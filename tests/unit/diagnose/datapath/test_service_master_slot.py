"""A wrong slot 0 of a Service: the hop of the slot is named, not the one with the symptom."""

import json
from dataclasses import replace

import pytest

from datapath_probe.addresses import IpFamily
from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.lookup.service_frontend import address_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.maps import lbmap
from unit.recorded import recorded

LOOKUP, TRANSLATION = HopName.SERVICE_LOOKUP, HopName.REPLY_TRANSLATION
REVERSE_NAT, FLAGS = slice(6, 8), slice(8, 9)
OTHER = 77
ABSENT = Answer(254, b"null", b"", 0.0, 0.0)


def altered(run: PathRun, number: int, octets: slice, value: bytes) -> PathRun:
    """The run, all its answers read twice, with other octets in one slot of its Service."""
    assert run.plan.frontend is not None
    readings: dict[Fact, tuple[Reading, ...]] = {q: (r[-1], r[-1]) for q, r in run.evidence}
    slot = lbmap.slot(run.plan.source.node.name, address_of(run.plan.frontend), number)
    answer = readings[slot][-1]
    assert isinstance(answer, Answer)
    entry = json.loads(answer.stdout)
    entry["value"][octets] = [f"0x{octet:02x}" for octet in value]
    readings[slot] = (replace(answer, stdout=json.dumps(entry).encode()),) * 2
    return replace(run, evidence=Evidence(readings), second_look=True)


def with_reverse_nat(run: PathRun, number: int, reading: Reading) -> PathRun:
    fact = lbmap.revnat(run.plan.source.node.name, number, IpFamily.IPV4)
    return replace(run, evidence=Evidence({**run.evidence.readings, fact: (reading, reading)}))


def own_reverse_nat(run: PathRun) -> tuple[int, Answer]:
    """The Service's number, and the entry that it should have."""
    frontend = run.plan.frontend
    assert frontend is not None
    found = run.evidence.latest(lbmap.slot(run.plan.source.node.name, address_of(frontend), 0))
    slot = lbmap.parse_slot(found)
    assert isinstance(slot, lbmap.ServiceSlot)
    value = [*frontend.ip.packed, *frontend.number.to_bytes(2, "big")]
    shown = json.dumps({"key": [], "value": [f"0x{octet:02x}" for octet in value]})
    return slot.rev_nat_id, Answer(0, shown.encode(), b"", 0.0, 0.0)


def finding_at(diagnosis: Diagnosis, hop: HopName) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.hop is hop)


def with_another_reverse_nat(name: str) -> PathRun:
    """Slot 0 names a missing entry; the entry of the Service itself is correct."""
    run = recorded(name)
    number, entry = own_reverse_nat(run)
    run = altered(run, 0, REVERSE_NAT, OTHER.to_bytes(2, "big"))
    return with_reverse_nat(with_reverse_nat(run, OTHER, ABSENT), number, entry)


def test_a_frontend_with_another_reverse_nat_is_the_cause_of_rejected_replies() -> None:
    diagnosis = diagnose(with_another_reverse_nat("reverse-nat-missing"))
    assert diagnosis.divergence is not None
    assert (diagnosis.verdict, diagnosis.divergence.hop) == (ProbeVerdict.BROKEN, LOOKUP)
    assert diagnosis.reason is Reason.REVERSE_NAT_MISMATCH
    assert finding_at(diagnosis, TRANSLATION).verdict is HopVerdict.OK


@pytest.mark.parametrize("name", ["healthy-service-cross-node", "kpr/healthy-service@1.18.5"])
def test_a_frontend_with_another_reverse_nat_is_a_latent_fault_where_it_does_no_harm(name: str) -> None:
    diagnosis = diagnose(with_another_reverse_nat(name))
    assert diagnosis.divergence is not None
    assert (diagnosis.verdict, diagnosis.divergence.hop) == (ProbeVerdict.DEGRADED, LOOKUP)


def test_sockets_do_without_the_reverse_nat() -> None:
    run = with_another_reverse_nat("kpr/healthy-service@1.18.5")
    assert finding_at(diagnose(run), LOOKUP).predicts == frozenset()


def test_reverse_nat_ids_in_slots_of_backends_are_not_used() -> None:
    run = recorded("healthy-service-cross-node")
    for number in (1, 2):
        run = altered(run, number, REVERSE_NAT, OTHER.to_bytes(2, "big"))
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY


@pytest.mark.parametrize(("flag", "kind"), [(0x01, "an external IP"), (0x08, "a host port")])
def test_a_cluster_ip_that_sockets_do_not_translate_is_the_cause(flag: int, kind: str) -> None:
    run = altered(recorded("kpr/healthy-service@1.18.5"), 0, FLAGS, bytes((flag,)))
    found = finding_at(diagnose(run), LOOKUP)
    assert (found.verdict, found.reason) == (HopVerdict.STALE, Reason.SERVICE_FLAGS_MISMATCH)
    assert kind in found.message
    assert found.predicts


@pytest.mark.parametrize("flag", [0x01, 0x08])
def test_packets_are_translated_whatever_kind_of_frontend_it_is(flag: int) -> None:
    run = altered(recorded("healthy-service-cross-node"), 0, FLAGS, bytes((flag,)))
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY


@pytest.mark.parametrize("flag", [0x02, 0x20, 0x40])
def test_flags_that_only_apply_to_traffic_from_outside_are_not_compared(flag: int) -> None:
    run = altered(recorded("kpr/healthy-service@1.18.5"), 0, FLAGS, bytes((flag,)))
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY


def test_external_ips_that_sockets_may_translate_are_no_fault() -> None:
    run = altered(recorded("kpr/healthy-service@1.18.5"), 0, FLAGS, b"\x01")
    plan = replace(run.plan, config={**run.plan.config, "disable-external-ip-mitigation": "true"})
    assert diagnose(replace(run, plan=plan, plan_after=plan)).verdict is ProbeVerdict.HEALTHY
