"""A whole run against a recorded cluster: what is asked when, and the result."""

import asyncio
from dataclasses import replace

import pytest
from structlog.contextvars import get_contextvars

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.collect.answer_cache import LASTING_S
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.evidence.delivery import delivery
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.plan.plan import CannotRun
from datapath_probe.plan.restrictions import Restrictions
from datapath_probe.runs import path_runner
from datapath_probe.sources.iproute2 import links
from unit.diagnose.altered_runs import ends, with_events
from unit.kinds import entry_of, tool_of
from unit.recorded import recorded
from unit.runs.recorded_cluster import play, probe_of


async def test_log_lines_of_a_run_have_the_node_of_the_source() -> None:
    run = recorded("healthy-cross-node")
    _, runner, _ = play(run)

    async def context_after_a_run() -> dict[str, object]:
        await runner.run(probe_of(run))
        return get_contextvars()

    context = await asyncio.create_task(context_after_a_run())
    assert context["node"] == run.plan.source.pod.node
    assert "node" not in get_contextvars(), "another run's lines have their own"


async def test_a_healthy_run_reads_each_fact_once() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    result = await runner.run(probe_of(run))
    assert isinstance(result.worst, Diagnosis)
    assert result.worst.verdict is ProbeVerdict.HEALTHY
    assert len(recording.sent) == 1
    assert len(set(recording.asked)) == len(recording.asked)


async def test_a_forbidden_probe_sends_nothing_and_asks_nothing() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run, Restrictions(unsafe_methods=True))
    post = replace(run.plan.request, method="POST")
    result = await runner.run(probe_of(replace(run, plan=replace(run.plan, request=post))))
    assert isinstance(result.worst, CannotRun)
    assert result.worst.reason is Reason.METHOD_FORBIDDEN
    assert (recording.sent, recording.asked) == ([], [])


async def test_a_contradiction_is_read_twice_before_it_counts() -> None:
    run = recorded("ipcache-entry-missing")
    recording, runner, _ = play(run)
    result = await runner.run(probe_of(run))
    assert isinstance(result.worst, Diagnosis)
    assert result.worst.verdict is ProbeVerdict.DEGRADED
    twice = {fact for fact in recording.asked if recording.asked.count(fact) > 1}
    assert {entry_of(fact) for fact in twice} == {"cilium_ipcache_v2"}


async def test_after_a_failed_request_everything_is_read_again() -> None:
    run = recorded("endpoint-entry-missing")
    recording, runner, _ = play(run)
    result = await runner.run(probe_of(run))
    assert isinstance(result.worst, Diagnosis)
    assert result.worst.divergence is not None
    assert result.worst.divergence.hop is HopName.ENDPOINT_LOOKUP
    asked_before = {fact for fact in recording.asked if fact in run.evidence.readings}
    programmed = [fact for fact in asked_before if tool_of(fact) != "hubble"]
    assert all(recording.asked.count(fact) == 2 for fact in programmed)


async def test_without_curl_nothing_is_read_twice() -> None:
    run = recorded("healthy-cross-node")
    no_curl = Unavailable(EvidenceError.NO_SUCH_EXECUTABLE, "no such file")
    recording, runner, _ = play(replace(run, request=replace(run.request, reading=no_curl)))
    result = await runner.run(probe_of(run))
    assert isinstance(result.worst, Diagnosis)
    assert result.worst.reason is Reason.CURL_NOT_FOUND
    assert len(set(recording.asked)) == len(recording.asked)


async def test_loss_counters_are_read_while_a_request_hangs_and_after_it_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(path_runner, "HANGING_S", 0.0)
    run = recorded("overlay-dropped-on-the-wire")
    recording, runner, _ = play(run)
    recording.hold = asyncio.Event()
    running = asyncio.create_task(runner.run(probe_of(run)))

    devices = [links.counters(node, "cilium_vxlan") for node in ends(run)]
    while not set(devices) <= set(recording.asked):  # noqa: ASYNC110  # a recording has no event for it
        await asyncio.sleep(0)
    recording.hold.set()
    await running
    assert [recording.asked.count(device) for device in devices] == [2, 2]


async def test_loss_counters_are_not_read_for_a_request_that_does_not_hang() -> None:
    run = recorded("endpoint-entry-missing")
    recording, runner, _ = play(run)
    await runner.run(probe_of(run))
    assert not any(fact.kind is FactKind.BPF_METRICS for fact in recording.asked)


async def test_events_are_read_twice_more_if_no_hop_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(path_runner, "EVENT_PAUSE_S", 0.0)
    run = recorded("overlay-dropped-on-the-wire")
    for node in ends(run):
        run = with_events(run, node, [], moved_on=False)
    recording, runner, _ = play(run)
    await runner.run(probe_of(run))
    rings = [fact for fact in recording.asked if fact.kind is FactKind.NEWEST_FLOW]
    assert [rings.count(fact) for fact in set(rings)] == [4, 4]


async def test_a_requested_run_shares_no_answers_with_the_run_before() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    await runner.run(probe_of(run))
    look_ups = [fact for fact in recording.asked if delivery(fact).max_age_s < LASTING_S]
    await runner.run(probe_of(run))
    shared = len(recording.asked)
    await runner.run(probe_of(run), fresh=True)
    answered = {fact for fact, _ in run.evidence}  # facts without an answer are asked in each run
    assert set(recording.asked[shared:]) & answered == set(look_ups) & answered


async def test_an_object_that_changes_during_the_run_makes_it_unknown() -> None:
    run = recorded("endpoint-entry-missing")
    recording, runner, inventory = play(run)
    recording.hold = asyncio.Event()
    running = asyncio.create_task(runner.run(probe_of(run)))
    await recording.sending.wait()
    key = next(key for key in inventory.pods if "deathstar" in key)
    inventory.pods[key] = replace(inventory.pods[key], uid="re-created")
    recording.hold.set()
    outcome = (await running).worst
    assert isinstance(outcome, Diagnosis)
    assert (outcome.verdict, outcome.reason) == (ProbeVerdict.UNKNOWN, Reason.IN_TRANSITION)


async def test_a_stale_view_of_the_cluster_makes_it_unknown() -> None:
    run = recorded("endpoint-entry-missing")
    _, runner, inventory = play(run)
    inventory.stale_since = run.request.started - 60
    outcome = (await runner.run(probe_of(run))).worst
    assert isinstance(outcome, Diagnosis)
    assert outcome.reason is Reason.IN_TRANSITION


async def test_header_values_and_body_are_not_in_the_command() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    await runner.run(probe_of(run, headers=[{"name": "X-Token", "value": "s3cret"}], body="s3cret too"))
    assert "s3cret" not in " ".join(recording.sent[0])
    assert b"s3cret" in (recording.stdins[0] or b"")


async def test_without_a_source_nothing_is_sent() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, inventory = play(run)
    inventory.pods.clear()
    result = await runner.run(probe_of(run))
    assert isinstance(result.worst, CannotRun)
    assert result.worst.reason is Reason.SOURCE_NOT_FOUND
    assert not recording.sent
    assert not recording.asked
