"""CPU time of the lab by program, from its cgroups and from the processes of the control plane.

In: a lab and its pods. Out: seconds since the lab started, by part. Processes that have ended count, too: those that an
exec starts are in the cgroup of their container, runc in that of its node. Called by `load`.
"""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from e2e.api import Object
from lab import cgroups
from lab.paths import CGROUP

OPERATOR, NODE_AGENTS, AGENTS = "operator", "node agents", "Cilium agents"
SOURCES, OTHER_PODS = "source pods", "other pods"
NODES = "kubelet, containerd, runc and the rest of the nodes"
_CONTROL_PLANE = {"kube-apiserver": "API server", "etcd": "etcd"}
_OURS = {"datapath-probe": OPERATOR, "datapath-probe-node": NODE_AGENTS}
_LABELS = {"app.kubernetes.io/name": _OURS, "k8s-app": {"cilium": AGENTS}}
_USER_TICKS, _SYSTEM_TICKS = 11, 12  # fields of /proc/PID/stat after the command


def by_part(pods: Iterable[Object], namespace: str) -> dict[str, float]:
    """CPU seconds by part. `namespace`: that of the source pods."""
    tree = cgroups.ROOT / ("" if cgroups.is_unified() else "cpuacct") / CGROUP
    parts: dict[str, float] = defaultdict(float)
    for pid in cgroups.pids():
        command, seconds = _process(pid)
        if command in _CONTROL_PLANE:
            parts[_CONTROL_PLANE[command]] += seconds
    for pod in pods:
        for folder in tree.glob(f"*/**/pod{pod['metadata']['uid']}"):
            parts[_part(pod, namespace)] += _seconds(folder)
    parts[NODES] = _seconds(tree) - sum(parts.values())
    return parts


def _part(pod: Object, namespace: str) -> str:
    labels = pod["metadata"].get("labels", {})
    known = (names[labels[label]] for label, names in _LABELS.items() if labels.get(label) in names)
    return next(known, SOURCES if pod["metadata"]["namespace"] == namespace else OTHER_PODS)


def _seconds(folder: Path) -> float:
    """Of all processes that were in the cgroup or below."""
    if cgroups.is_unified():
        usage = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
        return int(usage["usage_usec"]) / 1e6
    return int((folder / "cpuacct.usage").read_text()) / 1e9


def _process(pid: int) -> tuple[str, float]:
    """The command of a process, and its CPU seconds; "" if it has ended."""
    try:
        command, _, fields = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(") ")
    except OSError:
        return "", 0.0
    ticks = fields.split()
    return command, (int(ticks[_USER_TICKS]) + int(ticks[_SYSTEM_TICKS])) / os.sysconf("SC_CLK_TCK")
