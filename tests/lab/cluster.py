"""A running lab: its record on disk, and the operations of tests and commands.

lab = Lab.current()
lab.kubectl("get", "pods", "-A")
lab.run("node1", "ip", "-br", "link")
lab.agent_exec("node2", "cilium-dbg", "status")
lab.restart("kube-apiserver")
"""

import json
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from lab import controlplane, kubelet, pki
from lab.build import Artifacts
from lab.node import Node
from lab.paths import STATE
from lab.settings import Settings
from lab.shell import LabError, run, wait_until

_RECORD = STATE / "lab.json"
_IMAGES = STATE / "images"
_SYSTEM_PODS = ("k8s-app=cilium", "name=cilium-operator", "k8s-app=kube-dns")


@dataclass(frozen=True, slots=True)
class Lab:
    settings: Settings
    artifacts: Artifacts

    @classmethod
    def current(cls) -> Self:
        """The running lab of this machine. Raises LabError if there is none."""
        try:
            raw = json.loads(_RECORD.read_text())
        except (OSError, ValueError):
            raise LabError("no lab is running on this machine: `make lab-up` starts one") from None
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

    @property
    def kubectl_program(self) -> Path:
        return self.artifacts.kubernetes / "kubectl"

    def kubectl(self, *argv: str, stdin: str | None = None) -> str:
        """stdout of kubectl as the admin. Raises LabError when it fails."""
        return run(self.kubectl_program, f"--kubeconfig={self.kubeconfig}", *argv, stdin=stdin).stdout

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
        self.record_images([archive])

    def record_images(self, archives: list[Path]) -> None:
        """Record archives of the cache as loaded; their paths contain a hash of the contents."""
        with _IMAGES.open("a") as record:
            record.writelines(f"{archive}\n" for archive in archives)

    def has_image(self, archive: Path) -> bool:
        return _IMAGES.exists() and str(archive) in _IMAGES.read_text().splitlines()

    def stop(self, role: str, node: str = "node1", signum: signal.Signals = signal.SIGTERM) -> None:
        """End a process of a node: etcd, kube-apiserver, kubelet, …"""
        self.node(node).stop_role(role, signum)

    def restart(self, role: str, node: str = "node1", signum: signal.Signals = signal.SIGTERM) -> None:
        """Restart a role of a node, running or not, and wait until it responds.

        With open watches, the API server takes 20 s to exit on SIGTERM; SIGKILL avoids that.
        """
        self.node(node).restart_role(role, signum)
        match role:
            case "kube-apiserver":
                self.wait_for_api()
            case "containerd":
                kubelet.wait_for_containerd(self.node(node))
            case "kubelet":
                self._wait_for_response(f"/api/v1/nodes/{node}/proxy/healthz")

    def wait_for_api(self) -> None:
        self._wait_for_response("/readyz")

    def _wait_for_response(self, path: str) -> None:
        def responds() -> bool:
            try:
                return self.kubectl("get", f"--raw={path}").strip() == "ok"
            except LabError:
                return False

        wait_until(f"{path} responds", responds, 60)

    def problems(self) -> list[str]:
        """The problems of the lab; empty if it is healthy."""
        if stopped := self.stopped():
            return stopped
        try:
            return self._cluster_problems()
        except LabError as error:
            return [str(error)]

    def stopped(self) -> list[str]:
        """Processes of the lab that are not running."""
        return [
            f"{role} of {node.name} is not running"
            for node in self.nodes
            for role in (*(controlplane.ROLES if node.name == "node1" else ()), *kubelet.ROLES)
            if node.role(role) is None
        ]

    def _cluster_problems(self) -> list[str]:
        found = [
            f"node {n['metadata']['name']} is not ready" for n in self.objects("nodes") if not _is_ready(n)
        ]
        for selector in _SYSTEM_PODS:
            pods = self.objects("pods", "-n", "kube-system", "-l", selector)
            wanted = self.settings.nodes if selector == "k8s-app=cilium" else 1
            if (ready := sum(map(_is_ready, pods))) != wanted or len(pods) != wanted:
                found.append(f"{selector}: {ready} of {wanted} pods are ready")
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


def _is_ready(object_: dict[str, Any]) -> bool:
    conditions = object_.get("status", {}).get("conditions", [])
    deleting = "deletionTimestamp" in object_["metadata"]
    return not deleting and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
