"""The lab as a whole: up, down, status, and what tests do with a running one."""

import fcntl
import json
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from lab import (
    cilium,
    cleanup,
    controlplane,
    forward,
    imagestore,
    kubelet,
    network,
    packages,
    pki,
    preconditions,
)
from lab.build import Artifacts, build
from lab.node import Node
from lab.paths import HERE, STATE
from lab.settings import Settings
from lab.shell import LabError, run, say, step, wait_until

_RECORD = STATE / "lab.json"
_LOCK = Path("/run/lock/datapath-probe-lab.lock")


@dataclass(frozen=True, slots=True)
class Lab:
    settings: Settings
    artifacts: Artifacts

    @classmethod
    def current(cls) -> Self:
        """The lab that was brought up on this machine. Raises LabError when there is none."""
        try:
            raw = json.loads(_RECORD.read_text())
        except (OSError, ValueError):
            raise LabError("no lab is up on this machine: `make lab-up` starts one") from None
        return cls(
            Settings.from_dict(raw["settings"]),
            Artifacts(**{k: Path(v) for k, v in raw["artifacts"].items()}),
        )

    def save(self) -> None:
        STATE.mkdir(mode=0o755, exist_ok=True)
        record = {"settings": self.settings.to_dict(), "artifacts": asdict(self.artifacts)}
        _RECORD.write_text(json.dumps(record, default=str))

    @property
    def kubeconfig(self) -> Path:
        return pki.ADMIN_KUBECONFIG

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(Node(name) for name in self.settings.node_names)

    def node(self, name: str) -> Node:
        if name not in self.settings.node_names:
            raise LabError(f"no node {name}: this lab has {', '.join(self.settings.node_names)}")
        return Node(name)

    def kubectl(self, *argv: str, stdin: str | None = None) -> str:
        """stdout of kubectl as the admin. Raises LabError when it fails."""
        kubectl = self.artifacts.kubernetes / "kubectl"
        return run(kubectl, f"--kubeconfig={self.kubeconfig}", *argv, stdin=stdin).stdout

    def objects(self, *argv: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", *argv, "--output=json"))["items"]
        return items

    def run(self, node: str, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program of the machine in the namespaces of a node."""
        return self.node(node).run(*argv, check=check)

    def agent_pod(self, node: str) -> str:
        """Name of the Cilium agent's pod on a node. Raises LabError when there is none."""
        pods = self.objects(
            "pods", "-n", "kube-system", "-l", "k8s-app=cilium", f"--field-selector=spec.nodeName={node}"
        )
        if not pods:
            raise LabError(f"no Cilium agent pod on {node}")
        return str(pods[0]["metadata"]["name"])

    def agent_exec(self, node: str, *argv: str) -> str:
        """stdout of a program in the Cilium agent's container on a node."""
        return self.kubectl(
            "exec", "-n", "kube-system", self.agent_pod(node), "-c", "cilium-agent", "--", *argv
        )

    def load_image(self, archive: Path) -> None:
        """Import a docker-archive on every node."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: kubelet.load_image(node, archive), self.nodes))

    def stop(self, role: str, node: str = "node1", signum: signal.Signals = signal.SIGTERM) -> None:
        """End a process of a node: etcd, kube-apiserver, kubelet, …"""
        self.node(node).stop_role(role, signum)

    def restart(self, role: str, node: str = "node1") -> None:
        """Start a role of a node anew, whether it still ran or not."""
        self.node(node).restart_role(role)
        if role == "kube-apiserver":
            self.wait_for_api()

    def wait_for_api(self) -> None:
        wait_until("the API server is ready", self._api_ready, 60)

    def _api_ready(self) -> bool:
        try:
            return self.kubectl("get", "--raw=/readyz").strip() == "ok"
        except LabError:
            return False

    def problems(self) -> list[str]:
        """What is not as it should be; empty when the lab is healthy."""
        found = []
        for node in self.nodes:
            roles = (
                [*controlplane.ROLES, "containerd", "kubelet"]
                if node.name == "node1"
                else ["containerd", "kubelet"]
            )
            found += [f"{role} of {node.name} is not running" for role in roles if node.role(role) is None]
        if found:
            return found
        try:
            return self._cluster_problems()
        except LabError as error:
            return [str(error)]

    def _cluster_problems(self) -> list[str]:
        found = [
            f"node {n['metadata']['name']} is not ready" for n in self.objects("nodes") if not _is_ready(n)
        ]
        pods = self.objects("pods", "-n", "kube-system")
        found += [f"pod {p['metadata']['name']} is not ready" for p in pods if not _is_ready(p)]
        for app, wanted in (
            ("k8s-app=cilium", self.settings.nodes),
            ("name=cilium-operator", 1),
            ("k8s-app=kube-dns", 1),
        ):
            key, _, value = app.partition("=")
            got = sum(p["metadata"]["labels"].get(key) == value for p in pods)
            if got != wanted:
                found.append(f"{got} instead of {wanted} pods with {app}")
        return found

    def wait_until_healthy(self, timeout_s: float = 240) -> None:
        problems: list[str] = []

        def healthy() -> bool:
            problems[:] = self.problems()
            return not problems

        try:
            wait_until("the lab becomes healthy", healthy, timeout_s, 0.5)
        except LabError as error:
            raise LabError(f"{error}: {'; '.join(problems)}") from None


def up(settings: Settings, fresh: bool = False) -> Lab:
    """Bring up the lab that was asked for, from whatever there is: nothing, remains, the same lab, or another one."""
    preconditions.check()
    with _lock():
        packages.install()
        wanted = Lab(settings, build(settings))
        running = _running()
        if running == wanted and not fresh:
            say("· the lab is up already")
            return wanted
        if running is not None and not fresh and _differs_in_cilium_only(running, wanted):
            _apply_cilium(wanted)
            return wanted
        if remains := cleanup.remains():
            with step(f"removing the previous lab ({len(remains)} remains)"):
                cleanup.remove_everything()
        _start(wanted)
        return wanted


def down() -> None:
    with _lock():
        cleanup.remove_everything()


def _start(lab: Lab) -> None:
    STATE.mkdir(parents=True)
    node1 = lab.nodes[0]
    with step("starting nodes and control plane"):
        network.start_fabric(lab.artifacts.init)
        for node in lab.nodes:
            node.start(lab.artifacts.init)
        pki.create(lab.settings, forward.start(node1))
        controlplane.start(node1, lab.artifacts.kubernetes)
        for node in lab.nodes:
            imagestore.give(lab.artifacts.store, node.dir / "var/lib/containerd")
            kubelet.start_containerd(node)
        lab.wait_for_api()
        for node in lab.nodes:
            kubelet.start_kubelet(node, lab.artifacts.kubernetes)
    lab.save()
    lab.kubectl("apply", "--server-side", "-f", str(HERE / "manifests/coredns.yaml"))
    _apply_cilium(lab)


def _apply_cilium(lab: Lab) -> None:
    """Install Cilium, or give a running one other settings; returns when every pod is ready."""
    with step(
        f"Cilium {lab.settings.cilium}, {lab.settings.mode}, {lab.settings.attach}: until all pods are ready"
    ):
        manifests = cilium.manifests(lab.settings)
        lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifests)
        lab.save()
        lab.kubectl("rollout", "status", "-n", "kube-system", "daemonset/cilium", "--timeout=240s")
        lab.wait_until_healthy()


def _running() -> Lab | None:
    """The lab that is up and healthy."""
    try:
        lab = Lab.current()
    except LabError:
        return None
    if problems := lab.problems():
        say(f"· the lab that is up is not healthy: {'; '.join(problems)}")
        return None
    return lab


def _differs_in_cilium_only(running: Lab, wanted: Lab) -> bool:
    return running.artifacts == wanted.artifacts and running.settings.switchable_to(wanted.settings)


def _is_ready(thing: dict[str, Any]) -> bool:
    conditions = thing.get("status", {}).get("conditions", [])
    deleting = "deletionTimestamp" in thing["metadata"]
    return not deleting and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@contextmanager
def _lock() -> Iterator[None]:
    """One change at a time on this machine, from whichever checkout."""
    _LOCK.parent.mkdir(parents=True, exist_ok=True)
    with _LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("· waiting for another lab-up or lab-down to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
