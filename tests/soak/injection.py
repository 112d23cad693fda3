"""Real faults in the midst of it: injected, found within a bounded time, repaired, Healthy again.

In: a scene at rest on the way of the probe concerned. Out: what became of each fault. Called by `__main__`.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address

from urllib3.exceptions import HTTPError

from datapath_probe.runs.path_runner import EVIDENCE_S
from e2e.probes import Probe, brief
from e2e.waiting import until
from faults.fault import within
from faults.inject import application, maps
from faults.inject.in_place import Injected
from soak.history import PastRun
from soak.scene import NAMESPACE, REQUEST_TIMEOUT_S, Scene

_FOUND_S = 45.0
_HEALTHY_S = 60.0
# Roll-outs make agents write their maps anew, the broken entries among them.
_TRIES = 3
# A run that began before the repair may end so long after it: the request's timeout, and the time for evidence.
_UNDER_WAY_S = REQUEST_TIMEOUT_S + EVIDENCE_S


@dataclass(frozen=True, slots=True)
class Fault:
    """What is broken, the probe that goes that way, and what it has to say; `under_way`: the reason that it may give
    when its request was under way as the fault began.
    """

    name: str
    probe: str
    inject: Callable[[Scene], Injected]
    verdict: str
    hop: str
    reason: str
    under_way: str | None = None


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault that was there from `began` to `repaired` (seconds since the epoch). None: not within the time.

    `undone`: how often the agent put it right by itself before it was found; then it is injected again.
    """

    fault: Fault
    amid: str
    began: float
    repaired: float
    found_s: float | None
    healthy_s: float | None
    undone: int = 0

    @property
    def missed(self) -> bool:
        was_there = self.undone < _TRIES
        return self.healthy_s is None or (self.found_s is None and was_there)

    def explains(self, run: PastRun) -> bool:
        """Whether a run's alarm is right because of this fault: its hop is named, or lies in the segment that is."""
        in_time = self.began <= run.ended <= self.repaired + _UNDER_WAY_S
        named = run.hop == self.fault.hop and run.reason in (self.fault.reason, self.fault.under_way)
        named = named or (run.segment is not None and within(run.segment, self.fault.hop))
        return run.probe == self.fault.probe and in_time and named


def _pod_entry(probe_pod: str) -> Callable[[Scene], Injected]:
    def inject(scene: Scene) -> Injected:
        pod = scene.galaxy.pod(probe_pod)
        return maps.deleted(maps.endpoint_entry(scene.lab, pod.node, pod.ip))

    return inject


def _ipcache(scene: Scene) -> maps.MapEntry:
    """What the xwing's node knows of the outpost far away."""
    far, ship = scene.galaxy.pod("outpost-far-0"), scene.galaxy.pod("xwing-0")
    return maps.ipcache_entry(scene.lab, ship.node, far.ip)


def _wrong_tunnel(scene: Scene) -> Injected:
    return maps.changed(_ipcache(scene), maps.patched(4, ip_address("172.30.0.99").packed))


def _stopped(scene: Scene) -> Injected:
    return application.stopped(scene.galaxy, scene.galaxy.pod("outpost-far-0"))


FAULTS = (
    Fault("wrong tunnel endpoint", "far", _wrong_tunnel, "Broken", "ipcache-lookup", "WrongTunnelEndpoint"),
    Fault(
        "endpoint entry missing, same node",
        "near",
        _pod_entry("outpost-near-0"),
        "Broken",
        "endpoint-lookup",
        "EndpointEntryMissing",
    ),
    Fault(
        "application stopped",
        "far",
        _stopped,
        "Broken",
        "destination-response",
        "ConnectionRefused",
        under_way="ConnectionReset",
    ),
    Fault(
        "ipcache entry missing",
        "far",
        lambda scene: maps.deleted(_ipcache(scene)),
        "Degraded",
        "ipcache-lookup",
        "IpcacheEntryMissing",
    ),
    Fault(
        "endpoint entry missing, other node",
        "far",
        _pod_entry("outpost-far-0"),
        "Broken",
        "endpoint-lookup",
        "EndpointEntryMissing",
    ),
)


def try_fault(scene: Scene, fault: Fault, amid: Callable[[], None] | None = None) -> Injection:
    """Inject, wait for it to be found, repair, wait for Healthy. `amid`: goes on meanwhile, again and again."""
    probe = Probe(scene.api, NAMESPACE, fault.probe)
    until(
        f"{fault.probe} is Healthy", lambda: _is(probe, "Healthy"), _HEALTHY_S, otherwise=lambda: _said(probe)
    )
    with _meanwhile(amid):
        began, undone, found_s = time.time(), 0, None
        while found_s is None and undone < _TRIES:
            with fault.inject(scene) as in_place:
                found_s = _seconds(lambda: _is(probe, fault.verdict, fault.hop, fault.reason), _FOUND_S)
                if found_s is None and (in_place is None or in_place()):
                    break
            undone += found_s is None
        repaired = time.time()
        healthy_s = _seconds(lambda: _is(probe, "Healthy"), _HEALTHY_S)
    kind = "roll-outs" if amid else "calm"
    return Injection(fault, kind, began, repaired, found_s, healthy_s, undone)


@contextmanager
def _meanwhile(action: Callable[[], None] | None) -> Iterator[None]:
    over = threading.Event()

    def go_on() -> None:
        while action and not over.is_set():
            action()

    thread = threading.Thread(target=go_on, name="churn")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _is(probe: Probe, verdict: str, hop: str = "", reason: str = "") -> bool:
    try:
        status = probe.status()
    except HTTPError:  # an API server that is busy
        return False
    blamed = status.get("divergentHop", {})
    return status.get("verdict") == verdict and (
        not hop or (blamed.get("name"), blamed.get("reason")) == (hop, reason)
    )


def _said(probe: Probe) -> str:
    return brief(probe.status())


def _seconds(holds: Callable[[], bool], within_s: float) -> float | None:
    began = time.monotonic()
    try:
        until("", holds, within_s)
    except AssertionError:
        return None
    return round(time.monotonic() - began, 1)
