"""Addresses of pods that a node has on its own devices, too. Used by the catalog."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from e2e.waiting import until
from faults.inject.commands import applied
from faults.inject.maps import MapEntry, endpoint_entry
from lab.cluster import Lab

_FLAGS, _HOST = 8, 1  # of an entry of the endpoint map
_FOLLOWED_S = 120.0  # agents compare the map with the node's addresses once a minute


@contextmanager
def on_device(lab: Lab, node: str, ip: str, device: str, *, follow: bool) -> Iterator[None]:
    """The address of a pod of the node, on a device of the node itself. `follow`: wait until the agent has made the
    entry of the endpoint map one of the host; it restores the pod's now and then. Afterwards the pod's own entry is
    restored.
    """
    entry = endpoint_entry(lab, node, ip)
    before = entry.read()
    try:
        with added(lab, node, ip, device):
            if follow:
                until("the agent takes the address for the host's", lambda: _is_host(entry), _FOLLOWED_S)
            yield
    finally:
        _restore(entry, before)


def added(lab: Lab, node: str, ip: str, device: str) -> AbstractContextManager[None]:
    """One more address of a device."""
    change = ("ip", "address")
    return applied(
        lab, node, (*change, "add", f"{ip}/32", "dev", device), (*change, "del", f"{ip}/32", "dev", device)
    )


def _restore(entry: MapEntry, value: bytes) -> None:
    if _is_host(entry):
        until("the agent removes the host's entry", lambda: not _is_host(entry), _FOLLOWED_S)
    if entry.find() is None:
        entry.write(value)


def _is_host(entry: MapEntry) -> bool:
    value = entry.find()
    return value is not None and bool(value[_FLAGS] & _HOST)
