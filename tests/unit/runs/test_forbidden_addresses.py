"""Names outside the cluster whose addresses are known only after the request: what is kept of the response."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network

import pytest

from datapath_probe.api.probe import Probe
from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import ProbeVerdict
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.reading import Answer
from datapath_probe.plan.outside import AddressRestrictions
from datapath_probe.plan.restrictions import UNRESTRICTED, Restrictions
from datapath_probe.publish.status.status import findings
from datapath_probe.runs.run_result import RunResult
from unit.recorded import recorded
from unit.runs.recorded_cluster import play


def _by_name() -> PathRun:
    run = recorded("healthy-outside-by-name")
    answer = run.request.reading
    assert isinstance(answer, Answer)
    return replace(run, request=replace(run.request, reading=replace(answer, stdout=b"secret-token")))


def _probe(run: PathRun, host: str) -> Probe:
    pod = run.plan.source.pod
    made = Probe.from_object(
        {
            "metadata": {"name": "probe", "namespace": pod.namespace, "uid": "uid", "generation": 1},
            "spec": {
                "source": {"pod": pod.name},
                "destination": {"address": {"host": host, "port": run.plan.request.port}},
                "expect": {"bodyContains": "secret"},
            },
        }
    )
    assert isinstance(made, Probe), made
    return made


async def _run(run: PathRun, restrictions: Restrictions) -> RunResult:
    _, runner, _ = play(run, restrictions)
    return await runner.run(_probe(run, run.plan.request.host))


def _denying(network: str) -> Restrictions:
    return Restrictions(addresses=AddressRestrictions(denied=(ip_network(network),)))


def _texts(result: RunResult) -> Iterator[str]:
    yield findings(result).model_dump_json()
    yield from (bundle.to_json().decode() for bundle in result.bundles)


async def test_a_response_from_a_denied_address_is_neither_judged_nor_kept() -> None:
    result = await _run(_by_name(), _denying("203.0.113.0/24"))
    diagnosis = result.worst
    assert isinstance(diagnosis, Diagnosis)
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.ADDRESS_FORBIDDEN)
    assert "203.0.113.0/24" in diagnosis.message
    assert diagnosis.report is None
    for text in _texts(result):
        assert "secret-token" not in text
        assert '"httpStatus"' not in text
        assert "http_code" not in text


async def test_an_address_that_was_only_tried_counts_too() -> None:
    run = _by_name()
    answer = run.request.reading
    assert isinstance(answer, Answer)
    report = b"*   Trying 169.254.169.254:8080...\n" + answer.stderr.replace(b'"tried"', b'"tried_before"')
    run = replace(run, request=replace(run.request, reading=replace(answer, stderr=report)))
    result = await _run(run, UNRESTRICTED)
    assert result.worst.reason is Reason.ADDRESS_FORBIDDEN
    assert "link-local" in result.worst.message


@pytest.mark.parametrize("restrictions", [UNRESTRICTED, _denying("198.51.100.0/24")])
async def test_a_response_from_another_address_is_judged(restrictions: Restrictions) -> None:
    result = await _run(_by_name(), restrictions)
    assert isinstance(result.worst, Diagnosis)
    assert result.worst.verdict is ProbeVerdict.HEALTHY, result.worst.message
