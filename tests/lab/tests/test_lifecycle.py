"""The lab itself, on a lab of its own name: it is killed in parts, switched, given more nodes, leaves nothing behind.

Leaves the machine's main lab alone. Run by `make test-lab`, every night.
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
"""What switching a running lab to another mode may take."""


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


def test_a_lab_killed_in_parts_is_replaced_and_leaves_nothing(machine: Machine) -> None:
    lab("up")
    footprint = Footprint(f"dplab-{NAME}")
    footprint.look()
    os.kill(LAB.host_pid("node1", "etcd"), signal.SIGKILL)
    os.kill(LAB.host_pid("node1", "init"), signal.SIGKILL)  # takes all of node1 along
    os.kill(LAB.host_pid("node2", "containerd"), signal.SIGKILL)
    assert lab("status", check=False).returncode == 1

    lab("up")
    assert lab("status").stdout.splitlines()[-1] == "healthy"
    assert footprint.survivors() == []

    footprint.look()
    (LAB.state / "lab.json").unlink()  # even with its records lost
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
        says = " ".join(LAB.kubectl("exec", *in_agent, "cilium-dbg", "status").split())
        assert [words for words in expected if words not in says] == []
        assert lab("status").stdout.splitlines()[-1] == "healthy"
    assert LAB.host_pid("node1", "init") == init
    assert max(seconds) <= SWITCH_S, seconds


def test_three_nodes(machine: Machine) -> None:
    lab("up", "--nodes", "3")
    assert len(LAB.kubectl("get", "nodes", "-o", "name").split()) == 3
    assert lab("node", "node3", "hostname").stdout.strip() == "node3"
