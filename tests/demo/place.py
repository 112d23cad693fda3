"""The cluster of the demo: the lab or kind.

In: a machine. Out: a cluster with the operator, or one sentence that says what the machine lacks. Called by `__main__`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from e2e import api, operator_deploy
from e2e.release import CHART, NAME, NAMESPACE
from lab import preconditions
from lab.cluster import Lab
from lab.paths import CHECKOUT

KIND_CLUSTER = "datapath-probe"
IN_NAMESPACE = ("--namespace", NAMESPACE, "--create-namespace")


class NoClusterError(Exception):
    """The demo cannot run here; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster. `environment`: for kubectl and datapath-probe to find it; `enter`: the same as a shell command."""

    enter: str
    remove: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def kubectl(self, *words: str) -> str:
        """stdout of kubectl. Raises CalledProcessError."""
        env = {**os.environ, **self.environment}
        return subprocess.run(
            ["kubectl", *words], env=env, check=True, text=True, stdout=subprocess.PIPE
        ).stdout

    def show(self, *argv: str) -> None:
        """Run a program with visible output. Raises CalledProcessError."""
        subprocess.run(argv, env={**os.environ, **self.environment}, check=True)


def on_lab() -> Place:
    """The lab with the operator of this checkout; brings it up if necessary. Raises NoClusterError."""
    if reason := preconditions.unmet():
        raise NoClusterError(f"The lab cannot run on this machine: {reason}.")
    _run(sys.executable, "-m", "lab", "up")
    lab = Lab.current()
    with api.connect(lab.kubeconfig) as connected:
        operator_deploy.deploy(lab, connected)
    path = f"{lab.kubectl_program.parent}{os.pathsep}{os.environ['PATH']}"
    return Place(
        'eval "$(make -s lab-env)"', "make lab-down", {"KUBECONFIG": str(lab.kubeconfig), "PATH": path}
    )


def on_kind() -> Place:
    """kind in Docker, with the same Cilium settings. Not exercised by this project's CI. Raises NoClusterError."""
    if missing := [
        program for program in ("docker", "kind", "cilium", "kubectl", "helm") if not shutil.which(program)
    ]:
        raise NoClusterError(
            f"The demo on kind needs {', '.join(missing)}, which this machine does not have."
        )
    clusters = subprocess.run(
        ["kind", "get", "clusters"], check=True, text=True, stdout=subprocess.PIPE
    ).stdout
    if KIND_CLUSTER not in clusters.split():
        _run("make", "kind-up")
    place = Place(f"kubectl config use-context kind-{KIND_CLUSTER}", "make kind-down")
    _run("kubectl", "config", "use-context", f"kind-{KIND_CLUSTER}")
    _run("docker", "build", "--tag", operator_deploy.IMAGE, ".")
    _run("docker", "build", "--tag", operator_deploy.NODE_IMAGE, "--target", "node", ".")
    for image in (operator_deploy.IMAGE, operator_deploy.NODE_IMAGE):
        _run("kind", "load", "docker-image", "--name", KIND_CLUSTER, image)
    node_agents = "nodeAgents.enabled=true,nodeAgents.image.tag=lab"
    given = ("--set", f"image.tag=lab,{node_agents}", "--wait")
    _run("helm", "upgrade", "--install", NAME, str(CHART), *IN_NAMESPACE, *given)
    return place


def _run(*argv: str) -> None:
    """Run a program with visible output."""
    subprocess.run(argv, check=True, cwd=CHECKOUT)
