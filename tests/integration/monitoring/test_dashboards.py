"""Every query of the Grafana dashboards finds something in a real Prometheus that scrapes the operator's metrics."""

import time
from dataclasses import replace

from dashboards.expressions import queries
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.control.web import metrics_handlers, serving
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.publish.interfaces import ProbeRef, Retry
from datapath_probe.publish.metrics.metrics import Metrics
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun
from datapath_probe.sources.agent.map_pressure import CountedMap
from integration.monitoring.test_on_call import OnCall, operator_pod, until
from integration.monitoring.test_on_call import on_call as on_call
from unit.publish.samples import REPORT, diverging, healthy, probe, record, unknown

OUTCOMES = {"cart": healthy(), "broken": diverging(), "unknown": unknown()}


def metrics_of_a_fleet() -> Metrics:
    """A probe of each kind: Healthy after an outage and with all that a request can have, Broken, Unknown."""
    metrics = Metrics(time.time)
    for name, outcome in OUTCOMES.items():
        first = diverging() if name == "cart" else outcome
        ran(metrics, name, [first, measured(outcome)])
    metrics.status_not_written(Retry("the API server is overloaded", code=503))
    return metrics


def measured(outcome: Diagnosis) -> Diagnosis:
    """The run with a certificate that expires, maps that fill up, and an answer that could not be read."""
    report = replace(REPORT, certificate_expires=time.time() + 86400)
    pressure = {CountedMap.TCP_CONNTRACK: 0.5}
    return replace(outcome, report=report, map_pressure=pressure, unread=(("bpftool", "Unparsable"),))


def ran(metrics: Metrics, name: str, outcomes: list[Diagnosis]) -> None:
    which = probe(uid=name, expect={"maxLatency": "250ms"})
    which = replace(which, meta=replace(which.meta, name=name))
    status = ProbeStatus()
    metrics.show(which, status)
    for outcome in outcomes:
        run = record(outcome, at=time.time())
        status = statuses.after_run(status, which, run, NextRun(time.time() + 60))
        metrics.run_ended(ProbeRef("default", name, name), status, run)


async def test_every_query_of_the_dashboards_finds_something(on_call: OnCall) -> None:
    async with serving("127.0.0.1", 0, metrics_handlers(metrics_of_a_fleet())) as address:
        on_call.configuration.discovered([operator_pod(address)])
        twice = "count_over_time(datapath_probe_build_info[1m]) > 2"
        await until(
            "it was scraped more than once", lambda: on_call.query(twice), lambda: on_call.query("up")
        )
        of_probes = zip(
            *(queries(namespace="default", probe=name, hop=".*") for name in OUTCOMES), strict=True
        )
        empty = [of_each[0] for of_each in of_probes if not any(on_call.query(one) for _, one in of_each)]
    assert not empty
