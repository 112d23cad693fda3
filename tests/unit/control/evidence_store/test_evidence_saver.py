"""Evidence is saved in the background, also to a slow or failing disk."""

import asyncio
import pickle
import threading
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from structlog.testing import capture_logs

from datapath_probe.api.vocabulary import ProbeVerdict
from datapath_probe.control.evidence_store import evidence_saver
from datapath_probe.control.evidence_store.evidence_files import EvidenceFiles
from datapath_probe.control.evidence_store.evidence_saver import MAX_WAITING_BYTES, EvidenceSaver
from datapath_probe.control.schedule.run_executor import Ended, RunExecutor
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from datapath_probe.publish.status.saved_run import RunKind
from datapath_probe.runs.run_result import NextRun, RunRecord
from unit.control.evidence_store.test_evidence_files import BUNDLE
from unit.control.harness import Harness
from unit.publish.samples import CANNOT_RUN, NOW, diverging, healthy, probe, record
from unit.recorded import names, recorded

KIND = RunKind(ProbeVerdict.BROKEN)


def run(name: str, outcome: Diagnosis | None = None) -> RunRecord:
    made = record(outcome or healthy(), id_=name)
    return replace(made, result=replace(made.result, bundles=(BUNDLE,)))


class Disk(EvidenceFiles):
    """Blocks until `free` is set, and fails for the run `bad`."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))
        self.saved: list[str] = []
        self.free = threading.Event()

    def save(self, namespace: str, name: str, record: RunRecord, kind: RunKind) -> None:
        self.free.wait(10)
        if record.id == "bad":
            raise ZeroDivisionError
        self.saved.append(f"{namespace}/{name} {record.id}")

    async def has_saved(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.saved) < count:  # noqa: ASYNC110 (a thread saves)
                await asyncio.sleep(0.01)


@asynccontextmanager
async def saving() -> AsyncIterator[tuple[Disk, EvidenceSaver]]:
    disk = Disk()
    saver = EvidenceSaver(disk)
    task = asyncio.create_task(saver.serve())
    try:
        yield disk, saver
    finally:
        disk.free.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_verdict_is_published_before_its_evidence_is_saved() -> None:
    async with saving() as (disk, saver):
        harness = Harness()
        harness.publisher.adopt(probe())
        run_executor = RunExecutor(
            harness.registry, harness, harness.publisher, harness.scheduler._clock, saver
        )
        run_executor.ended(Ended(probe(), run("a", diverging())), NextRun(None))
        assert [event.reason for event in harness.events] == ["ProbeBroken"]
        assert disk.saved == []
        disk.free.set()
        await disk.has_saved(1)
        assert disk.saved == ["default/probe a"]
        await harness.status_writer.close(1)


async def test_a_failed_save_does_not_prevent_the_next() -> None:
    async with saving() as (disk, saver):
        disk.free.set()
        with capture_logs() as logs:
            saver.put(probe(), run("bad"), KIND)
            saver.put(probe(), run("good"), KIND)
            await disk.has_saved(1)
    assert disk.saved == ["default/probe good"]
    assert [(line["event"], line["log_level"]) for line in logs] == [("evidence not saved", "error")]


def run_of(name: str, output_bytes: int) -> RunRecord:
    """A run with evidence of this size."""
    fact = Fact(FactKind.PINNED_MAP, "node1", (("map", "cilium_lxc"),))
    answer = Answer(0, b"x" * output_bytes, b"", NOW, 0.1)
    bundle = Bundle(replace(BUNDLE.run, evidence=Evidence({fact: (answer,)})))
    return replace(run(name), result=replace(run(name).result, bundles=(bundle,)))


async def test_the_queue_before_a_slow_disk_is_bounded_in_bytes() -> None:
    saver = EvidenceSaver(Disk())
    with capture_logs() as logs:
        saver.put(probe(), record(CANNOT_RUN), KIND)  # has no evidence, so it is not queued
        for number in range(100):
            saver.put(probe(), run_of(f"small-{number}", 10_000), KIND)
        assert logs == []
        saver.put(probe(), run_of("large", MAX_WAITING_BYTES // 2), KIND)
        assert logs == []
        saver.put(probe(), run_of("too much", MAX_WAITING_BYTES // 2), KIND)
        assert [line["event"] for line in logs] == ["evidence not saved"]
        saver.put(probe(), run_of("small again", 10_000), KIND)
    assert len(logs) == 1


async def test_a_run_that_is_saved_makes_room() -> None:
    half = MAX_WAITING_BYTES // 2
    async with saving() as (disk, saver):
        with capture_logs() as logs:
            saver.put(probe(), run_of("a", half), KIND)
            saver.put(probe(), run_of("b", half), KIND)
            assert [line["event"] for line in logs] == ["evidence not saved"]
            disk.free.set()
            await disk.has_saved(1)
            async with asyncio.timeout(10):
                while len(disk.saved) < 2:
                    saver.put(probe(), run_of("c", half), KIND)
                    await asyncio.sleep(0.01)
    assert disk.saved[:2] == ["default/probe a", "default/probe c"]


async def test_the_estimated_size_is_that_of_recorded_runs() -> None:
    for name in names()[::10]:
        path = recorded(name)
        stored = pickle.dumps((path, diagnose(path)))
        tracemalloc.start()
        copy = pickle.loads(stored)  # noqa: S301 (written above)
        used_bytes, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert copy
        assert 0.6 < evidence_saver._size_bytes(path) / used_bytes < 1.6, name
