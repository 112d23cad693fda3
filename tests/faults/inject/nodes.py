"""Nodes and their agents: cordoned, agent killed, hanging or not ready. Used by the catalog and by the e2e tests."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from e2e.api import Api, is_ready, pod_path
from e2e.waiting import until
from lab.cluster import Lab

_AGENT_BACK_S = 90.0


@contextmanager
def cordoned(api: Api, node: str) -> Iterator[None]:
    """An unschedulable node."""
    path = f"/api/v1/nodes/{node}"
    api.patch(path, {"spec": {"unschedulable": True}})
    try:
        yield
    finally:
        api.patch(path, {"spec": {"unschedulable": None}})


@contextmanager
def _kubelet_stopped(lab: Lab, node: str) -> Iterator[None]:
    """A node with a stopped kubelet. Exec into its pods does not work meanwhile."""
    kubelet = lab.node(node).role("kubelet")
    assert kubelet is not None
    kubelet.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        kubelet.signal(signal.SIGCONT)


@contextmanager
def agent_killed(lab: Lab, api: Api, node: str) -> Iterator[None]:
    """A node without an agent, which the API server still lists as running. The datapath keeps working."""
    agent = pod_path("kube-system", lab.agent_pod(node))
    restarts = _restarts(api, agent)
    with _kubelet_stopped(lab, node):
        lab.run(node, "pkill", "-KILL", "-x", "cilium-agent")
        yield
    until("the agent has been started again", lambda: _restarts(api, agent) > restarts, _AGENT_BACK_S)
    until("the agent is ready again", lambda: is_ready(api.get(agent) or {}), _AGENT_BACK_S)


@contextmanager
def agent_hangs(lab: Lab, node: str) -> Iterator[None]:
    """An agent that does not respond."""
    lab.run(node, "pkill", "-STOP", "-x", "cilium-agent")
    try:
        yield
    finally:
        lab.run(node, "pkill", "-CONT", "-x", "cilium-agent")


@contextmanager
def agent_unready(lab: Lab, api: Api, node: str) -> Iterator[None]:
    """A node whose agent pod is not Ready. Its kubelet, which would correct that, is stopped meanwhile."""
    agent = pod_path("kube-system", lab.agent_pod(node))
    with _kubelet_stopped(lab, node):
        found = api.get(agent)
        assert found is not None
        conditions = [
            {**c, "status": "False" if c["type"] == "Ready" else c["status"]}
            for c in found["status"]["conditions"]
        ]
        containers = [{**container, "ready": False} for container in found["status"]["containerStatuses"]]
        api.patch(f"{agent}/status", {"status": {"conditions": conditions, "containerStatuses": containers}})
        yield
    until(f"the agent of {node} is ready again", lambda: is_ready(api.get(agent) or {}), _AGENT_BACK_S)


def _restarts(api: Api, pod: str) -> int:
    found = api.get(pod)
    assert found is not None
    return sum(container["restartCount"] for container in found["status"]["containerStatuses"])
