"""Processes in containers, as seen by the node's containerd and kernel.

In: a node and a container id. Out: processes started by exec, the only ones that the operator can leave behind. Used by
the e2e and soak tests.
"""

import signal

from e2e.api import Object
from lab.cluster import Lab

_CTR = ("ctr", "--namespace=k8s.io", "tasks")


def started_by_exec(lab: Lab, node: str, container_id: str) -> list[str]:
    """Processes in the container that do not descend from its first process, as "pid command line"."""
    first = first_pid(lab, node, container_id)
    own = {first}
    foreign = []
    pids = [line.split()[0] for line in lab.run(node, *_CTR, "ps", container_id).stdout.splitlines()[1:]]
    shown = lab.run(
        node,
        "ps",
        "-ww",
        "-o",
        "pid=,ppid=,stat=,args=",
        "--sort=start_time",
        "-p",
        ",".join(pids),
        check=False,
    )
    for line in shown.stdout.splitlines():
        pid, parent, state, command = line.split(None, 3)
        if pid in own or parent in own:
            own.add(pid)
        elif not state.startswith("Z"):
            foreign.append(f"{pid} {command}")
    return foreign


def in_agents(lab: Lab) -> list[str]:
    """The same for the agents of all nodes."""
    pods = lab.objects("pods", "-n", "kube-system", "-l", "k8s-app=cilium")
    return [
        line
        for pod in pods
        for line in started_by_exec(lab, pod["spec"]["nodeName"], container(pod, "cilium-agent"))
    ]


def container(pod: Object, name: str) -> str:
    """The id of a container as containerd knows it."""
    [status] = [one for one in pod["status"]["containerStatuses"] if one["name"] == name]
    found: str = status["containerID"].removeprefix("containerd://")
    return found


def send(lab: Lab, pod: Object, name: str, number: signal.Signals) -> None:
    """Send a signal to the first process of a container, directly on the node."""
    node = pod["spec"]["nodeName"]
    pid = first_pid(lab, node, container(pod, name))
    lab.run(node, "kill", f"-{number.name.removeprefix('SIG')}", pid)


def first_pid(lab: Lab, node: str, container_id: str) -> str:
    """The pid of the first process of a container, in the node's pid namespace."""
    tasks = (line.split() for line in lab.run(node, *_CTR, "list").stdout.splitlines()[1:])
    return next(pid for task, pid, _ in tasks if task == container_id)
