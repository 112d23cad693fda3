"""The lab itself, on a lab of its own name: what comes up, what is switched, and that nothing is left behind.

Leaves the machine's main lab alone. Run by `make test-lab`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from lab import preconditions
from lab.paths import CHECKOUT
from lab.tests.footprint import Footprint, Machine

NAME = "lifecycle"
WARM_UP_S = 120
"""What bringing a lab up may take once everything is built."""
SWITCH_S = 45
"""What switching a running lab to another mode may take."""
STATE = Path(f"/var/lib/datapath-probe-lab-{NAME}")

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(400, func_only=True),  # a build, if one is needed, comes before
    pytest.mark.skipif(preconditions.unmet() is not None, reason=f"no lab here: {preconditions.unmet()}"),
]


def lab(*argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """`python -m lab …`, as make calls it, for the lab of these tests."""
    settings = {k: v for k, v in os.environ.items() if not k.startswith("LAB_")}
    env = {**settings, "LAB_NAME": NAME, "PYTHONPATH": str(CHECKOUT / "tests")}
    done = subprocess.run(
        [sys.executable, "-m", "lab", *argv], env=env, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def kubectl(*argv: str) -> str:
    environment = dict(item.split("=", 1) for item in lab("env").stdout.removeprefix("export ").split())
    path = environment["PATH"].replace("$PATH", os.environ["PATH"])
    env = {**os.environ, "KUBECONFIG": environment["KUBECONFIG"], "PATH": path}
    return subprocess.run(["kubectl", *argv], env=env, capture_output=True, text=True, check=True).stdout


def host_pid(node: str, role: str) -> int:
    return int(json.loads((STATE / "nodes" / node / f"{role}.json").read_text())["pid"])


def api_port() -> int:
    kubeconfig = yaml.safe_load(Path(lab("kubeconfig").stdout.strip()).read_text())
    port: int | None = urlsplit(kubeconfig["clusters"][0]["cluster"]["server"]).port
    assert port is not None
    return port


@pytest.fixture(scope="module")
def _build() -> None:
    """Building is not what these tests time."""
    lab("build")


@pytest.fixture
def machine(_build: None) -> Iterator[Machine]:
    """The machine without this lab; removed again afterwards, whatever the test did."""
    lab("down")
    yield Machine.now()
    lab("down")


def test_down_leaves_nothing_behind(machine: Machine) -> None:
    began = time.monotonic()
    lab("up")
    assert time.monotonic() - began <= WARM_UP_S
    footprint = Footprint(f"dplab-{NAME}")
    footprint.look()
    port = api_port()
    assert len(footprint.processes) > 20
    assert len(footprint.namespaces) >= 3 * 5

    lab("down")

    assert footprint.left() == []
    assert Machine.now() == machine
    assert not STATE.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_lab_killed_in_parts_is_replaced_and_leaves_nothing(machine: Machine) -> None:
    lab("up")
    footprint = Footprint(f"dplab-{NAME}")
    footprint.look()
    os.kill(host_pid("node1", "etcd"), signal.SIGKILL)
    os.kill(host_pid("node1", "init"), signal.SIGKILL)  # takes all of node1 along
    os.kill(host_pid("node2", "containerd"), signal.SIGKILL)
    assert lab("status", check=False).returncode == 1

    lab("up")
    assert lab("status").stdout.splitlines()[-1] == "healthy"
    assert footprint.survivors() == []

    footprint.look()
    (STATE / "lab.json").unlink()  # even with its records lost
    for record in STATE.glob("nodes/*/*.json"):
        record.unlink()
    lab("down")
    assert footprint.left() == []
    assert Machine.now() == machine


def test_the_same_settings_change_nothing_and_others_switch_the_running_lab(machine: Machine) -> None:
    lab("up")
    init = host_pid("node1", "init")
    began = time.monotonic()
    assert "is up already" in lab("up").stderr
    assert time.monotonic() - began < 10

    seconds: list[float] = []
    for argv, expected in (
        (
            ("--mode", "native", "--attach", "tc"),
            ("Network: Native", "Legacy TC", "KubeProxyReplacement: False"),
        ),
        (("--mode", "kpr"), ("Network: Tunnel [vxlan]", "TCX", "KubeProxyReplacement: True")),
        (("--mode", "vxlan"), ("Network: Tunnel [vxlan]", "TCX", "KubeProxyReplacement: False")),
    ):
        began = time.monotonic()
        lab("up", *argv)
        seconds.append(time.monotonic() - began)
        in_agent = ("-n", "kube-system", "daemonset/cilium", "-c", "cilium-agent", "--")
        says = " ".join(kubectl("exec", *in_agent, "cilium-dbg", "status").split())
        assert [words for words in expected if words not in says] == []
        assert lab("status").stdout.splitlines()[-1] == "healthy"
    assert host_pid("node1", "init") == init
    assert max(seconds) <= SWITCH_S, seconds


def test_three_nodes(machine: Machine) -> None:
    lab("up", "--nodes", "3")
    assert len(kubectl("get", "nodes", "-o", "name").split()) == 3
    assert lab("node", "node3", "hostname").stdout.strip() == "node3"
