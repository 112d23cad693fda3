"""A Service without ready endpoints: Kubernetes alone shows it, whatever translates."""

from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.plan.plan import ServiceTarget
from datapath_probe.sources.maps import lxcmap
from unit.diagnose.altered_runs import ends, without
from unit.recorded import recorded

BY_PACKET, BY_SOCKET = "no-ready-backends", "kpr/no-ready-backends@1.18.5"


def from_host(run: PathRun) -> PathRun:
    """The run as if its source were in the host's network."""
    node = run.plan.source.node
    assert node.cilium is not None
    pod = replace(run.plan.source.pod, host_network=True, ips=node.cilium.internal_ips)
    plan = replace(run.plan, source=replace(run.plan.source, pod=pod, endpoint=None))
    return replace(run, plan=plan, plan_after=plan)


def named(run: PathRun) -> tuple[ProbeVerdict, HopName | None, Reason]:
    diagnosis = diagnose(run)
    return diagnosis.verdict, diagnosis.divergence.hop if diagnosis.divergence else None, diagnosis.reason


NO_BACKENDS = (ProbeVerdict.BROKEN, HopName.SERVICE_LOOKUP, Reason.NO_READY_BACKENDS)


@pytest.mark.parametrize("name", [BY_PACKET, BY_SOCKET])
def test_a_service_without_endpoints_is_reported_for_a_host(name: str) -> None:
    assert named(from_host(recorded(name))) == NO_BACKENDS


def test_cilium_is_not_needed_where_others_translate() -> None:
    assert named(without(from_host(recorded(BY_PACKET)), FactKind.SERVICE_SLOT)) == NO_BACKENDS


@pytest.mark.parametrize("name", [BY_PACKET, BY_SOCKET])
def test_it_is_reported_without_an_answer_of_the_node(name: str) -> None:
    assert named(without(recorded(name), FactKind.SERVICE_SLOT)) == NO_BACKENDS


def service(run: PathRun) -> ServiceTarget:
    assert isinstance(run.plan.target, ServiceTarget)
    return run.plan.target


def with_an_unready_endpoint() -> PathRun:
    """The request failed, and the only pod behind the Service, on the other node, is not Ready."""
    run = recorded("healthy-service-cross-node")
    there = ends(run)[1]
    [far] = [one for one in run.plan.backends if one.pod_facts and one.pod_facts.node.name == there]
    plan = replace(run.plan, target=replace(service(run), backends=(), unready=(far,)))
    failed = replace(recorded(BY_PACKET).request, started=run.request.started)
    run = replace(run, plan=plan, plan_after=plan, request=failed, second_look=True)
    return without(run, FactKind.SERVICE_SLOT)


def test_endpoints_that_are_not_ready_are_named() -> None:
    run = with_an_unready_endpoint()
    assert named(run) == NO_BACKENDS
    [unready] = service(run).unready
    assert unready.pod_facts
    assert f"{unready.pod_facts.pod.name} not Ready" in diagnose(run).message


def test_a_fault_between_kubelet_and_endpoint_is_the_cause() -> None:
    run = with_an_unready_endpoint()
    absent = Answer(254, b"null", b"", 0.0, 0.0)
    fact = lxcmap.lookup(ends(recorded("healthy-service-cross-node"))[1], service(run).unready[0].ip)
    for _ in range(2):
        run = replace(run, evidence=run.evidence.adding([fact], [absent]))
    diagnosis = diagnose(run)
    assert diagnosis.divergence is not None
    assert diagnosis.symptom is not None
    assert (diagnosis.divergence.hop, diagnosis.reason) == (
        HopName.ENDPOINT_LOOKUP,
        Reason.ENDPOINT_ENTRY_MISSING,
    )
    assert diagnosis.symptom.reason is Reason.NO_READY_BACKENDS
