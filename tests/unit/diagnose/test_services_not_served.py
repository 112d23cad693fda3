"""A Service that objects exclude from Cilium: that comes before the state of the maps."""

from dataclasses import replace

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.plan.endpoint_churn import EndpointChurn
from unit.diagnose.test_name_resolution import ABSENT, answering, unresolved
from unit.plans import with_frontend
from unit.recorded import recorded

WHY = "Cilium on node2 does not serve Service default/deathstar: its label assigns it to another proxy"


def not_served(run: PathRun) -> PathRun:
    assert run.plan.frontend is not None
    plan = with_frontend(run.plan, replace(run.plan.frontend, not_served=WHY))
    return replace(run, plan=plan, plan_after=plan if run.second_look else None)


def test_a_missing_frontend_is_explained_by_the_object() -> None:
    diagnosis = diagnose(not_served(recorded("frontend-missing")))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.SERVICE_NOT_SERVED)
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.SERVICE_LOOKUP
    assert diagnosis.message.startswith(WHY)


def test_an_answered_request_was_served_by_another_proxy_that_is_not_followed() -> None:
    run = not_served(recorded("healthy-service-cross-node"))
    slots = [fact for fact in run.evidence.readings if fact.kind is FactKind.SERVICE_SLOT]
    diagnosis = diagnose(answering(run, dict.fromkeys(slots, ABSENT)))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.UNSUPPORTED_CONFIGURATION)
    assert "another proxy serves it" in diagnosis.message


def test_an_entry_that_will_be_removed_is_a_latent_fault() -> None:
    diagnosis = diagnose(answering(not_served(recorded("healthy-service-cross-node")), {}))
    assert not diagnosis.needs_second_look
    run = not_served(recorded("healthy-service-cross-node"))
    assert diagnose(run).needs_second_look


def test_a_name_that_does_not_resolve_is_explained_by_the_object_of_the_dns() -> None:
    run = unresolved("frontend-missing")
    assert run.plan.nameserver is not None
    nameserver = replace(run.plan.nameserver, frontend=replace(run.plan.nameserver.frontend, not_served=WHY))
    plan = replace(run.plan, nameserver=nameserver)
    diagnosis = diagnose(replace(run, plan=plan, plan_after=plan))
    assert diagnosis.reason is Reason.DNS_PATH_BROKEN
    assert WHY in diagnosis.message


def test_the_endpoints_of_a_service_that_is_not_served_may_change() -> None:
    """Kubernetes copies the label to the Service's EndpointSlices."""
    run = not_served(recorded("frontend-missing"))
    churn = EndpointChurn("default/deathstar", run.request.started - 1, ())
    assert diagnose(replace(run, destination_churn=churn)).reason is Reason.SERVICE_NOT_SERVED
