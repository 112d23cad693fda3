"""Changes in the cluster while the probes run: roll-outs, deletions, restarts, drains.

In: a scene. Out: completed actions: each returns when its change is complete, although transition windows may still be
open. Called by `__main__`.
"""

import random
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from urllib3.exceptions import HTTPError

from e2e import operator_deploy, processes
from e2e.api import Refused, is_ready
from e2e.waiting import until
from lab.shell import LabError, say
from soak.scene import DEATHSTARS, NAMESPACE, Scene

_TIMEOUT_S = 120.0
_AGENTS = "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app=cilium"
_DNS = ("deployment/coredns", "-n", "kube-system")


@dataclass(slots=True)
class Churn:
    """Random actions from a seed. `done` counts them."""

    scene: Scene
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)

    def act(self, where: str) -> None:
        """Perform one action. A failure, for example of a busy API server, is counted and ignored."""
        actions = {
            "stars": self.among_deathstars,
            "anywhere": self.anywhere,
            "operator": self.on_the_operator,
        }
        try:
            actions[where]()
        except (LabError, HTTPError, Refused, AssertionError) as error:
            self.done["failed"] += 1
            say(f"· {where}: {error}")

    def among_deathstars(self) -> None:
        """One action on the deathstars and the fleet only."""
        self._do(self.chance.choice([self.roll_out, self.roll_out_fleet, self.delete_pod, self.kill_pod]))

    def anywhere(self) -> None:
        """One action that does not affect the operator."""
        self._do(
            self.chance.choice(
                [self.roll_out, self.delete_pod, self.restart_agent, self.drain_node, self.restart_dns]
            )
        )

    def on_the_operator(self) -> None:
        """Kill the operator or delete its pod."""
        self._do(self.chance.choice([self.kill_operator, self.delete_operator]))

    def roll_out(self) -> None:
        """Restart all deathstars, one after another."""
        self._roll_out("statefulset/deathstar", "-n", NAMESPACE)

    def roll_out_fleet(self) -> None:
        """Replace all ships of the fleet."""
        self._roll_out("deployment/fleet", "-n", NAMESPACE)

    def delete_pod(self) -> None:
        """Delete a deathstar gracefully."""
        self._kubectl("delete", "pod", "-n", NAMESPACE, self.chance.choice(DEATHSTARS))
        self.scene.wait_ready(_TIMEOUT_S)

    def kill_pod(self) -> None:
        """Delete a deathstar without grace period."""
        star = self.chance.choice(DEATHSTARS)
        self._kubectl("delete", "pod", "-n", NAMESPACE, star, "--grace-period=0", "--force")
        self.scene.wait_ready(_TIMEOUT_S)

    def restart_agent(self) -> None:
        """Restart the Cilium agent of a node."""
        lab, node = self.scene.lab, self.chance.choice(self.scene.lab.settings.node_names)
        self._kubectl("delete", "pod", "-n", "kube-system", lab.agent_pod(node), "--wait=false")
        self._agents_ready()

    def restart_dns(self) -> None:
        """Restart CoreDNS."""
        self._roll_out(*_DNS)

    def drain_node(self) -> None:
        """Drain and uncordon a node that does not run the operator."""
        operator = self.scene.operator.wait_ready()["spec"]["nodeName"]
        node = self.chance.choice([n for n in self.scene.lab.settings.node_names if n != operator])
        try:
            evict = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s")
            self._kubectl("drain", node, *evict)
        finally:
            self._kubectl("uncordon", node)
        self.scene.wait_ready(_TIMEOUT_S)

    def kill_operator(self) -> None:
        """Send SIGKILL to the operator; the kubelet restarts it."""
        pod = self.scene.operator.wait_ready()
        processes.send(self.scene.lab, pod, "operator", signal.SIGKILL)
        restarts = pod["status"]["containerStatuses"][0]["restartCount"]

        def restarted() -> bool:
            now = self.scene.operator.pod()
            return bool(now and now["status"]["containerStatuses"][0]["restartCount"] > restarts)

        until("the operator runs again", restarted, _TIMEOUT_S)

    def delete_operator(self) -> None:
        """Delete the operator's pod; the Deployment creates another one."""
        name = self.scene.operator.wait_ready()["metadata"]["name"]
        self._kubectl("delete", "pod", "-n", operator_deploy.NAMESPACE, name)
        self.scene.operator.wait_ready(_TIMEOUT_S)

    def _do(self, action: Callable[[], None]) -> None:
        self.done[action.__name__] += 1
        action()

    def _agents_ready(self) -> None:
        def ready() -> bool:
            pods = self.scene.api.items(_AGENTS)
            return len(pods) == len(self.scene.lab.nodes) and all(map(is_ready, pods))

        until("all agents are ready", ready, _TIMEOUT_S)

    def _roll_out(self, *what: str) -> None:
        self._kubectl("rollout", "restart", *what)
        self._kubectl("rollout", "status", *what, f"--timeout={_TIMEOUT_S:g}s")

    def _kubectl(self, *argv: str) -> None:
        self.scene.lab.kubectl(*argv)
