"""What someone on call gets: real Prometheus and Alertmanager with the published rules and routes, on loopback."""

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from datapath_probe.control.web import metrics_handlers, serving
from datapath_probe.publish.metrics.metrics import Metrics
from kustomize import MANIFESTS, Object
from monitoring import pages
from monitoring.configuration import NAMESPACE, Configuration, Ports
from monitoring.pages import Page
from unit.publish.metrics.scrapes import after
from unit.publish.samples import diverging

FASTER = 60
DEADLINE_S = 30.0
POLL_S = 0.1
Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class OnCall:
    """Prometheus, Alertmanager and a receiver of pages."""

    configuration: Configuration

    def query(self, expression: str) -> list[Object]:
        """Labels in `metric`, and a value; nothing while Prometheus starts."""
        url = f"http://127.0.0.1:{self.configuration.ports.prometheus}/api/v1/query"
        answer = urllib3.request("GET", url, fields={"query": expression})
        found: list[Object] = answer.json()["data"]["result"] if answer.status == 200 else []
        return found

    def alert(self, *alerts: Labels) -> bool:
        """Let these alerts fire, as Prometheus would. Returns whether Alertmanager accepts them."""
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
        url = f"http://127.0.0.1:{self.configuration.ports.alertmanager}/api/v2/alerts"
        answer = urllib3.request("POST", url, json=[{"labels": labels, "endsAt": ends} for labels in alerts])
        return answer.status == 200

    def pages(self) -> list[Page]:
        return pages.received(self.configuration.pages)


@pytest.fixture
def on_call(tmp_path: Path) -> Iterator[OnCall]:
    configuration = Configuration(tmp_path, FASTER, Ports(*_free_ports(3)))
    configuration.write()
    if os.geteuid():
        pytest.skip("Debian's Alertmanager needs root")
    with ExitStack() as stack:
        for name, command in configuration.commands().items():
            log = stack.enter_context((tmp_path / f"{name}.log").open("w"))
            process = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=log))
            stack.callback(process.kill)
        yield OnCall(configuration)


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


async def until(what: str, check: Callable[[], Any], otherwise: Callable[[], object]) -> Any:
    """The first true result. Programs that still start refuse connections."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            if found := await asyncio.to_thread(check):
                return found
        except urllib3.exceptions.HTTPError:
            pass
        await asyncio.sleep(POLL_S)
    raise AssertionError(f"not within {DEADLINE_S:g} s: {what}. Instead: {otherwise()}")


def operator_pod(address: str) -> Object:
    """The operator's pod, as the Deployment makes it, with its metrics at this address."""
    deployment = yaml.safe_load((MANIFESTS / "base/deployment.yaml").read_text())
    template = deployment["spec"]["template"]
    host, port = address.split(":")
    for container in template["spec"]["containers"]:
        for one in container["ports"]:
            one["containerPort"] = int(port) if one["name"] == "http" else 1
    metadata = {**template["metadata"], "name": "datapath-probe-abc", "namespace": NAMESPACE}
    return {**template, "metadata": metadata, "status": {"podIP": host, "phase": "Running"}}


async def test_prometheus_scrapes_the_operator_by_its_pod_monitor_and_an_outage_pages(
    on_call: OnCall,
) -> None:
    metrics = after([diverging()], metrics=Metrics(time.time))
    async with serving("127.0.0.1", 0, metrics_handlers(metrics)) as address:
        on_call.configuration.discovered([operator_pod(address)])
        [up] = await until("a target is up", lambda: on_call.query("up == 1"), lambda: on_call.query("up"))
        assert {key: value for key, value in up["metric"].items() if key not in ("__name__", "instance")} == {
            "job": "datapath-probe/datapath-probe",
            "namespace": NAMESPACE,
            "pod": "datapath-probe-abc",
            "container": "operator",
            "endpoint": "http",
        }
        [info] = on_call.query("datapath_probe_outage_info")
        assert (info["metric"]["namespace"], info["metric"]["pod"]) == ("default", "datapath-probe-abc")

        def pager() -> list[Page]:
            return [page for page in on_call.pages() if page.receiver == "pager"]

        [page] = await until("a page", pager, lambda: on_call.query("ALERTS"))
        [alert] = page.alerts
        assert alert["labels"] == {
            "alertname": "DatapathPathBrokenForLong",  # the run is one of long ago
            "namespace": "default",
            "probe": "probe",
            "hop": "ipcache-lookup",
            "reason": "WrongTunnelEndpoint",
            "node": "node2",
            "severity": "critical",
        }
        assert "WrongTunnelEndpoint at ipcache-lookup on node2" in alert["annotations"]["description"]


def broken(probe: str, node: str, **labels: str) -> Labels:
    path = {"alertname": "DatapathPathBroken", "namespace": "shop", "probe": probe, "severity": "critical"}
    return {**path, "hop": "ipcache-lookup", "reason": "WrongIdentity", "node": node, **labels}


async def notified(on_call: OnCall, *alerts: Labels) -> dict[str, list[Page]]:
    """The notifications of these alerts by receiver, and of no others: another alert that fires after the first of them
    was notified has been notified, too.
    """
    await until("Alertmanager accepts alerts", lambda: on_call.alert(*alerts), lambda: "")
    await until("an alert is notified", on_call.pages, lambda: "")
    await until("Alertmanager accepts the last", lambda: on_call.alert({"alertname": "Last"}), lambda: "")

    def all_sent() -> list[Page]:
        sent = on_call.pages()
        return sent if any("Last" in page.labels("alertname") for page in sent) else []

    found: dict[str, list[Page]] = {}
    for page in await until("the last alert is notified", all_sent, on_call.pages):
        if page.labels("alertname") != {"Last"}:
            found.setdefault(page.receiver, []).append(page)
    return found


def warning(alert: str, probe: str, **labels: str) -> Labels:
    return {"alertname": alert, "namespace": "shop", "probe": probe, "severity": "warning", **labels}


async def test_forty_probes_that_one_node_breaks_are_one_page(on_call: OnCall) -> None:
    hops = ("ipcache-lookup", "overlay-encapsulation", "reply-routing")
    of_node = [broken(f"probe-{number}", "node2", hop=hops[number % 3]) for number in range(40)]
    sent = await notified(on_call, *of_node, broken("elsewhere", "node1"))
    of_nodes = {page.labels("node").pop(): page for page in sent["pager"]}
    assert {node: len(page.alerts) for node, page in of_nodes.items()} == {"node1": 1, "node2": 40}
    assert len(sent["pager"]) == 2


async def test_a_broken_node_inhibits_paths_that_it_degrades(on_call: OnCall) -> None:
    degraded = [warning("DatapathPathDegraded", node, node=node) for node in ("node1", "node2")]
    unnamed = warning("DatapathPathDegraded", "unnamed")
    sent = await notified(on_call, broken("cart", "node2"), broken("lost", ""), *degraded, unnamed)
    assert {probe for page in sent["chat"] for probe in page.labels("probe")} == {"node1", "unnamed"}


async def test_a_silent_operator_is_the_only_alert_of_what_it_no_longer_does(on_call: OnCall) -> None:
    silent = {"alertname": "DatapathProbeOperatorSilent", "severity": "critical"}
    follows = ("DatapathProbeStale", "DatapathPathUnknown", "DatapathProbeEvidenceMissing")
    sent = await notified(on_call, silent, *(warning(alert, "cart") for alert in follows))
    assert {receiver: len(found) for receiver, found in sent.items()} == {"pager": 1}
    assert sent["pager"][0].labels("alertname") == {"DatapathProbeOperatorSilent"}


async def test_a_node_that_kubernetes_knows_to_be_gone_inhibits_paths_that_it_breaks(on_call: OnCall) -> None:
    gone = {"alertname": "KubeNodeNotReady", "node": "node3", "severity": "warning"}
    sent = await notified(on_call, gone, broken("cart", "node3"), broken("other", "node1"))
    assert [page.labels("probe") for page in sent["pager"]] == [{"other"}]
    assert [page.labels("alertname") for page in sent["chat"]] == [{"KubeNodeNotReady"}]


async def test_the_severity_of_a_probe_decides_who_is_notified(on_call: OnCall) -> None:
    by_severity = ("critical", "warning", "info", "none")
    sent = await notified(on_call, *(broken(one, one, severity=one) for one in by_severity))
    probes = {receiver: [page.labels("probe") for page in found] for receiver, found in sent.items()}
    assert probes == {"pager": [{"critical"}], "chat": [{"warning"}], "log": [{"info"}]}


async def test_a_probe_has_one_alert_at_a_time(on_call: OnCall) -> None:
    first = broken("cart", "node1")
    longer = {**first, "alertname": "DatapathPathBrokenForLong"}
    kinds = ("DatapathPathFlapping", "DatapathPathSlow", "DatapathPathUnknown", "DatapathPathDegraded")
    of_same_probe = [warning(kind, "cart") for kind in kinds]
    late = [warning("DatapathPathSlow", "late"), warning("DatapathPathDegraded", "late")]
    others = [warning("DatapathPathDegraded", "late", hop="ipam"), warning("DatapathPathDegraded", "other")]
    sent = await notified(on_call, first, longer, *of_same_probe, *late, *others)
    assert [page.labels("alertname") for page in sent["pager"]] == [{"DatapathPathBrokenForLong"}]
    alerts = [alert["labels"] for page in sent["chat"] for alert in page.alerts]
    assert {(one["alertname"], one["probe"], one.get("hop", "")) for one in alerts} == {
        ("DatapathPathSlow", "late", ""),
        ("DatapathPathDegraded", "late", "ipam"),
        ("DatapathPathDegraded", "other", ""),
    }
