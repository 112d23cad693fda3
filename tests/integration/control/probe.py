"""A DatapathProbe in the API server, handled with kubectl."""

import json
import time
from datetime import datetime
from typing import Any

from integration.apiserver import ApiServer


class Probe:
    """A DatapathProbe in the API server, handled with kubectl."""

    def __init__(self, apiserver: ApiServer, name: str) -> None:
        self.name = name
        self.kubeconfig = apiserver.kubeconfig
        self._apiserver = apiserver

    def apply(self, interval: str = "1h", **spec: Any) -> None:
        """Create or change a probe."""
        probe = {
            "apiVersion": "datapath-probe.dev/v1alpha1",
            "kind": "DatapathProbe",
            "metadata": {"name": self.name, "namespace": "default"},
            "spec": {
                "schedule": {"interval": interval},
                "source": {"pod": "xwing"},
                "destination": {"service": {"name": "deathstar", "port": 80}},
                **spec,
            },
        }
        self.kubectl("apply", "-f", "-", stdin=json.dumps(probe))

    def annotate(self, value: str) -> None:
        """Request a run."""
        self.kubectl("annotate", "dpp", self.name, "--overwrite", f"datapath-probe.dev/run-now={value}")

    def delete(self) -> None:
        """Delete the probe without waiting."""
        began = time.monotonic()
        self.kubectl("delete", "dpp", self.name, "--wait")
        assert time.monotonic() - began < 5

    def get(self) -> dict[str, Any]:
        """The object."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "dpp", self.name, "-o", "json"))
        return found

    def status(self) -> dict[str, Any]:
        """Its status; empty before the first run."""
        status: dict[str, Any] = self.get().get("status", {})
        return status

    def runs(self) -> int:
        """The number of runs in its status."""
        count: int = self.status().get("counters", {}).get("runs", 0)
        return count

    def ready(self) -> str:
        """The reason of its condition Ready."""
        conditions = self.status().get("conditions", [])
        return next((found["reason"] for found in conditions if found["type"] == "Ready"), "")

    def created(self) -> float:
        """When it was created, in seconds since the epoch."""
        return datetime.fromisoformat(self.get()["metadata"]["creationTimestamp"]).timestamp()

    def events(self) -> list[str]:
        """Its Events, one per line, without the age."""
        lines = self.kubectl("events", "--for", f"dpp/{self.name}", "--no-headers").splitlines()
        return [line.split(maxsplit=1)[1] for line in lines]

    def kubectl(self, *argv: str, stdin: str | None = None) -> str:
        """The output of kubectl."""
        done = self._apiserver.run_kubectl(*argv, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout
