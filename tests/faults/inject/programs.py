"""Programs detached from devices. The agent itself attaches them again, so no foreign program is left behind.

In: a lab and a device. Used by the catalog and by the e2e tests.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e.api import Api, is_ready
from e2e.galaxy import Pod
from e2e.waiting import until
from faults.inject import devices
from faults.inject.agent import in_agent
from faults.inject.in_place import InPlace
from lab.cluster import Lab

_TOGGLED = "TraceNotification"
_COMPILED_S = 90.0
_AGENT_BACK_S = 90.0
_PINS = "/sys/fs/bpf/cilium"
_CONNECT = f"{_PINS}/socketlb/links/cgroup/cil_sock4_connect"
_HIDDEN = "/sys/fs/bpf/faults-hidden"
_EMPTY_CGROUP = "/run/cilium/cgroupv2/faults-empty"
_BPF_LINK = Path(__file__).with_name("bpf_link.py")


@contextmanager
def detached_from_pod(lab: Lab, pod: Pod, program: str) -> Iterator[InPlace]:
    """A pod's device without its program. Changing an option of the endpoint makes the agent attach it again."""
    device = devices.lxc(lab, pod)

    def configure(value: str) -> None:
        before = _ids(lab, pod.node, device)
        argv = ("cilium-dbg", "endpoint", "config", str(pod.endpoint), f"{_TOGGLED}={value}")
        in_agent(lab, pod.node, *argv)
        until(
            f"{program} is attached again",
            lambda: _ids(lab, pod.node, device) not in (before, []),
            _COMPILED_S,
        )

    def attach() -> None:
        configure("Disabled")
        configure("Enabled")

    with _detached(lab, pod.node, device, program, attach) as in_place:
        yield in_place


@contextmanager
def detached_from_node(lab: Lab, api: Api, node: str, device: str, program: str) -> Iterator[InPlace]:
    """A device of the node without its program. A new agent attaches it again."""

    def attach() -> None:
        replace_agent(lab, api, node)
        until(f"{program} is attached again", lambda: _ids(lab, node, device, program), _AGENT_BACK_S)

    with _detached(lab, node, device, program, attach) as in_place:
        yield in_place


@contextmanager
def socket_lb_detached(lab: Lab, api: Api, node: str, *, unpinned: bool) -> Iterator[InPlace]:
    """A node without socket load balancing: the link of `connect` is detached or unpinned. A new agent attaches it."""
    detach = ("rm", _CONNECT) if unpinned else ("bpftool", "link", "detach", "pinned", _CONNECT)

    def is_attached() -> bool:
        shown = in_agent(lab, node, "sh", "-c", f"bpftool -j link show pinned {_CONNECT} || true")
        return bool(json.loads(shown).get("cgroup_id"))

    in_agent(lab, node, *detach)
    try:
        yield lambda: not is_attached()
    finally:
        if not unpinned:
            in_agent(lab, node, "rm", _CONNECT)
        replace_agent(lab, api, node)
        until("socket load balancing is attached again", is_attached, _AGENT_BACK_S)


@contextmanager
def socket_lb_elsewhere(lab: Lab, api: Api, node: str) -> Iterator[InPlace]:
    """The agent's link of `connect` is attached to a cgroup without processes."""
    shown = json.loads(in_agent(lab, node, "sh", "-c", f"bpftool -j link show pinned {_CONNECT} || true"))
    lab.run(node, "mkdir", "-p", _EMPTY_CGROUP)
    pin = f"{_CONNECT}_elsewhere"
    create_link(lab, node, pin, shown["prog_id"], "cgroup", _EMPTY_CGROUP)
    in_agent(lab, node, "sh", "-ec", 'rm "$0" && mv "$1" "$0"', _CONNECT, pin)

    def cgroup() -> int:
        now = json.loads(in_agent(lab, node, "sh", "-c", f"bpftool -j link show pinned {_CONNECT} || true"))
        found: int = now.get("cgroup_id", 0)
        return found

    moved_to = cgroup()
    try:
        yield lambda: cgroup() == moved_to
    finally:
        in_agent(lab, node, "rm", _CONNECT)
        lab.run(node, "rmdir", _EMPTY_CGROUP)
        replace_agent(lab, api, node)
        until("socket load balancing is attached again", lambda: cgroup() != 0, _AGENT_BACK_S)


@contextmanager
def attached_twice(
    lab: Lab, api: Api, at: tuple[str, str, str], program: str, settle: Callable[[], None]
) -> Iterator[InPlace]:
    """A device with an old program before the agent's own. The agent did not find the pin of its link when it started,
    so it attached another one. `at`: the node, the device, and the folder of its pins. `settle`: waits until the start
    of the agent is over.
    """
    node, device, owner = at
    in_agent(
        lab, node, "sh", "-ec", f'mkdir -p {_HIDDEN} && mv "$0" {_HIDDEN}', f"{_PINS}/{owner}/links/{program}"
    )

    def is_attached_twice() -> bool:
        return len(_ids(lab, node, device, program)) > 1

    try:
        replace_agent(lab, api, node)
        until(f"{program} is attached twice", is_attached_twice, _AGENT_BACK_S)
        settle()
        yield is_attached_twice
    finally:
        in_agent(lab, node, "rm", "-r", _HIDDEN)
        if not _ids(lab, node, device, program):
            replace_agent(lab, api, node)


@contextmanager
def filtered_twice(lab: Lab, node: str, device: str, side: str, program: str) -> Iterator[InPlace]:
    """With tc: the program of the agent's filter also in one of another priority."""
    [number] = _ids(lab, node, device, program)
    pin, where = f"{_HIDDEN}/{program}", ("dev", device, side, "prio", "2")
    in_agent(lab, node, "mkdir", "-p", _HIDDEN)
    in_agent(lab, node, "bpftool", "prog", "pin", "id", str(number), pin)
    try:
        in_agent(lab, node, "tc", "filter", "add", *where, "bpf", "da", "pinned", pin)
        try:
            yield lambda: len(_ids(lab, node, device, program)) > 1
        finally:
            in_agent(lab, node, "tc", "filter", "del", *where)
    finally:
        in_agent(lab, node, "rm", "-r", _HIDDEN)


def create_link(lab: Lab, node: str, pin: str, program: int, hook: str, target: str) -> None:
    """Attach a program by a new, pinned link: to a cgroup, or before all others at one side of a device."""
    lab.run(node, sys.executable, str(_BPF_LINK), pin, str(program), hook, target)


def replace_agent(lab: Lab, api: Api, node: str) -> None:
    api.delete(f"/api/v1/namespaces/kube-system/pods/{lab.agent_pod(node)}")
    path = "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app=cilium&fieldSelector=spec.nodeName="
    until("there is a new agent", lambda: any(map(is_ready, api.items(path + node))), _AGENT_BACK_S)


@contextmanager
def _detached(
    lab: Lab, node: str, device: str, program: str, attach: Callable[[], None]
) -> Iterator[InPlace]:
    found = next(one for one in attached(lab, node, device) if one["name"].startswith(program))
    if "link_id" in found:
        in_agent(lab, node, "bpftool", "link", "detach", "id", str(found["link_id"]))
    else:
        in_agent(lab, node, "tc", "filter", "del", "dev", device, found["kind"].split("/")[1])
    try:
        yield lambda: not _ids(lab, node, device, program)
    finally:
        attach()


def _ids(lab: Lab, node: str, device: str, program: str = "") -> list[int]:
    """The ids of the programs on a device with this name prefix."""
    return [
        one.get("prog_id") or one["id"]
        for one in attached(lab, node, device)
        if one["name"].startswith(program)
    ]


def attached(lab: Lab, node: str, device: str) -> list[dict[str, Any]]:
    """All programs on a device, as bpftool lists them."""
    [shown] = json.loads(in_agent(lab, node, "bpftool", "-j", "net", "show", "dev", device))
    programs: list[dict[str, Any]] = shown["tc"]
    return programs
