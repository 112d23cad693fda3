"""DNS: no server, a wrong resolver configuration, wrong addresses. Used by the catalog."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from datapath_probe.diagnose.run.windows import DEFAULT
from e2e.api import Api, Object, is_ready
from e2e.galaxy import Galaxy, Pod
from e2e.waiting import until

_COREDNS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
_SLICES_LAG_S = 5.0
PODS = "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app=kube-dns"


@contextmanager
def coredns_gone(api: Api) -> Iterator[None]:
    """A cluster without a DNS server, for longer than the transition window of its endpoints."""

    def gone() -> bool:
        for pod in api.items(PODS):
            api.delete(f"/api/v1/namespaces/kube-system/pods/{pod['metadata']['name']}")
        return not api.items(PODS)

    api.patch(_COREDNS, {"spec": {"replicas": 0}})
    try:
        until("CoreDNS is gone", gone, 20)
        at_rest()
        yield
    finally:
        api.patch(_COREDNS, {"spec": {"replicas": 1}})
        until("CoreDNS is back", lambda: any(map(is_ready, api.items(PODS))), 60)
        at_rest()


def at_rest() -> None:
    """Wait until the operator no longer treats the change of the endpoints as a transition. On a busy machine the
    EndpointSlice changes a while after the pods.
    """
    changed = time.monotonic()
    window_s = DEFAULT.endpoints_spreading_s + _SLICES_LAG_S
    until("the endpoints are stable", lambda: time.monotonic() - changed > window_s, 2 * window_s)


@contextmanager
def second_coredns(api: Api) -> Iterator[str]:
    """Another CoreDNS pod, for longer than the transition window of its endpoints. Yields its address."""
    first = {pod["metadata"]["name"] for pod in api.items(PODS)}

    def others() -> list[Object]:
        return [pod for pod in api.items(PODS) if pod["metadata"]["name"] not in first and is_ready(pod)]

    api.patch(_COREDNS, {"spec": {"replicas": 2}})
    try:
        until("a second CoreDNS is ready", lambda: bool(others()), 60)
        at_rest()
        yield others()[0]["status"]["podIP"]
    finally:
        api.patch(_COREDNS, {"spec": {"replicas": 1}})
        until("one CoreDNS is left", lambda: len(api.items(PODS)) == 1, 60)
        at_rest()


@contextmanager
def file_changed(galaxy: Galaxy, pod: Pod, path: str, change: str) -> Iterator[None]:
    """A pod with a changed /etc/hosts or /etc/resolv.conf; `change`: a sed script. Mounts: written in place."""
    kept = "/tmp/faults-kept"
    galaxy.sh(pod.name, f"cp {path} {kept} && sed '{change}' {kept} > {path}")
    try:
        yield
    finally:
        galaxy.sh(pod.name, f"cat {kept} > {path}")
