"""All metrics: those of each probe, and those of the operator.

In: probes, statuses and runs, from `publisher`. Out: what a scrape returns, to `control.web`. A deleted probe leaves no
series behind.

The series of a probe are rendered when they change, and a scrape joins them: to render a thousand probes takes half a
second.
"""

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.process_collector import ProcessCollector

from ...api.probe import InvalidSpec, Probe
from ...api.status.probe_status import ProbeStatus
from ...runs.run_result import RunRecord
from ..interfaces import ProbeRef, Retry
from .exposition import Encoder, encoder, header, sample_lines
from .families import probe_families
from .operator_metrics import OperatorMetrics
from .series import ProbeSeries

# Scrapes within this time return the same bytes, however many there are.
CACHE_S = 1.0

_Key = tuple[str, str]


class Metrics:
    """`heartbeat` returns the time of the scheduler's last heartbeat, in seconds since the epoch. `clock`: monotonic
    seconds. `fallbacks` returns how often a node agent was replaced by commands in containers.
    """

    def __init__(
        self,
        heartbeat: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        fallbacks: Callable[[], int] = int,
    ) -> None:
        self._clock = clock
        self._operator = OperatorMetrics(heartbeat, fallbacks)
        self._registry = CollectorRegistry()
        self._registry.register(self._operator)
        ProcessCollector(registry=self._registry)
        self._series: dict[_Key, ProbeSeries] = {}
        self._lines: dict[_Key, tuple[bytes, ...]] = {}  # by family
        self._cached: dict[
            str, tuple[float, bytes]
        ] = {}  # by content type: when it was rendered, and the body

    def show(self, probe: Probe | InvalidSpec, status: ProbeStatus) -> None:
        """Add a probe, or replace all that is shown of it. Its counters stay."""
        key = (probe.meta.namespace, probe.meta.name)
        series = self._series.get(key)
        if series is None or series.uid != probe.meta.uid:
            self._series[key] = ProbeSeries(probe, status)
        else:
            series.show(probe, status)
        self._render(key)

    def relabel(self, probe: Probe | InvalidSpec) -> None:
        """Replace the spec and labels of a known probe."""
        key = (probe.meta.namespace, probe.meta.name)
        self._series[key].relabel(probe)
        self._render(key)

    def update(self, probe: ProbeRef, status: ProbeStatus) -> None:
        """Replace the status of a known probe."""
        key = (probe.namespace, probe.name)
        self._series[key].update(status)
        self._render(key)

    def run_ended(self, probe: ProbeRef, status: ProbeStatus, record: RunRecord) -> None:
        """Count a run of a known probe. `status`: the one that it caused."""
        key = (probe.namespace, probe.name)
        self._series[key].count(status, record.result)
        self._render(key)
        self._operator.count(record)

    def status_not_written(self, trouble: Retry) -> None:
        """Count a failed attempt to write a status."""
        self._operator.status_not_written(trouble)

    def forget(self, probe: ProbeRef) -> None:
        """Remove a deleted probe."""
        key = (probe.namespace, probe.name)
        if key in self._series and self._series[key].uid == probe.uid:
            del self._series[key], self._lines[key]
            self._cached.clear()

    def scrape(self, accept: str = "") -> tuple[bytes, str]:
        """The body and the content type of a response to this header Accept."""
        encode, content_type = encoder(accept)
        rendered_at, body = self._cached.get(content_type, (float("-inf"), b""))
        if self._clock() - rendered_at >= CACHE_S:
            body = b"".join(self._parts(encode))
            self._cached[content_type] = (self._clock(), body)
        return body, content_type

    def _render(self, key: _Key) -> None:
        self._lines[key] = tuple(map(sample_lines, probe_families(self._series[key])))

    def _parts(self, encode: Encoder) -> Iterator[bytes]:
        for position, family in enumerate(probe_families()):
            yield header(encode, family)
            for lines in self._lines.values():
                yield lines[position]
        yield encode(self._registry)
