"""Brings the lab up, switches it to other settings, and removes it.

In: settings. Out: a running lab. Called by `cli` and by tests.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from lab import (
    cilium,
    cleanup,
    controlplane,
    forward,
    images,
    imagestore,
    kubelet,
    network,
    outside,
    packages,
    pki,
    preconditions,
)
from lab.build import build
from lab.cluster import Lab
from lab.paths import HERE, LOCK, STATE
from lab.settings import Settings
from lab.shell import LabError, say, step


def up(settings: Settings, fresh: bool = False) -> Lab:
    """Bring up a lab with these settings, or switch the running one.

    Raises LabError if the machine lacks a prerequisite or the lab does not become healthy.
    """
    preconditions.check()
    with _lock():
        packages.install()
        wanted = Lab(settings, build(settings))
        running = None if fresh else _running()
        if running == wanted:
            say("· the lab is up already")
        elif running is not None and _only_cilium_differs(running, wanted):
            _switch(running, wanted)
        else:
            if remains := cleanup.remains():
                with step(f"removing the traces of a lab ({len(remains)} items)"):
                    cleanup.remove_everything()
            _start(wanted)
        return wanted


def down() -> None:
    with _lock():
        cleanup.remove_everything()


def _running() -> Lab | None:
    """The running lab, if it is healthy or becomes healthy soon."""
    try:
        lab = Lab.current()
    except LabError:
        return None
    try:
        if stopped := lab.stopped():
            raise LabError("; ".join(stopped))
        lab.wait_until_healthy(timeout_s=45)
    except LabError as error:
        say(f"· the lab that is up is not healthy: {error}")
        return None
    return lab


def _only_cilium_differs(running: Lab, wanted: Lab) -> bool:
    """Whether the labs differ in settings or version of Cilium only."""
    same_programs = running.artifacts.kubernetes == wanted.artifacts.kubernetes
    same_images = running.artifacts.store == wanted.artifacts.store
    other_version = running.settings.cilium != wanted.settings.cilium
    same_nodes = (running.settings.nodes, running.settings.ip) == (wanted.settings.nodes, wanted.settings.ip)
    return same_programs and (same_images or other_version) and same_nodes


def _switch(running: Lab, wanted: Lab) -> None:
    for archive in images.all_images(wanted.settings.cilium):
        if not running.has_image(archive):
            with step(f"loading {archive.parent.name}"):
                running.load_image(archive)
    _apply_cilium(wanted)
    if running.settings.endpoint_routes != wanted.settings.endpoint_routes:
        # Endpoints keep the kind of route they were created with.
        wanted.kubectl("rollout", "restart", "-n", "kube-system", "deployment/coredns")
        wanted.wait_until_healthy()


def _start(lab: Lab) -> None:
    STATE.mkdir(parents=True)
    node1 = lab.nodes[0]
    with step("starting nodes and control plane"):
        network.start_fabric(lab.artifacts.init, dual_stack=lab.settings.dual_stack)
        outside.start(lab.artifacts.init)
        for node in lab.nodes:
            node.start(lab.artifacts.init, dual_stack=lab.settings.dual_stack)
        pki.create(lab.settings, forward.start(node1))
        controlplane.start(node1, lab.artifacts.kubernetes, lab.settings)
        for node in lab.nodes:
            imagestore.copy_to(lab.artifacts.store, node.dir / "var/lib/containerd")
            kubelet.start_containerd(node)
        lab.wait_for_api()
        for node in lab.nodes:
            kubelet.start_kubelet(node, lab.artifacts.kubernetes, lab.settings)
    lab.record_images(images.all_images(lab.settings.cilium))
    lab.kubectl("apply", "--server-side", "-f", str(HERE / "manifests/coredns.yaml"))
    _apply_cilium(lab)


def _apply_cilium(lab: Lab) -> None:
    """Install or reconfigure Cilium and wait until every pod is ready."""
    settings = lab.settings
    with step(f"Cilium {settings.cilium}, {settings.mode}, {settings.attach}: until all pods are ready"):
        manifests = cilium.manifests(settings)
        lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifests)
        lab.save()
        lab.kubectl("rollout", "status", "-n", "kube-system", "daemonset/cilium", "--timeout=240s")
        lab.wait_until_healthy()


@contextmanager
def _lock() -> Iterator[None]:
    """Allow one change at a time on this machine, across checkouts."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("· waiting for another lab-up or lab-down to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
