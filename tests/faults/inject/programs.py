"""Programs detached from devices. The agent itself attaches them again, so no foreign program is left behind.

In: a lab and a device. Used by the catalog and by the e2e tests.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
_CONNECT = "/sys/fs/bpf/cilium/socketlb/links/cgroup/cil_sock4_connect"


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
        _replace_agent(lab, api, node)
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
        _replace_agent(lab, api, node)
        until("socket load balancing is attached again", is_attached, _AGENT_BACK_S)


def _replace_agent(lab: Lab, api: Api, node: str) -> None:
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
