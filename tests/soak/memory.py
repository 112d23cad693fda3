"""The operator's resident memory, from the kernel of its node.

In: the operator. Out: samples. Called by `__main__` and by the load test.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from urllib3.exceptions import HTTPError

from e2e import processes
from e2e.operator_deploy import Operator

_WARM_S = 30.0
"""After this time, an operator has synced its inventory and run every probe."""


@dataclass(slots=True)
class Memory:
    """Samples of the operator's processes by container: a restart starts a new series."""

    operator: Operator
    _by_container: dict[str, list[float]] = field(default_factory=dict)

    @property
    def samples_mb(self) -> list[float]:
        """The samples of the longest-running process in MB, which shows growth best."""
        return max(self._by_container.values(), key=len, default=[])

    def sample(self) -> None:
        """Take a sample if the operator runs and is warm."""
        try:
            pod = self.operator.pod()
        except HTTPError:  # a busy API server
            return
        if pod is None:
            return
        container = processes.container(pod, "operator")
        started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        if (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds() < _WARM_S:
            return
        lab, node = self.operator.lab, pod["spec"]["nodeName"]
        pid = processes.first_pid(lab, node, container)
        shown = lab.run(node, "grep", "VmRSS", f"/proc/{pid}/status").stdout
        self._by_container.setdefault(container, []).append(int(shown.split()[1]) / 1024)
