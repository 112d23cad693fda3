"""Evidence is saved in the background, also to a slow or failing disk."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from datapath_probe.control.evidence_store import evidence_saver
from datapath_probe.control.evidence_store.evidence_files import EvidenceFiles
from datapath_probe.control.evidence_store.evidence_saver import EvidenceSaver
from datapath_probe.control.schedule.run_executor import Ended, RunExecutor
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.runs.run_result import NextRun, RunRecord
from unit.control.evidence_store.test_evidence_files import BUNDLE
from unit.control.harness import Harness
from unit.publish.samples import CANNOT_RUN, diverging, healthy, probe, record


def run(name: str, outcome: Diagnosis | None = None) -> RunRecord:
    made = record(outcome or healthy(), id_=name)
    return replace(made, result=replace(made.result, bundles=(BUNDLE,)))


class Disk(EvidenceFiles):
    """Blocks until `free` is set, and fails for the run `bad`."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))
        self.saved: list[str] = []
        self.free = threading.Event()

    def save(self, namespace: str, name: str, record: RunRecord) -> None:
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
            saver.put(probe(), run("bad"))
            saver.put(probe(), run("good"))
            await disk.has_saved(1)
    assert disk.saved == ["default/probe good"]
    assert [(line["event"], line["log_level"]) for line in logs] == [("evidence not saved", "error")]


async def test_the_queue_before_a_slow_disk_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_saver, "MAX_WAITING", 2)
    saver = EvidenceSaver(Disk())
    with capture_logs() as logs:
        saver.put(probe(), record(CANNOT_RUN))  # has no evidence, so it is not queued
        for name in ("a", "b", "c"):
            saver.put(probe(), run(name))
    assert [line["event"] for line in logs] == ["evidence not saved"]
