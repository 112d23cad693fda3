"""Real faults during the soak test: injected, found within a bounded time, repaired, Healthy again.

In: a scene without open transition windows on the probe's path. Out: the outcome of each fault. Called by `__main__`.
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

_FIND_TIMEOUT_S = 45.0
_HEALTHY_TIMEOUT_S = 60.0
# Roll-outs make agents rewrite their maps, including the broken entries.
_TRIES = 3
# A run that started before the repair may end this long after it: request timeout plus time for evidence.
_IN_PROGRESS_S = REQUEST_TIMEOUT_S + EVIDENCE_S


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, the probe whose path it breaks, and the expected answer. `mid_request`: the reason that is also right if
    the fault began during the request.
    """

    name: str
    probe: str
    inject: Callable[[Scene], Injected]
    verdict: str
    hop: str
    reason: str
    mid_request: str | None = None


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault that was in place from `began` to `repaired` (seconds since the epoch). None: not within the timeout.

    `undone`: how often the agent repaired it before it was found; then it is injected again.
    """

    fault: Fault
    during: str
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
        """Whether this fault explains the alarm of a run: its hop is named or lies in the named segment."""
        in_time = self.began <= run.ended <= self.repaired + _IN_PROGRESS_S
        named = run.hop == self.fault.hop and run.reason in (self.fault.reason, self.fault.mid_request)
        named = named or (run.segment is not None and within(run.segment, self.fault.hop))
        return run.probe == self.fault.probe and in_time and named


def _pod_entry(probe_pod: str) -> Callable[[Scene], Injected]:
    def inject(scene: Scene) -> Injected:
        pod = scene.galaxy.pod(probe_pod)
        return maps.deleted(maps.endpoint_entry(scene.lab, pod.node, pod.ip))

    return inject


def _ipcache(scene: Scene) -> maps.MapEntry:
    """The ipcache entry of the far outpost on the xwing's node."""
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
        mid_request="ConnectionReset",
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


def try_fault(scene: Scene, fault: Fault, during: Callable[[], None] | None = None) -> Injection:
    """Inject, wait until found, repair, wait for Healthy. `during`: an action that is repeated meanwhile."""
    probe = Probe(scene.api, NAMESPACE, fault.probe)
    until(
        f"{fault.probe} is Healthy",
        lambda: _is(probe, "Healthy"),
        _HEALTHY_TIMEOUT_S,
        otherwise=lambda: _brief(probe),
    )
    with _meanwhile(during):
        began, undone, found_s = time.time(), 0, None
        while found_s is None and undone < _TRIES:
            with fault.inject(scene) as in_place:
                found_s = _seconds(
                    lambda: _is(probe, fault.verdict, fault.hop, fault.reason), _FIND_TIMEOUT_S
                )
                if found_s is None and (in_place is None or in_place()):
                    break
            undone += found_s is None
        repaired = time.time()
        healthy_s = _seconds(lambda: _is(probe, "Healthy"), _HEALTHY_TIMEOUT_S)
    kind = "roll-outs" if during else "calm"
    return Injection(fault, kind, began, repaired, found_s, healthy_s, undone)


@contextmanager
def _meanwhile(action: Callable[[], None] | None) -> Iterator[None]:
    stop = threading.Event()

    def repeat() -> None:
        while action and not stop.is_set():
            action()

    thread = threading.Thread(target=repeat, name="churn")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _is(probe: Probe, verdict: str, hop: str = "", reason: str = "") -> bool:
    try:
        status = probe.status()
    except HTTPError:  # a busy API server
        return False
    blamed = status.get("divergentHop", {})
    return status.get("verdict") == verdict and (
        not hop or (blamed.get("name"), blamed.get("reason")) == (hop, reason)
    )


def _brief(probe: Probe) -> str:
    return brief(probe.status())


def _seconds(holds: Callable[[], bool], within_s: float) -> float | None:
    began = time.monotonic()
    try:
        until("", holds, within_s)
    except AssertionError:
        return None
    return round(time.monotonic() - began, 1)
