"""Captures of several runs: one at a time on a node, and what a run that gets no turn reports. Simulated time."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Reading, Unavailable
from datapath_probe.runs.limits import CAPTURE_TURN_S, Limits
from datapath_probe.runs.run_result import RunResult
from unit.recorded import recorded
from unit.runs.recorded_cluster import play, probe_of

pytestmark = pytest.mark.looptime(noop_cycles=2)


async def test_captures_take_turns_at_a_node_and_other_nodes_do_not_wait() -> None:
    limits, under_way, most = Limits(), Counter[str](), Counter[str]()

    async def capture(*nodes: str) -> float:
        async with limits.capture(nodes, "default") as free:
            for node in free:
                under_way[node] += 1
                most[node] = max(most[node], under_way[node])
            await asyncio.sleep(10)
            under_way.subtract(free)
        return asyncio.get_running_loop().time()

    ends = await asyncio.gather(
        capture("node1", "node2"), capture("node2", "node1"), capture("node2"), capture("node3")
    )
    assert set(most.values()) == {1}
    assert sorted(round(end) for end in ends) == [10, 10, 20, 30]


async def test_a_run_without_a_turn_captures_nothing_on_that_node_says_so_and_is_judged() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    busy = run.plan.nodes[0].name

    async with runner._access.limits.capture([busy], "others"):
        result = await runner.run(probe_of(run), capture=True)
    assert isinstance(result.worst, Diagnosis)
    assert result.worst.met
    reading = captures(result)[busy]
    assert isinstance(reading, Unavailable)
    assert reading.reason is EvidenceError.NOT_COLLECTED
    assert reading.message == (
        f"other captures were in progress on {busy} for {CAPTURE_TURN_S:g} s: request it again"
    )
    assert set(recording.attended) == {node.name for node in run.plan.nodes} - {busy}


async def test_an_operator_that_runs_nothing_in_containers_captures_nothing_and_says_so() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, _ = play(run)
    runner._access = replace(runner._access, agents=None)
    result = await runner.run(probe_of(run), capture=True)
    assert isinstance(result.worst, Diagnosis)
    assert result.worst.met
    readings = captures(result)
    assert readings.keys() == {node.name for node in run.plan.nodes}
    assert all(
        isinstance(reading, Unavailable) and "runs none" in reading.message for reading in readings.values()
    )
    assert not recording.attended


def captures(result: RunResult) -> dict[str, Reading]:
    evidence = result.bundles[0].run.evidence
    return {fact.node: readings[-1] for fact, readings in evidence if fact.kind is FactKind.CAPTURE}
