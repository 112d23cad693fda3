"""Scrapes of the metrics after runs, for the tests of `publish.metrics`. Run as a program, it prints one."""

from collections.abc import Iterable
from itertools import count

from prometheus_client.parser import text_string_to_metric_families

from datapath_probe.api.probe import Probe
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.interfaces import ProbeRef
from datapath_probe.publish.metrics.metrics import Metrics
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun
from unit.publish.samples import NOW, diverging, healthy, lost, probe, record

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


REF = ProbeRef("default", "probe", "uid-probe")


def new_metrics() -> Metrics:
    """Metrics of no probe. Time passes from scrape to scrape, so that none is cached."""
    return Metrics(lambda: NOW, clock=count().__next__)


def scrape(metrics: Metrics) -> Samples:
    text = metrics.scrape()[0].decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}


def of(samples: Samples, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one name, by the values of their labels (without namespace and probe), in order of the labels."""
    return {
        tuple(value for key, value in labels if key not in ("namespace", "probe")): number
        for (found, labels), number in samples.items()
        if found == f"datapath_probe_{name}"
    }


def after(
    outcomes: Iterable[Diagnosis | CannotRun], *, metrics: Metrics | None = None, which: Probe | None = None
) -> Metrics:
    metrics = metrics or new_metrics()
    which = which or probe()
    status = ProbeStatus()
    metrics.show(which, status)
    for outcome in outcomes:
        run = record(outcome)
        status = statuses.after_run(status, which, run, NextRun(NOW + 60))
        metrics.run_ended(REF, status, run)
    return metrics


if __name__ == "__main__":  # for `promtool check metrics`
    print(after([healthy(), diverging(), lost()]).scrape()[0].decode(), end="")
