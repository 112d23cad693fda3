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
    """Samples in MB, of the operator's present process alone: after a restart they begin anew."""

    operator: Operator
    samples_mb: list[float] = field(default_factory=list)
    _container: str = ""

    def sample(self) -> None:
        """Take one, if the operator runs and is warm."""
        try:
            pod = self.operator.pod()
        except HTTPError:  # an API server that is busy
            return
        if pod is None:
            return
        container = processes.container(pod, "operator")
        if container != self._container:
            self._container, self.samples_mb = container, []
        started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        if (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds() < _WARM_S:
            return
        lab, node = self.operator.lab, pod["spec"]["nodeName"]
        pid = processes.first_pid(lab, node, container)
        shown = lab.run(node, "grep", "VmRSS", f"/proc/{pid}/status").stdout
        self.samples_mb.append(int(shown.split()[1]) / 1024)
