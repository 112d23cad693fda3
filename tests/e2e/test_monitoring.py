"""Someone on call: a broken path pages once, a broken node pages once, and a silent operator pages."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dashboards.expressions import queries
from e2e import faults, processes
from e2e.api import Api, Object
from e2e.galaxy import Galaxy
from e2e.monitoring import FASTER, Monitoring, started
from e2e.operator_deploy import NAMESPACE as OPERATOR_NAMESPACE
from e2e.operator_deploy import Operator
from e2e.probes import Probe, Probes, brief
from e2e.specs import SERVICE, landing, to_pod
from e2e.waiting import until
from faults.inject import devices
from faults.inject.in_place import Injected
from lab.cluster import Lab
from lab.shell import run
from monitoring import programs
from monitoring.pages import Page

pytestmark = pytest.mark.timeout(900)

BROKEN, SILENT = "DatapathPathBroken", "DatapathProbeOperatorSilent"
FORTY = 40
FLEET = Path(__file__).parents[1] / "soak/manifests/fleet.yaml"
PAGE_S = 60 + 60
"""The minute that an outage has to last, and time for a scrape, an evaluation and Alertmanager."""
RESOLVED_S = 60 + 2 * 5 * 60 / FASTER
"""`keep_firing_for`, and the interval of a group."""
SILENT_S = 60 + 3 * 60 / FASTER
RESTART_S = 30


@pytest.fixture(scope="module")
def on_call(
    lab: Lab, api: Api, operator: Operator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Monitoring]:
    operator.wait_ready()
    with started(lab, api, tmp_path_factory.mktemp("monitoring")) as running:
        yield running


def test_the_operator_is_scraped_with_the_labels_of_its_pod_monitor(
    on_call: Monitoring, operator: Operator, lab: Lab, probes: Probes, galaxy: Galaxy
) -> None:
    probe = probes.create("labels", to_pod("xwing", galaxy.far("xwing")))
    probe.settle()
    [up] = on_call.query("up")
    pod = operator.wait_ready()
    assert {key: value for key, value in up["metric"].items() if key not in ("__name__", "instance")} == {
        "job": "datapath-probe/datapath-probe",
        "namespace": OPERATOR_NAMESPACE,
        "pod": pod["metadata"]["name"],
        "container": "operator",
        "endpoint": "http",
    }
    of_probe = f'datapath_probe_success{{namespace="{galaxy.namespace}",probe="labels"}} == 1'
    until("the probe has its own namespace", lambda: on_call.query(of_probe), timeout_s=20)
    url = f"http://{pod['status']['podIP']}:8080/metrics"
    text = lab.run(on_call.pod.node, *on_call.inside("curl", "--silent", "--fail", url)).stdout
    run(*programs.promtool(), "check", "metrics", stdin=text)


def test_a_broken_path_and_a_broken_node_of_forty_probes_are_a_page_each_and_a_restart_is_none(
    on_call: Monitoring, operator: Operator, probes: Probes, galaxy: Galaxy
) -> None:
    on_call.forget()
    lone = probes.create("lone", to_pod("tiefighter", galaxy.far("tiefighter")))
    forty = [
        probes.create(f"watched-{number}", to_pod("xwing", galaxy.far("xwing"))) for number in range(FORTY)
    ]
    run_all([lone, *forty], "Healthy")
    with wrong_for("tiefighter", galaxy), wrong_for("xwing", galaxy):
        run_all([lone, *forty], "Broken")
        node_of_lone, node_of_forty = galaxy.pod("tiefighter").node, galaxy.pod("xwing").node
        [alert] = page_about(on_call, node_of_lone, alerts=1).alerts
        assert alert["labels"] == {
            "alertname": BROKEN,
            "namespace": galaxy.namespace,
            "probe": "lone",
            "hop": "ipcache-lookup",
            "reason": "WrongTunnelEndpoint",
            "node": node_of_lone,
            "severity": "critical",
        }
        assert (
            f"WrongTunnelEndpoint at ipcache-lookup on {node_of_lone}" in alert["annotations"]["description"]
        )
        names = {probe.name for probe in forty}
        assert page_about(on_call, node_of_forty, alerts=FORTY).labels("probe") == names
        assert len({page.group for page in on_call.pages(BROKEN)}) == 2
        before = len(on_call.pages(BROKEN))
        restarted(operator)
        until("it is scraped again", lambda: on_call.query("up == 1"), RESTART_S)
    run_all([lone, *forty], "Healthy")

    def resolved() -> bool:
        return [page.status for page in on_call.pages(BROKEN)].count("resolved") >= 2

    until("both resolve", resolved, RESOLVED_S, otherwise=on_call.alerts)
    after = on_call.pages(BROKEN)[before:]
    assert {name for page in after for name in page.labels("probe", "resolved")} == {"lone", *names}
    assert [page.status for page in after].count("resolved") == 2
    assert all(page.labels("probe", "resolved") for page in after), "the restart sent a page"
    assert not on_call.pages(SILENT)


def run_all(probes: list[Probe], verdict: str) -> None:
    """Run all probes until each has this verdict."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda probe: probe.run_until(verdict, lambda s: s["verdict"] == verdict), probes))


def wrong_for(ship: str, galaxy: Galaxy) -> Injected:
    """A ship's node that sends packets for the deathstar on the other node to a wrong one."""
    return faults.wrong_tunnel_endpoint(galaxy.lab, galaxy.pod(ship).node, galaxy.far(ship))


def page_about(on_call: Monitoring, node: str, alerts: int) -> Page:
    """The first page about this node with so many alerts."""

    def find() -> Page | None:
        found = (page for page in on_call.pages(BROKEN) if page.labels("node") == {node})
        return next((page for page in found if len(page.alerts) >= alerts), None)

    return until(f"{alerts} alerts about {node}", find, PAGE_S, otherwise=on_call.alerts)


def restarted(operator: Operator) -> None:
    """Kill the operator and wait until it is ready again."""
    pod = operator.wait_ready()
    before = pod["status"]["containerStatuses"][0]["restartCount"]
    processes.send(operator.lab, pod, "operator", signal.SIGKILL)

    def is_again() -> Object | None:
        found = operator.pod()
        return found if found and found["status"]["containerStatuses"][0]["restartCount"] > before else None

    until("the operator restarts", is_again, timeout_s=60, otherwise=operator.logs)


def test_the_dashboards_show_an_outage(on_call: Monitoring, probes: Probes, galaxy: Galaxy) -> None:
    spec = to_pod("xwing", galaxy.far("xwing"))
    probe = probes.create("shown", {**spec, "expect": {**spec["expect"], "maxLatency": "1s"}})
    probe.settle()
    chosen = {"namespace": galaxy.namespace, "probe": probe.name, "hop": ".*"}
    with wrong_for("xwing", galaxy):
        run_all([probe], "Broken")

        def empty() -> set[str]:
            return {place for place, expression in queries(**chosen) if not on_call.query(expression)}

        fine = {"probe: Certificate", "operator: Evidence errors", "operator: Statuses not written"}
        until("all panels show something", lambda: empty() <= fine, PAGE_S, otherwise=empty)


def test_a_rollout_and_a_drained_node_send_no_page(
    on_call: Monitoring, operator: Operator, probes: Probes, galaxy: Galaxy, lab: Lab
) -> None:
    lab.kubectl("apply", "-n", galaxy.namespace, "-f", str(FLEET))
    source = {"workload": {"kind": "Deployment", "name": "fleet"}}
    probe = probes.create(
        "rolled", {**landing("", SERVICE), "source": source, "schedule": {"interval": "2s"}}
    )
    probe.settle()
    on_call.forget()
    for workload in ("deployment/fleet", "statefulset/deathstar"):
        lab.kubectl("rollout", "restart", workload, "-n", galaxy.namespace)
        lab.kubectl("rollout", "status", workload, "-n", galaxy.namespace, "--timeout=120s")
    node = next(name for name in lab.settings.node_names if name != operator.wait_ready()["spec"]["nodeName"])
    try:
        for pods in ("ship=fleet", "class=deathstar"):
            lab.kubectl("drain", node, f"--pod-selector={pods}", "--delete-emptydir-data", "--timeout=60s")
        probe.run_until("Healthy", lambda status: status["verdict"] == "Healthy", timeout_s=120)
    finally:
        lab.kubectl("uncordon", node)
        lab.kubectl("delete", "-n", galaxy.namespace, "-f", str(FLEET), "--cascade=foreground")
        galaxy.wait_ready()
    of_probe = f'namespace="{galaxy.namespace}",probe="rolled",verdict=~"Broken|Degraded"'
    assert not on_call.query(f"datapath_probe_runs_total{{{of_probe}}} > 0")
    assert not on_call.all_pages("pager")


def test_an_operator_that_is_gone_for_good_pages(on_call: Monitoring, operator: Operator) -> None:
    on_call.forget()
    operator.scale(0)
    try:
        until("it pages", lambda: on_call.pages(SILENT), SILENT_S, otherwise=on_call.alerts)
        [page] = on_call.pages(SILENT)
        assert page.alerts[0]["annotations"]["runbook_url"].endswith("#datapathprobeoperatorsilent")
        assert not on_call.pages("DatapathProbeStale", "chat")
    finally:
        operator.scale(1)
    until("it resolves", lambda: len(on_call.pages(SILENT)) == 2, 2 * RESOLVED_S, otherwise=on_call.alerts)
    assert on_call.pages(SILENT)[1].status == "resolved"


def test_an_operator_whose_own_node_loses_its_datapath_pages_and_its_probes_are_not_broken(
    on_call: Monitoring, operator: Operator, probes: Probes, galaxy: Galaxy, lab: Lab, api: Api
) -> None:
    probe = probes.create("unseen", {**to_pod("xwing", galaxy.far("xwing")), "schedule": {"interval": "5s"}})
    probe.settle()
    pod = Galaxy(lab, api, OPERATOR_NAMESPACE).pod(operator.wait_ready()["metadata"]["name"])
    on_call.forget()
    with devices.down(lab, pod.node, devices.lxc(lab, pod)):
        until("it pages", lambda: on_call.pages(SILENT), SILENT_S, otherwise=on_call.alerts)
        assert probe.status()["verdict"] == "Healthy", brief(probe.status())
    operator.wait_ready(timeout_s=180)
    status = probe.run_until("Healthy", lambda status: status["verdict"] == "Healthy", timeout_s=120)
    assert not status.get("outages"), brief(status)
    assert {entry["verdict"] for entry in status["history"]} <= {"Healthy", "Unknown"}, status["history"]
