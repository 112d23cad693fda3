"""The operator against a real API server, with runs that a file controls: the life of probes, kills and restarts."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from integration.apiserver import ApiServer
from integration.control.operator_process import OperatorProcess, eventually
from integration.control.probe import Probe
from integration.kube.proxy import Proxy

pytestmark = pytest.mark.timeout(180)


def test_a_new_probe_gets_its_status_and_series_and_no_event_while_it_is_healthy(
    operator: OperatorProcess, probe: Probe
) -> None:
    probe.apply(expect={"maxLatency": "250ms"})
    status = eventually(probe.status)
    assert status["verdict"] == "Healthy"
    assert status["lastRun"]["trigger"] == "Start"
    assert {each["type"]: each["status"] for each in status["conditions"]} == {
        "ExpectationMet": "True",
        "PathHealthy": "True",
        "Ready": "True",
    }
    assert "6/6 hops ok" in status["summary"]
    assert probe.events() == []
    assert operator.metric("datapath_probe_paths", probe=probe.name, verdict="Healthy") == 1
    assert operator.metric("datapath_probe_success", probe=probe.name) == 1
    assert operator.metric("datapath_probe_latency_limit_seconds", probe=probe.name) == 0.25
    assert "finalizers" not in probe.get()["metadata"]
    annotations = probe.get()["metadata"]["annotations"]
    assert set(annotations) == {"kubectl.kubernetes.io/last-applied-configuration"}


def test_describe_starts_and_ends_with_the_important_fields(operator: OperatorProcess, probe: Probe) -> None:
    operator.set_runs("broken")
    probe.apply()
    eventually(probe.status)
    eventually(probe.events)
    described = probe.kubectl("describe", "dpp", probe.name).partition("Status:")[2]
    place = "Broken at ipcache-lookup on node2"
    assert place in described[:600]
    divergent_hop = described.partition("Divergent Hop:")[2][:600]
    assert re.search(r"Next: +Compare cilium-dbg bpf ipcache get", divergent_hop)
    assert place in described[-900:]
    assert "Next: Compare cilium-dbg bpf ipcache get" in described[-900:]


def test_a_changed_verdict_is_reported_immediately_and_once(operator: OperatorProcess, probe: Probe) -> None:
    probe.apply(interval="1s")
    eventually(probe.status)
    operator.set_runs("broken")
    eventually(lambda: probe.status()["verdict"] == "Broken", within_s=5)
    eventually(lambda: (operator.metric("datapath_probe_runs_total", verdict="Broken") or 0) >= 3)
    assert [event.split()[:2] for event in probe.events()] == [["Warning", "ProbeBroken"]]
    operator.set_runs("healthy")
    eventually(lambda: probe.status()["verdict"] == "Healthy", within_s=5)
    operator.set_runs("broken")
    eventually(lambda: probe.status()["verdict"] == "Broken", within_s=5)
    eventually(lambda: len(probe.events()) == 3)
    reasons = [event.split()[1] for event in probe.events()]
    assert sorted(reasons) == ["ProbeBroken", "ProbeBroken", "ProbeRecovered"]
    assert operator.metric("datapath_probe_success", probe=probe.name) == 0
    assert operator.metric("datapath_probe_divergent_hop", hop="ipcache-lookup", node="node2") == 1


def test_unchanged_results_are_written_at_most_every_30_s(operator: OperatorProcess, probe: Probe) -> None:
    probe.apply(interval="1s")
    eventually(probe.status)
    version = probe.get()["metadata"]["resourceVersion"]
    eventually(lambda: (operator.metric("datapath_probe_runs_total", probe=probe.name) or 0) >= 5)
    assert probe.get()["metadata"]["resourceVersion"] == version


def test_run_now_runs_once_and_not_again_after_a_restart(operator: OperatorProcess, probe: Probe) -> None:
    probe.apply()
    eventually(lambda: probe.runs() == 1)
    probe.annotate("please")
    status = eventually(lambda: (found := probe.status())["lastRun"]["trigger"] == "RunNow" and found)
    assert status["lastHandledRunNow"] == "please"
    operator.kill()
    operator.start()
    probe.annotate("please")
    probe.annotate("again")
    eventually(lambda: probe.status()["lastHandledRunNow"] == "again")
    assert probe.runs() == 3


def test_run_now_set_while_the_operator_is_down_is_served(operator: OperatorProcess, probe: Probe) -> None:
    probe.apply()
    eventually(lambda: probe.runs() == 1)
    operator.kill()
    probe.annotate("please")
    operator.start()
    eventually(lambda: probe.status().get("lastHandledRunNow") == "please")


def test_a_suspended_probe_does_not_run_until_it_is_resumed(
    operator: OperatorProcess, probe: Probe, served: ApiServer
) -> None:
    probe.apply(interval="1s")
    eventually(probe.status)
    probe.apply(interval="1s", suspend=True)
    eventually(lambda: probe.ready() == "Suspended")
    assert "nextRunTime" not in probe.status()
    assert probe.status()["verdict"] == "Healthy"
    assert operator.metric("datapath_probe_next_run_timestamp_seconds", probe=probe.name) is None
    began, other = len(operator.started), Probe(served, f"{probe.name}-other")
    other.apply(interval="1s")  # its runs show the progress of the scheduler
    eventually(lambda: operator.started[began:].count(other.name) >= 4)
    assert set(operator.started[began:]) == {other.name}
    probe.apply(interval="1s")
    eventually(lambda: probe.ready() == "Scheduled")
    assert probe.status()["lastRun"]["trigger"] == "SpecChange"


def test_a_changed_spec_runs_immediately(operator: OperatorProcess, probe: Probe) -> None:
    probe.apply()
    eventually(probe.status)
    probe.apply(request={"method": "POST"})
    status = eventually(lambda: (found := probe.status())["lastRun"]["trigger"] == "SpecChange" and found)
    assert status["observedGeneration"] == 2


def test_a_deleted_probe_is_canceled_and_its_series_are_removed(
    operator: OperatorProcess, probe: Probe
) -> None:
    operator.set_runs("healthy")
    probe.apply()
    eventually(probe.status)
    operator.set_runs("broken", takes_s=60)
    probe.annotate("please")
    eventually(lambda: len(operator.started) == 2)
    probe.delete()
    eventually(lambda: not [each for each in operator.samples() if each.labels.get("probe") == probe.name])
    assert not [line for line in operator.log if line["level"] in ("error", "critical")]


def test_a_killed_operator_resumes(operator: OperatorProcess, probe: Probe, served: ApiServer) -> None:
    other = Probe(served, f"{probe.name}-other")
    probe.apply()
    other.apply()
    eventually(lambda: probe.runs() == 1 and other.runs() == 1)
    operator.set_runs("broken", takes_s=60)
    probe.annotate("please")
    eventually(lambda: len(operator.started) == 3)
    operator.kill()
    operator.set_runs("broken")
    operator.start()
    eventually(lambda: probe.status()["verdict"] == "Broken")
    status = probe.status()
    assert (status["counters"]["runs"], status["counters"]["failures"]) == (2, 1)
    assert [entry["verdict"] for entry in status["history"]] == ["Broken", "Healthy"]
    assert operator.metric("datapath_probe_success", probe=other.name) == 1
    assert other.runs() == 1


def test_a_probe_deleted_while_the_operator_is_down_is_forgotten(
    operator: OperatorProcess, probe: Probe
) -> None:
    probe.apply()
    eventually(probe.status)
    operator.kill()
    probe.delete()
    operator.start()
    assert operator.metric("datapath_probe_success", probe=probe.name) is None


def test_shutdown_during_a_run_is_quick_and_reports_nothing_false(
    operator: OperatorProcess, probe: Probe
) -> None:
    probe.apply()
    eventually(probe.status)
    operator.set_runs("broken", takes_s=60)
    probe.annotate("please")
    eventually(lambda: len(operator.started) == 2)
    assert operator.stop() < 5
    assert (probe.status()["verdict"], probe.runs()) == ("Healthy", 1)
    assert not [line for line in operator.log if line["level"] in ("error", "critical")]


def test_shutdown_writes_pending_statuses(operator: OperatorProcess, probe: Probe) -> None:
    probe.apply(interval="1s")
    eventually(lambda: (operator.metric("datapath_probe_runs_total", probe=probe.name) or 0) >= 3)
    operator.set_runs("healthy", takes_s=60)
    began = len(operator.started)
    eventually(lambda: len(operator.started) > began)
    assert probe.runs() < began, "no status is pending"
    operator.stop()
    assert probe.runs() == began


def test_the_operator_survives_a_restart_of_the_api_server(
    operator: OperatorProcess, probe: Probe, served: ApiServer
) -> None:
    probe.apply(interval="1s")
    eventually(probe.status)
    served.kill()
    operator.set_runs("broken")
    eventually(lambda: (operator.metric("datapath_probe_runs_total", verdict="Broken") or 0) >= 3)
    assert operator.get("/healthz")[0] == 200
    served.start()
    served.wait_ready()
    eventually(lambda: probe.status()["verdict"] == "Broken", within_s=30)
    second = Probe(served, f"{probe.name}-second")
    second.apply()
    eventually(second.status, within_s=30)


async def test_a_probe_deleted_while_the_watch_is_down_is_forgotten(
    operator: OperatorProcess, probe: Probe, served: ApiServer, tmp_path: Path
) -> None:
    """kopf lists again and does not report deleted objects."""
    other = Probe(served, f"{probe.name}-other")
    operator.kill()
    async with proxied(served, tmp_path) as (proxy, kubeconfig):
        await asyncio.to_thread(operator.start, kubeconfig)
        probe.apply("1s")
        other.apply("1s")
        await asyncio.to_thread(eventually, lambda: probe.status() and other.status())
        await proxy.cut()
        probe.delete()
        await proxy.open()

        def forgotten() -> bool:
            return operator.metric("datapath_probe_success", probe=probe.name) is None

        await asyncio.to_thread(eventually, forgotten, 30)
        operator.renew()
        await asyncio.to_thread(eventually, lambda: len(operator.started) >= 2)
        assert set(operator.started) == {other.name}
        operator.kill()


@asynccontextmanager
async def proxied(apiserver: ApiServer, folder: Path) -> AsyncIterator[tuple[Proxy, Path]]:
    """A proxy to the API server whose connections can be cut, and a kubeconfig for it."""
    config = yaml.safe_load(apiserver.kubeconfig.read_text())
    proxy = Proxy(config["clusters"][0]["cluster"]["server"])
    await proxy.open()
    config["clusters"][0]["cluster"]["server"] = proxy.url
    kubeconfig = folder / "proxied"
    kubeconfig.write_text(yaml.safe_dump(config))
    try:
        yield proxy, kubeconfig
    finally:
        await proxy.cut()


def test_only_the_oldest_probes_of_a_namespace_run(
    operator: OperatorProcess, probe: Probe, served: ApiServer
) -> None:
    operator.kill()
    other = Probe(served, f"{probe.name}-other")
    probe.apply()
    eventually(lambda: time.time() - probe.created() > 1.5)  # the API server stores whole seconds
    other.apply()
    operator.start(max_probes=1)
    eventually(lambda: probe.status().get("verdict") == "Healthy" and other.ready() == "TooManyProbes")
    assert {each["type"]: each["status"] for each in other.status()["conditions"]}["Stalled"] == "True"
    assert probe.name in operator.started
    probe.delete()
    eventually(lambda: other.status().get("verdict") == "Healthy")
    assert other.ready() == "Scheduled"
    assert "Stalled" not in {each["type"] for each in other.status()["conditions"]}
    operator.kill()


def test_each_log_line_of_a_run_names_the_run(operator: OperatorProcess, probe: Probe) -> None:
    probe.apply()
    status = eventually(probe.status)
    (line,) = [line for line in operator.log if line["event"] == "run ended"]
    assert (line["probe"], line["run_id"]) == (f"default/{probe.name}", status["lastRun"]["id"])
    assert line["verdict"] == "Healthy"
