"""`python -m lab …`, as called by make, for a lab with a given name. Used by the tests of the lab."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from lab.paths import CHECKOUT


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of one lab. `settings`: environment variables LAB_…; default: none."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """The state directory of the lab."""
        return Path(f"/var/lib/datapath-probe-lab-{self.name}")

    def lab(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`python -m lab …`."""
        rest = {k: v for k, v in os.environ.items() if not k.startswith("LAB_")}
        env = {**rest, **self.settings, "LAB_NAME": self.name, "PYTHONPATH": str(CHECKOUT / "tests")}
        done = subprocess.run(
            [sys.executable, "-m", "lab", *argv], env=env, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def kubectl(self, *argv: str) -> str:
        """stdout of the lab's kubectl."""
        exported = self.lab("env").stdout.removeprefix("export ").split()
        environment = dict(item.split("=", 1) for item in exported)
        path = environment["PATH"].replace("$PATH", os.environ["PATH"])
        env = {**os.environ, "KUBECONFIG": environment["KUBECONFIG"], "PATH": path}
        return subprocess.run(["kubectl", *argv], env=env, capture_output=True, text=True, check=True).stdout

    def host_pid(self, node: str, role: str) -> int:
        """The pid of a process of the lab, in the machine's pid namespace."""
        return int(json.loads((self.state / "nodes" / node / f"{role}.json").read_text())["pid"])

    def api_port(self) -> int:
        """The loopback port of the API server."""
        kubeconfig = yaml.safe_load(Path(self.lab("kubeconfig").stdout.strip()).read_text())
        port: int | None = urlsplit(kubeconfig["clusters"][0]["cluster"]["server"]).port
        assert port is not None
        return port
