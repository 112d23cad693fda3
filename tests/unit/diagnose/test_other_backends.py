"""Backends that the request did not use: a fault on the path to one of them is latent, whichever the request used."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.context_builder import ContextBuilder
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.evidence_reader import EvidenceReader
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.diagnose.finding.hop_check import LIVE
from datapath_probe.diagnose.other_paths import fault_of, other_path
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.endpoint_churn import EndpointChurn
from datapath_probe.plan.other_backends import Looks, OtherBackend, other_backends
from datapath_probe.plan.plan import Backend, Nameserver, Plan, ServiceTarget
from datapath_probe.sources.maps import lxcmap
from unit.diagnose.test_address_conflicts import holding
from unit.diagnose.test_name_resolution import ABSENT, answering
from unit.diagnose.test_unexpected_answers import reporting
from unit.plans import with_backends
from unit.recorded import recorded

HEALTHY = "healthy-service-cross-node"


def looking(run: PathRun, *, of_dns: bool = False) -> PathRun:
    """The run, with a look at the other backends of its Service. `of_dns`: as name servers instead."""
    plan = run.plan
    if of_dns:
        assert plan.frontend is not None
        plan = replace(plan, nameserver=Nameserver(plan.frontend, plan.backends))
    others = tuple(other for other in other_backends(plan) if other.of_dns is of_dns)
    return replace(run, plan=plan, plan_after=plan, others=others)


def other_of(run: PathRun) -> Backend:
    chosen = diagnose(run).backend
    return next(backend for backend in run.plan.backends if backend != chosen)


def entry(backend: Backend) -> Fact:
    """The endpoint's entry on its own node."""
    assert backend.pod_facts is not None
    return lxcmap.lookup(backend.pod_facts.node.name, backend.ip)


def faulty(name: str = HEALTHY, *, of_dns: bool = False) -> PathRun:
    """A healthy run whose other backend has no entry in the endpoint map of its node."""
    run = recorded(name)
    return answering(looking(run, of_dns=of_dns), {entry(other_of(run)): ABSENT})


@pytest.mark.parametrize("name", [HEALTHY, "healthy-service-same-node", "kpr/healthy-service@1.18.5"])
def test_a_ready_backend_that_can_not_be_reached_is_a_latent_fault(name: str) -> None:
    run = recorded(name)
    other = other_of(run)
    diagnosis = diagnose(faulty(name))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.ENDPOINT_ENTRY_MISSING)
    assert diagnosis.divergence is not None
    assert other.place is not None
    assert (diagnosis.divergence.hop, diagnosis.divergence.node) == (
        HopName.ENDPOINT_LOOKUP,
        other.place.name,
    )
    assert f"({other.ip}:{other.port}), a ready backend of {run.plan.destination}" in diagnosis.message
    assert [f.hop for f in diagnosis.findings if f.verdict is HopVerdict.STALE] == [HopName.ENDPOINT_LOOKUP]
    assert {(o.ip, o.port) for o in diagnosis.looks.suspect} == {(other.ip, other.port)}


def test_a_name_server_that_can_not_be_reached_is_a_latent_fault_of_the_name_resolution() -> None:
    run = faulty(of_dns=True)
    other = other_of(recorded(HEALTHY))
    diagnosis = diagnose(run)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.DNS_PATH_BROKEN)
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.hop, diagnosis.divergence.node) == (
        HopName.NAME_RESOLUTION,
        run.plan.source.node.name,
    )
    assert other.pod_facts is not None
    assert other.place is not None
    server = (
        f"name server {other.pod_facts.pod.namespace}/{other.pod_facts.pod.name} ({other.ip}:{other.port})"
    )
    assert diagnosis.message.startswith(f"{server}: endpoint-lookup on {other.place.name}: ")


@pytest.mark.parametrize("of_dns", [False, True])
def test_reachable_backends_change_nothing(of_dns: bool) -> None:
    run = answering(looking(recorded(HEALTHY), of_dns=of_dns), {})
    assert diagnose(run).verdict is ProbeVerdict.HEALTHY
    assert not diagnose(run).looks.suspect


@pytest.mark.parametrize("of_dns", [False, True])
def test_a_contradiction_must_be_read_twice(of_dns: bool) -> None:
    run = faulty(of_dns=of_dns)
    once = replace(run, evidence=run.evidence.first_readings(), second_look=False, plan_after=None)
    diagnosis = diagnose(once)
    assert diagnosis.verdict is ProbeVerdict.HEALTHY
    assert diagnosis.needs_second_look
    assert entry(other_of(recorded(HEALTHY))) in diagnosis.confirm
    assert diagnosis.looks.suspect, "the next run looks at it again"


@pytest.mark.parametrize("of_dns", [False, True])
@pytest.mark.parametrize("name", [HEALTHY, "healthy-service-same-node", "kpr/healthy-service@1.18.5"])
def test_a_suspect_that_is_reachable_is_right(name: str, of_dns: bool) -> None:
    run = answering(looking(recorded(name), of_dns=of_dns), {})
    diagnosis = diagnose(replace(run, suspects=run.others))
    assert diagnosis.verdict is ProbeVerdict.HEALTHY
    assert not diagnosis.needs_second_look
    assert not diagnosis.looks.suspect


def test_backends_that_a_run_does_not_look_at_are_not_judged() -> None:
    assert diagnose(replace(faulty(), others=())).verdict is ProbeVerdict.HEALTHY


@pytest.mark.parametrize("of_dns", [False, True])
def test_missing_evidence_of_another_backend_is_no_fault(of_dns: bool) -> None:
    run = faulty(of_dns=of_dns)
    fact = entry(other_of(recorded(HEALTHY)))
    kept = {q: readings for q, readings in run.evidence if q != fact}
    assert diagnose(replace(run, evidence=Evidence(kept))).verdict is ProbeVerdict.HEALTHY


def test_the_facts_of_other_backends_are_asked_for_while_the_request_is_in_flight() -> None:
    run = looking(recorded(HEALTHY), of_dns=True)
    other = other_of(recorded(HEALTHY))
    plan = with_backends(run.plan, *(backend for backend in run.plan.backends if backend != other))
    request = replace(run.request, reading=None)
    in_flight = replace(run, plan=plan, request=request, evidence=Evidence(), second_look=False)
    fact = entry(other)
    assert fact in facts_of(in_flight)
    assert fact not in facts_of(replace(in_flight, others=()))


def _terminating(plan: Plan, other: Backend) -> Plan:
    assert other.pod_facts is not None
    leaving = replace(other.pod_facts, pod=replace(other.pod_facts.pod, terminating=True))
    return with_backends(plan, *(replace(b, target=leaving) if b == other else b for b in plan.backends))


def _gone_after(run: PathRun, other: Backend) -> PathRun:
    return replace(run, plan_after=with_backends(run.plan, *(b for b in run.plan.backends if b != other)))


def _being_deleted(run: PathRun, other: Backend) -> PathRun:
    plan = _terminating(run.plan, other)
    return replace(run, plan=plan, plan_after=plan)


def _spreading(run: PathRun, other: Backend) -> PathRun:
    return replace(run, destination_churn=EndpointChurn("default/deathstar", run.request.started - 3, ()))


def _just_started(run: PathRun, other: Backend) -> PathRun:
    assert other.pod_facts is not None
    pod = replace(other.pod_facts.pod, started_at=run.request.started - 5)
    new = replace(other, target=replace(other.pod_facts, pod=pod))
    plan = with_backends(run.plan, *(new if b == other else b for b in run.plan.backends))
    return replace(run, plan=plan, plan_after=plan)


def _unseen(run: PathRun, other: Backend) -> PathRun:
    return replace(run, view_age_s=60.0)


@pytest.mark.parametrize("change", [_gone_after, _being_deleted, _spreading, _just_started])
def test_a_backend_that_comes_or_goes_proves_nothing(change: Callable[[PathRun, Backend], PathRun]) -> None:
    run = faulty()
    changed = change(run, other_of(recorded(HEALTHY)))
    assert diagnose(changed).verdict is ProbeVerdict.HEALTHY


def _other(backend: Backend, *, of_dns: bool = False) -> OtherBackend:
    return OtherBackend(backend.ip, backend.port, of_dns)


@pytest.mark.parametrize("name", ["ipcache-entry-missing", "endpoint-entry-missing"])
def test_the_backend_that_a_request_used_is_suspect_if_its_path_has_a_fault(name: str) -> None:
    run = recorded(name)
    used = diagnose(run).backend
    assert used is not None
    assert diagnose(replace(run, others=())).looks == Looks(suspect=frozenset({_other(used)}))


def test_the_backend_that_a_request_used_is_right_if_its_path_is() -> None:
    run = recorded(HEALTHY)
    used = diagnose(run).backend
    assert used is not None
    assert diagnose(run).looks == Looks(right=frozenset({_other(used)}))


def test_a_backend_of_a_request_that_failed_without_a_known_cause_is_suspect() -> None:
    run = reporting(recorded(HEALTHY), exitcode=28, http_code=0)
    used = diagnose(recorded(HEALTHY)).backend
    assert used is not None
    assert _other(used) in diagnose(run).looks.suspect


@pytest.mark.parametrize("of_dns", [False, True])
def test_a_backend_that_can_not_be_judged_is_neither_suspect_nor_right(of_dns: bool) -> None:
    run = faulty(of_dns=of_dns)
    other = _other(other_of(recorded(HEALTHY)), of_dns=of_dns)
    kept = {q: readings for q, readings in run.evidence if q != entry(other_of(recorded(HEALTHY)))}
    looks = diagnose(replace(run, evidence=Evidence(kept))).looks
    assert other not in looks.suspect | looks.right
    repaired = answering(looking(recorded(HEALTHY), of_dns=of_dns), {})
    assert other in diagnose(repaired).looks.right


def test_the_name_servers_of_a_name_that_did_not_resolve_are_suspect_although_not_looked_at() -> None:
    run = looking(recorded(HEALTHY), of_dns=True)
    other = other_of(recorded(HEALTHY))
    slow = replace(reporting(run, time_namelookup=7.5), others=())
    assert {_other(b, of_dns=True) for b in run.plan.backends} <= diagnose(slow).looks.suspect
    fast = replace(run, others=())
    assert _other(other, of_dns=True) not in diagnose(fast).looks.suspect


def test_an_address_conflict_of_another_backend_is_a_latent_fault_before_the_endpoint_map_follows() -> None:
    run = recorded(HEALTHY)
    other = other_of(run)
    assert other.place is not None
    held = holding(answering(looking(run), {}), other.place.name, other.ip, "cilium_host")
    diagnosis = diagnose(held)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.ADDRESS_CONFLICT)
    assert _other(other) in diagnosis.looks.suspect


def _fault_of_other(run: PathRun, other: Backend) -> Finding | None:
    path = other_path(ContextBuilder(run, EvidenceReader(run.evidence), LIVE), _other(other))
    assert path is not None
    return fault_of([path.context.check(hop) for hop in path.hops], of_dns=False)


def test_rules_that_only_replies_of_one_backend_meet_are_judged() -> None:
    """Packets of pods on the host's own node meet its rules; those of another node come out of the tunnel."""
    run = recorded("reverse-path-rule-drops-replies-to-the-host")
    frontend = recorded(HEALTHY).plan.frontend
    near = run.plan.backends[0]
    assert frontend is not None
    assert near.place is not None
    plan = replace(run.plan, target=ServiceTarget("e2e/deathstar", frontend, (near,)))
    in_flight = replace(run, plan=plan, request=replace(run.request, reading=None))
    suspecting = replace(in_flight, suspects=(_other(near),))
    unsuspecting, fault = (_fault_of_other(run, near) for run in (in_flight, suspecting))
    assert unsuspecting is None, "rules of packet filters are read after a failure only"
    assert fault is not None
    assert (fault.hop, fault.node, fault.reason) == (
        HopName.REPLY_DELIVERY,
        near.place.name,
        Reason.NETFILTER_DROPS,
    )


def test_what_the_request_itself_met_comes_first() -> None:
    run = recorded("ipcache-wrong-identity")
    assert diagnose(replace(run, others=other_backends(run.plan))).divergence == diagnose(run).divergence


@pytest.mark.parametrize("name", ["wrong-backend-port", "backend-slot-missing", "frontend-missing"])
def test_a_failed_request_is_explained_by_its_own_path(name: str) -> None:
    run = recorded(name)
    diagnosis = diagnose(replace(run, others=other_backends(run.plan)))
    assert (diagnosis.verdict, diagnosis.divergence) == (ProbeVerdict.BROKEN, diagnose(run).divergence)


def test_a_saved_run_has_the_backends_that_it_looked_at() -> None:
    run = faulty(of_dns=True)
    saved = Bundle.from_json(Bundle(run).to_json()).run
    assert saved.others == run.others
    assert diagnose(saved).message == diagnose(run).message


@pytest.mark.parametrize("of_dns", [False, True])
def test_a_suspect_is_saved_with_the_run(of_dns: bool) -> None:
    run = looking(recorded(HEALTHY), of_dns=of_dns)
    saved = Bundle.from_json(Bundle(replace(run, suspects=run.others)).to_json()).run
    assert saved.suspects == run.others


def test_a_slow_resolution_is_looked_at_again_before_a_name_server_is_blamed() -> None:
    run = faulty(of_dns=True)
    slow = replace(reporting(run, time_namelookup=1.2), others=())
    once = replace(slow, evidence=run.evidence.first_readings(), second_look=False, plan_after=None)
    assert diagnose(once).needs_second_look
    assert diagnose(slow).reason is Reason.DNS_PATH_BROKEN


@pytest.mark.parametrize(("took_s", "reason"), [(7.5, Reason.DNS_TIMEOUT), (2.0, Reason.ALL_HOPS_OK)])
def test_a_query_without_an_answer_is_reported_even_if_a_later_one_is_answered(
    took_s: float, reason: Reason
) -> None:
    run = answering(looking(reporting(recorded(HEALTHY), time_namelookup=took_s), of_dns=True), {})
    assert isinstance(run.request.reading, Answer)
    assert diagnose(run).reason is reason
