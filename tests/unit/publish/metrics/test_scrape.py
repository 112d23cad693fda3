"""A scrape is what prometheus_client renders, at a fraction of the cost."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from datapath_probe.api.probe import Probe
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.publish.interfaces import ProbeRef
from datapath_probe.publish.metrics.families import probe_families
from datapath_probe.publish.metrics.metrics import CACHE_S, Metrics
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun
from unit.publish.samples import NOW, diverging, healthy, lost, probe, record, unknown

# What Prometheus 2 and 3 send.
OPENMETRICS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.1"
)
FORMATS: dict[str, Callable[[Collector], bytes]] = {
    "*/*": generate_latest,
    OPENMETRICS: generate_openmetrics,
}


@dataclass
class Clock:
    """Stopped unless a test sets it."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Scraped:
    """Metrics of probes that have run."""

    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.metrics = Metrics(lambda: NOW, self.clock)

    def run(self, name: str, *outcomes: Diagnosis) -> None:
        named = _named(name)
        self.metrics.show(named, ProbeStatus())
        for outcome in outcomes:
            run = record(outcome)
            status = statuses.after_run(ProbeStatus(), named, run, NextRun(NOW + 60))
            self.metrics.run_ended(_ref(named), status, run)

    def forget(self, name: str) -> None:
        self.metrics.forget(_ref(_named(name)))

    def text(self, accept: str = "") -> str:
        return self.metrics.scrape(accept)[0].decode()


def several() -> Scraped:
    made = Scraped()
    made.run("good", healthy(), healthy())
    made.run("bad", healthy(), diverging(), lost())
    made.run("unclear", unknown())
    made.run("new")
    return made


@dataclass
class Rendered(Collector):
    """The same probes, for prometheus_client to render in one piece."""

    metrics: Metrics

    def collect(self) -> list[Metric]:
        return list(probe_families(*self.metrics._series.values()))


@pytest.mark.parametrize("accept", FORMATS)
def test_the_series_of_probes_are_rendered_like_by_prometheus_client(accept: str) -> None:
    made = several()
    whole = FORMATS[accept](Rendered(made.metrics)).decode().removesuffix("# EOF\n")
    assert whole.count("\n") > 150
    assert made.text(accept).startswith(whole)


@pytest.mark.parametrize(("accept", "parse"), [("*/*", parse_text), (OPENMETRICS, parse_openmetrics)])
def test_a_scrape_can_be_parsed(accept: str, parse: Callable[[str], list[Metric]]) -> None:
    families = list(parse(several().text(accept)))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "each family is there once"
    assert {"datapath_probe_success", "datapath_probe_schedule_lag_seconds"} <= set(names)
    samples = [sample for family in families for sample in family.samples]
    assert {sample.labels["probe"] for sample in samples if "probe" in sample.labels} == {
        *("good", "bad", "unclear", "new")
    }


def test_without_probes_every_family_is_described() -> None:
    empty, full = Scraped().text(), several().text()
    described = [line for line in full.splitlines() if line.startswith("# ")]
    assert [line for line in empty.splitlines() if line.startswith("# ")] == described


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=1.0.0;escaping=dots", "text/plain; version=0.0.4; charset=utf-8"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (
            "application/openmetrics-text;version=no number",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ],
)
def test_there_are_two_formats_whatever_a_client_accepts(accept: str, content_type: str) -> None:
    assert Scraped().metrics.scrape(accept)[1] == content_type


def test_scrapes_within_a_second_return_the_same_bytes() -> None:
    made = several()
    first, other_format = made.metrics.scrape()[0], made.metrics.scrape(OPENMETRICS)[0]
    made.run("late", healthy())
    made.clock.now = 0.9 * CACHE_S
    assert made.metrics.scrape()[0] is first
    assert made.metrics.scrape(OPENMETRICS)[0] is other_format
    made.clock.now = CACHE_S
    assert 'probe="late"' in made.text()


def test_the_series_of_a_deleted_probe_disappear_at_once() -> None:
    made = several()
    for accept in FORMATS:
        assert 'probe="good"' in made.text(accept)
    made.forget("good")
    for accept in FORMATS:
        assert 'probe="good"' not in made.text(accept)
        assert 'probe="bad"' in made.text(accept)


def test_a_scrape_costs_a_fraction_of_rendering() -> None:
    made = Scraped()
    for number in range(200):
        made.run(f"probe-{number}", healthy())

    def join() -> None:
        made.clock.now += CACHE_S
        made.metrics.scrape()

    rendered = _cpu_s(lambda: generate_latest(Rendered(made.metrics)))
    joined, cached = _cpu_s(join), _cpu_s(made.metrics.scrape)
    assert joined < rendered / 10
    assert cached < joined / 10


def _cpu_s(work: Callable[[], object]) -> float:
    """CPU time of this thread, the least of several."""
    times = []
    for _ in range(7):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return min(times)


def _named(name: str) -> Probe:
    made = probe(uid=f"uid-{name}")
    return replace(made, meta=replace(made.meta, name=name))


def _ref(named: Probe) -> ProbeRef:
    return ProbeRef(named.meta.namespace, named.meta.name, named.meta.uid)
