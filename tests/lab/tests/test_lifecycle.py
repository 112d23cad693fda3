"""The life cycle of a separate lab: partial kills, switches, more nodes, complete removal.

Does not affect the machine's main lab. Run by `make test-lab`, every night.
"""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from lab.tests.commands import Commands
from lab.tests.conftest import NAME
from lab.tests.footprint import Footprint, Machine

LAB = Commands(NAME)
lab = LAB.lab
SWITCH_S = 45
"""Maximum time to switch a running lab to another mode."""


@pytest.fixture(scope="module")
def _build() -> None:
    """Build in advance: the tests measure times without it."""
    lab("build")


@pytest.fixture
def machine(_build: None) -> Iterator[Machine]:
    """The machine without this lab, which is removed before and after the test."""
    lab("down")
    yield Machine.now()
    lab("down")


def test_a_partially_killed_lab_is_replaced_and_leaves_nothing(machine: Machine) -> None:
    lab("up")
    footprint = Footprint(f"dplab-{NAME}")
    footprint.observe()
    os.kill(LAB.host_pid("node1", "etcd"), signal.SIGKILL)
    os.kill(LAB.host_pid("node1", "init"), signal.SIGKILL)  # ends all processes of node1
    os.kill(LAB.host_pid("node2", "containerd"), signal.SIGKILL)
    assert lab("status", check=False).returncode == 1

    lab("up")
    assert lab("status").stdout.splitlines()[-1] == "healthy"
    assert footprint.survivors() == []

    footprint.observe()
    (LAB.state / "lab.json").unlink()  # removal works without records
    for record in LAB.state.glob("nodes/*/*.json"):
        record.unlink()
    lab("down")
    assert footprint.left() == []
    assert Machine.now() == machine


def test_other_settings_switch_the_running_lab(machine: Machine) -> None:
    lab("up")
    init = LAB.host_pid("node1", "init")
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
        output = " ".join(LAB.kubectl("exec", *in_agent, "cilium-dbg", "status").split())
        assert [words for words in expected if words not in output] == []
        assert lab("status").stdout.splitlines()[-1] == "healthy"
    assert LAB.host_pid("node1", "init") == init
    assert max(seconds) <= SWITCH_S, seconds


def test_three_nodes(machine: Machine) -> None:
    lab("up", "--nodes", "3")
    assert len(LAB.kubectl("get", "nodes", "-o", "name").split()) == 3
    assert lab("node", "node3", "hostname").stdout.strip() == "node3"
