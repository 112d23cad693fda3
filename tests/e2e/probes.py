"""DatapathProbes of the tests: created, run, waited for, and read through the API.

In: specs. Out: `.status` as JSON. Used by the tests through the fixture `probes`.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from e2e.api import Api, Object
from e2e.waiting import until

API_VERSION = "datapath-probe.dev/v1alpha1"
RUN_NOW = "datapath-probe.dev/run-now"
RUN_S = 40.0
"""Maximum time of a run on a busy machine, from its request to its status."""
UNCHANGED_S = 30.0
"""Minimum time between writes of an otherwise unchanged status."""

_requests = itertools.count(time.time_ns())
"""Values that no earlier process has used."""


def probes_path(namespace: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{namespace}/datapathprobes"


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe in the API server."""

    api: Api
    namespace: str
    name: str

    @property
    def path(self) -> str:
        return f"{probes_path(self.namespace)}/{self.name}"

    def object(self) -> Object:
        found = self.api.get(self.path)
        assert found is not None, f"there is no probe {self.namespace}/{self.name}"
        return found

    def status(self) -> Object:
        """The status; empty before the first run."""
        status: Object = self.object().get("status", {})
        return status

    def wait(self, what: str, condition: Callable[[Object], bool], timeout_s: float = RUN_S) -> Object:
        """The first status for which the condition holds."""

        def check() -> Object | None:
            status = self.status()
            return status if condition(status) else None

        return until(
            f"{self.namespace}/{self.name}: {what}", check, timeout_s, otherwise=lambda: brief(self.status())
        )

    def wait_for(self, verdict: str, timeout_s: float = 2 * RUN_S) -> Object:
        """The first status with this verdict, from a run on schedule."""
        return self.wait(verdict, lambda status: status.get("verdict") == verdict, timeout_s)

    def wait_for_run_after(self, moment: datetime) -> Object:
        """The first status of a run on schedule that started after this moment."""

        def started_later(status: Object) -> bool:
            run = status.get("lastRun")
            return run is not None and datetime.fromisoformat(run["startTime"]) > moment

        return self.wait(f"run after {moment:%H:%M:%S}", started_later, UNCHANGED_S + 2 * RUN_S)

    def run_now(self, timeout_s: float = RUN_S) -> Object:
        """The status written by a run that starts after this call."""
        value = f"e2e-{next(_requests)}"
        self.api.patch(self.path, {"metadata": {"annotations": {RUN_NOW: value}}})
        return self.wait(f"run {value}", lambda status: status.get("lastHandledRunNow") == value, timeout_s)

    def run_until(self, what: str, condition: Callable[[Object], bool], timeout_s: float = 60) -> Object:
        """Repeat runs until the status meets the condition: for changes that the operator observes by a watch, possibly
        after the request to run.
        """

        def check() -> Object | None:
            status = self.run_now()
            return status if condition(status) else None

        return until(
            f"{self.namespace}/{self.name}: {what}", check, timeout_s, otherwise=lambda: brief(self.status())
        )

    def settle(self, timeout_s: float = 60) -> Object:
        """Repeat runs until the probe is Healthy: the initial state of a test."""
        return self.run_until("Healthy", lambda status: status["verdict"] == "Healthy", timeout_s)

    def change(self, spec: Object) -> None:
        """Change the spec by a merge patch."""
        self.api.patch(self.path, {"spec": spec})

    def delete(self) -> None:
        self.api.delete(self.path)


@dataclass(slots=True)
class Probes:
    """Creates probes in one namespace and deletes them afterwards."""

    api: Api
    namespace: str
    _created: list[Probe] = field(default_factory=list)

    def create(self, name: str, spec: Object) -> Probe:
        """Create a probe. Without a schedule, it runs on request only, after its first run."""
        body = {
            "apiVersion": API_VERSION,
            "kind": "DatapathProbe",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"schedule": {"interval": "1h"}, **spec},
        }
        self.api.create(probes_path(self.namespace), body)
        probe = Probe(self.api, self.namespace, name)
        self._created.append(probe)
        return probe

    def delete_all(self) -> None:
        for probe in self._created:
            probe.delete()
        self._created.clear()


def hop(status: Object, name: str) -> Object:
    """A hop of the (worst) path."""
    hops: list[Object] = status["paths"][0]["hops"]
    found = [one for one in hops if one["name"] == name]
    assert found, f"no hop {name} in {[one['name'] for one in hops]}"
    return found[0]


def facts(status: Object, hop_name: str, witness: str) -> dict[str, str]:
    """The facts of one witness at a hop."""
    found: dict[str, str] = hop(status, hop_name)["evidence"][witness].get("facts", {})
    return found


def divergence(status: Object) -> tuple[Any, ...]:
    """(verdict, hop, node, reason) of the status."""
    blamed = status.get("divergentHop", {})
    return status.get("verdict"), blamed.get("name"), blamed.get("node"), status.get("reason")


def brief(status: Object) -> str:
    """A status in one line, for the message of a failed test."""
    run = status.get("lastRun", {})
    return f"{status.get('summary', 'no run yet')} [run {run.get('id')}, {run.get('trigger')}, {run.get('endTime')}]"
