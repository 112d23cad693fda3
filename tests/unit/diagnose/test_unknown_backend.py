"""A failed request of which nothing shows where it went: the segment is that of all backends that may be meant."""

from dataclasses import replace

import pytest

from datapath_probe.api.vocabulary import HOP_ORDER, HopName
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.run import PathRun
from unit.diagnose.altered_runs import no_conntrack_entries
from unit.diagnose.test_listed_addresses import failed
from unit.diagnose.test_name_resolution import answering
from unit.diagnose.test_unexpected_answers import reporting
from unit.plans import with_backends
from unit.recorded import recorded


def untraced(name: str) -> PathRun:
    """The run as if it had failed without a trace in conntrack or in curl's report."""
    run = answering(no_conntrack_entries(failed(recorded(name))), {})
    return reporting(run, remote_ip="", remote_port=0)


def untraced_diagnosis(run: PathRun) -> Diagnosis:
    diagnosis = diagnose(run)
    assert diagnosis.backend is None
    return diagnosis


@pytest.mark.parametrize(
    "name", ["healthy-headless", "healthy-service-cross-node", "kpr/healthy-service@1.18.5"]
)
def test_the_addresses_that_may_have_been_tried_are_in_the_message(name: str) -> None:
    run = untraced(name)
    assert len(run.plan.backends) > 1
    message = untraced_diagnosis(run).message
    assert all(f"{backend.ip}:{backend.port}" in message for backend in run.plan.backends)


def test_the_segment_is_that_of_the_candidates_together() -> None:
    run = untraced("healthy-headless")
    alone = [
        untraced_diagnosis(replace(run, plan=plan, plan_after=plan)).segment
        for plan in (with_backends(run.plan, backend) for backend in run.plan.backends)
    ]
    together = untraced_diagnosis(run).segment
    assert together
    assert together.before in {segment.before for segment in alone if segment}
    assert all(HOP_ORDER[segment.before] <= HOP_ORDER[together.before] for segment in alone if segment)


def test_a_loss_before_the_selection_is_not_spread_over_the_paths_of_the_candidates() -> None:
    segment = untraced_diagnosis(untraced("healthy-service-cross-node")).segment
    assert segment
    assert HOP_ORDER[segment.before] <= HOP_ORDER[HopName.IPCACHE_LOOKUP]
