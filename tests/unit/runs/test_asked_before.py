"""What a path was asked before is asked at once in its next run. Simulated time."""

import pytest

from datapath_probe.diagnose import examination
from datapath_probe.diagnose.context import CheckContext
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.plan.path import ExpectedHop
from datapath_probe.runs import path_runner
from datapath_probe.runs.asked_before import AskedBefore, path_of
from datapath_probe.sources.bpf import bpftool
from unit.recorded import recorded
from unit.runs.recorded_cluster import play, probe_of

pytestmark = pytest.mark.looptime(noop_cycles=2)

RUN = recorded("healthy-cross-node")
NODE = RUN.plan.source.node.name
PORT = RUN.request.local_port


@pytest.fixture(autouse=True)
def _same_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_runner, "resolve_again", lambda plan, *_: plan)


async def test_the_second_run_finds_its_facts_in_fewer_passes_and_says_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked: list[ExpectedHop] = []
    check = examination._check

    def counted(context: CheckContext, hop: ExpectedHop) -> Finding:
        checked.append(hop)
        return check(context, hop)

    monkeypatch.setattr(examination, "_check", counted)
    _, runner, _ = play(RUN)
    counts, outcomes = [], []
    for _ in range(2):
        checked.clear()
        outcomes.append((await runner.run(probe_of(RUN))).worst)
        counts.append(len(checked))
    first, second = outcomes
    assert isinstance(first, Diagnosis)
    assert isinstance(second, Diagnosis)
    assert (first.verdict, first.findings) == (second.verdict, second.findings)
    assert counts[1] <= 0.75 * counts[0]


async def test_a_fact_that_is_superfluous_is_asked_once_more_and_then_no_longer() -> None:
    recording, runner, _ = play(RUN)
    await runner.run(probe_of(RUN))
    asked, superfluous = runner._shared.asked, bpftool.prog(NODE, 4_000_000)
    [path] = asked._paths
    asked.note(path, [*asked.facts(path), superfluous], PORT)
    for _ in range(3):
        await runner.run(probe_of(RUN))
    assert recording.asked.count(superfluous) == 1


def test_facts_about_one_connection_are_not_remembered() -> None:
    asked = AskedBefore()
    asked.note(path_of(RUN), [bpftool.prog(NODE, 7), bpftool.prog(NODE, PORT)], PORT)
    assert asked.facts(path_of(RUN)) == [bpftool.prog(NODE, 7)]


def test_the_paths_that_ran_most_recently_are_remembered() -> None:
    asked = AskedBefore(limit=2)
    paths = [(f"default/{number}",) for number in range(3)]
    for path in (paths[0], paths[1], paths[0], paths[2]):
        asked.note(path, [bpftool.prog(NODE, 7)], PORT)
    assert [bool(asked.facts(path)) for path in paths] == [True, False, True]
