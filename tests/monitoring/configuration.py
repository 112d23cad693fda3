"""Configuration of Prometheus and Alertmanager from manifests/monitoring, and the commands that run them.

In: a folder, and by how much durations are divided, so that tests need not wait for the published ones. Out: files and
command lines. Called by the integration and e2e tests.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from kustomize import MANIFESTS, Object
from monitoring import pages, pod_monitor, programs

PUBLISHED = MANIFESTS / "monitoring"
NAMESPACE = "datapath-probe"

_DURATION = re.compile(r"(?<![\w.])(\d+)([smhd])\b")
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports on loopback."""

    prometheus: int = 9090
    alertmanager: int = 9093
    pages: int = 9094


@dataclass(frozen=True, slots=True)
class Configuration:
    """`faster`: what durations of rules, routes and scrapes are divided by. Numbers of seconds in expressions stay,
    such as the minute that an outage has to last: they are compared with times that the operator reports.
    """

    folder: Path
    faster: int
    ports: Ports = Ports()

    @property
    def pages(self) -> Path:
        """What the receiver received."""
        return self.folder / "pages.jsonl"

    def discovered(self, pods: list[Object]) -> None:
        """Replace the targets of Prometheus."""
        new = self._write("targets.new", pod_monitor.targets(pods))
        new.rename(self.folder / "targets.yml")

    def write(self) -> None:
        """Write all files."""
        rules = yaml.safe_load((PUBLISHED / "alerts.yaml").read_text())["spec"]
        self._write("rules.yml", self._faster(rules))
        monitor = yaml.safe_load((PUBLISHED / "pod-monitor.yaml").read_text())
        monitor["metadata"]["namespace"] = NAMESPACE
        self.discovered([])
        prometheus = {
            "global": {"evaluation_interval": "30s"},
            "rule_files": ["rules.yml"],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [_on(self.ports.alertmanager)]}]}]
            },
            "scrape_configs": [pod_monitor.scrape_config(monitor, "targets.yml")],
        }
        self._write("prometheus.yml", self._faster(prometheus))
        example = yaml.safe_load((PUBLISHED / "alertmanager.yaml").read_text())
        for receiver in example["receivers"]:
            for webhook in receiver.get("webhook_configs", ()):
                webhook["url"] = f"http://{_on(self.ports.pages)}"
        self._write("alertmanager.yml", self._faster(example))

    def commands(self) -> dict[str, list[str]]:
        """The command line of each program, by name. Prometheus is last, since it needs the others."""
        ports, folder = self.ports, self.folder
        return {
            "pages": [sys.executable, str(Path(pages.__file__)), str(ports.pages), str(self.pages)],
            "alertmanager": [
                *programs.alertmanager(),
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={_on(ports.alertmanager)}",
                "--cluster.listen-address=",
            ],
            "prometheus": [
                *programs.prometheus(),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address={_on(ports.prometheus)}",
                "--storage.tsdb.retention.time=1d",
            ],
        }

    def _faster(self, document: Object) -> Object:
        text = yaml.safe_dump(document, width=1000)
        faster: Object = yaml.safe_load(
            _DURATION.sub(lambda found: f"{int(found[1]) * _UNIT_MS[found[2]] // self.faster}ms", text)
        )
        return faster

    def _write(self, name: str, content: object) -> Path:
        file = self.folder / name
        file.write_text(yaml.safe_dump(content))
        return file


def _on(port: int) -> str:
    return f"127.0.0.1:{port}"
