"""Prometheus and Alertmanager with the published rules and routes, in the network of a pod of the lab.

In: a lab with the operator. Out: the pages that someone on call would get. Used by `test_monitoring`.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from urllib3.exceptions import HTTPError

from e2e.api import Api, Object, is_ready, pod_path
from e2e.galaxy import START_S, Galaxy, Pod
from e2e.operator_deploy import NAMESPACE as OPERATOR_NAMESPACE
from e2e.waiting import until
from faults.inject import devices
from lab.cluster import Lab
from monitoring import pages
from monitoring.configuration import Configuration
from monitoring.pages import Page

MANIFEST = Path(__file__).parent / "manifests/monitoring/monitoring.yaml"
NAMESPACE, POD = "monitoring", "prometheus"
FASTER = 5
"""What durations are divided by: an operator has 36 s to restart."""

_DISCOVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Both programs while they run. `pod`: whose network they are in."""

    lab: Lab
    api: Api
    pod: Pod
    configuration: Configuration

    def pages(self, alert: str, receiver: str = "pager") -> list[Page]:
        """The notifications about this alert, the oldest first."""
        return [page for page in self.all_pages(receiver) if f'alertname="{alert}"' in page.group]

    def all_pages(self, receiver: str) -> list[Page]:
        """The notifications about any alert."""
        return [page for page in pages.received(self.configuration.pages) if page.receiver == receiver]

    def forget(self) -> None:
        """Drop the notifications so far."""
        self.configuration.pages.unlink(missing_ok=True)

    def query(self, expression: str) -> list[Object]:
        """What Prometheus answers: labels in `metric`, and a value; nothing while it starts."""
        url = f"http://127.0.0.1:{self.configuration.ports.prometheus}/api/v1/query"
        argv = ("curl", "--silent", "--get", url, "--data-urlencode", f"query={expression}")
        answer = self.lab.run(self.pod.node, *self.inside(*argv), check=False).stdout
        found: list[Object] = json.loads(answer)["data"]["result"] if answer.startswith("{") else []
        return found

    def alerts(self) -> list[Any]:
        """Pending and firing alerts, for messages of failed tests."""
        return [one["metric"] for one in self.query("ALERTS")]

    def inside(self, *argv: str) -> tuple[str, ...]:
        """The command line that runs `argv` in the network of the pod, on its node."""
        return ("ip", "netns", "exec", devices.netns(self.lab, self.pod), *argv)


@contextmanager
def started(lab: Lab, api: Api, folder: Path) -> Iterator[Monitoring]:
    """Prometheus watches the operator until the context ends."""
    lab.kubectl("apply", "--server-side", "-f", str(MANIFEST))
    until("the pod is ready", lambda: is_ready(api.get(pod_path(NAMESPACE, POD)) or {}), START_S)
    configuration = Configuration(folder, FASTER)
    configuration.write()
    running = Monitoring(lab, api, Galaxy(lab, api, NAMESPACE).pod(POD), configuration)
    node, ended = lab.node(running.pod.node), threading.Event()
    discovery = threading.Thread(target=_discover, args=(running, ended))
    commands = configuration.commands()
    try:
        for name, argv in commands.items():
            node.start_role(name, running.inside(*argv))
        discovery.start()
        until("the operator is scraped", lambda: running.query("up == 1"), START_S, otherwise=running.alerts)
        yield running
    finally:
        ended.set()
        discovery.join()
        for name in commands:
            node.stop_role(name)
        api.delete(f"/api/v1/namespaces/{NAMESPACE}")


def _discover(running: Monitoring, ended: threading.Event) -> None:
    """Keep the targets up to date; an API server that does not answer changes none."""
    path = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods"
    while not ended.wait(_DISCOVERY_S):
        try:
            running.configuration.discovered(running.api.items(path))
        except HTTPError:
            continue
