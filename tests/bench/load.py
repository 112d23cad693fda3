"""`make bench-load`: many probes on the lab that is up: how many verdicts the operator gives, how late, at what cost.

Environment: LOAD_PROBES (one or more numbers, default "100 1000"), LOAD_INTERVAL_S (each its own, default "10 60"),
LOAD_S (measured seconds, default 120). All probes are from two pods to one Service.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import Any

import click

from bench import cluster_cpu
from e2e import galaxy
from e2e.api import Api, connect
from e2e.metrics import Metrics
from e2e.operator_deploy import Operator, collector, deploy
from e2e.probes import Probes
from e2e.specs import SERVICE, landing
from e2e.waiting import until
from lab.cluster import Lab
from lab.paths import CHECKOUT
from lab.shell import say

RESULT = CHECKOUT / "build/load-bench.json"
SHIPS = ("xwing", "tiefighter")
_SETTLED = 3
"""Intervals until a measurement begins: the first runs start together, and channels open."""
_RUNS, _LAG, _DURATION = (
    f"datapath_probe_{name}" for name in ("runs_total", "schedule_lag_seconds", "run_duration_seconds")
)


@dataclass(frozen=True, slots=True)
class Load:
    """What one load costs. CPU is per verdict; `cluster_cpu_ms`: of everything in the lab, with the operator.
    `healthy`: the share of its own runs.
    """

    collector: str
    probes: int
    interval_s: float
    verdicts_per_s: float
    healthy: float
    skipped: int
    lag_p50_s: float
    lag_p99_s: float
    run_p50_s: float
    run_p99_s: float
    operator_cpu_ms: float
    cluster_cpu_ms: float
    rss_mb: float
    cpu_ms_by_part: dict[str, float] = field(default_factory=dict)

    def table(self) -> str:
        found = asdict(self)
        parts = found.pop("cpu_ms_by_part")
        lines = [f"{name:18}{value}" for name, value in found.items()]
        return "\n".join([*lines, *(f"  CPU of {part:52}{ms:7.1f} ms" for part, ms in parts.items())])


def measure(operator: Operator, namespace: str, probes: int, interval_s: float, seconds: float) -> Load:
    """Create the probes, let them settle, and measure."""
    made = Probes(operator.api, namespace)
    specs = (landing(ship, SERVICE) | {"schedule": {"interval": f"{interval_s:g}s"}} for ship in cycle(SHIPS))
    say(f"· {probes} probes every {interval_s:g} s …")
    try:
        with ThreadPoolExecutor(8) as pool:
            names = (f"load-{number}" for number in range(probes))
            list(pool.map(made.create, names, specs))
        verdicts = "datapath_probe_verdict"
        until(
            "every probe has run",
            lambda: operator.metrics().total(verdicts) >= probes,
            60 + 10 * interval_s,
            otherwise=lambda: operator.metrics().total(verdicts),
        )
        time.sleep(_SETTLED * interval_s)
        before, cpu_before, began = operator.metrics(), _cpu(operator.api, namespace), time.monotonic()
        time.sleep(seconds)
        after, cpu_after, ended = operator.metrics(), _cpu(operator.api, namespace), time.monotonic()
    finally:
        made.delete_all()
    runs = _grown(before, after, _RUNS)
    cpu_ms = {part: 1000 * (s - cpu_before.get(part, 0.0)) / runs for part, s in cpu_after.items()}
    return Load(
        collector=collector(),
        probes=probes,
        interval_s=interval_s,
        verdicts_per_s=round(runs / (ended - began), 1),
        healthy=_grown(before, after, _RUNS, verdict="Healthy", namespace=namespace)
        / _grown(before, after, _RUNS, namespace=namespace),
        skipped=round(_grown(before, after, "datapath_probe_runs_skipped_total")),
        lag_p50_s=quantile(before, after, _LAG, 0.5),
        lag_p99_s=quantile(before, after, _LAG, 0.99),
        run_p50_s=quantile(before, after, _DURATION, 0.5),
        run_p99_s=quantile(before, after, _DURATION, 0.99),
        operator_cpu_ms=round(1000 * _grown(before, after, "process_cpu_seconds_total") / runs, 1),
        cluster_cpu_ms=round(sum(cpu_ms.values()), 1),
        rss_mb=round(after.total("process_resident_memory_bytes") / 1e6, 1),
        cpu_ms_by_part={part: round(ms, 1) for part, ms in sorted(cpu_ms.items(), key=lambda one: -one[1])},
    )


def quantile(before: Metrics, after: Metrics, histogram: str, share: float) -> float:
    """The upper bound of the bucket with this quantile of what came between two scrapes."""
    bucket = f"{histogram}_bucket"
    bounds = [labels["le"] for name, labels, _ in after.samples if name == bucket]
    grown = {float(le): _grown(before, after, bucket, le=le) for le in bounds}
    return min(bound for bound, count in grown.items() if count >= share * grown[float("inf")])


def _grown(before: Metrics, after: Metrics, name: str, **labels: str) -> float:
    return after.total(name, **labels) - before.total(name, **labels)


def _cpu(api: Api, namespace: str) -> dict[str, float]:
    return cluster_cpu.by_part(api.items("/api/v1/pods"), namespace)


def write(loads: list[Load]) -> None:
    """Write the result file."""
    found: list[dict[str, Any]] = [asdict(load) for load in loads]
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


@click.command()
@click.option("--probes", envvar="LOAD_PROBES", type=int, multiple=True, default=(100, 1000))
@click.option("--interval", envvar="LOAD_INTERVAL_S", type=float, multiple=True, default=(10, 60))
@click.option("--seconds", envvar="LOAD_S", type=float, default=120)
def main(probes: tuple[int, ...], interval: tuple[float, ...], seconds: float) -> None:
    """Measure each load after the other."""
    lab = Lab.current()
    with connect(lab.kubeconfig) as api:
        operator, pods = deploy(lab, api), galaxy.deploy(lab, api)
        loads = []
        for number, every in zip(probes, interval, strict=True):
            loads.append(measure(operator, pods.namespace, number, every, seconds))
            print(f"{loads[-1].table()}\n")
    write(loads)
    print(f"written to {RESULT.relative_to(CHECKOUT)}")


if __name__ == "__main__":
    main()
