"""How often a contradiction must be read before it counts: twice in a live cluster, once in a snapshot."""

from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.hop_check import LIVE, SNAPSHOT
from datapath_probe.diagnose.run.run import PathRun
from unit.recorded import recorded

FAULTS = [
    "ipcache-wrong-tunnel-endpoint",
    "endpoint-entry-missing",
    "ipcache-entry-missing",
    "frontend-missing",
]


def read_once(name: str) -> PathRun:
    """The run before anything was read a second time."""
    run = recorded(name)
    return replace(run, evidence=run.evidence.first_readings(), second_look=False, plan_after=None)


@pytest.mark.parametrize("name", FAULTS)
def test_live_a_contradiction_that_was_read_once_asks_for_a_second_look(name: str) -> None:
    diagnosis = diagnose(read_once(name), confirmation=LIVE)
    assert diagnosis.divergence is None
    assert diagnosis.needs_second_look
    assert Reason.UNCONFIRMED in {finding.reason for finding in diagnosis.findings}


@pytest.mark.parametrize("name", FAULTS)
def test_in_a_snapshot_it_counts_and_is_marked(name: str) -> None:
    confirmed, diagnosis = diagnose(recorded(name)), diagnose(read_once(name), confirmation=SNAPSHOT)
    assert (diagnosis.verdict, diagnosis.reason) == (confirmed.verdict, confirmed.reason)
    assert diagnosis.divergence == confirmed.divergence
    assert not diagnosis.needs_second_look
    doubted = [f for f in diagnosis.findings if f.verdict in (HopVerdict.STALE, HopVerdict.BROKEN)]
    assert any(finding.unconfirmed for finding in doubted)
    assert not any(finding.unconfirmed for finding in confirmed.findings)


def test_a_healthy_snapshot_is_healthy() -> None:
    diagnosis = diagnose(read_once("healthy-cross-node"), confirmation=SNAPSHOT)
    assert diagnosis.verdict is ProbeVerdict.HEALTHY
    assert not any(finding.unconfirmed for finding in diagnosis.findings)
