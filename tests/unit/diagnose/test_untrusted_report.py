"""curl runs in a container that is not trusted: a report counts only if it fits the pod and is complete."""

from dataclasses import replace

import pytest

from datapath_probe.api.vocabulary import ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.evidence.reading import Answer
from datapath_probe.plan.plan import AddressTarget
from unit.recorded import recorded


def test_a_report_that_does_not_fit_the_pod_does_not_count() -> None:
    run = recorded("healthy-cross-node")
    reading = run.request.reading
    assert isinstance(reading, Answer)
    forged = replace(reading, stderr=reading.stderr.replace(str(run.plan.source.ip).encode(), b"192.0.2.1"))
    diagnosis = diagnose(replace(run, request=replace(run.request, reading=forged)))
    assert diagnosis.verdict is ProbeVerdict.UNKNOWN
    assert diagnosis.reason == "ImplausibleClientReport"


def test_a_truncated_body_is_no_fault_of_the_application() -> None:
    run = recorded("healthy-cross-node")
    reading = run.request.reading
    assert isinstance(reading, Answer)
    cut = replace(reading, stdout=b"x" * 100, truncated=True)
    diagnosis = diagnose(replace(run, request=replace(run.request, reading=cut)))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, "TruncatedOutput")
    whole = replace(reading, truncated=True)
    assert diagnose(replace(run, request=replace(run.request, reading=whole))).met


@pytest.mark.parametrize("report", [b'{"http_code":200}', b"{}", b'{"http_code":200,"local_ip":"10.0.0.1"}'])
def test_a_success_without_a_local_address_does_not_count(report: bytes) -> None:
    run = recorded("healthy-cross-node")
    reading = run.request.reading
    assert isinstance(reading, Answer)
    diagnosis = diagnose(replace(run, request=replace(run.request, reading=replace(reading, stderr=report))))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, "ImplausibleClientReport")


def test_a_host_outside_the_cluster_is_not_the_source_itself() -> None:
    """Packets to itself leave no trace, so nothing would confirm such a report."""
    run = recorded("healthy-cross-node")
    reading, own = run.request.reading, str(run.plan.source.ip).encode()
    assert isinstance(reading, Answer)
    host = "www.example.org"
    plan = replace(
        run.plan,
        target=AddressTarget(f"{host}:80", host, 80, ()),
        request=replace(run.plan.request, host=host),
    )
    forged = replace(reading, stderr=reading.stderr.replace(str(run.plan.backends[0].ip).encode(), own))
    assert forged != reading
    diagnosis = diagnose(replace(run, plan=plan, request=replace(run.request, reading=forged)))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, "UnsupportedDestination")
