"""What the operator keeps of each probe is small, so that their number does not end in an out-of-memory kill."""

import gc
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from bench.probe_memory import LIMIT_BYTES, Probes, diagnosed
from datapath_probe.api.model import ApiModel
from datapath_probe.api.status.past_runs import FAILURES_LIMIT, OUTAGES_LIMIT
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun
from unit.control.harness import body
from unit.publish.samples import NOW, diverging, healthy, probe, record

PROBES = 60


async def test_a_probe_that_has_run_takes_little_memory() -> None:
    probes = Probes(diagnosed())
    await probes.add(0, 10)  # fills what all share
    with traced() as used_bytes:
        await probes.add(10, PROBES)
        assert used_bytes() / PROBES <= LIMIT_BYTES


async def test_a_probe_that_is_adopted_with_its_status_takes_no_more() -> None:
    status = statuses.after_run(ProbeStatus(), probe(), record(diagnosed()), NextRun(NOW + 60)).to_object()
    probes = Probes(diagnosed())
    probes.harness.registry.observe(body("first", status=status))
    with traced() as used_bytes:
        for number in range(PROBES):
            probes.harness.registry.observe(body(f"probe-{number}", status=status))
        assert used_bytes() / PROBES <= LIMIT_BYTES


async def test_a_probe_with_many_outages_takes_no_more() -> None:
    """With as many outages and failed runs as a status keeps, and long messages."""
    status = ProbeStatus()
    bad = replace(diverging(), message="m" * 512)
    for number in range(2 * OUTAGES_LIMIT):
        run = record(healthy() if number % 2 else bad, NOW + number, id_=f"{number:012x}")
        status = statuses.after_run(status, probe(), run, NextRun(NOW + 60), is_kept=lambda _: True)
    failures = [failed.model_copy(update={"evidence": "e" * 200}) for failed in status.failures]
    healthy_now = statuses.after_run(
        status.model_copy(update={"failures": tuple(failures)}),
        probe(),
        record(diagnosed()),
        NextRun(NOW + 60),
    ).to_object()
    assert (len(healthy_now["outages"]), len(healthy_now["failures"])) == (OUTAGES_LIMIT, FAILURES_LIMIT)
    probes = Probes(diagnosed())
    probes.harness.registry.observe(body("first", status=healthy_now))
    with traced() as used_bytes:
        for number in range(PROBES):
            probes.harness.registry.observe(body(f"probe-{number}", status=healthy_now))
        assert used_bytes() / PROBES <= LIMIT_BYTES
        print(f"{used_bytes() / PROBES:.0f} bytes a probe")


async def test_no_model_of_a_status_outlives_its_run() -> None:
    probes = Probes(diagnosed())
    before = models()
    await probes.add(0, 5)
    added = models() - before
    assert added["ProbeSpec"] == 5
    assert not added.keys() & {
        "ProbeStatus",
        "PathResult",
        "HopResult",
        "Condition",
        "PathProfile",
        "HistoryEntry",
        "Outage",
        "FailedRun",
    }


def models() -> Counter[str]:
    """The models of the API that are in memory, by name."""
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, ApiModel))


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Bytes that were allocated since, and are still in use."""
    gc.collect()
    tracemalloc.start()
    try:
        began, _ = tracemalloc.get_traced_memory()

        def used_bytes() -> int:
            gc.collect()
            return tracemalloc.get_traced_memory()[0] - began

        yield used_bytes
    finally:
        tracemalloc.stop()
