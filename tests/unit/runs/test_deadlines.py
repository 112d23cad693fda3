"""Runs in which something is late or canceled: they end in time, with the evidence so far."""

import asyncio

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.collect.capture import ADDED_S as CAPTURE_S
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.evidence.delivery import delivery
from datapath_probe.plan.plan import CannotRun
from datapath_probe.runs import path_runner
from datapath_probe.runs.path_runner import EVIDENCE_S, OVERTIME_S, SETTLE_S
from datapath_probe.runs.probe_run import PATH_MARGIN_S
from unit.diagnose.altered_runs import ends
from unit.recorded import recorded
from unit.runs.recorded_cluster import play, probe_of


async def test_an_agent_that_does_not_respond_is_asked_once_and_other_evidence_counts() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    _, recording.silent = ends(run)
    outcome = (await runner.run(probe_of(run))).worst
    assert isinstance(outcome, Diagnosis)
    assert outcome.met
    assert (outcome.verdict, outcome.reason) == (ProbeVerdict.UNKNOWN, Reason.AGENT_NOT_RESPONDING)
    assert recording.silent in outcome.message
    unknown = {f.hop: f for f in outcome.findings if f.verdict is not HopVerdict.OK}
    assert all(recording.silent in finding.message for finding in unknown.values())
    assert any(f.node == recording.silent and f.hop not in unknown for f in outcome.findings)


async def test_a_fault_is_named_although_an_agent_does_not_respond() -> None:
    run = recorded("ipcache-wrong-tunnel-endpoint")
    recording, runner, _ = play(run)
    _, recording.silent = ends(run)
    outcome = (await runner.run(probe_of(run))).worst
    assert isinstance(outcome, Diagnosis)
    assert outcome.divergence is not None
    assert (outcome.verdict, outcome.divergence.hop) == (ProbeVerdict.BROKEN, HopName.IPCACHE_LOOKUP)
    unanswered = [fact for fact in recording.asked if delivery(fact).by_agent]
    assert all(recording.asked.count(q) == 1 for q in unanswered if q.node == recording.silent)
    assert any(recording.asked.count(q) > 1 for q in unanswered if q.node != recording.silent)


async def test_a_run_ends_at_its_deadline_with_the_evidence_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_runner, "EVIDENCE_S", 0.5)
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    source, recording.mute = ends(run)
    async with asyncio.timeout(run.plan.request.timeout_s + 20):
        outcome = (await runner.run(probe_of(run))).worst
    assert isinstance(outcome, Diagnosis)
    assert outcome.met
    assert (outcome.verdict, outcome.reason) == (ProbeVerdict.UNKNOWN, Reason.EVIDENCE_TIMEOUT)
    assert any(f.node == source and f.verdict is HopVerdict.OK for f in outcome.findings)


@pytest.mark.looptime
async def test_a_run_with_a_capture_in_which_everything_is_late_ends_before_it_is_canceled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(path_runner, "SETTLE_S", SETTLE_S)
    run = recorded("endpoint-entry-missing")
    recording, runner, _ = play(run)
    _, recording.mute = ends(run)
    recording.hold = asyncio.Event()
    loop, probe = asyncio.get_running_loop(), probe_of(run)
    loop.call_later(probe.spec.request.timeout_s, recording.hold.set)
    began = loop.time()
    result = await runner.run(probe, capture=True)
    assert isinstance(result.worst, Diagnosis)
    took_s = loop.time() - began - probe.spec.request.timeout_s
    assert EVIDENCE_S + CAPTURE_S <= took_s <= OVERTIME_S < PATH_MARGIN_S


async def test_a_canceled_run_cancels_its_request() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    recording.hold = asyncio.Event()
    running = asyncio.create_task(runner.run(probe_of(run)))
    await recording.sending.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert recording.cancelled


@pytest.mark.looptime
async def test_a_run_that_does_not_end_is_canceled_with_a_reason() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    recording.hold = asyncio.Event()
    loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    result = await runner.run(probe_of(run, timeout="2s"))
    assert loop.time() - began == pytest.approx(2 + PATH_MARGIN_S, abs=0.1)
    assert isinstance(result.worst, CannotRun)
    assert result.worst.reason is Reason.RUN_TIMEOUT
    assert f"within {2 + PATH_MARGIN_S:g} s" in result.worst.message
    assert recording.cancelled
    assert result.bundles == ()
