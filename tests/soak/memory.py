"""The operator's resident memory, as the kernel of its node has it. In: the operator. Called by `__main__`."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from urllib3.exceptions import HTTPError

from e2e import processes
from e2e.operator_deploy import Operator

_WARM_S = 30.0
"""By then an operator has read the cluster and run every probe."""


@dataclass(slots=True)
class Memory:
    """Samples of the operator's processes, one after the other, by container: a restart begins anew."""

    operator: Operator
    _by_container: dict[str, list[float]] = field(default_factory=dict)

    @property
    def samples_mb(self) -> list[float]:
        """Those of the process that lived longest, in MB: there growth shows best."""
        return max(self._by_container.values(), key=len, default=[])

    def sample(self) -> None:
        """Take one, if the operator runs and is warm."""
        try:
            pod = self.operator.pod()
        except HTTPError:  # an API server that is busy
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
