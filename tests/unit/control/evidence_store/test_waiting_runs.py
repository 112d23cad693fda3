"""Runs that wait for the disk: namespaces take turns, and none takes the room of others."""

from dataclasses import replace

from datapath_probe.api.vocabulary import ProbeVerdict
from datapath_probe.control.evidence_store.waiting_runs import WaitingRun, WaitingRuns
from datapath_probe.publish.status.saved_run import RunKind
from unit.publish.samples import healthy, probe, record


def waiting(namespace: str, name: str, size_bytes: int = 10) -> WaitingRun:
    made = probe()
    made = replace(made, meta=replace(made.meta, namespace=namespace))
    return WaitingRun(made, record(healthy(), id_=name), RunKind(ProbeVerdict.BROKEN), size_bytes)


def put(runs: WaitingRuns, namespace: str, name: str, size_bytes: int = 10) -> list[str]:
    """The ids of the runs that are left out."""
    return [run.record.id for run in runs.put(waiting(namespace, name, size_bytes))]


async def taken(runs: WaitingRuns, number: int) -> list[str]:
    return [(await runs.take()).record.id for _ in range(number)]


async def test_namespaces_take_turns() -> None:
    runs = WaitingRuns(1000)
    for number in range(4):
        put(runs, "busy", f"busy{number}")
    put(runs, "calm", "calm0")
    assert await taken(runs, 5) == ["busy0", "calm0", "busy1", "busy2", "busy3"]


async def test_the_namespace_that_has_the_most_loses_its_newest_run() -> None:
    runs = WaitingRuns(60)
    for number in range(6):
        assert put(runs, "busy", f"busy{number}") == []
    assert put(runs, "busy", "busy6") == ["busy6"]
    assert put(runs, "calm", "calm0") == ["busy5"]
    assert put(runs, "calm", "calm1", 20) == ["busy4", "busy3"]
    assert put(runs, "calm", "calm2") == ["calm2"], "both have the same share now"
    assert runs.total_bytes == 60
    assert await taken(runs, 5) == ["busy0", "calm0", "busy1", "calm1", "busy2"]


async def test_a_run_that_is_being_saved_occupies_its_room() -> None:
    runs = WaitingRuns(10)
    put(runs, "busy", "busy0")
    run = await runs.take()
    assert put(runs, "calm", "calm0") == ["calm0"]
    runs.done(run)
    assert put(runs, "calm", "calm1") == []


async def test_a_large_run_gives_way_to_a_small_one_of_another_namespace() -> None:
    runs = WaitingRuns(10)
    put(runs, "busy", "large", 8)
    assert put(runs, "calm", "small", 4) == ["large"]
    assert await taken(runs, 1) == ["small"]


async def test_a_run_that_is_refused_all_the_same_displaces_no_other() -> None:
    runs = WaitingRuns(64)
    for number in range(44):
        put(runs, "busy", f"busy{number}", 1)
    for number in range(20):
        put(runs, "calm", f"calm{number}", 1)
    assert put(runs, "calm", "large", 15) == ["large"]
    assert runs.total_bytes == 64
