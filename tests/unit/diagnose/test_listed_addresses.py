"""An EndpointSlice that lists an address which nothing has: named whether or not the request went there."""

from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.reading import Answer
from datapath_probe.plan.plan import Backend
from unit.diagnose.altered_runs import ends
from unit.diagnose.test_unexpected_answers import reporting
from unit.plans import with_backends
from unit.recorded import recorded

WRONG = "EndpointSlice default/by-hand lists 10.244.99.9:80 as ready, but no pod and no node has this address"


def with_wrong_address(run: PathRun, *, hit: bool, second_look: bool = True) -> PathRun:
    """The run with a wrong address among the backends: that of the chosen one, or that of another."""
    chosen = diagnose(run).backend
    assert chosen is not None
    backends = [Backend(b.ip, b.port, None, WRONG) if (b == chosen) is hit else b for b in run.plan.backends]
    plan = with_backends(run.plan, *backends)
    return replace(run, plan=plan, plan_after=plan if second_look else None, second_look=second_look)


@pytest.mark.parametrize(
    "name", ["healthy-service-cross-node", "healthy-headless", "kpr/healthy-service@1.18.5"]
)
def test_a_wrong_address_is_a_latent_fault_if_the_request_went_elsewhere(name: str) -> None:
    run = recorded(name)
    diagnosis = diagnose(with_wrong_address(run, hit=False))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.DEGRADED, Reason.ENDPOINT_SLICE_STALE)
    assert diagnosis.divergence is not None
    hop = HopName.SERVICE_LOOKUP if run.plan.frontend else HopName.NAME_RESOLUTION
    assert (diagnosis.divergence.hop, diagnosis.divergence.node) == (hop, ends(run)[0])
    assert diagnosis.message == WRONG


def test_a_wrong_address_must_still_be_listed_a_second_later() -> None:
    diagnosis = diagnose(
        with_wrong_address(recorded("healthy-service-cross-node"), hit=False, second_look=False)
    )
    assert diagnosis.verdict is ProbeVerdict.UNKNOWN
    assert diagnosis.needs_second_look


def failed(run: PathRun) -> PathRun:
    """The run as if curl had waited for a connection until its timeout."""
    report = reporting(run, http_code=0, time_connect=0, time_starttransfer=0, time_total=3.0)
    assert isinstance(report.request.reading, Answer)
    reading = replace(report.request.reading, exit_code=28, stdout=b"")
    return replace(report, request=replace(report.request, reading=reading))


def test_a_wrong_address_is_the_cause_if_the_request_went_there() -> None:
    diagnosis = diagnose(failed(with_wrong_address(recorded("healthy-service-cross-node"), hit=True)))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.BROKEN, Reason.ENDPOINT_SLICE_STALE)
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.SERVICE_LOOKUP


def test_a_wrong_address_does_not_explain_a_failure_of_another_backend() -> None:
    run = recorded("wrong-backend-port")
    before = diagnose(run)
    other = Backend(run.plan.backends[0].ip, 99, None, WRONG)
    plan = with_backends(run.plan, *run.plan.backends, other)
    again = diagnose(replace(run, plan=plan, plan_after=plan))
    assert before.divergence is not None
    assert (again.verdict, again.reason) == (before.verdict, before.reason)
